//! How a changed policy reaches every mailbox.

use std::collections::BTreeSet;

use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::ids::MailboxId;
use roombridge::domain::tenant::decision::{ConsentCapacity, DecisionKind};
use roombridge::domain::tenant::{ConsentMode, Suspension, SuspensionReason, TenantState};
use roombridge::jobs::dispatch_due::{self, DispatchSummary};
use roombridge::messages::{MailboxTaskKind, TenantTaskKind};
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{BookingDisposition, Consent, MailboxState, Mailboxes};
use roombridge::store::tables::Table;
use world::exchange::{Mailbox, Response};
use world::memory::QueueKind;

use super::{ADMINISTRATOR, admin_consent};
use crate::contoso::{Contoso, at, hours, minutes, on_both};
use crate::keys::dispatch_deps;
use crate::{TestError, TestResult};

on_both!(
    an_excluded_person_is_not_followed_until_the_exclusion_ends,
    where_the_organisation_agrees_everybody_in_scope_is_found,
);

const ACTIVE: MailboxState = MailboxState::Active;
const PAUSED: MailboxState = MailboxState::Paused;

fn mailbox_id(mailbox: &Mailbox) -> Result<MailboxId, TestError> {
    Ok(mailbox.id().parse()?)
}

/// Each is followed, or not, as the row says and as Graph has it.
async fn assert_followed(contoso: &Contoso, expected: &[(&Mailbox, MailboxState)]) -> TestResult {
    for (mailbox, state) in expected {
        assert_eq!(contoso.expect_mailbox_state(mailbox).await?, *state);
        let subscriptions = usize::from(state.is_active());
        assert_eq!(contoso.subscriptions(mailbox), subscriptions, "{state:?}");
    }
    contoso.assert_healthy().await
}

async fn an_excluded_person_is_not_followed_until_the_exclusion_ends(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, cleo, aurora, borealis, .. } = &contoso;
    let excluded: BTreeSet<_> = [mailbox_id(anna)?, mailbox_id(aurora)?].into();
    contoso.change_policy(|policy| policy.excluded_mailboxes = excluded).await?;
    contoso.run_for(minutes(1)).await;
    let expected = [(anna, PAUSED), (aurora, PAUSED), (cleo, ACTIVE), (borealis, ACTIVE)];
    assert_followed(&contoso, &expected).await?;

    contoso.change_policy(|policy| policy.excluded_mailboxes.clear()).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &expected.map(|(mailbox, _)| (mailbox, ACTIVE))).await?;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn only_members_of_the_scope_group_are_followed_and_each_is_asked_for_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, aurora, world, tenant, .. } = &contoso;
    let entra = &world.microsoft.entra;
    let (staff, team) = (entra.add_group(tenant.id()), entra.add_group(tenant.id()));
    entra.add_member(tenant.id(), &staff, &team);
    entra.add_member(tenant.id(), &team, anna.id());
    let group = staff.parse()?;
    contoso.change_policy(|policy| policy.scope_group = Some(group)).await?;
    world.microsoft.graph.clear_requests();
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (cleo, PAUSED), (aurora, ACTIVE)]).await?;
    assert_eq!(
        contoso.graph_requests("POST", "/users/{id}/checkMemberGroups").len(),
        2,
        "Anna and Cleo"
    );
    assert!(contoso.mailbox(ben).await.is_err(), "a person who has not agreed is not asked about");

    // Graph does not notify about groups; the next pass notices the change.
    entra.add_member(tenant.id(), &staff, cleo.id());
    entra.remove_member(tenant.id(), &team, anna.id());
    contoso.send_tenant_task(TenantTaskKind::ReconcilePolicy { from: None }).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(anna, PAUSED), (cleo, ACTIVE)]).await?;
    let nowhere = roombridge::domain::ids::GroupId(uuid::Uuid::from_u128(7));
    contoso.change_policy(|policy| policy.scope_group = Some(nowhere)).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(anna, PAUSED), (cleo, PAUSED), (aurora, ACTIVE)]).await
}

