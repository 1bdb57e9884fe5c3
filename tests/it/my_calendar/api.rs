//! The API for an add-in: what it does, and what no token gets it to do.

use http::Method;
use roombridge::domain::tenant::{Suspension, SuspensionReason, TenantState};
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use roombridge::store::tables::Table;
use serde_json::json;
use world::entra::{ApiTokenSpec, Signing};
use world::microsoft::{DAEMON_APP, OPERATORS_APP};
use world::test_world::ADD_IN_ORIGIN;

use super::{TEXT, address};
use crate::TestResult;
use crate::contoso::{Contoso, minutes};
use crate::http_browser::{Page, send};

fn assert_protected(answer: &Page) {
    let policy = answer.header("content-security-policy");
    assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(answer.header("set-cookie"), "");
}

#[tokio::test]
async fn an_add_in_agrees_shows_withdraws_and_erases() -> TestResult {
    let contoso = Contoso::open().await?;
    let token = contoso.token(&contoso.ben);
    let all = contoso.call(Method::GET, &token, "", None).await?;
    assert_protected(&all);
    let before = all.json()?;
    assert_eq!(before["eligibility"]["state"], "none");
    assert_eq!(before["eligibility"]["scope"], "within");
    let old = contoso.call(Method::PUT, &token, "", Some(json!({ "text_version": "1" }))).await?;
    assert_eq!((old.status, old.problem_code()?.as_str()), (409, "text_changed"));
    assert_eq!(old.json()?["text_version"], TEXT);
    assert_eq!(old.json()?["text"], before["eligibility"]["text"]);

    let version = json!({ "text_version": before["eligibility"]["text_version"] });
    let done = contoso.call(Method::PUT, &token, "", Some(version.clone())).await?;
    assert_eq!((done.status, &done.json()?["result"]), (200, &json!("agreed")));
    contoso.run_for(minutes(2)).await;
    let done = contoso.call(Method::PUT, &token, "", Some(version)).await?;
    assert_eq!(done.json()?["result"], "already_agreed");
    let all = contoso.call(Method::GET, &token, "", None).await?.json()?;
    assert_eq!(all["eligibility"]["consent"], "own");
    assert_eq!(all["stored"]["calendar"]["state"], "active");

    let left = contoso.call(Method::DELETE, &token, "?bookings=released", None).await?;
    assert_eq!(left.json()?["result"], "withdrawn");
    let withdrawn = MailboxState::Withdrawn(BookingDisposition::Release);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, Some(withdrawn));
    contoso.call(Method::DELETE, &token, "?bookings=anonymous&erase=true", None).await?;
    let erased = contoso.mailbox_state(&contoso.ben).await;
    assert!(matches!(erased, Some(MailboxState::Erased(BookingDisposition::KeepAnonymous, _))));
    contoso.run_for(minutes(5)).await;
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_token_that_is_not_for_this_does_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let good = ApiTokenSpec::default;
    let (now, ben) = (contoso.now().as_second(), &contoso.ben);
    let other = contoso.world.microsoft.tenant("Fabrikam");
    let zoe = other.person("Zoe");
    contoso.world.microsoft.entra.rotate_keys()?;
    contoso.world.microsoft.entra.retire_old_keys();
    let with_audience = |audience: &str| ApiTokenSpec { audience: audience.into(), ..good() };
    let refused = [
        ("another audience", with_audience(DAEMON_APP)),
        ("the operators' audience", with_audience(OPERATORS_APP)),
        ("another tenant's issuer", good().with("tid", other.id())),
        ("expired", good().with("exp", now - 3_600).with("nbf", now - 7_200)),
        ("not yet valid", good().with("nbf", now + 3_600)),
        ("v1", good().with("ver", "1.0")),
        ("nobody", good().with("oid", ())),
        ("unsigned", good().signed_as(Signing::None)),
        ("a rotated-out key", good().signed_as(Signing::Retired)),
        ("a foreign key", good().signed_as(Signing::Foreign)),
        ("a forged key", good().signed_as(Signing::Forged)),
        ("the public key as a secret", good().signed_as(Signing::HmacWithPublicKey)),
    ];
    let version = || Some(json!({ "text_version": TEXT }));
    for (what, spec) in refused {
        let token = contoso.token_with(ben, &spec);
        let answer = contoso.call(Method::PUT, &token, "", version()).await?;
        assert_eq!(
            (answer.status, answer.problem_code()?.as_str()),
            (401, "token_refused"),
            "{what}"
        );
        assert_eq!(answer.header("www-authenticate"), r#"Bearer error="invalid_token""#, "{what}");
        assert_protected(&answer);
    }
    let insufficient = [
        ("app-only", ApiTokenSpec::app_only()),
        ("without scp", good().with("scp", ())),
        ("another scope", ApiTokenSpec { scope: "openid".into(), ..good() }),
        ("an unknown client", ApiTokenSpec { client: DAEMON_APP.into(), ..good() }),
        ("roles alone", good().with("scp", ()).with("roles", json!(["Operator"]))),
    ];
    for (what, spec) in insufficient {
        let token = contoso.token_with(ben, &spec);
        let answer = contoso.call(Method::PUT, &token, "", version()).await?;
        assert_eq!(
            (answer.status, answer.problem_code()?.as_str()),
            (403, "token_insufficient"),
            "{what}"
        );
        assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{what}");
    }
    let token = contoso.token(&zoe);
    let answer = contoso.call(Method::PUT, &token, "", version()).await?;
    assert_eq!((answer.status, answer.problem_code()?.as_str()), (403, "tenant_unknown"));
    assert_eq!(contoso.mailbox_state(ben).await, None);
    assert_eq!(contoso.count(Table::Register).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_role_that_the_customer_gives_its_people_gains_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let operator = ApiTokenSpec::default().with("roles", json!(["Operator", "Auditor"]));
    let token = contoso.token_with(&contoso.ben, &operator);
    let all = contoso.call(Method::GET, &token, "", None).await?.json()?;
    assert_eq!(all["stored"]["person"], contoso.ben.id());
    assert!(!all.to_string().contains(contoso.anna.id()));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_cookie_opens_no_api_and_a_token_no_page() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    let answer = browser.get("api").await?;
    assert_eq!((answer.status, answer.problem_code()?.as_str()), (401, "token_missing"));
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let bearer = format!("Bearer {}", contoso.token(&contoso.anna));
    let delete = http::Request::delete(address("api?bookings=released"));
    assert_eq!(browser.send(delete, "").await?.status, 401);
    let request = http::Request::get(address("data.json")).header("authorization", &bearer);
    assert_eq!(send(&contoso.world, request, "").await?.status, 401);
    let request = http::Request::post(address("erase"))
        .header("authorization", &bearer)
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = send(&contoso.world, request, "bookings=released&confirm=yes").await?;
    assert_eq!(answer.status, 401);
    // Neither in the query, nor twice, nor by another scheme.
    let token = contoso.token(&contoso.anna);
    let request = http::Request::get(address(&format!("api?access_token={token}")));
    assert_eq!(send(&contoso.world, request, "").await?.problem_code()?, "token_missing");
    let twice = http::Request::get(address("api"))
        .header("authorization", &bearer)
        .header("authorization", &bearer);
    assert_eq!(send(&contoso.world, twice, "").await?.problem_code()?, "token_missing");
    let basic = http::Request::get(address("api")).header("authorization", "Basic YTpi");
    assert_eq!(send(&contoso.world, basic, "").await?.problem_code()?, "token_missing");
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn only_the_add_ins_own_origin_may_read_answers_in_a_browser() -> TestResult {
    let contoso = Contoso::open().await?;
    let preflight = async |origin: &str| {
        let request = http::Request::options(address("api"))
            .header("origin", origin)
            .header("access-control-request-method", "PUT");
        send(&contoso.world, request, "").await
    };
    let allowed = preflight(ADD_IN_ORIGIN).await?;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), ADD_IN_ORIGIN);
    assert_eq!(allowed.header("access-control-allow-methods"), "DELETE, GET, POST, PUT");
    assert_protected(&allowed);
    for origin in ["https://evil.example", "null", "https://add-in.example.evil.example", "*"] {
        let answer = preflight(origin).await?;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(answer.header("access-control-allow-methods"), "", "{origin}");
    }
    let request = http::Request::get(address("api")).header("origin", ADD_IN_ORIGIN);
    let answer = send(&contoso.world, request, "").await?;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), ADD_IN_ORIGIN, "errors can be read");
    assert_eq!(answer.header("vary"), "Origin");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn undocumented_requests_are_refused() -> TestResult {
    let contoso = Contoso::open().await?;
    let token = contoso.token(&contoso.ben);
    let good = json!({ "text_version": TEXT });
    for (method, query, body, expected) in [
        (Method::PUT, "", None, (415, "not_json")),
        (Method::PUT, "", Some(json!([])), (400, "bad_request")),
        (Method::PUT, "", Some(json!({ "text_version": TEXT, "person": 1 })), (400, "bad_request")),
        (Method::PUT, "", Some(json!({ "text_version": "x".repeat(5_000) })), (413, "too_large")),
        (Method::PUT, "", Some(json!({ "text_version": "x".repeat(99) })), (400, "bad_request")),
        (Method::POST, "", Some(good.clone()), (400, "bad_request")),
        (
            Method::POST,
            "",
            Some(json!({ "owner": "a\nb", "text_version": TEXT })),
            (400, "bad_request"),
        ),
        (
            Method::POST,
            "",
            Some(json!({ "owner": "b@x.example", "text_version": TEXT })),
            (403, "delegates_off"),
        ),
        (Method::DELETE, "", None, (400, "bad_request")),
        (Method::DELETE, "?bookings=released&bookings=released", None, (400, "bad_request")),
    ] {
        let answer = contoso.call(method.clone(), &token, query, body).await?;
        let code = answer.problem_code()?;
        assert_eq!((answer.status, code.as_str()), expected, "{method} {query}");
    }
    let patch = contoso.call(Method::PATCH, &token, "", Some(good)).await?;
    assert!(matches!(patch.status, 404 | 405), "{}", patch.status);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, None);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn while_access_is_lost_people_see_and_leave_and_cannot_agree() -> TestResult {
    let contoso = Contoso::open().await?;
    let (since, reason) = (contoso.now(), SuspensionReason::TokenRefused);
    let state = TenantState::Suspended(Suspension { since, reason });
    contoso.update_tenant(|tenant| tenant.state = state).await?;
    let token = contoso.token(&contoso.anna);
    assert_eq!(contoso.call(Method::GET, &token, "", None).await?.status, 200);
    let version = Some(json!({ "text_version": TEXT }));
    let answer = contoso.call(Method::PUT, &token, "", version).await?;
    assert_eq!((answer.status, answer.problem_code()?.as_str()), (409, "tenant_suspended"));
    let answer = contoso.call(Method::DELETE, &token, "?bookings=released", None).await?;
    assert_eq!(answer.json()?["result"], "withdrawn");
    Ok(())
}
