//! Disconnecting: confirmed, requested once or again, and followed to its end.

use http::StatusCode;
use roombridge::domain::tenant::TenantState;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::policy::ContentPolicy;
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use std::sync::Arc;

use super::unconnected_contoso;
use crate::TestResult;

#[tokio::test]
async fn disconnecting_is_confirmed_recorded_and_queued() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let page = browser.post("disconnect", &[]).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text.contains("href=\"#sure\""));
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.state, TenantState::Active);

    contoso.advance_minutes(1);
    let page = browser.post("disconnect", &[("sure", "yes")]).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.state, TenantState::Disconnecting);
    assert_eq!(
        contoso.decisions().await?.last().map(|d| d.kind.clone()),
        Some(DecisionKind::Disconnected)
    );
    assert_eq!(contoso.pending_tenant_work(), ["connect", "leave"]);
    let page = browser.get("disconnect").await?;
    assert_eq!((page.heading(), page.text_of_id("remaining")), ("Disconnecting", "0"));
    assert!(page.text.contains("http-equiv=\"refresh\""));
    // The first page leads there, and nothing else is open.
    assert_eq!(browser.get("").await?.location(), "/api/consent/disconnect");
    assert_eq!(browser.get("policy").await?.status, StatusCode::CONFLICT);
    // Again: sent again, recorded once.
    browser.post("disconnect", &[("sure", "yes")]).await?;
    assert_eq!(contoso.pending_tenant_work(), ["connect", "leave", "leave"]);
    assert_eq!(contoso.decisions().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_organisation_that_left_may_come_back_with_nothing_decided() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let mut row = contoso.tenant_row().await?.ok_or("a row")?;
    row.state = TenantState::Deleted(contoso.world.now());
    row.policy.audit_days = 30;
    let clock = Arc::new(contoso.world.clock.clone());
    Tenants::new(Arc::clone(&contoso.world.raw_tables), clock).upsert(&row).await?;
    assert_eq!(browser.get("disconnect").await?.heading(), "Disconnected");
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation was disconnected."));
    assert_eq!(browser.get("register").await?.status, StatusCode::OK, "the evidence stays");
    contoso.advance_minutes(1);
    contoso.grant_and_return(&browser, "organisation-wide").await?;
    let row = contoso.tenant_row().await?.ok_or("a row")?;
    assert_eq!((row.state, row.policy.audit_days), (TenantState::Active, 365));
    Ok(())
}

#[tokio::test]
async fn a_disconnected_organisation_is_gone_but_for_the_evidence() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.world.run_until_idle().await;
    let address = contoso.aurora.address().to_lowercase();
    let room = [("from", "0"), ("address", &address), ("mode", "exchange"), ("zone", "UTC")];
    assert_eq!(browser.post("rooms", &room).await?.status, StatusCode::SEE_OTHER);
    contoso.world.run_until_idle().await;
    assert_eq!(browser.get("").await?.text_of_id("count-rooms"), "1");
    assert_eq!(contoso.world.microsoft.graph.subscriptions().len(), 1);

    browser.post("disconnect", &[("sure", "yes")]).await?;
    contoso.world.run_until_idle().await;
    contoso.world.run_for(jiff::SignedDuration::from_mins(30)).await;
    let page = browser.get("disconnect").await?;
    assert_eq!(page.heading(), "Disconnected", "{}", page.text_of_id("remaining"));
    assert!(contoso.world.microsoft.graph.subscriptions().is_empty());
    for table in [Table::Mailboxes, Table::Rooms, Table::Bookings, Table::Appointments] {
        assert!(contoso.world.rows(table).await?.is_empty(), "{table:?}");
    }
    let page = browser.get("register").await?;
    for what in ["connected", "agreed", "disconnected", "deleted"] {
        assert!(page.text.contains(&format!("<td>{what}</td>")), "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn unavailable_storage_is_reported_and_repeating_succeeds() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.world.table_faults.set_down(true);
    for step in ["", "policy", "rooms", "reach", "register", "disconnect"] {
        let page = browser.get(step).await?;
        assert_eq!((page.status, page.header("retry-after")), (503, "30"), "{step}");
        assert_eq!(page.heading(), "Roombridge cannot reach its storage at the moment");
    }
    contoso.world.table_faults.set_down(false);
    contoso.world.queue_faults.set_down(true);
    let page = browser.post("disconnect", &[("sure", "yes")]).await?;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.state, TenantState::Disconnecting);
    contoso.world.queue_faults.set_down(false);
    assert_eq!(contoso.pending_tenant_work(), ["connect"]);
    browser.post("disconnect", &[("sure", "yes")]).await?;
    assert_eq!(contoso.pending_tenant_work(), ["connect", "leave"]);
    Ok(())
}

#[tokio::test]
async fn an_organisation_no_longer_invited_may_leave_and_do_nothing_else() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let fabrikam = contoso.world.microsoft.unconnected_tenant("Fabrikam");
    let fred = contoso.world.microsoft.add_administrator(&fabrikam, "Fred");
    contoso.world.fixtures().connect(&fabrikam, ContentPolicy::default()).await?;
    let browser = contoso.browser();
    let page = browser.sign_in(&fred).await?;
    assert_eq!(page.location(), "/api/consent/disconnect");
    assert_eq!(browser.get("disconnect").await?.status, StatusCode::OK);
    assert_eq!(browser.get("register").await?.status, StatusCode::OK);
    for step in ["health", "policy", "rooms", "reach", "granted"] {
        assert_eq!(browser.get(step).await?.heading(), "Your organisation is not invited");
    }
    let page = browser.post("connect", &[("mode", "scoped")]).await?;
    assert_eq!(page.heading(), "Your organisation is not invited");
    let page = browser.post("disconnect", &[("sure", "yes")]).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert_eq!(contoso.pending_tenant_work(), ["leave"]);
    assert_eq!(contoso.tenant_row().await?, None, "and nothing of Contoso's is touched");
    Ok(())
}