#[tokio::test]
async fn rooms_are_followed_where_the_tenant_wants_that_and_they_are_managed() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, borealis, world, .. } = &contoso;
    contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (aurora, PAUSED), (borealis, PAUSED)]).await?;
    let clock = std::sync::Arc::new(world.clock.clone());
    let rooms =
        roombridge::store::rooms::RoomMap::new(std::sync::Arc::clone(&world.raw_tables), clock);
    rooms.remove(contoso.tenant_id()?, crate::contoso::room_id(borealis)?).await?;
    contoso.change_policy(|policy| policy.rooms_subscribed = true).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (aurora, ACTIVE), (borealis, PAUSED)]).await
}

async fn where_the_organisation_agrees_everybody_in_scope_is_found(contoso: Contoso) -> TestResult {
    let Contoso { anna, ben, cleo, aurora, world, tenant, .. } = &contoso;
    let entra = &world.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, ben, aurora] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    // More than a page of others, who are out of scope.
    let mut excluded = BTreeSet::new();
    for n in 0..1_500 {
        let other = entra.add_user(tenant.id(), "Somebody", &format!("p{n}@contoso.example"));
        entra.add_member(tenant.id(), &staff, &other);
        excluded.insert(other.parse()?);
    }
    let (group, by) = (staff.parse()?, admin_consent(&contoso));
    world.microsoft.graph.clear_requests();
    contoso
        .change_tenant(TenantTaskKind::ReconcilePolicy { from: None }, |tenant| {
            tenant.connection = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
            tenant.policy.scope_group = Some(group);
            tenant.policy.excluded_mailboxes = excluded;
        })
        .await?;
    contoso.run_for(minutes(2)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED), (aurora, ACTIVE)])
        .await?;
    assert_eq!(contoso.count(Table::Mailboxes).await?, 5, "nobody who is excluded has a row");
    let lists = "/groups/{id}/transitiveMembers/microsoft.graph.user";
    assert_eq!(contoso.graph_requests("GET", lists).len(), 2, "999 people a call");
    let asked = contoso.graph_requests("POST", "/users/{id}/checkMemberGroups").len();
    assert_eq!(asked, 1, "only about Cleo, who is not on the list");

    let consent = contoso.mailbox(ben).await?.consent.ok_or("no consent")?;
    assert_eq!(
        (consent.given_by, consent.capacity),
        (ADMINISTRATOR, ConsentCapacity::Organisation)
    );
    let register = contoso.register().await?;
    let agreed: Vec<_> =
        register.iter().filter(|entry| entry.about == Some(own_mailbox_id(ben))).collect();
    let what = DecisionKind::ConsentGranted {
        capacity: ConsentCapacity::Organisation,
        text_version: "2026-11".to_owned(),
    };
    assert_eq!(agreed.len(), 1);
    assert_eq!((&agreed[0].kind, agreed[0].by), (&what, Some(ADMINISTRATOR)));
    assert_eq!(
        contoso.mailbox(anna).await?.consent.map(|own| own.capacity),
        Some(ConsentCapacity::Own)
    );
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, ben, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn joining_or_leaving_the_scope_is_noticed_within_a_day() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, world, tenant, .. } = &contoso;
    let entra = &world.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, cleo] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    let (group, by) = (staff.parse()?, admin_consent(&contoso));
    let organisation = TenantTaskKind::ReconcilePolicy { from: None };
    contoso
        .change_tenant(organisation, |tenant| {
            tenant.connection = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
            tenant.policy.scope_group = Some(group);
        })
        .await?;
    contoso.run_for(minutes(2)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (cleo, ACTIVE)]).await?;

    entra.remove_member(tenant.id(), &staff, cleo.id());
    entra.add_member(tenant.id(), &staff, ben.id());
    contoso.run_for(hours(24)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED)]).await?;

    // Several times in the same quiet hour: it is decided once.
    let dora = tenant.person("Dora");
    entra.add_member(tenant.id(), &staff, dora.id());
    let night = at("2026-11-26T02:01");
    world.clock.set(night);
    for _ in 0..2 {
        assert_eq!(run_dispatch_timer(&contoso, night).await?.reconciled, 1);
    }
    contoso.run_for(hours(2)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, PAUSED), (&dora, ACTIVE)])
        .await?;
    let register = contoso.register().await?;
    let about_dora = register.iter().filter(|entry| entry.about == Some(own_mailbox_id(&dora)));
    assert_eq!(about_dora.count(), 1);
    Ok(())
}

