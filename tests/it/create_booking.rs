//! How bookings are made, moved, refused and ended, by one worker or several, killed or not.

use std::time::Duration;

use futures::poll;
use roombridge::domain::booking::ObservedState;
use roombridge::domain::ids::CorrelationId;
use roombridge::messages::{BookingTask, JobMeta, MailboxTaskKind, Message};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Meeting, Recurrence, Response};
use world::graph::Scope;
use world::host::DequeuedMessage;

use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

const DAY: &str = "2026-11-24";
const EVENT: &str = "/users/{id}/events/{id}";
const DECLINE: &str = "/users/{id}/events/{id}/decline";

on_both!(
    nobody_is_refused_before_the_holder_is_checked,
    a_room_removed_and_requested_again_is_booked_again,
    two_workers_on_one_request_make_one_booking,
);

/// A booked meeting of Anna's in Aurora, 09:00 to 10:00.
async fn book_meeting(contoso: &Contoso) -> Result<Meeting, TestError> {
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    Ok(meeting)
}

/// The starts of what is taken of Aurora on Tuesday.
async fn booked_starts(contoso: &Contoso) -> Result<Vec<jiff::Timestamp>, TestError> {
    let taken = contoso.ledger_slots(&contoso.aurora, DAY).await?;
    Ok(taken.iter().map(|slot| slot.interval.start()).collect())
}

