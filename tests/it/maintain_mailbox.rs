//! How a mailbox is followed: subscribed, renewed, caught up, left alone.

use roombridge::messages::Task;
use roombridge::store::tables::Table;
use serde_json::json;
use world::exchange::{Mailbox, Response};
use world::graph::{Fault, Lifecycle, Moment, Outcome as Answer, SubscriptionView};

use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(
    whoever_agreed_is_subscribed_and_whoever_withdrew_is_not,
    a_subscription_whose_answer_was_lost_is_adopted_and_proves_itself,
);

const SUBSCRIPTIONS: &str = "/subscriptions";
const SUBSCRIPTION: &str = "/subscriptions/{id}";
const VIEW: &str = "/users/{id}/calendarView";

fn subscription(contoso: &Contoso, mailbox: &Mailbox) -> Result<SubscriptionView, Failure> {
    let mut all = contoso.office.microsoft.graph.subscriptions();
    all.retain(|subscription| subscription.mailbox == mailbox.id());
    assert!(all.len() <= 1, "one subscription a mailbox");
    all.pop().ok_or_else(|| "not subscribed".into())
}

async fn whoever_agreed_is_subscribed_and_whoever_withdrew_is_not(contoso: Contoso) -> Outcome {
    let Contoso { anna, ben, aurora, office, .. } = &contoso;
    for mailbox in [anna, aurora] {
        let subscription = subscription(&contoso, mailbox)?;
        assert!(subscription.immutable, "ids must survive a move between folders");
        let stored = contoso.mailbox(mailbox).await?.subscription.ok_or("not stored")?;
        assert_eq!((stored.id, stored.expires), (subscription.id, subscription.expires));
    }
    assert!(subscription(&contoso, ben).is_err(), "Ben has not agreed");
    // Both addresses of each subscription were validated before Graph took it.
    assert_eq!(office.microsoft.network.requests(world::office::APP_HOST), 8);

    office.seeding().withdraw(anna).await?;
    contoso.pass(minutes(1)).await;
    assert!(subscription(&contoso, anna).is_err());
    assert_eq!(contoso.mailbox(anna).await?.subscription, None);

    // Whatever was still on its way, nobody subscribes Anna again.
    office.microsoft.graph.clear_requests();
    for task in [Task::Subscribe, Task::Renew, Task::Resync, Task::Removed, Task::Reauthorize] {
        office.seeding().task(anna, task).await?;
    }
    contoso.pass(minutes(1)).await;
    assert_eq!(office.microsoft.graph.requests(), []);
    contoso.is_well().await
}

#[tokio::test]
async fn a_subscription_that_graph_has_lost_already_is_removed_all_the_same() -> Outcome {
    let contoso = Contoso::open().await?;
    let lost = subscription(&contoso, &contoso.anna)?;
    contoso.office.microsoft.graph.drop_subscription(&lost.id);
    contoso.office.seeding().withdraw(&contoso.anna).await?;
    contoso.pass(minutes(1)).await;
    assert_eq!(contoso.asked("DELETE", SUBSCRIPTION)[0].status, 404);
    assert_eq!(contoso.mailbox(&contoso.anna).await?.subscription, None);
    contoso.is_well().await
}

async fn a_subscription_whose_answer_was_lost_is_adopted_and_proves_itself(
    contoso: Contoso,
) -> Outcome {
    let Contoso { ben, aurora, office, .. } = &contoso;
    office.microsoft.graph.clear_requests();
    office.microsoft.graph.fail(Fault {
        method: "POST",
        template: SUBSCRIPTIONS,
        nth: 1,
        moment: Moment::After,
        outcome: Answer::Broken,
    });
    office.seeding().agree(ben).await?;
    office.settle().await;
    let nonce = contoso.mailbox(ben).await?.nonce;
    assert!(nonce.is_some(), "the nonce is stored before the subscription is made");
    contoso.pass(minutes(1)).await;

    let statuses: Vec<u16> =
        contoso.asked("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(statuses, [0, 409], "made once, and found to be there");
    assert_eq!(contoso.mailbox(ben).await?.nonce, nonce);
    let stored = contoso.mailbox(ben).await?.subscription.ok_or("not adopted")?;
    assert_eq!(stored.id, subscription(&contoso, ben)?.id);

    // Its notifications are believed: only they bring Ben's own copy.
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, ben, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn who_withdraws_before_the_answer_came_is_unsubscribed_all_the_same() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, .. } = &contoso;
    office.microsoft.graph.fail(Fault {
        method: "POST",
        template: SUBSCRIPTIONS,
        nth: 1,
        moment: Moment::After,
        outcome: Answer::Broken,
    });
    office.seeding().agree(ben).await?;
    office.settle().await;
    assert!(subscription(&contoso, ben).is_ok(), "made, but nobody here knows");
    office.seeding().withdraw(ben).await?;
    contoso.pass(minutes(1)).await;
    assert!(subscription(&contoso, ben).is_err());
    contoso.is_well().await
}

