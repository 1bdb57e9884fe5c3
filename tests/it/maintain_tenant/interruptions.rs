//! Nothing that is repeated, failed or cut off changes how leaving, suspending and reconciling end.

use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::{ConsentMode, Suspension, SuspensionReason, TenantState};
use roombridge::messages::TenantTaskKind;
use roombridge::store::tables::Table;
use world::fault_injection::Call;
use world::microsoft::DAEMON_APP;

use super::admin_consent;
use super::leave::tenant_rows;
use crate::contoso::{Contoso, minutes, seconds};
use crate::faults::call_faults::{CallFault, Calls};
use crate::faults::driver::{Disturbance, Driver};
use crate::{TestError, TestResult};

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TenantStory {
    Leave,
    Suspend,
    Resume,
    Enrol,
}

/// How a run ended: this must always be the same.
#[derive(Debug, PartialEq, Eq)]
struct TenantEndState {
    state: String,
    rows: Vec<(Table, usize)>,
    subscriptions: usize,
    register: Vec<DecisionKind>,
    left: usize,
}

struct TenantRun {
    ending: TenantEndState,
    await_points: usize,
    tables: Vec<Call>,
    queues: usize,
}

async fn run_story(
    story: TenantStory,
    manner: Disturbance,
    fault: Option<&CallFault>,
) -> Result<TenantRun, TestError> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, tenant, .. } = &contoso;
    if story == TenantStory::Leave {
        contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(3)).await;
    }
    match story {
        TenantStory::Leave => contoso.disconnect().await?,
        TenantStory::Suspend => {
            world.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
            contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
        }
        TenantStory::Resume => {
            let (since, reason) = (contoso.now(), SuspensionReason::TokenRefused);
            let suspended = TenantState::Suspended(Suspension { since, reason });
            contoso.change_tenant(TenantTaskKind::Resume, |row| row.state = suspended).await?;
        }
        TenantStory::Enrol => {
            let by = admin_consent(&contoso);
            contoso
                .change_tenant(TenantTaskKind::ReconcilePolicy { from: None }, |tenant| {
                    tenant.connection = Some(by);
                    tenant.policy.consent = ConsentMode::Organisation;
                })
                .await?;
        }
    }
    world.table_faults.reset();
    world.queue_faults.reset();
    if let Some(fault) = fault {
        fault.plan(world);
    }
    let driver = Driver::new(world, manner);
    // Leaving takes its time; the others are done at once.
    driver.run_for(if story == TenantStory::Leave { minutes(3) } else { seconds(10) }).await;
    let (points, tables, queues) =
        (driver.await_points(), world.table_faults.calls(), world.queue_faults.count());
    driver.end().await;
    contoso.run_for(minutes(60)).await;
    contoso.assert_healthy().await?;
    Ok(TenantRun { ending: end_state(&contoso).await?, await_points: points, tables, queues })
}

async fn end_state(contoso: &Contoso) -> Result<TenantEndState, TestError> {
    let state = match contoso.stored_tenant().await?.state {
        TenantState::Deleted(_) => "left".to_owned(),
        TenantState::Suspended(suspension) => format!("{:?}", suspension.reason),
        other @ (TenantState::Active | TenantState::Disconnecting) => format!("{other:?}"),
    };
    let mut rows = Vec::new();
    for table in [Table::Tenants, Table::Mailboxes, Table::Bookings, Table::Rooms, Table::Failures]
    {
        rows.push((table, contoso.count(table).await?));
    }
    let subscriptions = contoso.world.microsoft.graph.subscriptions().len();
    let register = contoso.register().await?.into_iter().map(|entry| entry.kind).collect();
    let left = match contoso.stored_tenant().await?.state {
        TenantState::Deleted(_) => tenant_rows(contoso, contoso.tenant.id()).await?.len(),
        TenantState::Active | TenantState::Suspended(_) | TenantState::Disconnecting => 0,
    };
    Ok(TenantEndState { state, rows, subscriptions, register, left })
}

async fn assert_same_end_state(story: TenantStory) -> TestResult {
    let calm = run_story(story, Disturbance::DroppedAt(0), None).await?;
    let TenantRun { await_points: points, mut tables, queues, .. } = calm;
    assert!(points > 2 && tables.len() > 5 && queues > 0, "{points} {tables:?} {queues}");
    let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    for manner in [Disturbance::DuplicatedAtOnce, Disturbance::DuplicatedAtEnd] {
        assert_eq!(run_story(story, manner, None).await?.ending, calm.ending, "{manner:?}");
    }
    // Resuming ends with the pass over all mailboxes that enrolling disturbs.
    let reach = if story == TenantStory::Resume { 40 } else { usize::MAX };
    let (points, queues) = (points.min(reach), queues.min(reach));
    tables.truncate(reach);
    for point in 1..=points {
        let played = run_story(story, Disturbance::DroppedAt(point), None).await?;
        assert_eq!(played.ending, calm.ending, "cut at {point} of {points}");
    }
    for fault in (Calls { tables, queues, ..Calls::default() }).all_faults() {
        let played = run_story(story, Disturbance::Undisturbed, Some(&fault)).await?;
        assert_eq!(played.ending, calm.ending, "{fault:?}");
    }
    Ok(())
}

#[tokio::test]
async fn leaving_withstands_every_disturbance() -> TestResult {
    assert_same_end_state(TenantStory::Leave).await
}

#[tokio::test]
async fn suspending_withstands_every_disturbance() -> TestResult {
    assert_same_end_state(TenantStory::Suspend).await
}

#[tokio::test]
async fn resuming_withstands_every_disturbance() -> TestResult {
    assert_same_end_state(TenantStory::Resume).await
}

#[tokio::test]
async fn enrolling_withstands_every_disturbance() -> TestResult {
    assert_same_end_state(TenantStory::Enrol).await
}