#[tokio::test]
async fn every_tenant_is_reconciled_once_a_night() -> TestResult {
    let contoso = Contoso::open().await?;
    let night = at("2026-11-25T02:01");
    for (time, sent) in [
        ("2026-11-25T01:59", 0),
        ("2026-11-25T02:00", 1),
        ("2026-11-25T02:04", 1),
        ("2026-11-25T02:05", 0),
        ("2026-11-25T14:01", 0),
    ] {
        assert_eq!(run_dispatch_timer(&contoso, at(time)).await?.reconciled, sent, "{time}");
    }
    let since = contoso.now();
    let suspension = Suspension { since, reason: SuspensionReason::TokenRefused };
    contoso
        .change_tenant(TenantTaskKind::CheckAccess, |tenant| {
            tenant.state = TenantState::Suspended(suspension)
        })
        .await?;
    assert_eq!(run_dispatch_timer(&contoso, night).await?.reconciled, 1, "its access may be back");
    let left = TenantState::Deleted(since);
    contoso.change_tenant(TenantTaskKind::CheckAccess, |tenant| tenant.state = left).await?;
    assert_eq!(run_dispatch_timer(&contoso, night).await?.reconciled, 0, "there is nobody to ask");
    Ok(())
}

#[tokio::test]
async fn a_tenant_whose_leave_task_was_lost_leaves_at_night() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso
        .change_tenant(TenantTaskKind::Leave, |tenant| tenant.state = TenantState::Disconnecting)
        .await?;
    let (outbox, kind) = (&contoso.world.memory_outbox, QueueKind::Main(Queue::MaintainTenant));
    let lost = outbox.receive(kind, 1, std::time::Duration::ZERO).pop().ok_or("it was sent")?;
    outbox.delete(kind, &lost.receipt);
    contoso.run_for(hours(48)).await;
    let left = matches!(contoso.stored_tenant().await?.state, TenantState::Deleted(_));
    assert!(left, "{:?}", contoso.stored_tenant().await?.state);
    Ok(())
}