#[tokio::test]
async fn who_withdraws_while_being_subscribed_is_not_left_with_a_stray() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, .. } = &contoso;
    office.microsoft.graph.clear_requests();
    office.seeding().agree(ben).await?;
    let taken = office.host.take_all().await.pop().ok_or("there is a task")?;
    let mut worker = std::pin::pin!(office.host.process_message(taken));
    while contoso.asked("POST", SUBSCRIPTIONS).is_empty() {
        assert!(futures::poll!(&mut worker).is_pending());
    }
    office.seeding().withdraw(ben).await?;
    office.settle().await;
    worker.await;
    contoso.pass(minutes(1)).await;
    assert!(subscription(&contoso, ben).is_err());
    assert_eq!(contoso.mailbox(ben).await?.subscription, None);
    contoso.is_well().await
}

#[tokio::test]
async fn who_agrees_again_stays_subscribed_whatever_is_still_on_its_way() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    // Agreed anew before the earlier subscription was removed: it carries the earlier nonce.
    office.seeding().withdraw(anna).await?;
    office.seeding().agree(anna).await?;
    contoso.pass(minutes(2)).await;
    office.seeding().task(anna, Task::Unsubscribe).await?;
    contoso.pass(minutes(2)).await;
    assert!(subscription(&contoso, anna).is_ok());
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn subscriptions_live_on_for_weeks_by_one_patch_at_half_life() -> Outcome {
    let contoso = Contoso::open().await?;
    let first = subscription(&contoso, &contoso.anna)?;
    contoso.office.microsoft.graph.clear_requests();
    contoso.pass(hours(71)).await;
    assert_eq!(
        contoso.asked("PATCH", SUBSCRIPTION),
        [],
        "six days are asked for; not before three"
    );
    contoso.pass(hours(2)).await;
    assert_eq!(contoso.asked("PATCH", SUBSCRIPTION).len(), 4, "one for each mailbox");

    contoso.pass(hours(10 * 24)).await;
    assert_eq!(contoso.asked("PATCH", SUBSCRIPTION).len(), 16, "at days 3, 6, 9 and 12");
    assert_eq!(contoso.asked("POST", "/$batch").len(), 4, "all four in one request");
    assert_eq!(contoso.asked("GET", VIEW).len(), 16 + 4 * 13, "a resync with each, and one a day");
    assert_eq!(contoso.office.microsoft.graph.requests().len(), 16 + 4 + 68, "and nothing else");
    let now = subscription(&contoso, &contoso.anna)?;
    assert_eq!(now.id, first.id);
    assert!(now.expires > contoso.now() + hours(48));
    // One entry waits for each mailbox's next look.
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.is_well().await
}

#[tokio::test]
async fn a_subscription_that_is_gone_at_renewal_is_made_anew_and_what_was_missed_is_found()
-> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let lost = subscription(&contoso, anna)?;
    office.microsoft.graph.drop_subscription(&lost.id);
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.pass(minutes(10)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted), "the room's copy books it");
    assert_eq!(contoso.word(&meeting, anna, aurora)?, None, "nobody has heard from Anna's");

    contoso.pass(hours(73)).await;
    assert_ne!(subscription(&contoso, anna)?.id, lost.id);
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_tenant_that_allows_only_a_shorter_life_is_asked_for_one_and_renewed_in_it() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, .. } = &contoso;
    office.microsoft.graph.set_longest_subscription(4_230);
    office.microsoft.graph.clear_requests();
    office.seeding().agree(ben).await?;
    let made = contoso.now();
    contoso.pass(minutes(1)).await;
    let statuses: Vec<u16> =
        contoso.asked("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(statuses, [400, 201]);
    let first = subscription(&contoso, ben)?;
    assert_eq!(first.expires, made + minutes(4_200));

    // Past the end of the first life, and of those that were longer.
    contoso.pass(hours(8 * 24)).await;
    for mailbox in [ben, &contoso.anna] {
        assert!(subscription(&contoso, mailbox)?.expires > contoso.now() + hours(24));
    }
    assert_eq!(subscription(&contoso, ben)?.id, first.id, "renewed, not made anew");
    contoso.is_well().await
}

