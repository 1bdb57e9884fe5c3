//! How lost messages are sent again, and what becomes of messages that nobody could process.

use std::time::Duration;

use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use world::exchange::Response;
use world::graph::{Scope, ThrottleEnd};
use world::memory::QueueKind;

use crate::contoso::{Contoso, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(an_unreadable_message_ends_among_the_failures);

/// Loses everything in a queue.
fn lose_messages(contoso: &Contoso, queue: Queue) -> usize {
    let outbox = &contoso.world.memory_outbox;
    let taken = outbox.receive(QueueKind::Main(queue), 32, Duration::ZERO);
    taken.iter().filter(|taken| outbox.delete(QueueKind::Main(queue), &taken.receipt)).count()
}

async fn unsettled_count(contoso: &Contoso) -> Result<usize, TestError> {
    let due = contoso.rows(Table::Due).await?;
    Ok(due.iter().filter(|row| row.key.partition.starts_with("unsettled")).count())
}

#[tokio::test]
async fn a_lost_message_is_sent_again_within_a_quarter_of_an_hour() -> TestResult {
    for lost in [Queue::CreateBooking, Queue::WriteBack] {
        let contoso = Contoso::open().await?;
        let Contoso { ben, aurora, world, .. } = &contoso;
        let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
        while contoso.queue_len(lost) == 0 {
            world.microsoft.graph.deliver_due().await;
            world.host.process_all().await;
        }
        assert!(lose_messages(&contoso, lost) > 0);
        // The second read would repair it too.
        world.clock.set(contoso.now() + minutes(2));
        lose_messages(&contoso, Queue::FetchEvent);
        contoso.run_for(minutes(2)).await;
        assert_ne!(meeting.response_of(aurora), Some(Response::Accepted));
        assert_eq!(unsettled_count(&contoso).await?, 1, "it has a due entry");
        contoso.run_for(minutes(11)).await;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "{lost:?}");
        assert_eq!(
            unsettled_count(&contoso).await?,
            0,
            "all is published, so it has no due entry any more"
        );
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_lost_repeatedly_is_sent_repeatedly() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.world.microsoft.graph.deliver_due().await;
    contoso.world.host.process_all().await;
    for _ in 0..12 {
        contoso.world.clock.set(contoso.now() + minutes(5));
        lose_messages(&contoso, Queue::FetchEvent);
        lose_messages(&contoso, Queue::CreateBooking);
        contoso.world.host.run_due_timers().await;
        assert_eq!(unsettled_count(&contoso).await?, 1);
    }
    contoso.run_for(minutes(21)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_booking_keeps_its_due_entry_until_everything_is_published() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    while contoso.queue_len(Queue::WriteBack) == 0 {
        world.microsoft.graph.deliver_due().await;
        world.host.process_all().await;
    }
    let mailbox = Scope::Mailbox(anna.id().to_owned());
    world.microsoft.graph.throttle(mailbox, ThrottleEnd::Requests(1_000), 503);
    contoso.run_for(hours(3)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_property(&meeting, anna, aurora)?, None);
    assert!(unsettled_count(&contoso).await? >= 1);
    world.microsoft.graph.end_throttling();
    contoso.run_for(hours(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(unsettled_count(&contoso).await?, 0);
    contoso.assert_healthy().await
}

async fn an_unreadable_message_ends_among_the_failures(contoso: Contoso) -> TestResult {
    let world = &contoso.world;
    for queue in Queue::ALL {
        world
            .raw_outbox
            .send(queue, format!("Merger talks {}", queue.name()), Duration::ZERO)
            .await?;
        // The host gives up at the fifth time; its pauses are not what this is about.
        let mut taken = world.host.dequeue_all().await.pop().ok_or("it was sent")?;
        taken.message.dequeue_count = 5;
        world.host.process_message(taken).await;
    }
    assert_eq!(contoso.failures().await?, []);
    contoso.run_for(minutes(6)).await;
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), Queue::ALL.len());
    for failure in &failures {
        assert_eq!((&failure.tenant, &failure.message), (&None, &None));
        assert!(!format!("{failure:?}").contains("Merger"), "it could be anything");
    }
    for queue in Queue::ALL {
        assert_eq!(
            world.raw_outbox.receive_poisoned(queue, 32).await?,
            [],
            "nothing is left there"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_ours_that_killed_the_process_can_be_sent_again_from_the_failures()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.microsoft.graph.deliver_due().await;
    let taken = world.memory_outbox.receive(QueueKind::Main(Queue::FetchEvent), 1, Duration::ZERO);
    let killed = taken.first().ok_or("the change was notified")?;
    assert!(world.memory_outbox.move_to_poison(Queue::FetchEvent, &killed.receipt));
    contoso.run_for(minutes(6)).await;
    assert_ne!(meeting.response_of(aurora), Some(Response::Accepted));
    let failure = contoso.failures().await?.pop().ok_or("it is recorded")?;
    assert_eq!(
        (failure.function.as_str(), failure.tenant),
        ("fetch-event", Some(contoso.tenant_id()?))
    );
    assert_eq!(world.memory_outbox.messages(QueueKind::Poison(Queue::FetchEvent)), []);
    let message = failure.message.ok_or("it can be sent again")?;
    world.raw_outbox.send(Queue::FetchEvent, message, Duration::ZERO).await?;
    contoso.run_for(seconds(30)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    Ok(())
}
