//! Waiting for others costs no attempts; own failures stop after five; nothing is lost.

use std::time::Duration;

use jiff::SignedDuration;
use roombridge::messages::EventChanges;
use roombridge::messages::Message as _;
use roombridge::queue::Queue;
use world::exchange::{Invitation, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, RequestFault, Scope, ThrottleEnd};
use world::memory::QueueKind;
use world::microsoft::GRAPH_HOST;

use crate::TestResult;
use crate::contoso::{Contoso, hours, minutes, on_both, seconds};

const EVENT: &str = "/users/{id}/events/{id}";

on_both!(an_own_fault_ends_among_the_failures_after_five_tries_and_can_be_replayed);

#[tokio::test]
async fn graphs_retry_after_is_obeyed_to_the_second_and_costs_no_attempt() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    contoso.run_for(minutes(1)).await;
    let throttled_at = contoso.now();
    world.microsoft.graph.throttle(
        Scope::Everything,
        ThrottleEnd::Instant(throttled_at + seconds(120)),
        429,
    );
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.run_until_idle().await;
    let waiting = world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
    let item = EventChanges::from_text(&waiting.first().ok_or("it waits")?.text)?.items.remove(0);
    assert_eq!((item.meta.attempts, item.meta.deferrals), (0, 1));
    contoso.run_for(seconds(121)).await;
    let reads = contoso.audit().await?.into_iter().filter(|call| call.path == EVENT);
    let reads: Vec<_> =
        reads.map(|call| (call.sent_at.duration_since(throttled_at), call.status)).collect();
    assert_eq!(reads[..2], [(SignedDuration::ZERO, 429), (seconds(120), 200)]);
    contoso.run_for(seconds(30)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

/// Three minutes without something, in the middle of work.
async fn run_outage(take_away: impl Fn(&Contoso, bool)) -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, borealis, .. } = &contoso;
    let before = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.world.microsoft.graph.deliver_due().await;
    contoso.world.host.process_all().await;
    take_away(&contoso, true);
    let within = contoso.meet(ben, ("10:00", "11:00"), aurora)?;
    let other = contoso.meet(anna, ("10:00", "11:00"), borealis)?;
    contoso.run_for(minutes(3)).await;
    take_away(&contoso, false);
    contoso.run_for(minutes(30)).await;
    for meeting in [&before, &within] {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    }
    assert_eq!(contoso.outcome_on_copy(&before, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(contoso.outcome_on_copy(&other, anna, borealis)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn three_minutes_without_graph_fail_nothing() -> TestResult {
    run_outage(|contoso, away| contoso.world.microsoft.network.set_down(GRAPH_HOST, away)).await
}

#[tokio::test]
async fn three_minutes_without_tables_fail_nothing() -> TestResult {
    run_outage(|contoso, away| contoso.world.table_faults.set_down(away)).await
}

#[tokio::test]
async fn three_minutes_without_queues_fail_nothing() -> TestResult {
    run_outage(|contoso, away| contoso.world.queue_faults.set_down(away)).await
}

#[tokio::test]
async fn three_minutes_without_tokens_fail_nothing() -> TestResult {
    run_outage(|contoso, away| contoso.world.microsoft.entra.set_outage(away)).await
}

/// Graph rejects our next `times` requests.
fn fail_graph(contoso: &Contoso, method: &'static str, template: &'static str, times: u32) {
    for _ in 0..times {
        contoso.world.microsoft.graph.plan_fault(RequestFault {
            method,
            template,
            nth: 1,
            moment: Fault::Before,
            outcome: Answer::Status(400),
        });
    }
}

async fn an_own_fault_ends_among_the_failures_after_five_tries_and_can_be_replayed(
    contoso: Contoso,
) -> TestResult {
    let Contoso { ben, aurora, world, .. } = &contoso;
    fail_graph(&contoso, "GET", EVENT, 5);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    let met = contoso.now();
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 5, "exactly");
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.attempts), ("fetch-event", 5));
    assert_eq!(failure.subject, aurora.id(), "only the mailbox is named");
    assert!(failure.cause.contains("400"), "{}", failure.cause);
    assert!(failure.first_seen == met && failure.failed_at > met && failure.correlation.is_some());

    // Outlook is the truth behind it: to replay is to compare the mailbox with the store.
    let message = failure.message.clone().ok_or("it can be sent again")?;
    assert!(!message.contains("AAMk"), "no event is named");
    world.raw_outbox.send(Queue::MaintainMailbox, message, Duration::ZERO).await?;
    contoso.run_for(seconds(30)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    Ok(())
}

#[tokio::test]
async fn four_faults_are_not_five() -> TestResult {
    let contoso = Contoso::open().await?;
    fail_graph(&contoso, "GET", EVENT, 4);
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_answer_that_graph_calls_wrong_is_recorded_and_given_once_the_fault_is_gone()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    fail_graph(&contoso, "POST", "/users/{id}/events/{id}/accept", 1_000);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(20)).await;
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.attempts), ("write-back", 5));
    let key = contoso.booking_key(&meeting, aurora)?;
    assert_eq!(failure.subject, format!("{} {}", key.partition(), key.row()));
    // The fault is gone; the entry that watches the booking is still there, and is enough.
    world.microsoft.graph.forget_faults();
    contoso.run_for(minutes(25)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    Ok(())
}

