//! How lost nudges are repaired, and what becomes of messages that nobody could work on.

use std::time::Duration;

use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::tables::Table;
use world::exchange::Response;
use world::graph::{Scope, Until};

use crate::contoso::{Contoso, hours, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(what_nobody_understands_ends_among_the_failures);

/// Loses everything in a queue.
fn lose(contoso: &Contoso, queue: Queue) -> usize {
    let outbox = &contoso.office.outbox;
    let taken = outbox.receive(Shelf::Main(queue), 32, Duration::ZERO);
    taken.iter().filter(|taken| outbox.delete(Shelf::Main(queue), &taken.receipt)).count()
}

async fn unsettled(contoso: &Contoso) -> Result<usize, Failure> {
    let due = contoso.rows(Table::Due).await?;
    Ok(due.iter().filter(|row| row.keys.partition.starts_with("unsettled")).count())
}

#[tokio::test]
async fn a_lost_nudge_is_repaired_within_a_quarter_of_an_hour() -> Outcome {
    for lost in [Queue::BookingRequests, Queue::CalendarWrites] {
        let contoso = Contoso::open().await?;
        let Contoso { ben, aurora, office, .. } = &contoso;
        let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
        while contoso.waiting(lost) == 0 {
            office.microsoft.graph.deliver_due().await;
            office.host.pump_once().await;
        }
        assert!(lose(&contoso, lost) > 0);
        // The second look would repair it too.
        office.clock.set(contoso.now() + minutes(2));
        lose(&contoso, Queue::EventChanges);
        contoso.pass(minutes(2)).await;
        assert_ne!(meeting.answer_of(aurora), Some(Response::Accepted));
        assert_eq!(unsettled(&contoso).await?, 1, "something watches it");
        contoso.pass(minutes(11)).await;
        assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted), "{lost:?}");
        assert_eq!(unsettled(&contoso).await?, 0, "all is told, so nothing watches it any more");
        contoso.is_well().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_nudge_that_is_lost_again_and_again_is_sent_again_and_again() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.office.microsoft.graph.deliver_due().await;
    contoso.office.host.pump_once().await;
    for _ in 0..12 {
        contoso.office.clock.set(contoso.now() + minutes(5));
        lose(&contoso, Queue::EventChanges);
        lose(&contoso, Queue::BookingRequests);
        contoso.office.host.run_due_timers().await;
        assert_eq!(unsettled(&contoso).await?, 1);
    }
    contoso.pass(minutes(21)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    assert_eq!(unsettled(&contoso).await?, 0);
    contoso.is_well().await
}

#[tokio::test]
async fn a_booking_is_watched_for_as_long_as_something_is_not_told() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    while contoso.waiting(Queue::CalendarWrites) == 0 {
        office.microsoft.graph.deliver_due().await;
        office.host.pump_once().await;
    }
    let mailbox = Scope::Mailbox(anna.id().to_owned());
    office.microsoft.graph.throttle(mailbox, Until::Requests(1_000), 503);
    contoso.pass(hours(3)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.word(&meeting, anna, aurora)?, None);
    assert!(unsettled(&contoso).await? >= 1);
    office.microsoft.graph.end_throttling();
    contoso.pass(hours(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(unsettled(&contoso).await?, 0);
    contoso.is_well().await
}

async fn what_nobody_understands_ends_among_the_failures(contoso: Contoso) -> Outcome {
    let office = &contoso.office;
    for queue in Queue::ALL {
        office.sends.send(queue, format!("Merger talks {}", queue.name()), Duration::ZERO).await?;
        // The host gives up at the fifth time; its pauses are not what this is about.
        let mut taken = office.host.take_all().await.pop().ok_or("it was sent")?;
        taken.message.dequeue_count = 5;
        office.host.process_message(taken).await;
    }
    assert_eq!(contoso.failures().await?, []);
    contoso.pass(minutes(6)).await;
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), Queue::ALL.len());
    for failure in &failures {
        assert_eq!((&failure.tenant, &failure.message), (&None, &None));
        assert!(!format!("{failure:?}").contains("Merger"), "it could be anything");
    }
    for queue in Queue::ALL {
        assert_eq!(office.sends.poisoned(queue, 32).await?, [], "nothing is left there");
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_ours_that_killed_the_process_can_be_sent_again_from_the_failures() -> Outcome
{
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    office.microsoft.graph.deliver_due().await;
    let taken = office.outbox.receive(Shelf::Main(Queue::EventChanges), 1, Duration::ZERO);
    let killed = taken.first().ok_or("the change was told")?;
    assert!(office.outbox.give_up(Queue::EventChanges, &killed.receipt));
    contoso.pass(minutes(6)).await;
    assert_ne!(meeting.answer_of(aurora), Some(Response::Accepted));
    let failure = contoso.failures().await?.pop().ok_or("it is recorded")?;
    assert_eq!(
        (failure.function.as_str(), failure.tenant),
        ("fetch-event", Some(contoso.tenant_id()?))
    );
    assert_eq!(office.outbox.messages(Shelf::Poison(Queue::EventChanges)), []);
    let message = failure.message.ok_or("it can be sent again")?;
    office.sends.send(Queue::EventChanges, message, Duration::ZERO).await?;
    contoso.pass(seconds(30)).await;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    Ok(())
}
