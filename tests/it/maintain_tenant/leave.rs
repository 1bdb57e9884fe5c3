//! How a tenant leaves, and how the last of it goes when its time is over.

use roombridge::domain::decision::What;
use roombridge::domain::ids::MailboxId;
use roombridge::domain::policy::{Answering, ContentPolicy};
use roombridge::domain::tenancy::{TenantPolicy, TenantState};
use roombridge::messages::TenantWork;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tables::{Keys, Row, Table};
use world::exchange::{Invitation, Processing};
use world::microsoft::DAEMON_APP;

use crate::contoso::{Contoso, at, hours, minutes, on_both};
use crate::{Failure, Outcome};

on_both!(whoever_leaves_leaves_nothing_but_the_evidence_and_nobody_else_notices);

/// The tables whose rows stay for their own time.
const EVIDENCE: [Table; 3] = [Table::Tenants, Table::Register, Table::Audit];

/// The rows of a tenant, by any mention of its id, outside of the evidence.
pub(super) async fn left_behind(contoso: &Contoso, tenant: &str) -> Result<Vec<Keys>, Failure> {
    let mut left = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| !EVIDENCE.contains(table)) {
        let rows = contoso.rows(table).await?;
        let of_tenant = |row: &Row| {
            let text = serde_json::to_string(&row.properties).unwrap_or_default();
            [&row.keys.partition, &row.keys.row, &text].iter().any(|text| text.contains(tenant))
        };
        left.extend(rows.into_iter().filter(of_tenant).map(|row| row.keys));
    }
    Ok(left)
}

async fn whoever_leaves_leaves_nothing_but_the_evidence_and_nobody_else_notices(
    contoso: Contoso,
) -> Outcome {
    let Contoso { anna, aurora, office, tenant, .. } = &contoso;
    let fabrikam = office.microsoft.tenant("Fabrikam");
    let (dora, polaris) =
        (fabrikam.person("Dora"), fabrikam.room("Polaris", Processing::AutoUpdate));
    let seeding = office.seeding();
    seeding.connect(&fabrikam, ContentPolicy::default()).await?;
    seeding.agree(&dora).await?;
    seeding.manage(&polaris, Answering::RoombridgeDecides).await?;
    contoso.pass(minutes(1)).await;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    let there = Invitation::new("Numbers", at("09:00"), at("10:00")).room(&polaris);
    fabrikam.meet(&dora, there)?;
    contoso.pass(minutes(3)).await;
    let before = left_behind(&contoso, fabrikam.id()).await?;

    // Something is on its way when the administrator disconnects.
    contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    contoso.allow(|policy| policy.audit_days = 90).await?;
    contoso.leaves().await?;
    contoso.pass(minutes(20)).await;

    assert!(matches!(contoso.row().await?.state, TenantState::Left(_)));
    assert_eq!(left_behind(&contoso, tenant.id()).await?, []);
    assert_eq!(left_behind(&contoso, fabrikam.id()).await?, before);
    let subscriptions = office.microsoft.graph.subscriptions();
    assert!(subscriptions.iter().all(|subscription| subscription.tenant == fabrikam.id()));
    assert_eq!(subscriptions.len(), 2);

    let row = contoso.row().await?;
    assert_eq!(row.policy, TenantPolicy { audit_days: 90, ..TenantPolicy::default() });
    assert_eq!(row.connected, None);
    let register = contoso.register().await?;
    let kinds: Vec<_> = register.iter().map(|entry| &entry.what).collect();
    assert_eq!(kinds, [&What::Disconnected, &What::Deleted]);
    assert!(!contoso.audit().await?.is_empty());
    // What Graph brings now is believed by nobody.
    contoso.meet(anna, ("14:00", "15:00"), aurora)?;
    contoso.pass(minutes(10)).await;
    assert_eq!(left_behind(&contoso, tenant.id()).await?, []);
    contoso.is_well().await
}

#[tokio::test]
async fn a_tenant_whose_access_is_gone_can_leave_all_the_same() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, tenant, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(3)).await;
    office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    contoso.leaves().await?;
    contoso.pass(minutes(20)).await;
    assert!(matches!(contoso.row().await?.state, TenantState::Left(_)));
    assert_eq!(left_behind(&contoso, tenant.id()).await?, []);
    contoso.is_well().await
}

