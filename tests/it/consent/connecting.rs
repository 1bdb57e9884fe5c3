//! Signing in, consenting, and what ends on a page of its own.

use axum::body::Body;
use http::StatusCode;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::policy::Registration;
use roombridge::domain::tenant::{Suspension, SuspensionReason, TenantPolicy, TenantState};
use roombridge::graph::permissions::{EXCHANGE_ROLES, PERMISSIONS};
use roombridge::store::tenants::Tenants;
use std::sync::Arc;
use tower::ServiceExt as _;
use world::microsoft::{DAEMON_APP, GRAPH_HOST};

use super::unconnected_contoso;
use crate::{TestError, TestResult};

#[tokio::test]
async fn anybody_can_read_what_is_asked_for_before_signing_in() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let page = contoso.browser().get("").await?;
    assert_eq!(page.status, StatusCode::OK);
    for permission in PERMISSIONS {
        assert!(page.text.contains(permission.name), "{}", permission.name);
        assert!(page.text.contains(permission.reaches), "{}", permission.name);
    }
    for role in EXCHANGE_ROLES {
        assert!(page.text.contains(role.name), "{}", role.name);
    }
    assert!(page.text.contains("<code>bodyPreview</code>"));
    assert!(page.text.contains("href=\"/api/consent/sign-in\""));
    assert!(!page.text.contains("<form"), "nobody is signed in, so nothing can be posted");
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn every_page_is_protected_and_nothing_comes_from_elsewhere() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let steps = [
        "",
        "health",
        "audit",
        "policy",
        "rooms",
        "reach",
        "register",
        "disconnect",
        "nowhere",
        "style.css",
    ];
    for step in steps {
        let page = browser.get(step).await?;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{step}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{step}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{step}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{step}");
        assert!(page.header("strict-transport-security").contains("max-age="), "{step}");
        assert!(!page.text.contains("<script") && !page.text.contains(" style="), "{step}");
        assert!(!page.text.contains("src=\"http"), "{step}");
        if step != "style.css" {
            assert_eq!(page.header("cache-control"), "no-store", "{step}");
            assert_eq!(page.text.matches("<h1>").count(), 1, "{step}");
            assert!(page.text.contains("<html lang=\"en\">"), "{step}");
        }
    }
    let missing = browser.get("nowhere").await?;
    assert_eq!((missing.status, missing.heading()), (404, "There is no such page"));
    Ok(())
}

#[tokio::test]
async fn an_administrator_connects_the_whole_organisation() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let page = contoso.grant_and_return(&browser, "organisation-wide").await?;
    assert_eq!(page.heading(), "Overview");
    let row = contoso.tenant_row().await?.ok_or("a row")?;
    assert_eq!(row.state, TenantState::Active);
    assert_eq!(row.registration, Registration::OrganisationWide);
    assert_eq!(row.policy, TenantPolicy::default());
    let connected = row.connection.ok_or("who connected")?;
    assert_eq!(
        (connected.connected_by.to_string(), connected.connected_at),
        (contoso.ada.clone(), contoso.world.now())
    );
    let decisions = contoso.decisions().await?;
    let text_version = connected.text_version;
    let registration = Registration::OrganisationWide;
    assert_eq!(decisions[0].kind, DecisionKind::Connected { registration, text_version });
    assert_eq!(decisions.len(), 1);
    assert_eq!(contoso.pending_tenant_work(), ["connect"]);
    assert!(
        !browser.cookies().keys().any(|name| name.contains("pending")),
        "the pending flow is over"
    );
    Ok(())
}

#[tokio::test]
async fn an_administrator_connects_a_scope_without_any_grant_of_calendars() -> TestResult {
    let contoso = unconnected_contoso().await?;
    contoso.connect("scoped").await?;
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.registration, Registration::Scoped);
    assert!(!contoso.world.microsoft.entra.is_consented(contoso.tenant.id(), DAEMON_APP));
    Ok(())
}

#[tokio::test]
async fn switching_the_kind_of_access_keeps_the_policy_and_is_recorded() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("scoped").await?;
    contoso.advance_minutes(1);
    let page = contoso.grant_and_return(&browser, "organisation-wide").await?;
    assert_eq!(page.heading(), "Overview");
    let row = contoso.tenant_row().await?.ok_or("a row")?;
    assert_eq!(row.registration, Registration::OrganisationWide);
    assert_eq!((contoso.decisions().await?.len(), contoso.pending_tenant_work().len()), (2, 2));
    Ok(())
}

