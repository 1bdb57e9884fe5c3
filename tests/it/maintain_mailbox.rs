//! How a mailbox is followed: subscribed, renewed, caught up, left alone.

use roombridge::messages::MailboxTaskKind;
use roombridge::store::tables::Table;
use serde_json::json;
use world::exchange::{Mailbox, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, LifecycleKind, RequestFault, SubscriptionView};

use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(
    mailboxes_are_subscribed_after_consent_and_not_after_withdrawal,
    a_subscription_whose_answer_was_lost_is_adopted_and_proves_itself,
);

const SUBSCRIPTIONS: &str = "/subscriptions";
const SUBSCRIPTION: &str = "/subscriptions/{id}";
const VIEW: &str = "/users/{id}/calendarView";

fn graph_subscription(contoso: &Contoso, mailbox: &Mailbox) -> Result<SubscriptionView, TestError> {
    let mut all = contoso.world.microsoft.graph.subscriptions();
    all.retain(|subscription| subscription.mailbox == mailbox.id());
    assert!(all.len() <= 1, "one subscription a mailbox");
    all.pop().ok_or_else(|| "not subscribed".into())
}

async fn mailboxes_are_subscribed_after_consent_and_not_after_withdrawal(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, ben, aurora, world, .. } = &contoso;
    for mailbox in [anna, aurora] {
        let subscription = graph_subscription(&contoso, mailbox)?;
        assert!(subscription.immutable, "ids must survive a move between folders");
        let stored = contoso.mailbox(mailbox).await?.subscription.ok_or("not stored")?;
        assert_eq!((stored.id, stored.expires_at), (subscription.id, subscription.expires));
    }
    assert!(graph_subscription(&contoso, ben).is_err(), "Ben has not agreed");
    // Both addresses of each subscription were validated before Graph took it.
    assert_eq!(world.microsoft.network.requests(world::test_world::APP_HOST), 8);

    world.fixtures().withdraw(anna).await?;
    contoso.run_for(minutes(1)).await;
    assert!(graph_subscription(&contoso, anna).is_err());
    assert_eq!(contoso.mailbox(anna).await?.subscription, None);

    // Messages still on their way do not subscribe Anna again.
    world.microsoft.graph.clear_requests();
    for task in [
        MailboxTaskKind::Subscribe,
        MailboxTaskKind::Renew,
        MailboxTaskKind::Resync,
        MailboxTaskKind::SubscriptionRemoved,
        MailboxTaskKind::Reauthorize,
    ] {
        world.fixtures().send_task(anna, task).await?;
    }
    contoso.run_for(minutes(1)).await;
    assert_eq!(world.microsoft.graph.requests(), []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn removing_a_subscription_that_graph_has_lost_succeeds() -> TestResult {
    let contoso = Contoso::open().await?;
    let lost = graph_subscription(&contoso, &contoso.anna)?;
    contoso.world.microsoft.graph.end_silently(&lost.id);
    contoso.world.fixtures().withdraw(&contoso.anna).await?;
    contoso.run_for(minutes(1)).await;
    assert_eq!(contoso.graph_requests("DELETE", SUBSCRIPTION)[0].status, 404);
    assert_eq!(contoso.mailbox(&contoso.anna).await?.subscription, None);
    contoso.assert_healthy().await
}

async fn a_subscription_whose_answer_was_lost_is_adopted_and_proves_itself(
    contoso: Contoso,
) -> TestResult {
    let Contoso { ben, aurora, world, .. } = &contoso;
    world.microsoft.graph.clear_requests();
    world.microsoft.graph.plan_fault(RequestFault {
        method: "POST",
        template: SUBSCRIPTIONS,
        nth: 1,
        moment: Fault::After,
        outcome: Answer::Broken,
    });
    world.fixtures().agree(ben).await?;
    world.run_until_idle().await;
    let nonce = contoso.mailbox(ben).await?.nonce;
    assert!(nonce.is_some(), "the nonce is stored before the subscription is made");
    contoso.run_for(minutes(1)).await;

    let statuses: Vec<u16> =
        contoso.graph_requests("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(statuses, [0, 409], "made once, and found to be there");
    assert_eq!(contoso.mailbox(ben).await?.nonce, nonce);
    let stored = contoso.mailbox(ben).await?.subscription.ok_or("not adopted")?;
    assert_eq!(stored.id, graph_subscription(&contoso, ben)?.id);

    // Its notifications are believed: only they bring Ben's own copy.
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, ben, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_person_who_withdraws_before_the_response_is_still_unsubscribed() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, .. } = &contoso;
    world.microsoft.graph.plan_fault(RequestFault {
        method: "POST",
        template: SUBSCRIPTIONS,
        nth: 1,
        moment: Fault::After,
        outcome: Answer::Broken,
    });
    world.fixtures().agree(ben).await?;
    world.run_until_idle().await;
    assert!(graph_subscription(&contoso, ben).is_ok(), "created, but not known here");
    world.fixtures().withdraw(ben).await?;
    contoso.run_for(minutes(1)).await;
    assert!(graph_subscription(&contoso, ben).is_err());
    contoso.assert_healthy().await
}

#[tokio::test]
async fn withdrawing_while_being_subscribed_leaves_no_stray_subscription() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, .. } = &contoso;
    world.microsoft.graph.clear_requests();
    world.fixtures().agree(ben).await?;
    let taken = world.host.dequeue_all().await.pop().ok_or("there is a task")?;
    let mut worker = std::pin::pin!(world.host.process_message(taken));
    while contoso.graph_requests("POST", SUBSCRIPTIONS).is_empty() {
        assert!(futures::poll!(&mut worker).is_pending());
    }
    world.fixtures().withdraw(ben).await?;
    world.run_until_idle().await;
    worker.await;
    contoso.run_for(minutes(1)).await;
    assert!(graph_subscription(&contoso, ben).is_err());
    assert_eq!(contoso.mailbox(ben).await?.subscription, None);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_person_who_agrees_again_stays_subscribed_despite_late_messages() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    // She agreed again before the earlier subscription was removed: it carries the earlier nonce.
    world.fixtures().withdraw(anna).await?;
    world.fixtures().agree(anna).await?;
    contoso.run_for(minutes(2)).await;
    world.fixtures().send_task(anna, MailboxTaskKind::Unsubscribe).await?;
    contoso.run_for(minutes(2)).await;
    assert!(graph_subscription(&contoso, anna).is_ok());
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn subscriptions_live_for_weeks_by_one_patch_at_half_life() -> TestResult {
    let contoso = Contoso::open().await?;
    let first = graph_subscription(&contoso, &contoso.anna)?;
    contoso.world.microsoft.graph.clear_requests();
    contoso.run_for(hours(71)).await;
    assert_eq!(
        contoso.graph_requests("PATCH", SUBSCRIPTION),
        [],
        "six days are asked for; not before three"
    );
    contoso.run_for(hours(2)).await;
    assert_eq!(contoso.graph_requests("PATCH", SUBSCRIPTION).len(), 4, "one for each mailbox");

    contoso.run_for(hours(10 * 24)).await;
    assert_eq!(contoso.graph_requests("PATCH", SUBSCRIPTION).len(), 16, "at days 3, 6, 9 and 12");
    assert_eq!(contoso.graph_requests("POST", "/$batch").len(), 4, "all four in one request");
    assert_eq!(
        contoso.graph_requests("GET", VIEW).len(),
        16 + 4 * 13,
        "a resync with each, and one a day"
    );
    assert_eq!(contoso.world.microsoft.graph.requests().len(), 16 + 4 + 68, "and nothing else");
    let now = graph_subscription(&contoso, &contoso.anna)?;
    assert_eq!(now.id, first.id);
    assert!(now.expires > contoso.now() + hours(48));
    // One due entry waits for each mailbox.
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_subscription_missing_at_renewal_is_replaced_and_missed_changes_are_found() -> TestResult
{
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let lost = graph_subscription(&contoso, anna)?;
    world.microsoft.graph.end_silently(&lost.id);
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "the room's copy books it");
    assert_eq!(
        contoso.outcome_property(&meeting, anna, aurora)?,
        None,
        "nothing was notified from Anna's"
    );

    contoso.run_for(hours(73)).await;
    assert_ne!(graph_subscription(&contoso, anna)?.id, lost.id);
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_tenant_that_limits_lifetimes_gets_shorter_subscriptions_that_are_renewed() -> TestResult
{
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, .. } = &contoso;
    world.microsoft.graph.set_longest_subscription(4_230);
    world.microsoft.graph.clear_requests();
    world.fixtures().agree(ben).await?;
    let made = contoso.now();
    contoso.run_for(minutes(1)).await;
    let statuses: Vec<u16> =
        contoso.graph_requests("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(statuses, [400, 201]);
    let first = graph_subscription(&contoso, ben)?;
    assert_eq!(first.expires, made + minutes(4_200));

    // Past the end of the first life, and of those that were longer.
    contoso.run_for(hours(8 * 24)).await;
    for mailbox in [ben, &contoso.anna] {
        assert!(graph_subscription(&contoso, mailbox)?.expires > contoso.now() + hours(24));
    }
    assert_eq!(graph_subscription(&contoso, ben)?.id, first.id, "renewed, not replaced");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn the_resync_of_an_unchanged_calendar_asks_for_its_pages_and_nothing_else() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, tenant, world, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    for n in 0..120 {
        let start = at("2026-11-25T00:00") + hours(n);
        let private = world::exchange::Invitation::new("Dentist", start, start + hours(1));
        tenant.meet(anna, private)?;
    }
    contoso.run_for(minutes(10)).await;
    world.microsoft.graph.clear_requests();
    world.table_faults.reset();
    world.fixtures().send_task(anna, MailboxTaskKind::Resync).await?;
    let ran = world.run_until_idle().await;
    assert_eq!(ran.functions, ["maintain-mailbox"]);
    let asked = world.microsoft.graph.requests();
    assert!(asked.iter().all(|request| request.template == VIEW && !request.select.is_empty()));
    assert!(!asked.iter().any(|request| request.select.iter().any(|field| field == "subject")));
    assert_eq!(asked.len(), 2, "121 events, 100 a page");
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_resync_finds_meetings_created_moved_and_cancelled_without_notification() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let moved = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let cancelled = contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    world.microsoft.graph.drop_next(1_000);
    moved.move_to(at("13:00"), at("14:00"))?;
    cancelled.cancel()?;
    let made = contoso.meet(anna, ("15:00", "16:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.booking(&made, aurora).await?, None);
    world.microsoft.graph.drop_next(0);

    for mailbox in [anna, aurora] {
        world.fixtures().send_task(mailbox, MailboxTaskKind::Resync).await?;
    }
    contoso.run_for(minutes(5)).await;
    let mut taken: Vec<_> = contoso
        .ledger_slots(aurora, "2026-11-24")
        .await?
        .iter()
        .map(|s| s.interval.start())
        .collect();
    taken.sort();
    assert_eq!(taken, [at("13:00"), at("15:00")]);
    for meeting in [&moved, &made] {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.outcome_on_copy(meeting, anna, aurora)?.as_deref(), Some("booked"));
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn missed_notifications_are_caught_up_with_when_graph_reports_them() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.drop_next(1_000);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(1)).await;
    graph.drop_next(0);
    graph.send_lifecycle(&graph_subscription(&contoso, anna)?.id, LifecycleKind::Missed);
    graph.send_lifecycle(&graph_subscription(&contoso, aurora)?.id, LifecycleKind::Missed);
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_subscription_that_graph_removed_is_replaced_at_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let removed = graph_subscription(&contoso, anna)?.id;
    world.microsoft.graph.send_lifecycle(&removed, LifecycleKind::SubscriptionRemoved);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_ne!(graph_subscription(&contoso, anna)?.id, removed);
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_subscription_is_reauthorized_once_and_not_within_ten_minutes_of_a_change() -> TestResult
{
    let contoso = Contoso::open().await?;
    let graph = &contoso.world.microsoft.graph;
    let id = graph_subscription(&contoso, &contoso.anna)?.id;
    let raise = || graph.send_lifecycle(&id, LifecycleKind::ReauthorizationRequired);
    graph.clear_requests();
    raise();
    contoso.run_for(minutes(1)).await;
    assert_eq!(graph.requests(), [], "it was only just made");
    contoso.run_for(minutes(10)).await;
    raise();
    contoso.run_for(seconds(10)).await;
    raise();
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.graph_requests("PATCH", SUBSCRIPTION).len(), 1);
    assert_eq!(graph.requests().len(), 2, "and a resync of what was missed meanwhile");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_forged_lifecycle_notification_does_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.world.microsoft.graph.clear_requests();
    let mut state = contoso.client_state(&contoso.anna).await?;
    let last = if state.ends_with('A') { "B" } else { "A" };
    state.replace_range(state.len() - 5..state.len() - 4, last);
    let id = graph_subscription(&contoso, &contoso.anna)?.id;
    for event in ["subscriptionRemoved", "missed", "reauthorizationRequired"] {
        let item = json!({
            "subscriptionId": id, "clientState": state, "tenantId": contoso.tenant.id(),
            "lifecycleEvent": event,
        });
        assert_eq!(contoso.post(json!({ "value": [item] }).to_string()).await?, 202);
    }
    let ran = contoso.world.run_until_idle().await;
    assert_eq!(ran.functions, [""; 0]);
    assert_eq!(contoso.world.microsoft.graph.requests(), []);
    contoso.assert_healthy().await
}