#[tokio::test]
async fn leaving_ends_even_if_graph_is_gone_for_days_and_floods_no_queue() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { office, tenant, .. } = &contoso;
    office.microsoft.network.set_down(world::microsoft::GRAPH_HOST, true);
    contoso.leaves().await?;
    let ran = office.pass(hours(23)).await;
    assert_eq!(contoso.row().await?.state, TenantState::Leaving);
    let of = |name: &str| ran.functions.iter().filter(|other| *other == name).count();
    let (rounds, tasks) = (of("maintain-tenant"), of("maintain-mailbox"));
    assert!(rounds < 200, "{rounds} rounds");
    assert!(tasks < 2_000, "{tasks} tasks for four mailboxes");
    office.pass(hours(4)).await;
    assert!(matches!(contoso.row().await?.state, TenantState::Left(_)));
    office.pass(hours(24)).await;
    // Tasks that gave up later were recorded, and went with the rest or by their own time.
    assert_eq!(contoso.waiting(Queue::TenantTasks), 0);
    let left = left_behind(&contoso, tenant.id()).await?;
    assert_eq!(left, []);
    Ok(())
}

#[tokio::test]
async fn a_row_that_nobody_understands_does_not_hold_a_tenant_back() -> Outcome {
    let contoso = Contoso::open().await?;
    let tables = &contoso.office.store;
    let nobody = MailboxId(uuid::Uuid::from_u128(5));
    let shard = Mailboxes::shard(nobody);
    for table in [Table::Mailboxes, Table::Bookings, Table::Rooms] {
        let keys = Keys::new(format_args!("{}_{shard:02x}", contoso.tenant.id()), nobody);
        let broken = Row { keys, properties: serde_json::Map::new() };
        tables.apply(table, vec![roombridge::store::tables::Change::Upsert(broken)]).await?;
    }
    contoso.leaves().await?;
    contoso.pass(minutes(20)).await;
    assert!(matches!(contoso.row().await?.state, TenantState::Left(_)));
    assert_eq!(left_behind(&contoso, contoso.tenant.id()).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_comes_back_at_once_keeps_what_it_writes() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    contoso.leaves().await?;
    contoso.pass(minutes(5)).await;
    assert!(matches!(contoso.row().await?.state, TenantState::Left(_)));
    contoso.decide(TenantWork::Connect, |tenant| tenant.state = TenantState::Active).await?;
    contoso.pass(minutes(2)).await;
    office.seeding().agree(anna).await?;
    office.seeding().manage(aurora, Answering::RoombridgeDecides).await?;
    contoso.pass(minutes(30)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    assert_eq!(contoso.count(Table::Mailboxes).await?, 2);
    contoso.is_well().await
}

#[tokio::test]
async fn the_evidence_goes_when_its_time_is_over_and_with_it_the_tenant() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.allow(|policy| policy.audit_days = 30).await?;
    contoso.pass(minutes(3)).await;
    contoso.leaves().await?;
    contoso.pass(minutes(20)).await;
    let office = &contoso.office;
    let night = |day: &str| at(&format!("{day}T03:05"));
    for (day, stays) in [("2026-12-22", true), ("2026-12-24", false)] {
        office.clock.set(night(day));
        office.host.run_timer("purge-expired").await?;
        for table in [Table::Tenants, Table::Register, Table::Audit] {
            let rows = contoso.count(table).await?;
            assert_eq!(rows > 0, stays, "{table:?} {day}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_is_kept_for_as_long_as_the_tenant_wants() -> Outcome {
    for (days, stays) in [(30, false), (365, true)] {
        let contoso = Contoso::open().await?;
        contoso.allow(|policy| policy.audit_days = days).await?;
        contoso.pass(minutes(1)).await;
        assert!(contoso.count(Table::Audit).await? > 0);
        contoso.office.clock.set(at("2027-01-10T03:05"));
        contoso.office.host.run_timer("purge-expired").await?;
        assert_eq!(contoso.count(Table::Audit).await? > 0, stays);
        assert_eq!(contoso.count(Table::Tenants).await?, 1);
    }
    Ok(())
}
