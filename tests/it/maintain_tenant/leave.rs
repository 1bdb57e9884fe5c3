//! How a tenant leaves, and how the last of it is removed when its time is over.

use roombridge::domain::ids::MailboxId;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode};
use roombridge::domain::tenant::{TenantPolicy, TenantState};
use roombridge::messages::TenantTaskKind;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tables::{RowKey, Table, TableRow};
use world::exchange::{Invitation, Processing};
use world::microsoft::DAEMON_APP;

use crate::contoso::{Contoso, at, hours, minutes, on_both};
use crate::{TestError, TestResult};

on_both!(a_tenant_that_leaves_keeps_only_the_evidence_and_affects_nobody_else);

/// The tables whose rows stay for their own time.
const EVIDENCE: [Table; 3] = [Table::Tenants, Table::Register, Table::Audit];

/// The rows of a tenant, by any mention of its id, except for the evidence.
pub(super) async fn tenant_rows(contoso: &Contoso, tenant: &str) -> Result<Vec<RowKey>, TestError> {
    let mut left = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| !EVIDENCE.contains(table)) {
        let rows = contoso.rows(table).await?;
        let of_tenant = |row: &TableRow| {
            let text = serde_json::to_string(&row.properties).unwrap_or_default();
            [&row.key.partition, &row.key.row, &text].iter().any(|text| text.contains(tenant))
        };
        left.extend(rows.into_iter().filter(of_tenant).map(|row| row.key));
    }
    Ok(left)
}

async fn a_tenant_that_leaves_keeps_only_the_evidence_and_affects_nobody_else(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, aurora, world, tenant, .. } = &contoso;
    let fabrikam = world.microsoft.tenant("Fabrikam");
    let (dora, polaris) =
        (fabrikam.person("Dora"), fabrikam.room("Polaris", Processing::AutoUpdate));
    let fixtures = world.fixtures();
    fixtures.connect(&fabrikam, ContentPolicy::default()).await?;
    fixtures.agree(&dora).await?;
    fixtures.manage_room(&polaris, ResponseMode::RoombridgeDecides).await?;
    contoso.run_for(minutes(1)).await;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    let there = Invitation::new("Numbers", at("09:00"), at("10:00")).room(&polaris);
    fabrikam.meet(&dora, there)?;
    contoso.run_for(minutes(3)).await;
    let before = tenant_rows(&contoso, fabrikam.id()).await?;

    // Something is on its way when the administrator disconnects.
    contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    contoso.change_policy(|policy| policy.audit_days = 90).await?;
    contoso.disconnect().await?;
    contoso.run_for(minutes(20)).await;

    assert!(matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_)));
    assert_eq!(tenant_rows(&contoso, tenant.id()).await?, []);
    assert_eq!(tenant_rows(&contoso, fabrikam.id()).await?, before);
    let subscriptions = world.microsoft.graph.subscriptions();
    assert!(subscriptions.iter().all(|subscription| subscription.tenant == fabrikam.id()));
    assert_eq!(subscriptions.len(), 2);

    let row = contoso.stored_tenant().await?;
    assert_eq!(row.policy, TenantPolicy { audit_days: 90, ..TenantPolicy::default() });
    assert_eq!(row.connection, None);
    let register = contoso.register().await?;
    let kinds: Vec<_> = register.iter().map(|entry| &entry.kind).collect();
    assert_eq!(kinds, [&DecisionKind::Disconnected, &DecisionKind::Deleted]);
    assert!(!contoso.audit().await?.is_empty());
    // What Graph brings now is believed by nobody.
    contoso.meet(anna, ("14:00", "15:00"), aurora)?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(tenant_rows(&contoso, tenant.id()).await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_tenant_without_access_can_still_leave() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, tenant, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(3)).await;
    world.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    contoso.disconnect().await?;
    contoso.run_for(minutes(20)).await;
    assert!(matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_)));
    assert_eq!(tenant_rows(&contoso, tenant.id()).await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn leaving_ends_even_if_graph_is_gone_for_days_and_floods_no_queue() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { world, tenant, .. } = &contoso;
    world.microsoft.network.set_down(world::microsoft::GRAPH_HOST, true);
    contoso.disconnect().await?;
    let ran = world.run_for(hours(23)).await;
    assert_eq!(contoso.stored_tenant().await?.state, TenantState::Disconnecting);
    let of = |name: &str| ran.functions.iter().filter(|other| *other == name).count();
    let (rounds, tasks) = (of("maintain-tenant"), of("maintain-mailbox"));
    assert!(rounds < 200, "{rounds} rounds");
    assert!(tasks < 2_000, "{tasks} tasks for four mailboxes");
    world.run_for(hours(4)).await;
    assert!(matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_)));
    world.run_for(hours(24)).await;
    // Tasks that gave up later were recorded, and removed with the rest or at their own time.
    assert_eq!(contoso.queue_len(Queue::MaintainTenant), 0);
    let left = tenant_rows(&contoso, tenant.id()).await?;
    assert_eq!(left, []);
    Ok(())
}

