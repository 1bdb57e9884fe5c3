//! What somebody might try, each refused with its answer and without any effect.

use http::StatusCode;
use serde_json::{Value, json};
use world::entra::Signing;
use world::microsoft::OPERATORS_APP;

use super::unconnected_contoso;
use crate::TestResult;
use crate::http_browser::Browser;

/// Global Administrator.
const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";
/// A tenant that nobody knows.
const STRANGER: &str = "c0000000-0000-4000-8000-000000000009";
const CONNECT: &[(&str, &str)] = &[("mode", "organisation-wide")];

/// The administrator's pages.
const PAGES: [&str; 21] = [
    "",
    "health",
    "health.csv",
    "audit",
    "audit.csv",
    "audit.json",
    "policy",
    "rooms",
    "booking-system",
    "booking-system-connection",
    "booking-system-connection?system=1",
    "booking-system-rooms?system=1",
    "booking-system-rooms.csv?system=1",
    "booking-system-import?system=1",
    "booking-system-use?system=1",
    "booking-system-use?system=0",
    "booking-system-remove?system=1",
    "reach",
    "register",
    "register.csv",
    "register.json",
];

/// Their forms.
const FORMS: [(&str, &[(&str, &str)]); 13] = [
    ("booking-system-rooms", &[("system", "1")]),
    ("booking-system-restore", &[("system", "1")]),
    ("booking-system-import", &[("system", "1"), ("csv", "room,system_room")]),
    ("booking-system-dry-run", &[("system", "1")]),
    ("booking-system-use", &[("system", "0"), ("sure", "yes")]),
    ("booking-system-remove", &[("system", "1"), ("sure", "yes")]),
    ("booking-system-connection", &[("system", "1"), ("version", "new")]),
    ("booking-system-check", &[("system", "1")]),
    ("connect", CONNECT),
    ("policy", &[("consent", "organisation")]),
    ("rooms", &[("address", "a"), ("mode", "off"), ("zone", "UTC")]),
    ("reach", &[("inside", "a@contoso.example")]),
    ("disconnect", &[("sure", "yes")]),
];

