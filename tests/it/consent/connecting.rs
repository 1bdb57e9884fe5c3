//! Signing in, consenting, and what ends on a page of its own.

use http::StatusCode;
use roombridge::domain::decision::What;
use roombridge::domain::policy::Registration;
use roombridge::domain::tenancy::{SuspendedBecause, Suspension, TenantPolicy, TenantState};
use roombridge::graph::permissions::{EXCHANGE_ROLES, PERMISSIONS};
use roombridge::store::tenants::Tenants;
use std::sync::Arc;
use world::microsoft::{DAEMON_APP, GRAPH_HOST};

use super::Newcomer;
use crate::Outcome;

#[tokio::test]
async fn anybody_can_read_what_is_asked_for_before_signing_in() -> Outcome {
    let contoso = Newcomer::open()?;
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
    contoso.nothing_happened().await
}

#[tokio::test]
async fn every_page_is_protected_and_nothing_comes_from_elsewhere() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.connected("organisation-wide").await?;
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
    assert_eq!((missing.status.as_u16(), missing.heading()), (404, "There is no such page"));
    Ok(())
}

#[tokio::test]
async fn an_administrator_connects_the_whole_organisation() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let page = contoso.consent(&mut browser, "organisation-wide").await?;
    assert_eq!(page.heading(), "Overview");
    let row = contoso.row().await?.ok_or("a row")?;
    assert_eq!(row.state, TenantState::Active);
    assert_eq!(row.registration, Registration::OrganisationWide);
    assert_eq!(row.policy, TenantPolicy::default());
    let connected = row.connected.ok_or("who connected")?;
    assert_eq!(
        (connected.by.to_string(), connected.at),
        (contoso.ada.clone(), contoso.office.now())
    );
    let decisions = contoso.decisions().await?;
    let text_version = connected.text_version;
    let registration = Registration::OrganisationWide;
    assert_eq!(decisions[0].what, What::Connected { registration, text_version });
    assert_eq!(decisions.len(), 1);
    assert_eq!(contoso.told(), ["connect"]);
    assert!(!browser.cookies.keys().any(|name| name.contains("pending")), "the errand is over");
    Ok(())
}

#[tokio::test]
async fn an_administrator_connects_a_scope_without_any_grant_of_calendars() -> Outcome {
    let contoso = Newcomer::open()?;
    contoso.connected("scoped").await?;
    assert_eq!(contoso.row().await?.ok_or("a row")?.registration, Registration::Scoped);
    assert!(!contoso.office.microsoft.entra.is_consented(contoso.tenant.id(), DAEMON_APP));
    Ok(())
}

#[tokio::test]
async fn switching_the_way_keeps_the_policy_and_tells_it() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.connected("scoped").await?;
    contoso.pass(1);
    let page = contoso.consent(&mut browser, "organisation-wide").await?;
    assert_eq!(page.heading(), "Overview");
    let row = contoso.row().await?.ok_or("a row")?;
    assert_eq!(row.registration, Registration::OrganisationWide);
    assert_eq!((contoso.decisions().await?.len(), contoso.told().len()), (2, 2));
    Ok(())
}

#[tokio::test]
async fn who_refuses_at_microsoft_has_connected_nothing() -> Outcome {
    let contoso = Newcomer::open()?;
    for documented in [false, true] {
        contoso.office.microsoft.entra.refuse_as_documented(documented);
        let mut browser = contoso.ada().await?;
        let page = browser.post("connect", &[("mode", "scoped")]).await?;
        let there = page.link("https://login.microsoftonline.com/").parse()?;
        let back = contoso.office.microsoft.entra.refuse_admin_consent(&there);
        let back = back.map_err(|page| page.text)?;
        // Entra says `admin_consent=True` with refusals, too.
        assert!(back.query().is_some_and(|query| query.contains("admin_consent=True")));
        let page = browser.get(back.as_str()).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(page.heading(), "Your organisation was not connected");
    }
    contoso.nothing_happened().await
}

#[tokio::test]
async fn who_leaves_the_sign_in_is_told_so() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.browser();
    let there = browser.leave_to_sign_in().await?;
    let back = contoso.office.microsoft.entra.deny(&there).map_err(|page| page.text)?;
    let page = browser.get(back.as_str()).await?;
    assert_eq!(page.heading(), "You were not signed in");
    assert!(page.text.contains("<code>access_denied</code>"));
    assert!(browser.cookies.is_empty());
    Ok(())
}

#[tokio::test]
async fn somebody_without_the_role_is_told_what_to_do_and_changes_nothing() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.browser();
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
    contoso.nothing_happened().await
}

#[tokio::test]
async fn an_organisation_that_is_not_invited_leaves_no_row() -> Outcome {
    let contoso = Newcomer::open()?;
    let fabrikam = contoso.office.microsoft.stranger("Fabrikam");
    let fred = contoso.office.microsoft.administrator(&fabrikam, "Fred");
    let mut browser = contoso.browser();
    let page = browser.sign_in(&fred).await?;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.heading(), "Your organisation is not invited");
    contoso.nothing_happened().await
}

#[tokio::test]
async fn a_grant_that_does_not_work_yet_is_tried_again_without_a_new_consent() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let back = contoso.granted(&mut browser, "organisation-wide", &contoso.ada).await?;
    let (entra, tenant) = (&contoso.office.microsoft.entra, contoso.tenant.id());
    entra.remove_roles(tenant, DAEMON_APP);
    let page = browser.get(&back).await?;
    assert_eq!(page.status, StatusCode::ACCEPTED);
    assert_eq!(page.heading(), "Microsoft has not finished yet");
    assert_eq!(contoso.row().await?, None);
    let again = page.link("/api/consent/prove");
    contoso.office.microsoft.network.set_down(GRAPH_HOST, true);
    entra.consent_to_all(tenant, DAEMON_APP);
    assert_eq!(browser.get(&again).await?.status, StatusCode::SERVICE_UNAVAILABLE);
    contoso.office.microsoft.network.set_down(GRAPH_HOST, false);
    assert_eq!(browser.get(&again).await?.status, StatusCode::SEE_OTHER);
    assert_eq!(contoso.row().await?.ok_or("a row")?.state, TenantState::Active);
    Ok(())
}

#[tokio::test]
async fn a_suspended_organisation_sees_why_and_connects_again() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.connected("organisation-wide").await?;
    let mut row = contoso.row().await?.ok_or("a row")?;
    let reason = SuspendedBecause::CalendarsMissing;
    row.state = TenantState::Suspended(Suspension { since: contoso.office.now(), reason });
    let clock = Arc::new(contoso.office.clock.clone());
    Tenants::new(Arc::clone(&contoso.office.store), clock).put(&row).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation is suspended"));
    assert!(page.text.contains("The permissions for calendars were removed."));
    contoso.pass(1);
    contoso.consent(&mut browser, "organisation-wide").await?;
    assert_eq!(contoso.row().await?.ok_or("a row")?.state, TenantState::Active);
    Ok(())
}

#[tokio::test]
async fn whoever_signs_out_is_signed_out() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let page = browser.post("sign-out", &[]).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.get("policy").await?.heading(), "You are not signed in");
    Ok(())
}
