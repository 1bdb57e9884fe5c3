//! Who waits for others keeps its tries; who fails by itself stops after five; nothing is lost.

use std::time::Duration;

use jiff::SignedDuration;
use roombridge::messages::EventChanges;
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use world::exchange::{Invitation, Response};
use world::graph::{Fault, Moment, Outcome as Answer, Scope, Until};
use world::microsoft::GRAPH_HOST;

use crate::Outcome;
use crate::contoso::{Contoso, hours, minutes, on_both, seconds};

const EVENT: &str = "/users/{id}/events/{id}";

on_both!(an_own_fault_ends_among_the_failures_after_five_tries_and_can_be_replayed);

#[tokio::test]
async fn graphs_wish_to_wait_is_obeyed_to_the_second_and_costs_no_try() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    contoso.pass(minutes(1)).await;
    let told = contoso.now();
    office.microsoft.graph.throttle(Scope::Everything, Until::Instant(told + seconds(120)), 429);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    office.settle().await;
    let waiting = office.outbox.messages(Shelf::Main(Queue::EventChanges));
    let item = EventChanges::from_text(&waiting.first().ok_or("it waits")?.text)?.items.remove(0);
    assert_eq!((item.passage.tries, item.passage.waits), (0, 1));
    contoso.pass(seconds(121)).await;
    let reads = contoso.audit().await?.into_iter().filter(|call| call.path == EVENT);
    let reads: Vec<_> = reads.map(|call| (call.at.duration_since(told), call.status)).collect();
    assert_eq!(reads[..2], [(SignedDuration::ZERO, 429), (seconds(120), 200)]);
    contoso.pass(seconds(30)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    contoso.is_well().await
}

/// Three minutes without something, in the middle of work.
async fn outage(take_away: impl Fn(&Contoso, bool)) -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, borealis, .. } = &contoso;
    let before = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.office.microsoft.graph.deliver_due().await;
    contoso.office.host.pump_once().await;
    take_away(&contoso, true);
    let within = contoso.meet(ben, ("10:00", "11:00"), aurora)?;
    let other = contoso.meet(anna, ("10:00", "11:00"), borealis)?;
    contoso.pass(minutes(3)).await;
    take_away(&contoso, false);
    contoso.pass(minutes(30)).await;
    for meeting in [&before, &within] {
        assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    }
    assert_eq!(contoso.outcome(&before, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(contoso.outcome(&other, anna, borealis)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn three_minutes_without_graph_burn_nothing_out() -> Outcome {
    outage(|contoso, away| contoso.office.microsoft.network.set_down(GRAPH_HOST, away)).await
}

#[tokio::test]
async fn three_minutes_without_tables_burn_nothing_out() -> Outcome {
    outage(|contoso, away| contoso.office.tables.set_down(away)).await
}

#[tokio::test]
async fn three_minutes_without_queues_burn_nothing_out() -> Outcome {
    outage(|contoso, away| contoso.office.queues.set_down(away)).await
}

#[tokio::test]
async fn three_minutes_without_tokens_burn_nothing_out() -> Outcome {
    outage(|contoso, away| contoso.office.microsoft.entra.set_outage(away)).await
}

/// Graph calls our next `times` requests wrong.
fn fault(contoso: &Contoso, method: &'static str, template: &'static str, times: u32) {
    for _ in 0..times {
        contoso.office.microsoft.graph.fail(Fault {
            method,
            template,
            nth: 1,
            moment: Moment::Before,
            outcome: Answer::Status(400),
        });
    }
}

async fn an_own_fault_ends_among_the_failures_after_five_tries_and_can_be_replayed(
    contoso: Contoso,
) -> Outcome {
    let Contoso { ben, aurora, office, .. } = &contoso;
    fault(&contoso, "GET", EVENT, 5);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    let met = contoso.now();
    contoso.pass(minutes(10)).await;
    assert_eq!(contoso.asked("GET", EVENT).len(), 5, "exactly");
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.tries), ("fetch-event", 5));
    assert_eq!(failure.subject, aurora.id(), "only the mailbox is named");
    assert!(failure.cause.contains("400"), "{}", failure.cause);
    assert!(failure.first_seen == met && failure.failed_at > met && failure.correlation.is_some());

    // Outlook is the truth behind it: to replay is to compare the mailbox with the store.
    let message = failure.message.clone().ok_or("it can be sent again")?;
    assert!(!message.contains("AAMk"), "no event is named");
    office.sends.send(Queue::MailboxTasks, message, Duration::ZERO).await?;
    contoso.pass(seconds(30)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    Ok(())
}

#[tokio::test]
async fn four_faults_are_not_five() -> Outcome {
    let contoso = Contoso::open().await?;
    fault(&contoso, "GET", EVENT, 4);
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(10)).await;
    assert_eq!(meeting.answer_of(&contoso.aurora), Some(Response::Accepted));
    contoso.is_well().await
}

#[tokio::test]
async fn an_answer_that_graph_calls_wrong_is_recorded_and_given_once_the_fault_is_gone() -> Outcome
{
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    fault(&contoso, "POST", "/users/{id}/events/{id}/accept", 1_000);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(20)).await;
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.tries), ("write-back", 5));
    let key = contoso.key(&meeting, aurora)?;
    assert_eq!(failure.subject, format!("{} {}", key.partition(), key.row()));
    // The fault is gone; the entry that watches the booking is still there, and is enough.
    office.microsoft.graph.forget_faults();
    contoso.pass(minutes(25)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    Ok(())
}