#[tokio::test]
async fn a_consent_is_taken_once() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let back = contoso.grant(&browser, "organisation-wide", &contoso.ada).await?;
    let pending = browser.cookies();
    assert_eq!(browser.get(&back).await?.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get(&back).await?.heading(), "This consent was not started here");
    // Even with the cookie kept.
    browser.set_cookies(pending);
    let page = browser.get(&back).await?;
    assert_eq!((page.status, page.heading()), (409, "This consent was used before"));
    assert_eq!((contoso.decisions().await?.len(), contoso.pending_tenant_work().len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_consent_of_another_browser_is_refused() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let theirs = contoso.signed_in_admin().await?;
    let back = contoso.grant(&theirs, "organisation-wide", &contoso.ada).await?;
    let ours = contoso.signed_in_admin().await?;
    ours.post("connect", CONNECT).await?;
    let page = ours.get(&back).await?;
    assert_eq!((page.status, page.heading()), (403, "This consent was not started here"));
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn a_consent_for_another_tenant_than_the_one_that_signed_in_is_refused() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let fabrikam = contoso.world.microsoft.unconnected_tenant("Fabrikam");
    let browser = contoso.signed_in_admin().await?;
    let back = contoso.grant(&browser, "organisation-wide", &contoso.ada).await?;
    let swapped = back.replace(contoso.tenant.id(), fabrikam.id());
    let page = browser.get(&swapped).await?;
    assert_eq!((page.status, page.heading()), (403, "Another organisation consented"));
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn success_beside_an_error_is_an_error() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let back = contoso.grant(&browser, "organisation-wide", &contoso.ada).await?;
    let page = browser.get(&format!("{back}&error=server_error")).await?;
    assert_eq!(page.heading(), "Your organisation was not connected");
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn consents_sign_ins_and_sessions_expire() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let back = contoso.grant(&browser, "organisation-wide", &contoso.ada).await?;
    contoso.advance_minutes(10);
    let page = browser.get(&back).await?;
    assert_eq!((page.status, page.heading()), (400, "The consent took too long"));

    let there = browser.sign_in_url().await?;
    let back = contoso.world.microsoft.entra.authorize(&there, &contoso.ada);
    contoso.advance_minutes(10);
    let page = browser.get(back.map_err(|page| page.text)?.as_str()).await?;
    assert_eq!(page.heading(), "The sign-in took too long");

    let browser = contoso.signed_in_admin().await?;
    contoso.advance_minutes(60);
    assert_eq!(browser.get("policy").await?.heading(), "You are not signed in");
    let page = browser.post("connect", CONNECT).await?;
    assert_eq!((page.status, page.heading()), (401, "Your session is over"));
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn a_sign_in_is_good_for_one_browser_and_one_time() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.browser();
    let there = browser.sign_in_url().await?;
    let back = contoso.world.microsoft.entra.authorize(&there, &contoso.ada);
    let back = back.map_err(|page| page.text)?;
    let victim = contoso.browser();
    assert_eq!(victim.get(back.as_str()).await?.heading(), "This sign-in was not started here");
    assert!(victim.cookies().is_empty());
    let pending = browser.cookies();
    assert_eq!(browser.get(back.as_str()).await?.status, StatusCode::SEE_OTHER);
    browser.set_cookies(pending);
    assert_eq!(browser.get(back.as_str()).await?.status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn a_post_of_another_site_or_without_the_token_changes_nothing() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let before = (contoso.tenant_row().await?, contoso.pending_tenant_work());
    let steps = [
        "sign-out",
        "connect",
        "health",
        "policy",
        "rooms",
        "booking-system-connection",
        "booking-system-check",
        "booking-system-rooms",
        "booking-system-restore",
        "booking-system-import",
        "booking-system-dry-run",
        "booking-system-use",
        "booking-system-remove",
        "reach",
        "disconnect",
    ];
    for step in steps {
        for (site, origin) in
            [("cross-site", "null"), ("same-site", "null"), ("same-origin", "https://evil.example")]
        {
            browser.set_origin(site, origin);
            let page = browser.post(step, &[("sure", "yes")]).await?;
            assert_eq!((page.status, page.heading()), (403, "Another site sent this"));
        }
        browser.set_origin("same-origin", "null");
        for token in ["", "x", &"A".repeat(43)] {
            let page = browser.post_without_csrf(step, &[("csrf", token), ("sure", "yes")]).await?;
            assert_eq!(page.heading(), "This form is from an earlier session", "{step}");
        }
        let page = browser.post_without_csrf(step, &[("sure", "yes")]).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{step}");
    }
    assert_eq!((contoso.tenant_row().await?, contoso.pending_tenant_work()), before);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_with_a_token_that_proves_nothing_opens_nothing() -> TestResult {
    type Tampering = fn(&mut Value, &mut Signing);
    let tamperings: [(&str, Tampering); 10] = [
        ("another audience", |claims, _| claims["aud"] = OPERATORS_APP.into()),
        ("another tenant", |claims, _| claims["tid"] = STRANGER.into()),
        ("another issuer", |claims, _| claims["iss"] = "https://evil.example/v2.0".into()),
        ("expired", |claims, _| claims["exp"] = 1.into()),
        ("of another sign-in", |claims, _| claims["nonce"] = "x".into()),
        ("nobody's", |claims, _| claims["oid"] = Value::Null),
        ("unsigned", |_, signing| *signing = Signing::None),
        ("signed with a rotated-out key", |_, signing| *signing = Signing::Retired),
        ("signed with a forged key", |_, signing| *signing = Signing::Forged),
        ("signed with the public key", |_, signing| *signing = Signing::HmacWithPublicKey),
    ];
    let contoso = unconnected_contoso().await?;
    let entra = &contoso.world.microsoft.entra;
    entra.rotate_keys()?;
    entra.retire_old_keys();
    for (what, tamper) in tamperings {
        entra.tamper_next_id_token(tamper);
        let browser = contoso.browser();
        let page = browser.sign_in(&contoso.ada).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{what}");
        assert!(browser.cookies().is_empty(), "{what}");
        assert_eq!(browser.get("policy").await?.heading(), "You are not signed in", "{what}");
    }
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn a_role_that_the_customer_calls_operator_makes_nobody_an_administrator() -> TestResult {
    let contoso = unconnected_contoso().await?;
    contoso.connect("organisation-wide").await?;
    contoso.world.microsoft.entra.tamper_next_id_token(|claims, _| {
        claims["roles"] = json!(["Operator", "Auditor", "Global Administrator", GLOBAL]);
        claims["groups"] = json!([GLOBAL]);
    });
    let browser = contoso.browser();
    let page = browser.sign_in(contoso.anna.id()).await?;
    assert_eq!(page.heading(), "You cannot decide for your organisation");
    assert_eq!(browser.get("policy").await?.status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn an_employee_opens_no_page_and_posts_no_form_of_the_administrator() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let ada = contoso.connect("organisation-wide").await?;
    let before =
        (contoso.tenant_row().await?, contoso.decisions().await?, contoso.pending_tenant_work());
    // What Ada brings back from Entra is of no use to Anna, even with Ada's own pending flow.
    let back = contoso.grant(&ada, "scoped", &contoso.ada).await?;
    let flow = ada.cookies().get("__Host-roombridge-pending").cloned().ok_or("no pending flow")?;

    // Anna has a session, and the token of its forms, which none of the pages here shows her.
    let anna = Browser::new(&contoso.world, "my-calendar");
    anna.sign_in(contoso.anna.id()).await?;
    let (cookies, csrf) = (anna.cookies(), anna.last_csrf());
    assert!(!csrf.is_empty());
    let anna = contoso.browser();
    anna.set_cookies(cookies.clone());
    anna.set_last_csrf(csrf);
    for step in PAGES.into_iter().chain(["disconnect", "granted", "prove"]) {
        let page = anna.get(step).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "GET {step}");
        assert_eq!(page.heading(), "You cannot decide for your organisation", "GET {step}");
    }
    for (step, fields) in FORMS {
        let page = anna.post(step, fields).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "POST {step}");
        assert_eq!(page.heading(), "You cannot decide for your organisation", "POST {step}");
    }
    let pending = ("__Host-roombridge-pending".to_owned(), flow);
    anna.set_cookies(cookies.into_iter().chain([pending]).collect());
    let page = anna.get(&back).await?;
    assert_eq!(page.heading(), "You cannot decide for your organisation");
    let after =
        (contoso.tenant_row().await?, contoso.decisions().await?, contoso.pending_tenant_work());
    assert_eq!(after, before);
    Ok(())
}

#[tokio::test]
async fn a_page_does_not_take_other_methods() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("scoped").await?;
    let page = browser.get("connect").await?;
    assert_eq!((page.status, page.heading()), (405, "This page cannot be used like this"));
    assert_eq!(browser.post("register", &[]).await?.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}