#[tokio::test]
async fn an_unreadable_row_does_not_stop_a_tenant_from_leaving() -> TestResult {
    let contoso = Contoso::open().await?;
    let tables = &contoso.world.raw_tables;
    let nobody = MailboxId(uuid::Uuid::from_u128(5));
    let shard = Mailboxes::shard(nobody);
    for table in [Table::Mailboxes, Table::Bookings, Table::Rooms] {
        let keys = RowKey::new(format_args!("{}_{shard:02x}", contoso.tenant.id()), nobody);
        let broken = TableRow { key: keys, properties: serde_json::Map::new() };
        tables.apply(table, vec![roombridge::store::tables::RowChange::Upsert(broken)]).await?;
    }
    contoso.disconnect().await?;
    contoso.run_for(minutes(20)).await;
    assert!(matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_)));
    assert_eq!(tenant_rows(&contoso, contoso.tenant.id()).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_comes_back_at_once_keeps_what_it_writes() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    contoso.disconnect().await?;
    contoso.run_for(minutes(5)).await;
    assert!(matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_)));
    contoso
        .change_tenant(TenantTaskKind::Connect, |tenant| tenant.state = TenantState::Active)
        .await?;
    contoso.run_for(minutes(2)).await;
    world.fixtures().agree(anna).await?;
    world.fixtures().manage_room(aurora, ResponseMode::RoombridgeDecides).await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    assert_eq!(contoso.count(Table::Mailboxes).await?, 2);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn expired_evidence_is_purged_together_with_the_tenant() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.change_policy(|policy| policy.audit_days = 30).await?;
    contoso.run_for(minutes(3)).await;
    contoso.disconnect().await?;
    contoso.run_for(minutes(20)).await;
    let world = &contoso.world;
    let night = |day: &str| at(&format!("{day}T03:05"));
    for (day, stays) in [("2026-12-22", true), ("2026-12-24", false)] {
        world.clock.set(night(day));
        world.host.run_timer("purge-expired").await?;
        for table in [Table::Tenants, Table::Register, Table::Audit] {
            let rows = contoso.count(table).await?;
            assert_eq!(rows > 0, stays, "{table:?} {day}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_is_kept_for_as_long_as_the_tenant_wants() -> TestResult {
    for (days, stays) in [(30, false), (365, true)] {
        let contoso = Contoso::open().await?;
        contoso.change_policy(|policy| policy.audit_days = days).await?;
        contoso.run_for(minutes(1)).await;
        assert!(contoso.count(Table::Audit).await? > 0);
        contoso.world.clock.set(at("2027-01-10T03:05"));
        contoso.world.host.run_timer("purge-expired").await?;
        assert_eq!(contoso.count(Table::Audit).await? > 0, stays);
        assert_eq!(contoso.count(Table::Tenants).await?, 1);
    }
    Ok(())
}