#[tokio::test]
async fn throttling_is_given_up_after_a_day_and_not_before() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    world.microsoft.graph.throttle(Scope::Everything, ThrottleEnd::Requests(100_000), 429);
    let far = ("2026-11-27T09:00", "2026-11-27T10:00");
    let meeting = contoso.meet(ben, far, aurora)?;
    contoso.run_for(hours(23) + minutes(55)).await;
    assert_eq!(contoso.failures().await?, []);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 1, "it waits");
    contoso.run_for(hours(2)).await;
    let failures = contoso.failures().await?;
    let [failure] = failures.as_slice() else { return Err("one failure".into()) };
    assert_eq!((failure.function.as_str(), failure.attempts), ("fetch-event", 0));
    assert!(failure.failed_at.duration_since(failure.first_seen) >= hours(24));
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    let asked = contoso.graph_requests("GET", EVENT).len();
    assert!((20..45).contains(&asked), "about once an hour: {asked}");

    world.microsoft.graph.end_throttling();
    // Outlook is the truth behind it: to replay is to compare the mailbox with the store.
    let message = failure.message.clone().ok_or("it can be sent again")?;
    assert!(!message.contains("AAMk"), "no event is named");
    world.raw_outbox.send(Queue::MaintainMailbox, message, Duration::ZERO).await?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    Ok(())
}

/// How many requests for events were sent to Graph, those within batches included.
fn event_requests(contoso: &Contoso) -> usize {
    contoso.graph_requests("GET", EVENT).len()
}

#[tokio::test]
async fn an_hour_of_throttling_fails_nothing_and_hardly_asks() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, borealis, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    contoso.run_for(minutes(1)).await;
    let end = contoso.now() + hours(1);
    for room in [aurora, borealis] {
        let scope = Scope::Mailbox(room.id().to_owned());
        graph.throttle(scope, ThrottleEnd::Instant(end), 429);
    }
    graph.clear_requests();
    let mut meetings = Vec::new();
    for n in 0..10 {
        let start = crate::contoso::at("2026-11-25T00:00") + hours(n);
        for room in [aurora, borealis] {
            let invitation = Invitation::new("Numbers", start, start + hours(1)).room(room);
            meetings.push((contoso.tenant.meet(ben, invitation)?, room));
            contoso.run_for(minutes(2)).await;
        }
    }
    contoso.run_for(end.duration_since(contoso.now()) - seconds(1)).await;
    let asked = event_requests(&contoso);
    assert!(asked <= 4, "once for each room, as Graph said to wait until the end: {asked}");
    contoso.run_for(hours(1)).await;
    for (meeting, room) in &meetings {
        assert_eq!(meeting.response_of(room), Some(Response::Accepted));
        contoso.expect_booking(meeting, room).await?;
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_hour_of_throttling_without_retry_after_is_met_with_backoff() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.throttle(Scope::Everything, ThrottleEnd::Requests(100_000), 429);
    graph.clear_requests();
    let mut meetings = Vec::new();
    for n in 0..10 {
        let start = crate::contoso::at("2026-11-25T00:00") + hours(n);
        let invitation = Invitation::new("Numbers", start, start + hours(1)).room(aurora);
        meetings.push(contoso.tenant.meet(ben, invitation)?);
    }
    contoso.run_for(hours(1)).await;
    let asked = event_requests(&contoso);
    assert!(asked < 10 * 15, "each backs off: {asked}");
    graph.end_throttling();
    contoso.run_for(hours(2)).await;
    for meeting in &meetings {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_throttled_mailbox_delays_no_other() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, borealis, world, .. } = &contoso;
    let until = ThrottleEnd::Instant(contoso.now() + hours(1));
    world.microsoft.graph.throttle(Scope::Mailbox(aurora.id().to_owned()), until, 503);
    let waiting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    let other = contoso.meet(ben, ("09:00", "10:00"), borealis)?;
    contoso.run_for(seconds(1)).await;
    contoso.expect_booking(&other, borealis).await?;
    assert_eq!(contoso.booking(&waiting, aurora).await?.map(|b| b.id), None);
    contoso.run_for(hours(2)).await;
    contoso.expect_booking(&waiting, aurora).await?;
    contoso.assert_healthy().await
}
