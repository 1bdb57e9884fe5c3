//! People sign in: what the page refuses, what the code is bound to, what the tokens say.

use jiff::SignedDuration;
use serde_json::{Map, json};

use super::fixture::{SignInFixture, parameter, sign_in_fixture, with_parameters};
use crate::entra::{ApiTokenSpec, Signing, roles};
use crate::microsoft::{HOME_TENANT, OPERATORS_APP, PEOPLE_APP};

#[tokio::test]
async fn somebody_signs_in_and_the_tokens_say_who() {
    let walk = sign_in_fixture();
    let back = walk.authorize(&walk.sign_in_at("organizations"), &walk.admin).unwrap();
    assert_eq!(parameter(&back, "state"), "the-state");
    assert!(!parameter(&back, "session_state").is_empty());
    let (status, body) = walk.redeem("organizations", &back, &[]).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3599)));
    let claims = walk.ms.entra.verify(body["id_token"].as_str().unwrap()).unwrap();
    let issuer = format!("https://login.microsoftonline.com/{}/v2.0", walk.tenant.id());
    assert_eq!(claims["iss"], issuer);
    assert_eq!((&claims["aud"], &claims["nonce"]), (&json!(PEOPLE_APP), &json!("the-nonce")));
    assert_eq!((&claims["oid"], &claims["ver"]), (&json!(walk.admin), &json!("2.0")));
    assert_eq!(claims["preferred_username"], "ada@contoso.example");
    assert_eq!(claims["wids"], json!([roles::GLOBAL_ADMINISTRATOR, roles::EVERY_MEMBER]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert!(walk.ms.entra.is_consented(walk.tenant.id(), PEOPLE_APP));
    let other = walk.authorize(&walk.sign_in_at("common"), walk.anna.id()).unwrap();
    let (_, body) = walk.redeem("common", &other, &[]).await;
    let anna = walk.ms.entra.verify(body["id_token"].as_str().unwrap()).unwrap();
    assert_ne!(anna["sub"], claims["sub"]);
    assert_eq!(anna["name"], "Anna");
}

#[tokio::test]
async fn a_wrong_client_or_address_ends_on_a_page_and_other_faults_go_back() {
    let walk = sign_in_fixture();
    let good = walk.sign_in_at("organizations");
    let page = |changes: &[(&str, &str)]| {
        walk.authorize(&with_parameters(&good, changes), walk.anna.id()).unwrap_err().number
    };
    assert_eq!(page(&[("client_id", "nobody")]), 700_016);
    assert_eq!(page(&[("redirect_uri", "https://app.example/api/my-calendar/signed-in/")]), 50011);
    assert_eq!(page(&[("redirect_uri", "https://evil.example/")]), 50011);
    assert_eq!(walk.authorize(&walk.sign_in_at("nowhere"), "x").unwrap_err().number, 90002);
    let back = |changes: &[(&str, &str)]| {
        let back = walk.authorize(&with_parameters(&good, changes), walk.anna.id()).unwrap();
        assert_eq!(parameter(&back, "code"), "");
        (parameter(&back, "error"), parameter(&back, "state"))
    };
    let invalid = ("invalid_request".to_owned(), "the-state".to_owned());
    assert_eq!(back(&[("nonce", "")]), invalid);
    assert_eq!(back(&[("code_challenge", "")]), invalid);
    assert_eq!(back(&[("code_challenge_method", "plain")]), invalid);
    assert_eq!(back(&[("scope", "profile")]).0, "invalid_scope");
    assert_eq!(back(&[("scope", "openid api://x/y")]).0, "invalid_resource");
    assert_eq!(back(&[("response_type", "token")]).0, "unsupported_response_type");
    assert_eq!(back(&[("prompt", "none")]).0, "login_required");
    assert_eq!(back(&[("state", "")]), ("invalid_request".to_owned(), String::new()));
    let denied = walk.ms.entra.deny(&good).unwrap();
    assert_eq!(parameter(&denied, "error"), "access_denied");
    assert!(parameter(&denied, "error_description").starts_with("AADSTS65004: "));
}

#[tokio::test]
async fn a_code_is_bound_to_everything_and_good_once() {
    let walk = sign_in_fixture();
    let fresh = || walk.authorize(&walk.sign_in_at("organizations"), walk.anna.id()).unwrap();
    let back = fresh();
    let at = "organizations";
    assert_eq!(walk.redeem_error(at, &back, &[("code", "guess")]).await, 9_002_313);
    assert_eq!(walk.redeem_error(at, &back, &[("code_verifier", "other")]).await, 501_481);
    assert_eq!(
        walk.redeem_error(at, &back, &[("redirect_uri", "https://x.example")]).await,
        500_112
    );
    assert_eq!(walk.redeem_error(at, &back, &[("client_secret", "s")]).await, 7_000_215);
    assert_eq!(walk.redeem_error(at, &back, &[("client_assertion", "")]).await, 7_000_218);
    assert_eq!(walk.redeem_error(at, &back, &[("client_id", OPERATORS_APP)]).await, 70000);
    assert_eq!(walk.redeem_error("common", &back, &[]).await, 700_005);
    let stranger = walk.ms.unconnected_tenant("Fabrikam");
    assert_eq!(walk.redeem_error(stranger.id(), &back, &[]).await, 700_005);
    let (status, body) = walk.redeem(walk.tenant.id(), &back, &[]).await;
    assert_eq!(status, 200);
    let token = body["access_token"].as_str().unwrap();
    assert!(!walk.ms.entra.is_revoked(token));
    assert_eq!(walk.redeem_error(at, &back, &[]).await, 54005);
    assert!(walk.ms.entra.is_revoked(token));
    let late = fresh();
    walk.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(walk.redeem_error(at, &late, &[]).await, 70008);
}

#[tokio::test]
async fn the_page_offers_everybody_and_leads_back() {
    let walk = sign_in_fixture();
    walk.tenant.room("Aurora", crate::exchange::Processing::AutoAccept);
    let url = walk.sign_in_at("organizations");
    let (status, page) = walk.get(url.as_str()).await;
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    assert!(page.contains("Ada &lt;Admin&gt;") && page.contains("Global Administrator"));
    assert!(page.contains("Contoso") && !page.contains("Aurora") && !page.contains("<script"));
    let action = url.as_str().replace("/authorize?", "/persona?");
    assert!(page.contains("/organizations/oauth2/v2.0/persona?"));
    let (status, back) = walk.submit(&action, &format!("user={}", walk.anna.id())).await;
    assert_eq!(status, 303);
    assert!(!parameter(&back.unwrap(), "code").is_empty());
    let (_, back) = walk.submit(&action, "cancel=yes").await;
    assert_eq!(parameter(&back.unwrap(), "error"), "access_denied");
    let wrong = with_parameters(&url, &[("redirect_uri", "https://evil.example")]);
    let (status, page) = walk.get(wrong.as_str()).await;
    assert_eq!(status, 400);
    assert!(page.as_str().unwrap().contains("AADSTS50011"));
}

#[tokio::test]
async fn a_tenant_may_keep_people_out() {
    let walk = sign_in_fixture();
    let (entra, tenant) = (&walk.ms.entra, walk.tenant.id());
    let url = walk.sign_in_at("organizations");
    entra.set_user_consent(tenant, false);
    let back = walk.authorize(&url, walk.anna.id()).unwrap();
    assert_eq!(parameter(&back, "error"), "access_denied");
    assert!(parameter(&back, "error_description").starts_with("AADSTS90094: "));
    assert!(!entra.is_consented(tenant, PEOPLE_APP));
    walk.authorize(&url, &walk.admin).unwrap();
    assert!(!parameter(&walk.authorize(&url, walk.anna.id()).unwrap(), "code").is_empty());
    entra.require_assignment(tenant, PEOPLE_APP, true);
    assert_eq!(walk.authorize(&url, walk.anna.id()).unwrap_err().number, 50105);
    entra.assign(tenant, PEOPLE_APP, walk.anna.id(), None);
    assert!(walk.authorize(&url, walk.anna.id()).is_ok());
}

#[tokio::test]
async fn guests_sign_in_where_they_are_guests_and_strangers_nowhere() {
    let walk = sign_in_fixture();
    let fabrikam = walk.ms.unconnected_tenant("Fabrikam");
    let there = walk.sign_in_at(fabrikam.id());
    assert_eq!(walk.authorize(&there, walk.anna.id()).unwrap_err().number, 50020);
    let guest = walk.ms.entra.add_guest(fabrikam.id(), walk.tenant.id(), walk.anna.id()).unwrap();
    let back = walk.authorize(&there, &guest).unwrap();
    let (_, body) = walk.redeem(fabrikam.id(), &back, &[]).await;
    let claims = walk.ms.entra.verify(body["id_token"].as_str().unwrap()).unwrap();
    assert_eq!((&claims["tid"], &claims["oid"]), (&json!(fabrikam.id()), &json!(guest)));
    assert_eq!(claims["wids"], json!([roles::GUEST_USER]));
    assert!(claims["idp"].as_str().unwrap().contains(walk.tenant.id()));
}

#[tokio::test]
async fn operators_are_of_the_home_tenant_alone() {
    let walk = sign_in_fixture();
    let entra = &walk.ms.entra;
    let olga = entra.add_user(HOME_TENANT, "Olga", "olga@roombridge.example");
    entra.assign(HOME_TENANT, OPERATORS_APP, &olga, Some("Operator"));
    let redirect = "https://app.example/api/admin/signed-in";
    let changes = [("client_id", OPERATORS_APP), ("redirect_uri", redirect)];
    let shared = with_parameters(&walk.sign_in_at("organizations"), &changes);
    assert_eq!(walk.authorize(&shared, &olga).unwrap_err().number, 50194);
    let theirs = with_parameters(&walk.sign_in_at(walk.tenant.id()), &changes);
    assert_eq!(walk.authorize(&theirs, &walk.admin).unwrap_err().number, 700_016);
    let ours = with_parameters(&walk.sign_in_at(HOME_TENANT), &changes);
    assert_eq!(walk.authorize(&ours, &walk.admin).unwrap_err().number, 50020);
    let back = walk.authorize(&ours, &olga).unwrap();
    let (_, body) = walk.redeem(HOME_TENANT, &back, &changes).await;
    let claims = entra.verify(body["id_token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["roles"], json!(["Operator"]));
    assert!(claims.get("wids").is_none());
}

#[tokio::test]
async fn keys_rotate_and_tests_forge() {
    let walk = sign_in_fixture();
    let entra = &walk.ms.entra;
    let token = |walk: &SignInFixture, spec: &ApiTokenSpec| {
        walk.ms.entra.api_token(walk.tenant.id(), walk.anna.id(), spec)
    };
    let good = token(&walk, &ApiTokenSpec::default());
    let claims = entra.verify_audience(&good, PEOPLE_APP).unwrap();
    assert_eq!((&claims["scp"], &claims["azp"]), (&json!("my-calendar"), &json!(PEOPLE_APP)));
    let app = entra.verify(&token(&walk, &ApiTokenSpec::app_only())).unwrap();
    assert!(app.get("scp").is_none() && app["idtyp"] == "app");
    for signing in [
        Signing::Foreign,
        Signing::Forged,
        Signing::Retired,
        Signing::None,
        Signing::HmacWithPublicKey,
    ] {
        let bad = token(&walk, &ApiTokenSpec::default().signed_as(signing));
        assert!(bad.len() > 100 && entra.verify(&bad).is_none(), "{signing:?}");
    }
    let url = format!("https://login.microsoftonline.com/{}/discovery/v2.0/keys", walk.tenant.id());
    let kids = async || walk.get(&url).await.1["keys"].as_array().unwrap().len();
    assert_eq!(kids().await, 1);
    entra.rotate_keys().unwrap();
    assert_eq!(kids().await, 2);
    assert!(entra.verify_audience(&good, PEOPLE_APP).is_some());
    entra.retire_old_keys();
    let (_, set) = walk.get(&url).await;
    assert_eq!(set["keys"][0]["kid"], entra.signing_kid());
    let issuer = format!("https://login.microsoftonline.com/{}/v2.0", walk.tenant.id());
    assert_eq!((kids().await, &set["keys"][0]["issuer"]), (1, &json!(issuer)));
    let back = walk.authorize(&walk.sign_in_at("organizations"), walk.anna.id()).unwrap();
    entra.tamper_next_id_token(|claims, signing| {
        claims["nonce"] = json!("another");
        *signing = Signing::Forged;
    });
    let (_, body) = walk.redeem("organizations", &back, &[]).await;
    assert!(entra.verify(body["id_token"].as_str().unwrap()).is_none());
    let who = (walk.tenant.id(), walk.anna.id());
    let mut changes = Map::new();
    changes.insert("aud".to_owned(), json!("other"));
    let id_token = entra.id_token_with(who, PEOPLE_APP, "n", &changes, Signing::Current);
    assert_eq!(entra.verify(&id_token).unwrap()["aud"], "other");
}