#[tokio::test]
async fn a_day_of_throttling_is_given_up_and_not_before() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    office.microsoft.graph.throttle(Scope::Everything, Until::Requests(100_000), 429);
    let far = ("2026-11-27T09:00", "2026-11-27T10:00");
    let meeting = contoso.meet(ben, far, aurora)?;
    contoso.pass(hours(23) + minutes(55)).await;
    assert_eq!(contoso.failures().await?, []);
    assert_eq!(contoso.waiting(Queue::EventChanges), 1, "it waits");
    contoso.pass(hours(2)).await;
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.tries), ("fetch-event", 0));
    assert!(failure.failed_at.duration_since(failure.first_seen) >= hours(24));
    assert_eq!(contoso.waiting(Queue::EventChanges), 0);
    let asked = contoso.asked("GET", EVENT).len();
    assert!((20..45).contains(&asked), "about once an hour: {asked}");

    office.microsoft.graph.end_throttling();
    // Outlook is the truth behind it: to replay is to compare the mailbox with the store.
    let message = failure.message.clone().ok_or("it can be sent again")?;
    assert!(!message.contains("AAMk"), "no event is named");
    office.sends.send(Queue::MailboxTasks, message, Duration::ZERO).await?;
    contoso.pass(minutes(2)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    Ok(())
}

/// How many requests for events were sent to Graph, those within batches included.
fn reads(contoso: &Contoso) -> usize {
    contoso.asked("GET", EVENT).len()
}

#[tokio::test]
async fn an_hour_of_throttling_fails_nothing_and_hardly_asks() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, borealis, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    contoso.pass(minutes(1)).await;
    let end = contoso.now() + hours(1);
    for room in [aurora, borealis] {
        let scope = Scope::Mailbox(room.id().to_owned());
        graph.throttle(scope, Until::Instant(end), 429);
    }
    graph.clear_requests();
    let mut meetings = Vec::new();
    for n in 0..10 {
        let start = crate::contoso::at("2026-11-25T00:00") + hours(n);
        for room in [aurora, borealis] {
            let invitation = Invitation::new("Numbers", start, start + hours(1)).room(room);
            meetings.push((contoso.tenant.meet(ben, invitation)?, room));
            contoso.pass(minutes(2)).await;
        }
    }
    contoso.pass(end.duration_since(contoso.now()) - seconds(1)).await;
    let asked = reads(&contoso);
    assert!(asked <= 4, "once for each room, told to wait until the end: {asked}");
    contoso.pass(hours(1)).await;
    for (meeting, room) in &meetings {
        assert_eq!(meeting.answer_of(room), Some(Response::Accepted));
        contoso.booked(meeting, room).await?;
    }
    contoso.is_well().await
}

#[tokio::test]
async fn an_hour_of_throttling_without_a_word_how_long_is_met_with_patience() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    graph.throttle(Scope::Everything, Until::Requests(100_000), 429);
    graph.clear_requests();
    let mut meetings = Vec::new();
    for n in 0..10 {
        let start = crate::contoso::at("2026-11-25T00:00") + hours(n);
        let invitation = Invitation::new("Numbers", start, start + hours(1)).room(aurora);
        meetings.push(contoso.tenant.meet(ben, invitation)?);
    }
    contoso.pass(hours(1)).await;
    let asked = reads(&contoso);
    assert!(asked < 10 * 15, "each backs off: {asked}");
    graph.end_throttling();
    contoso.pass(hours(2)).await;
    for meeting in &meetings {
        assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    }
    contoso.is_well().await
}

#[tokio::test]
async fn a_throttled_mailbox_delays_no_other() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, borealis, office, .. } = &contoso;
    let until = Until::Instant(contoso.now() + hours(1));
    office.microsoft.graph.throttle(Scope::Mailbox(aurora.id().to_owned()), until, 503);
    let waiting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    let other = contoso.meet(ben, ("09:00", "10:00"), borealis)?;
    contoso.pass(seconds(1)).await;
    contoso.booked(&other, borealis).await?;
    assert_eq!(contoso.booking(&waiting, aurora).await?.map(|b| b.id), None);
    contoso.pass(hours(2)).await;
    contoso.booked(&waiting, aurora).await?;
    contoso.is_well().await
}