async fn nobody_is_refused_before_the_holder_is_checked(contoso: Contoso) -> TestResult {
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    book_meeting(&contoso).await?;
    world.microsoft.graph.clear_requests();
    let rival = contoso.meet(cleo, ("09:30", "10:30"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(rival.response_of(aurora), Some(Response::Declined));
    let refused = contoso.outcome_on_copy(&rival, cleo, aurora)?;
    assert_eq!(refused.as_deref(), Some("refused: conflict"));
    let asked = world.microsoft.graph.requests();
    let holder_read =
        asked.iter().position(|s| s.template == EVENT && s.mailbox.as_deref() == Some(anna.id()));
    let answer = asked.iter().position(|s| s.template == DECLINE);
    assert!(holder_read.ok_or("the holder was read")? < answer.ok_or("declined")?);
    assert_eq!(contoso.graph_requests("POST", DECLINE).len(), 1);
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_waits_for_a_cancelled_holder_gets_the_room() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { cleo, aurora, world, .. } = &contoso;
    let holder = book_meeting(&contoso).await?;
    world.microsoft.graph.drop_next(1_000);
    holder.cancel()?;
    world.run_until_idle().await;
    world.microsoft.graph.drop_next(0);
    let rival = contoso.meet(cleo, ("09:30", "10:30"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(rival.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.graph_requests("POST", DECLINE), []);
    assert_eq!(booked_starts(&contoso).await?, [at("09:30")]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_across_midnight_claims_both_days() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let late = contoso.meet(anna, ("23:00", "2026-11-25T01:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    for (start, end) in [("22:30", "23:30"), ("2026-11-25T00:30", "2026-11-25T02:00")] {
        let rival = contoso.meet(cleo, (start, end), aurora)?;
        contoso.run_for(minutes(2)).await;
        assert_eq!(rival.response_of(aurora), Some(Response::Declined));
    }
    let before = contoso.meet(cleo, ("22:00", "23:00"), aurora)?;
    let after = contoso.meet(cleo, ("2026-11-25T01:00", "2026-11-25T02:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    for meeting in [&late, &before, &after] {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    }
    late.cancel()?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(booked_starts(&contoso).await?, [at("22:00")]);
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-25").await?.len(), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_booking_longer_than_ninety_days_is_refused_with_its_reason() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, .. } = &contoso;
    for (days, answer, outcome) in
        [(91, Response::Declined, "refused: too long"), (90, Response::Accepted, "booked")]
    {
        let (start, end) = (at("09:00"), at("09:00") + hours(24 * days));
        let long = tenant.meet(anna, Invitation::new("Works", start, end).room(aurora))?;
        contoso.run_for(minutes(2)).await;
        assert_eq!(long.response_of(aurora), Some(answer), "{days}");
        assert_eq!(contoso.outcome_on_copy(&long, anna, aurora)?.as_deref(), Some(outcome));
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_moved_within_its_room_keeps_one_claim_and_is_answered_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { aurora, world, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    meeting.move_to(at("09:30"), at("10:30"))?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(booked_starts(&contoso).await?, [at("09:30")]);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(world.microsoft.exchange.responses_from(meeting.ical(), aurora).len(), 2);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_moved_onto_another_is_refused_and_frees_its_old_time() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    contoso.meet(cleo, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    meeting.move_to(at("11:30"), at("12:30"))?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Declined));
    assert_eq!(
        contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(),
        Some("refused: conflict")
    );
    assert_eq!(booked_starts(&contoso).await?, [at("11:00")], "09:00 is free again");

    // Moved on to a free time, the organizer asks again and gets it.
    meeting.move_to(at("13:00"), at("14:00"))?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

async fn a_room_removed_and_requested_again_is_booked_again(contoso: Contoso) -> TestResult {
    let Contoso { aurora, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    let first = contoso.expect_booking(&meeting, aurora).await?;
    meeting.change_rooms(&[])?;
    contoso.run_for(minutes(2)).await;
    let ended = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!((ended.observed, booked_starts(&contoso).await?), (ObservedState::Nothing, vec![]));
    meeting.change_rooms(&[aurora])?;
    contoso.run_for(minutes(2)).await;
    let again = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!((again.id, again.generation), (first.id, first.generation + 1));
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

/// The organizer takes Aurora off and invites it again for the same time; each is read.
async fn invite_aurora_again(contoso: &Contoso, meeting: &Meeting) -> TestResult {
    meeting.change_rooms(&[])?;
    contoso.run_for(minutes(5)).await;
    meeting.change_rooms(&[&contoso.aurora])?;
    contoso.run_for(minutes(10)).await;
    Ok(())
}

#[tokio::test]
async fn without_the_rooms_calendar_a_refused_room_that_is_invited_again_is_decided_again()
-> TestResult {
    let contoso = Contoso::open_without_rooms().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let holder = contoso.meet(cleo, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Declined));
    invite_aurora_again(&contoso, &meeting).await?;
    assert_eq!(meeting.response_of(aurora), Some(Response::Declined), "it is still taken");
    holder.cancel()?;
    contoso.run_for(minutes(5)).await;
    invite_aurora_again(&contoso, &meeting).await?;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn without_the_rooms_calendar_a_booked_room_that_is_invited_again_answers_again() -> TestResult
{
    let contoso = Contoso::open_without_rooms().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    for answers in [2, 3] {
        invite_aurora_again(&contoso, &meeting).await?;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        let given = world.microsoft.exchange.responses_from(meeting.ical(), aurora);
        assert_eq!(given.len(), answers);
    }
    // And after it was a series for a while.
    meeting.repeat(Recurrence::daily())?;
    contoso.run_for(minutes(5)).await;
    let date = contoso.ledger_slots(aurora, "2026-11-24").await?;
    assert_eq!(date.len(), 1);
    meeting.repeat_no_more()?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_is_moved_away_and_back_unseen_is_answered_again() -> TestResult {
    for notifications_lost in [false, true] {
        let contoso = Contoso::open().await?;
        let Contoso { aurora, world, .. } = &contoso;
        let meeting = book_meeting(&contoso).await?;
        world.microsoft.graph.set_dropping(&Scope::Everything, notifications_lost);
        meeting.move_to(at("11:00"), at("12:00"))?;
        meeting.move_to(at("09:00"), at("10:00"))?;
        contoso.run_for(minutes(5)).await;
        if notifications_lost {
            assert_eq!(meeting.response_of(aurora), Some(Response::None));
            world.microsoft.graph.set_dropping(&Scope::Everything, false);
            world.fixtures().send_task(aurora, MailboxTaskKind::Resync).await?;
            contoso.run_for(minutes(5)).await;
        }
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        let answers = world.microsoft.exchange.responses_from(meeting.ical(), aurora);
        assert_eq!(answers.len(), 2, "{notifications_lost}");
        assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_meeting_that_stays_tentative_is_answered_once_more_and_no_further() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let event = meeting.copy_in(aurora).ok_or("the room has a copy")?.event;
    aurora.show_field(&event, "showAs", serde_json::json!("tentative"));
    contoso.run_for(minutes(30)).await;
    world.fixtures().send_task(aurora, MailboxTaskKind::Resync).await?;
    meeting.rename("Other numbers")?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(world.microsoft.exchange.responses_from(meeting.ical(), aurora).len(), 2);
    contoso.assert_healthy().await
}

async fn two_workers_on_one_request_make_one_booking(contoso: Contoso) -> TestResult {
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    let (first, second) = (
        contoso.meet(anna, ("09:00", "10:00"), aurora)?,
        contoso.meet(cleo, ("09:30", "10:30"), aurora)?,
    );
    // Each change is notified twice, and all messages are processed at once.
    world.microsoft.graph.duplicate_next(100);
    for _ in 0..10 {
        world.microsoft.graph.deliver_due().await;
        world.host.process_all_concurrently().await;
    }
    contoso.run_for(minutes(3)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 2);
    assert_eq!(booked_starts(&contoso).await?.len(), 1);
    let mut answers = [&first, &second].map(|meeting| meeting.response_of(aurora));
    answers.sort();
    assert_eq!(answers, [Some(Response::Accepted), Some(Response::Declined)]);
    contoso.assert_healthy().await
}

/// The request to book the meeting, taken by a worker.
async fn dequeue_booking_job(
    contoso: &Contoso,
    meeting: &Meeting,
) -> Result<DequeuedMessage, TestError> {
    let meta = JobMeta::new(CorrelationId(7), contoso.now());
    let key = contoso.booking_key(meeting, &contoso.aurora)?;
    let job = BookingTask::of(key, meta);
    let (queue, text) = (Queue::CreateBooking, job.to_text());
    contoso.world.raw_outbox.send(queue, text, Duration::ZERO).await?;
    let all = contoso.world.host.dequeue_all().await;
    let found = all.into_iter().find(|taken| taken.function == "create-booking");
    found.ok_or_else(|| "nothing was asked for".into())
}

/// Kills the worker that does what is missing for `meeting` at its `n`th call of the tables; whether
/// it came that far.
async fn kill_at(contoso: &Contoso, meeting: &Meeting, n: usize) -> Result<bool, TestError> {
    let taken = dequeue_booking_job(contoso, meeting).await?;
    contoso.world.table_faults.reset();
    contoso.world.table_faults.hang_call(n);
    let mut worker = Box::pin(contoso.world.host.process_message(taken));
    let died = loop {
        let worked = poll!(&mut worker);
        if worked.is_ready() || contoso.world.table_faults.has_hung() {
            break worked.is_pending();
        }
        tokio::task::yield_now().await;
    };
    drop(worker);
    contoso.world.table_faults.reset();
    Ok(died)
}

#[tokio::test]
async fn the_work_of_a_killed_worker_is_taken_over_and_finished() -> TestResult {
    for n in 0.. {
        let contoso = Contoso::open().await?;
        let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
        run_until_booking_requested(&contoso).await;
        if !kill_at(&contoso, &meeting, n).await? {
            assert_eq!(n, 5, "the calls of a booking");
            return Ok(());
        }
        contoso.run_for(minutes(30)).await;
        assert_eq!(booked_starts(&contoso).await?, [at("09:00")], "killed at {n}");
        assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted), "killed at {n}");
        assert_eq!(contoso.expect_booking(&meeting, &contoso.aurora).await?.intent, None);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

/// Runs until a message for `create-booking` is sent, and not a step further.
async fn run_until_booking_requested(contoso: &Contoso) {
    contoso.world.microsoft.graph.deliver_due().await;
    contoso.world.host.process_all().await;
}

#[tokio::test]
async fn a_move_by_a_killed_worker_leaves_one_claim() -> TestResult {
    for n in 0.. {
        let contoso = Contoso::open().await?;
        let meeting = book_meeting(&contoso).await?;
        meeting.move_to(at("14:00"), at("15:00"))?;
        run_until_booking_requested(&contoso).await;
        if !kill_at(&contoso, &meeting, n).await? {
            return Ok(());
        }
        // It is moved again before another worker takes over.
        meeting.move_to(at("16:00"), at("17:00"))?;
        contoso.run_for(minutes(30)).await;
        assert_eq!(booked_starts(&contoso).await?, [at("16:00")], "killed at {n}");
        assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted), "killed at {n}");
        meeting.cancel()?;
        contoso.run_for(minutes(5)).await;
        assert_eq!(booked_starts(&contoso).await?, [], "killed at {n}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lease_is_respected_while_it_lasts() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    run_until_booking_requested(&contoso).await;
    // Tenant, booking, ledger, then the intent: killed right after it.
    let mut n = 3;
    while contoso.expect_booking(&meeting, &contoso.aurora).await?.intent.is_none() {
        assert!(kill_at(&contoso, &meeting, n).await?);
        n += 1;
    }
    contoso.run_for(minutes(8)).await;
    assert_eq!(booked_starts(&contoso).await?, [], "the other one may still be at it");
    contoso.run_for(minutes(7)).await;
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    contoso.run_for(seconds(30)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

/// Each wants what the other still has. A booking that kept its old time while it
/// waits would wait for ever.
#[tokio::test]
async fn two_meetings_that_swap_times_are_both_booked() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    let first = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let second = contoso.meet(cleo, ("10:00", "11:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    world.microsoft.graph.set_on_hold(true);
    first.move_to(at("10:00"), at("11:00"))?;
    second.move_to(at("09:00"), at("10:00"))?;
    world.microsoft.graph.set_on_hold(false);
    contoso.run_for(minutes(3)).await;
    assert_eq!(first.response_of(aurora), Some(Response::Accepted));
    assert_eq!(second.response_of(aurora), Some(Response::Accepted));
    assert_eq!(booked_starts(&contoso).await?.len(), 2);
    contoso.assert_healthy().await
}