#[tokio::test]
async fn the_resync_of_an_unchanged_calendar_asks_for_its_pages_and_nothing_else() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, tenant, office, .. } = &contoso;
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    for n in 0..120 {
        let start = at("2026-11-25T00:00") + hours(n);
        let private = world::exchange::Invitation::new("Dentist", start, start + hours(1));
        tenant.meet(anna, private)?;
    }
    contoso.pass(minutes(10)).await;
    office.microsoft.graph.clear_requests();
    office.tables.reset();
    office.seeding().task(anna, Task::Resync).await?;
    let ran = office.settle().await;
    assert_eq!(ran.functions, ["maintain-mailbox"]);
    let asked = office.microsoft.graph.requests();
    assert!(asked.iter().all(|seen| seen.template == VIEW && !seen.select.is_empty()));
    assert!(!asked.iter().any(|seen| seen.select.iter().any(|field| field == "subject")));
    assert_eq!(asked.len(), 2, "121 events, 100 a page");
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    contoso.is_well().await
}

#[tokio::test]
async fn a_resync_finds_what_was_made_moved_and_cancelled_without_a_word() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let moved = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let cancelled = contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    office.microsoft.graph.drop_next(1_000);
    moved.move_to(at("13:00"), at("14:00"))?;
    cancelled.cancel()?;
    let made = contoso.meet(anna, ("15:00", "16:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    assert_eq!(contoso.booking(&made, aurora).await?, None);
    office.microsoft.graph.drop_next(0);

    for mailbox in [anna, aurora] {
        office.seeding().task(mailbox, Task::Resync).await?;
    }
    contoso.pass(minutes(5)).await;
    let mut taken: Vec<_> =
        contoso.taken(aurora, "2026-11-24").await?.iter().map(|s| s.interval.start()).collect();
    taken.sort();
    assert_eq!(taken, [at("13:00"), at("15:00")]);
    for meeting in [&moved, &made] {
        assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.outcome(meeting, anna, aurora)?.as_deref(), Some("booked"));
    }
    contoso.is_well().await
}

#[tokio::test]
async fn what_graph_could_not_deliver_is_caught_up_with_when_it_says_so() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    graph.drop_next(1_000);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(1)).await;
    graph.drop_next(0);
    graph.raise(&subscription(&contoso, anna)?.id, Lifecycle::Missed);
    graph.raise(&subscription(&contoso, aurora)?.id, Lifecycle::Missed);
    contoso.pass(minutes(2)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_subscription_that_graph_removed_is_made_anew_at_once() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let removed = subscription(&contoso, anna)?.id;
    office.microsoft.graph.raise(&removed, Lifecycle::SubscriptionRemoved);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_ne!(subscription(&contoso, anna)?.id, removed);
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_wish_for_authorisation_is_met_once_and_not_within_ten_minutes_of_the_last_touch()
-> Outcome {
    let contoso = Contoso::open().await?;
    let graph = &contoso.office.microsoft.graph;
    let id = subscription(&contoso, &contoso.anna)?.id;
    let raise = || graph.raise(&id, Lifecycle::ReauthorizationRequired);
    graph.clear_requests();
    raise();
    contoso.pass(minutes(1)).await;
    assert_eq!(graph.requests(), [], "it was only just made");
    contoso.pass(minutes(10)).await;
    raise();
    contoso.pass(seconds(10)).await;
    raise();
    contoso.pass(minutes(5)).await;
    assert_eq!(contoso.asked("PATCH", SUBSCRIPTION).len(), 1);
    assert_eq!(graph.requests().len(), 2, "and a resync of what was missed meanwhile");
    contoso.is_well().await
}

#[tokio::test]
async fn a_forged_lifecycle_notification_does_nothing() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.office.microsoft.graph.clear_requests();
    let mut state = contoso.client_state(&contoso.anna).await?;
    let last = if state.ends_with('A') { "B" } else { "A" };
    state.replace_range(state.len() - 5..state.len() - 4, last);
    let id = subscription(&contoso, &contoso.anna)?.id;
    for event in ["subscriptionRemoved", "missed", "reauthorizationRequired"] {
        let item = json!({
            "subscriptionId": id, "clientState": state, "tenantId": contoso.tenant.id(),
            "lifecycleEvent": event,
        });
        assert_eq!(contoso.post(json!({ "value": [item] }).to_string()).await?, 202);
    }
    let ran = contoso.office.settle().await;
    assert_eq!(ran.functions, [""; 0]);
    assert_eq!(contoso.office.microsoft.graph.requests(), []);
    contoso.is_well().await
}
