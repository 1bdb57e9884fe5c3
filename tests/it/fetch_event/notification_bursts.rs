//! One change comes as several notifications: it is read once in a process, and none is
//! skipped that was not handled.

use std::time::Duration;

use roombridge::domain::ids::CorrelationId;
use roombridge::domain::keys::Digest;
use roombridge::messages::{EventChange, EventChanges, JobMeta, Message as _, Origin};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, RequestFault};
use world::memory::QueueKind;

use super::{BATCH, EVENT};
use crate::TestResult;
use crate::contoso::{Contoso, at, minutes, seconds};

/// Anna makes an appointment without a room, and each of its four notifications has a POST of its
/// own; they are accepted, and not processed.
async fn four_posts(contoso: &Contoso) -> TestResult {
    let Contoso { tenant, anna, world, .. } = contoso;
    let graph = &world.microsoft.graph;
    graph.set_max_items_per_post(1);
    tenant.meet(anna, Invitation::new("Dentist", at("09:00"), at("10:00")))?;
    graph.clear_requests();
    assert_eq!(graph.deliver_due().await.posts.len(), 4);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 4);
    Ok(())
}

#[tokio::test]
async fn a_burst_of_four_in_four_posts_costs_one_read_one_after_the_other() -> TestResult {
    let contoso = Contoso::open().await?;
    four_posts(&contoso).await?;
    contoso.world.table_faults.reset();
    contoso.world.host.process_all().await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1);
    let calls = contoso.world.table_faults.count();
    assert!(calls <= 5, "those that are passed over read no row either: {calls}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn and_all_at_once_too() -> TestResult {
    let contoso = Contoso::open().await?;
    four_posts(&contoso).await?;
    contoso.world.host.process_all_concurrently().await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_repeat_after_ten_minutes_is_read_again() -> TestResult {
    let contoso = Contoso::open().await?;
    four_posts(&contoso).await?;
    let messages = contoso.world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
    let text = messages.first().ok_or("four wait")?.text.clone();
    for (pause, reads) in [(0, 1), (9, 1), (2, 2)] {
        contoso.run_for(minutes(pause)).await;
        contoso.world.raw_outbox.send(Queue::FetchEvent, text.clone(), Duration::ZERO).await?;
        contoso.world.host.process_all().await;
        assert_eq!(contoso.graph_requests("GET", EVENT).len(), reads);
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn after_a_failed_read_the_next_notification_reads_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.set_max_items_per_post(1);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    graph.plan_fault(RequestFault {
        method: "GET",
        template: EVENT,
        nth: 1,
        moment: Fault::Before,
        outcome: Answer::Status(500),
    });
    graph.clear_requests();
    graph.deliver_due().await;
    world.host.process_all().await;
    let reads = contoso.graph_requests("GET", EVENT);
    assert_eq!(reads.len(), 2, "the second notification reads, the third and fourth need not");
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_change_that_was_read_but_not_sent_on_is_read_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.set_max_items_per_post(1);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    graph.clear_requests();
    graph.deliver_due().await;
    // The message to create-booking is lost, and the invocation with it.
    world.queue_faults.fail_next(Fault::Before);
    world.host.process_all().await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 2, "not believed to be handled");
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_newer_version_is_read_whatever_was_handled_before() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(5)).await;
    for start in ["11:00", "12:00", "11:00"] {
        let start = at(start);
        meeting.move_to(start, start + minutes(60))?;
        contoso.run_for(seconds(5)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(super::wanted_facts(&booking)?.interval.start(), start);
    }
    meeting.cancel()?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn items_of_one_event_in_one_message_are_read_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    let nonce = contoso.mailbox(anna).await?.nonce.ok_or("subscribed")?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    let meta = JobMeta::new(CorrelationId(1), contoso.now());
    let refetch = EventChange::refetch(anna.id().parse()?, event.parse()?, meta);
    let change = |version: u128| {
        let version = Some(Digest(version));
        let origin = Origin::Notification { nonce, deleted: false, version };
        EventChange { origin, ..refetch.clone() }
    };
    let items = vec![change(1), change(2), change(2), change(1)];
    let message = EventChanges { tenant: contoso.tenant_id()?, items };
    world.microsoft.graph.clear_requests();
    world.raw_outbox.send(Queue::FetchEvent, message.to_text(), Duration::ZERO).await?;
    world.host.process_all().await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1);
    assert_eq!(contoso.graph_requests("POST", BATCH).len(), 0);
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    contoso.assert_healthy().await
}