#[tokio::test]
async fn a_person_without_a_calendar_is_tried_once_a_day_and_is_no_failure() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, tenant, .. } = &contoso;
    let account = world.microsoft.entra.add_user(tenant.id(), "Scanner", "scan@contoso.example");
    let by = admin_consent(&contoso);
    contoso
        .change_tenant(TenantTaskKind::ReconcilePolicy { from: None }, |tenant| {
            tenant.connection = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.run_for(minutes(30)).await;
    assert_followed(&contoso, &[(ben, ACTIVE)]).await?;
    let mailboxes = Mailboxes::new(std::sync::Arc::clone(&world.raw_tables));
    let found = mailboxes.get(contoso.tenant_id()?, account.parse()?).await?;
    let (row, _) = found.ok_or("enrolled like everybody")?;
    assert_eq!((row.state, row.subscription, row.polling), (ACTIVE, None, None));
    let due = contoso.rows(Table::Due).await?;
    assert!(!due.iter().any(|row| row.key.row.ends_with(&account)), "nothing watches it");

    world.microsoft.graph.clear_requests();
    contoso.run_for(hours(3 * 24)).await;
    let tried: Vec<u16> = contoso
        .graph_requests("POST", "/subscriptions")
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(tried, [404; 3]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_deleted_calendar_is_a_failure_only_for_individual_consent() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, world, .. } = &contoso;
    world.fixtures().agree(ben).await?;
    contoso.run_for(minutes(2)).await;
    for (person, how, failures) in
        [(ben, ConsentCapacity::Organisation, 0), (anna, ConsentCapacity::Own, 1)]
    {
        let mailboxes = Mailboxes::new(std::sync::Arc::clone(&world.raw_tables));
        let (tenant, person_id) = (contoso.tenant_id()?, mailbox_id(person)?);
        let (mut row, etag) = mailboxes.get(tenant, person_id).await?.ok_or("a row")?;
        row.consent = row.consent.map(|consent| Consent { capacity: how, ..consent });
        mailboxes.replace(&row, &etag).await?;
        let lost = world.microsoft.graph.subscriptions();
        let lost = lost.iter().find(|own| own.mailbox == person.id()).ok_or("subscribed")?;
        person.delete_mailbox();
        world.microsoft.graph.end_silently(&lost.id);
        world.fixtures().send_task(person, MailboxTaskKind::SubscriptionRemoved).await?;
        contoso.run_for(hours(12)).await;
        assert_eq!(contoso.failures().await?.len(), failures, "{how:?}");
        assert_eq!(contoso.mailbox(person).await?.subscription, None);
    }
    Ok(())
}

/// The timer of `dispatch-due` at that instant.
async fn run_dispatch_timer(
    contoso: &Contoso,
    now: jiff::Timestamp,
) -> Result<DispatchSummary, TestError> {
    let world = &contoso.world;
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(ManualClock::new(now));
    let deps = dispatch_deps(world, &world.raw_tables, clock);
    Ok(dispatch_due::run(&deps, now + minutes(5)).await?)
}

#[expect(clippy::expect_used, reason = "the simulated world gives ids that are ids")]
fn own_mailbox_id(mailbox: &Mailbox) -> MailboxId {
    mailbox_id(mailbox).expect("an id")
}

#[tokio::test]
async fn organisation_consent_excludes_people_who_opted_out() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, cleo, world, .. } = &contoso;
    let by = admin_consent(&contoso);
    let organisation = TenantTaskKind::ReconcilePolicy { from: None };
    contoso
        .change_tenant(organisation, |tenant| {
            tenant.connection = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.run_for(minutes(2)).await;
    assert_followed(&contoso, &[(anna, ACTIVE), (ben, ACTIVE), (cleo, ACTIVE)]).await?;

    // Anna says no, and long afterwards nothing but the register remembers it.
    let (tenant, at, about) = (contoso.tenant_id()?, contoso.now(), Some(mailbox_id(anna)?));
    let what = DecisionKind::Erased { released: false };
    let no =
        roombridge::domain::tenant::decision::Decision { tenant, at, by: about, about, kind: what };
    let store = || std::sync::Arc::clone(&world.raw_tables);
    roombridge::store::register::Register::new(store()).add(&no).await?;
    world.fixtures().withdraw(anna).await?;
    contoso.run_for(minutes(1)).await;
    Mailboxes::new(store()).remove(tenant, mailbox_id(anna)?).await?;

    // Each must agree again: whom only the organisation had agreed for is let go.
    contoso.change_policy(|policy| policy.consent = ConsentMode::OptIn).await?;
    contoso.run_for(minutes(1)).await;
    let withdrawn = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
    assert_followed(&contoso, &[(ben, withdrawn), (cleo, ACTIVE)]).await?;
    let register = contoso.register().await?;
    let last = register.iter().rev().find(|entry| entry.about == Some(own_mailbox_id(ben)));
    let last = last.ok_or("nothing about Ben")?;
    assert_eq!((last.by, &last.kind), (None, &DecisionKind::ConsentWithdrawn { released: false }));

    contoso.change_policy(|policy| policy.consent = ConsentMode::Organisation).await?;
    contoso.run_for(minutes(1)).await;
    assert_followed(&contoso, &[(ben, ACTIVE), (cleo, ACTIVE)]).await?;
    assert!(contoso.mailbox(anna).await.is_err(), "Anna is not brought back");
    assert_eq!(contoso.subscriptions(anna), 0);
    Ok(())
}
