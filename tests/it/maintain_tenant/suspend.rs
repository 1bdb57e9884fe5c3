//! How it is noticed that access is lost, what is not mistaken for that, and what continues meanwhile.

use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::policy::Registration;
use roombridge::domain::tenant::{SuspensionReason, TenantState};
use roombridge::messages::{MailboxTaskKind, TenantTaskKind};
use roombridge::store::tables::Table;
use world::entra::TokenRefusal;
use world::graph::{Scope, ThrottleEnd};
use world::microsoft::{DAEMON_APP, SCOPED_APP};

use crate::contoso::{Contoso, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(a_removed_app_is_noticed_at_the_first_refused_item);

const DIRECTORY: [&str; 3] = ["User.ReadBasic.All", "GroupMember.Read.All", "Place.Read.All"];

/// What a check of the access asks Graph.
const PROBE: &str = "/places/microsoft.graph.room";

/// Why Contoso is suspended, as its row and its register say alike.
async fn suspension_reason(contoso: &Contoso) -> Result<Option<SuspensionReason>, TestError> {
    let suspension = match contoso.stored_tenant().await?.state {
        TenantState::Suspended(suspension) => Some(suspension),
        TenantState::Active | TenantState::Disconnecting | TenantState::Deleted(_) => None,
    };
    let register = contoso.register().await?;
    let mut entries =
        register.iter().filter(|decision| matches!(decision.kind, DecisionKind::Suspended(_)));
    let entry = entries.next();
    assert_eq!(entries.next(), None, "it is written down once");
    assert_eq!(entry.map(|entry| entry.at), suspension.map(|suspension| suspension.since));
    let reason = suspension.map(|suspension| suspension.reason);
    assert_eq!(entry.map(|entry| entry.kind.clone()), reason.map(DecisionKind::Suspended));
    Ok(reason)
}

async fn a_removed_app_is_noticed_at_the_first_refused_item(contoso: Contoso) -> TestResult {
    let Contoso { anna, world, tenant, .. } = &contoso;
    world.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    world.fixtures().send_task(anna, MailboxTaskKind::Resync).await?;
    world.run_until_idle().await;
    // Nothing but what was there at this instant has run.
    assert_eq!(suspension_reason(&contoso).await?, Some(SuspensionReason::TokenRefused));
    contoso.run_for(hours(25)).await;
    assert_eq!(suspension_reason(&contoso).await?, Some(SuspensionReason::TokenRefused));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn permissions_that_were_taken_away_are_noticed_too() -> TestResult {
    for (roles, because) in [
        (&[][..], SuspensionReason::CallRefused),
        (&DIRECTORY[..], SuspensionReason::CalendarPermissionMissing),
        (
            &[&DIRECTORY[..], &["Calendars.Read"]].concat(),
            SuspensionReason::CalendarPermissionMissing,
        ),
    ] {
        let contoso = Contoso::open().await?;
        contoso.world.microsoft.entra.consent(contoso.tenant.id(), DAEMON_APP, roles);
        contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
        contoso.run_for(minutes(1)).await;
        assert_eq!(suspension_reason(&contoso).await?, Some(because));
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn one_mailbox_that_is_out_of_scope_suspends_nobody() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, aurora, borealis, world, tenant, .. } = &contoso;
    let microsoft = &world.microsoft;
    microsoft.entra.consent_to_all(tenant.id(), SCOPED_APP);
    let scope = [anna, cleo, aurora, borealis];
    microsoft.graph.grant_in_exchange(tenant.id(), SCOPED_APP, true, true, &scope);
    contoso
        .change_tenant(TenantTaskKind::Connect, |tenant| tenant.registration = Registration::Scoped)
        .await?;
    contoso.run_for(minutes(3)).await;
    world.fixtures().agree(ben).await?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    assert!(contoso.stored_tenant().await?.access_checked_at.is_some(), "it was checked");
    for mailbox in scope {
        assert_eq!(contoso.subscriptions(mailbox), 1, "created again by the other registration");
    }
    assert_eq!(contoso.subscriptions(ben), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_passing_error_is_no_loss_of_access() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { world, .. } = &contoso;
    world.microsoft.entra.set_outage(true);
    contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    assert_eq!(contoso.stored_tenant().await?.access_checked_at, None, "it could not be checked");
    world.microsoft.entra.set_outage(false);
    contoso.run_for(minutes(20)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    assert!(contoso.stored_tenant().await?.access_checked_at.is_some());
    contoso.assert_healthy().await
}

/// Our own credential's refusal is not the customer's decision.
#[tokio::test]
async fn a_refusal_of_our_own_credential_suspends_nobody() -> TestResult {
    for refusal in [
        TokenRefusal::AssertionExpired,
        TokenRefusal::FederationMissing,
        TokenRefusal::InvalidRequest,
        TokenRefusal::WithoutNumber,
        TokenRefusal::Proxy,
    ] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        // No token of before serves any more.
        contoso.run_for(minutes(61)).await;
        world.microsoft.entra.refuse_tokens(Some(refusal));
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
        contoso.run_for(seconds(40)).await;
        assert_eq!(suspension_reason(&contoso).await?, None, "{refusal:?}");
        contoso.run_for(minutes(20)).await;
        assert_eq!(suspension_reason(&contoso).await?, None, "{refusal:?}");
        world.microsoft.entra.refuse_tokens(None);
        contoso.run_for(minutes(60)).await;
        assert_eq!(suspension_reason(&contoso).await?, None, "{refusal:?}");
        contoso.expect_booking(&meeting, aurora).await?;
        contoso.assert_healthy().await?;
    }
    Ok(())
}

/// 401 for a token made just now says nothing about the tenant either.
#[tokio::test]
async fn graph_that_rejects_fresh_tokens_suspends_nobody() -> TestResult {
    let contoso = Contoso::open().await?;
    let graph = &contoso.world.microsoft.graph;
    graph.throttle(Scope::Everything, ThrottleEnd::Instant(contoso.now() + minutes(20)), 401);
    contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    contoso.run_for(minutes(40)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    assert!(contoso.stored_tenant().await?.access_checked_at.is_some());
    contoso.assert_healthy().await
}

/// The administrator disables the application in Entra and enables it again, and tells nobody.
#[tokio::test]
async fn a_suspended_tenant_is_checked_daily_and_resumes_by_itself() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let entra = &world.microsoft.entra;
    contoso.run_for(minutes(61)).await;
    entra.refuse_tokens(Some(TokenRefusal::ApplicationDisabled));
    let meeting = contoso.meet(anna, ("2026-12-24T09:00", "2026-12-24T10:00"), aurora)?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(suspension_reason(&contoso).await?, Some(SuspensionReason::TokenRefused));
    contoso.run_for(hours(24)).await;
    assert_eq!(suspension_reason(&contoso).await?, Some(SuspensionReason::TokenRefused));
    assert_eq!(contoso.booking(&meeting, aurora).await?, None);

    entra.refuse_tokens(None);
    contoso.run_for(hours(26)).await;
    assert_eq!(contoso.stored_tenant().await?.state, TenantState::Active);
    let register = contoso.register().await?;
    let resumed = register.iter().filter(|decision| decision.kind == DecisionKind::Resumed);
    assert_eq!(resumed.count(), 1, "it is written down once");
    contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    contoso.assert_healthy().await
}

/// Microsoft's pages contradict each other on `User.ReadBasic.All`; where it is not enough, people and
/// groups are refused, and nothing else.
#[tokio::test]
async fn refused_people_and_groups_suspend_nobody_and_cost_one_call_an_hour() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, world, tenant, .. } = &contoso;
    let (graph, entra) = (&world.microsoft.graph, &world.microsoft.entra);
    let group = entra.add_group(tenant.id());
    for person in [anna, cleo] {
        entra.add_member(tenant.id(), &group, person.id());
    }
    let scope = group.parse()?;
    contoso.change_policy(|policy| policy.scope_group = Some(scope)).await?;
    contoso.run_for(minutes(5)).await;
    graph.require_full_profiles(true);
    contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
    graph.clear_requests();
    contoso.run_for(hours(8 * 24)).await;
    assert_eq!(suspension_reason(&contoso).await?, None);
    let asked = contoso.graph_requests("POST", "/users/{id}/checkMemberGroups").len();
    assert!((1..=24).contains(&asked), "{asked} in eight days");
    for mailbox in [anna, cleo, aurora] {
        assert_eq!(contoso.subscriptions(mailbox), 1, "still followed after it was renewed");
    }
    let meeting = contoso.meet(anna, ("2026-12-24T09:00", "2026-12-24T10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    contoso.expect_booking(&meeting, aurora).await?;
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_wave_of_refusals_causes_one_check_and_one_more_five_minutes_later() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
    contoso.run_for(seconds(1)).await;
    contoso.world.microsoft.graph.clear_requests();
    for _ in 0..50 {
        contoso.send_tenant_task(TenantTaskKind::CheckAccess).await?;
    }
    contoso.run_for(minutes(4)).await;
    assert_eq!(contoso.graph_requests("GET", PROBE), []);
    contoso.run_for(minutes(60)).await;
    let checks = contoso.graph_requests("GET", PROBE).len();
    assert!((1..=2).contains(&checks), "{checks}");
    assert_eq!(suspension_reason(&contoso).await?, None);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_leaving_tenant_is_not_suspended() -> TestResult {
    for state in [TenantState::Disconnecting, TenantState::Deleted(jiff::Timestamp::UNIX_EPOCH)] {
        let contoso = Contoso::open().await?;
        contoso.world.microsoft.entra.revoke(contoso.tenant.id(), DAEMON_APP);
        contoso.change_tenant(TenantTaskKind::CheckAccess, |tenant| tenant.state = state).await?;
        contoso.run_for(minutes(1)).await;
        assert_eq!(contoso.stored_tenant().await?.state, state);
        assert_eq!(suspension_reason(&contoso).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_week_of_suspension_is_quiet_and_reconnecting_catches_up() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, borealis, world, tenant, .. } = &contoso;
    let entra = &world.microsoft.entra;
    contoso.run_for(minutes(15)).await;
    entra.revoke(tenant.id(), DAEMON_APP);
    // Everything that arrives is refused, by the hundred.
    for day in 24..=28 {
        for hour in 8..18 {
            let slot = |minute| format!("2026-12-{day}T{hour:02}:{minute}");
            contoso.meet(anna, (&slot("00"), &slot("30")), aurora)?;
            contoso.meet(cleo, (&slot("30"), &slot("50")), borealis)?;
        }
    }
    contoso.run_for(minutes(10)).await;
    assert_eq!(suspension_reason(&contoso).await?, Some(SuspensionReason::TokenRefused));
    world.microsoft.graph.clear_requests();
    let ran = world.run_for(hours(7 * 24)).await;
    assert_eq!(world.microsoft.graph.requests(), [], "nobody is asked for a suspended tenant");
    let workers = ran.functions.iter().filter(|name| {
        !matches!(name.as_str(), "dispatch-due" | "purge-expired" | "notifications")
    });
    let worked = workers.count();
    assert!(worked < 500, "{worked} messages in a week");
    assert_eq!(contoso.count(Table::Failures).await?, 0);
    contoso.assert_healthy().await?;

    entra.consent_to_all(tenant.id(), DAEMON_APP);
    contoso
        .change_tenant(TenantTaskKind::Connect, |tenant| tenant.state = TenantState::Active)
        .await?;
    contoso.run_for(minutes(30)).await;
    for mailbox in [anna, cleo, aurora, borealis] {
        assert_eq!(contoso.subscriptions(mailbox), 1);
    }
    assert_eq!(contoso.count(Table::Bookings).await?, 100, "what was missed is booked");
    let slots = contoso.ledger_slots(aurora, "2026-12-24").await?;
    assert_eq!(slots.len(), 10);
    contoso.assert_healthy().await
}