#[tokio::test]
async fn refusing_at_microsoft_connects_nothing() -> TestResult {
    let contoso = unconnected_contoso().await?;
    for documented in [false, true] {
        contoso.world.microsoft.entra.use_documented_refusals(documented);
        let browser = contoso.signed_in_admin().await?;
        let page = browser.post("connect", &[("mode", "scoped")]).await?;
        let there = page.link_starting_with("https://login.microsoftonline.com/").parse()?;
        let back = contoso.world.microsoft.entra.refuse_admin_consent(&there);
        let back = back.map_err(|page| page.text)?;
        // Entra says `admin_consent=True` with refusals, too.
        assert!(back.query().is_some_and(|query| query.contains("admin_consent=True")));
        let page = browser.get(back.as_str()).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(page.heading(), "Your organisation was not connected");
    }
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn leaving_the_sign_in_is_explained() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.browser();
    let there = browser.sign_in_url().await?;
    let back = contoso.world.microsoft.entra.deny(&there).map_err(|page| page.text)?;
    let page = browser.get(back.as_str()).await?;
    assert_eq!(page.heading(), "You were not signed in");
    assert!(page.text.contains("<code>access_denied</code>"));
    assert!(browser.cookies().is_empty());
    Ok(())
}

#[tokio::test]
async fn somebody_without_the_role_sees_what_to_do_and_changes_nothing() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.browser();
    let page = browser.sign_in(contoso.anna.id()).await?;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.heading(), "You cannot decide for your organisation");
    for step in [
        "health",
        "health.csv",
        "health.json",
        "audit",
        "audit.csv",
        "audit.json",
        "policy",
        "rooms",
        "reach",
        "register",
        "register.csv",
        "disconnect",
    ] {
        assert_eq!(browser.get(step).await?.status, StatusCode::FORBIDDEN, "{step}");
    }
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn an_organisation_that_is_not_invited_leaves_no_row() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let fabrikam = contoso.world.microsoft.unconnected_tenant("Fabrikam");
    let fred = contoso.world.microsoft.add_administrator(&fabrikam, "Fred");
    let browser = contoso.browser();
    let page = browser.sign_in(&fred).await?;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.heading(), "Your organisation is not invited");
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn a_grant_that_does_not_work_yet_is_tried_again_without_a_new_consent() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let back = contoso.grant(&browser, "organisation-wide", &contoso.ada).await?;
    let (entra, tenant) = (&contoso.world.microsoft.entra, contoso.tenant.id());
    entra.remove_roles(tenant, DAEMON_APP);
    let page = browser.get(&back).await?;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert_eq!(page.heading(), "Microsoft has not finished yet");
    assert_eq!(contoso.tenant_row().await?, None);
    let again = page.link_starting_with("/api/consent/prove");
    contoso.world.microsoft.network.set_down(GRAPH_HOST, true);
    entra.consent_to_all(tenant, DAEMON_APP);
    assert_eq!(browser.get(&again).await?.status, StatusCode::SERVICE_UNAVAILABLE);
    contoso.world.microsoft.network.set_down(GRAPH_HOST, false);
    assert_eq!(browser.get(&again).await?.status, StatusCode::SEE_OTHER);
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.state, TenantState::Active);
    Ok(())
}

#[tokio::test]
async fn a_suspended_organisation_sees_why_and_connects_again() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let mut row = contoso.tenant_row().await?.ok_or("a row")?;
    let reason = SuspensionReason::CalendarPermissionMissing;
    row.state = TenantState::Suspended(Suspension { since: contoso.world.now(), reason });
    let clock = Arc::new(contoso.world.clock.clone());
    Tenants::new(Arc::clone(&contoso.world.raw_tables), clock).upsert(&row).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation is suspended"));
    assert!(page.text.contains("The permissions for calendars were removed."));
    contoso.advance_minutes(1);
    contoso.grant_and_return(&browser, "organisation-wide").await?;
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.state, TenantState::Active);
    Ok(())
}

#[tokio::test]
async fn signing_out_ends_the_session() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    let page = browser.post("sign-out", &[]).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(browser.cookies().is_empty());
    assert_eq!(browser.get("policy").await?.heading(), "You are not signed in");
    Ok(())
}

#[tokio::test]
async fn an_address_in_other_letters_or_with_a_slash_is_the_same_page() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let router = contoso.world.host.http_router();
    let send = async |method: &str, path: &str| {
        let request = http::Request::builder().method(method).uri(path).body(Body::empty())?;
        Ok::<_, TestError>(router.clone().oneshot(request).await?)
    };
    for path in ["/api/consent/?from=A", "/API/Consent?from=A", "/api/CONSENT/?from=A"] {
        let answer = send("GET", path).await?;
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT, "{path}");
        assert_eq!(answer.headers()["location"], "/api/consent?from=A", "{path}");
    }
    let answer = send("POST", "/API/My-Calendar/Agree/").await?;
    assert_ne!(answer.status(), StatusCode::NOT_FOUND);
    let answer = send("HEAD", "/api/my-calendar").await?;
    let same = send("GET", "/api/my-calendar").await?;
    assert_eq!(answer.status(), same.status());
    assert!(axum::body::to_bytes(answer.into_body(), 1).await?.is_empty());
    Ok(())
}
