//! A room that another meeting holds: nobody is refused before that meeting was read in Outlook, however
//! long Microsoft holds up the reading, and nobody waits for it until it is too late.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use world::exchange::{Mailbox, Meeting, Response};
use world::graph::{Refusal, Scope, ThrottleEnd};
use world::memory::QueueKind;

use crate::contoso::{Contoso, Who, at, hours, minutes, seconds};
use crate::{TestError, TestResult};

const DAY: &str = "2026-11-24";
const EVENT: &str = "/users/{id}/events/{id}";
const NINE: (&str, &str) = ("09:00", "10:00");

/// The calendars of three people are followed and no room's: a holder is known by its organizer's copy.
async fn open() -> Result<Contoso, TestError> {
    let followed = [Who::Anna, Who::Ben, Who::Cleo, Who::Aurora];
    let contoso = Contoso::builder().followed(&followed).open().await?;
    contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
    contoso.run_for(minutes(5)).await;
    Ok(contoso)
}

/// Anna holds the room, and nothing will say that she does no longer.
async fn hold(contoso: &Contoso, time: (&str, &str)) -> Result<Meeting, TestError> {
    let Contoso { anna, aurora, .. } = contoso;
    let holder = contoso.meet(anna, time, aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(holder.response_of(aurora), Some(Response::Accepted));
    silence(contoso, anna);
    Ok(holder)
}

fn silence(contoso: &Contoso, mailbox: &Mailbox) {
    contoso.world.microsoft.graph.set_dropping(&Scope::Mailbox(mailbox.id().to_owned()), true);
}

fn throttle(contoso: &Contoso, mailbox: &Mailbox, duration: SignedDuration) {
    let until = ThrottleEnd::Instant(contoso.now() + duration);
    contoso.world.microsoft.graph.throttle(Scope::Mailbox(mailbox.id().to_owned()), until, 429);
}

/// How often Anna's meetings were asked for.
fn reads_of(contoso: &Contoso, mailbox: &Mailbox) -> usize {
    let mut reads = contoso.graph_requests("GET", EVENT);
    reads.retain(|request| request.mailbox.as_deref() == Some(mailbox.id()));
    reads.len()
}

async fn booked_starts(contoso: &Contoso) -> Result<Vec<Timestamp>, TestError> {
    let taken = contoso.ledger_slots(&contoso.aurora, DAY).await?;
    Ok(taken.iter().map(|slot| slot.interval.start()).collect())
}

/// Runs until the room has answered, and returns how long that took.
async fn wait_for_answer(
    contoso: &Contoso,
    meeting: &Meeting,
    at_most: SignedDuration,
) -> Result<(SignedDuration, Response), TestError> {
    let began = contoso.now();
    while contoso.now() < began + at_most {
        let answer = meeting.response_of(&contoso.aurora);
        if let Some(answer @ (Response::Accepted | Response::Declined)) = answer {
            return Ok((contoso.now().duration_since(began), answer));
        }
        contoso.run_for(seconds(10)).await;
    }
    Err("the room has not answered".into())
}

#[tokio::test]
async fn a_newcomer_gets_the_room_that_turns_out_to_be_free_once_the_holder_can_be_read()
-> TestResult {
    for wait in [60, 600] {
        let contoso = open().await?;
        let Contoso { anna, cleo, aurora, world, .. } = &contoso;
        let holder = hold(&contoso, NINE).await?;
        throttle(&contoso, anna, seconds(wait));
        world.microsoft.graph.clear_requests();
        let newcomer = contoso.meet(cleo, NINE, aurora)?;
        contoso.run_for(seconds(40)).await;
        assert_eq!(newcomer.response_of(aurora), Some(Response::None), "{wait}");
        holder.cancel()?;
        contoso.run_for(seconds(wait - 40)).await;
        assert!(reads_of(&contoso, anna) <= 4, "{wait}");
        let (took, answer) = wait_for_answer(&contoso, &newcomer, minutes(2)).await?;
        assert_eq!(answer, Response::Accepted, "{wait} and {took}");
        assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newcomer_is_refused_once_the_holder_was_read_and_stays() -> TestResult {
    for (wait, earliest, latest) in [(0, 20, 40), (60, 60, 90), (600, 600, 660)] {
        let contoso = open().await?;
        let Contoso { anna, cleo, aurora, .. } = &contoso;
        hold(&contoso, NINE).await?;
        throttle(&contoso, anna, seconds(wait));
        let newcomer = contoso.meet(cleo, NINE, aurora)?;
        let (took, answer) = wait_for_answer(&contoso, &newcomer, minutes(30)).await?;
        assert_eq!(answer, Response::Declined);
        assert!((seconds(earliest)..=seconds(latest)).contains(&took), "{wait}: {took}");
        let outcome = contoso.outcome_on_copy(&newcomer, cleo, aurora)?;
        assert_eq!(outcome.as_deref(), Some("refused: conflict"));
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newcomer_waits_no_longer_than_a_day_or_half_of_the_time_until_the_meeting() -> TestResult
{
    let monday = |time: &str| format!("2026-11-23T{time}");
    let cases = [
        // It is 08:10 by then.
        (monday("09:10"), monday("10:10"), minutes(28), minutes(33)),
        ("09:00".to_owned(), "10:00".to_owned(), hours(12), hours(13)),
        (
            "2026-11-30T09:00".to_owned(),
            "2026-11-30T10:00".to_owned(),
            hours(24),
            hours(24) + minutes(3),
        ),
    ];
    for (start, end, earliest, latest) in cases {
        let contoso = open().await?;
        let Contoso { anna, cleo, aurora, .. } = &contoso;
        hold(&contoso, (&start, &end)).await?;
        throttle(&contoso, anna, hours(30));
        let newcomer = contoso.meet(cleo, (&start, &end), aurora)?;
        let (took, answer) = wait_for_answer(&contoso, &newcomer, hours(29)).await?;
        assert_eq!(answer, Response::Declined);
        assert!((earliest..=latest).contains(&took), "{start}: {took}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_newcomer_whose_meeting_is_edited_meanwhile_waits_no_longer() -> TestResult {
    let contoso = open().await?;
    let Contoso { anna, ben, cleo, aurora, .. } = &contoso;
    let time = ("2026-11-30T09:00", "2026-11-30T10:00");
    hold(&contoso, time).await?;
    throttle(&contoso, anna, hours(30));
    let (met, newcomer) = (contoso.now(), contoso.meet(cleo, time, aurora)?);
    for (pause, people) in [(minutes(6), vec![ben]), (hours(12), vec![ben, anna])] {
        contoso.run_for(pause).await;
        newcomer.change_people(&people)?;
    }
    wait_for_answer(&contoso, &newcomer, hours(20)).await?;
    let took = contoso.now().duration_since(met);
    assert!((hours(24)..=hours(24) + minutes(6)).contains(&took), "{took}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_read_of_the_holder_that_is_lost_or_fails_is_repeated_by_the_due_entry() -> TestResult {
    for lost in [true, false] {
        let contoso = open().await?;
        let Contoso { anna, cleo, aurora, world, .. } = &contoso;
        let holder = hold(&contoso, NINE).await?;
        if !lost {
            world.microsoft.graph.refuse(Refusal {
                method: "GET",
                template: EVENT,
                mailbox: anna.id().to_owned(),
                event: None,
                status: 400,
                code: "ErrorInvalidRequest",
            });
        }
        let (met, newcomer) = (contoso.now(), contoso.meet(cleo, NINE, aurora)?);
        holder.cancel()?;
        if lost {
            lose_read_of_holder(&contoso).await?;
        }
        contoso.run_for(minutes(4) - contoso.now().duration_since(met)).await;
        assert_eq!(newcomer.response_of(aurora), Some(Response::None));
        assert_eq!(contoso.failures().await?.len(), usize::from(!lost));
        world.microsoft.graph.end_refusals();
        let (_, answer) = wait_for_answer(&contoso, &newcomer, minutes(10)).await?;
        assert_eq!(answer, Response::Accepted);
        assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    }
    Ok(())
}

/// Loses the messages of the first minutes that ask for the holder. They wait for seconds before they
/// can be received.
async fn lose_read_of_holder(contoso: &Contoso) -> TestResult {
    let outbox = &contoso.world.memory_outbox;
    let (queue, mut lost) = (QueueKind::Main(Queue::FetchEvent), 0);
    for _ in 0..180 {
        contoso.world.run_until_idle().await;
        if outbox.messages(queue).iter().any(|message| message.text.contains("awaited_by")) {
            let now = contoso.now();
            let visible = outbox.next_visible_at(queue).ok_or("it waits")?;
            contoso.world.clock.set(visible.max(now));
            for message in outbox.receive(queue, 32, Duration::from_millis(1)) {
                if message.text.contains("awaited_by") {
                    lost += usize::from(outbox.delete(queue, &message.receipt));
                }
            }
        }
        contoso.run_for(seconds(1)).await;
    }
    assert!(lost > 0, "the holder was asked for");
    Ok(())
}

#[tokio::test]
async fn of_two_who_wait_for_one_holder_one_gets_the_room() -> TestResult {
    let contoso = open().await?;
    let Contoso { anna, ben, cleo, aurora, .. } = &contoso;
    let holder = hold(&contoso, NINE).await?;
    throttle(&contoso, anna, seconds(60));
    let newcomers = [contoso.meet(ben, NINE, aurora)?, contoso.meet(cleo, NINE, aurora)?];
    contoso.run_for(seconds(30)).await;
    holder.cancel()?;
    contoso.run_for(minutes(5)).await;
    let mut answers = newcomers.map(|meeting| meeting.response_of(aurora));
    answers.sort();
    assert_eq!(answers, [Some(Response::Accepted), Some(Response::Declined)]);
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn of_two_holders_of_one_time_each_is_read_before_anybody_is_refused() -> TestResult {
    let contoso = open().await?;
    let Contoso { ben, cleo, aurora, .. } = &contoso;
    let later = contoso.meet(ben, ("10:00", "11:00"), aurora)?;
    let earlier = hold(&contoso, NINE).await?;
    silence(&contoso, ben);
    earlier.cancel()?;
    later.cancel()?;
    let newcomer = contoso.meet(cleo, ("09:30", "10:30"), aurora)?;
    contoso.run_for(minutes(3)).await;
    assert_eq!(newcomer.response_of(aurora), Some(Response::Accepted));
    assert_eq!(booked_starts(&contoso).await?, [at("09:30")]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_waits_for_a_holder_does_not_keep_the_time_it_was_moved_from() -> TestResult
{
    let contoso = open().await?;
    let Contoso { anna, ben, cleo, aurora, .. } = &contoso;
    let holder = hold(&contoso, NINE).await?;
    let moved = contoso.meet(cleo, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    throttle(&contoso, anna, minutes(30));
    moved.move_to(at("09:00"), at("10:00"))?;
    contoso.run_for(minutes(10)).await;
    let successor = contoso.meet(ben, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(successor.response_of(aurora), Some(Response::Accepted));
    assert_eq!(moved.response_of(aurora), Some(Response::None));
    holder.cancel()?;
    contoso.run_for(minutes(25)).await;
    assert_eq!(moved.response_of(aurora), Some(Response::Accepted));
    assert_eq!(booked_starts(&contoso).await?.len(), 2);
    contoso.assert_healthy().await
}

/// The room's calendar is followed and says in time that the holder has left it.
#[tokio::test]
async fn where_the_rooms_calendar_is_read_the_holders_own_is_not_waited_for() -> TestResult {
    for throttled in [2, 60] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, cleo, aurora, world, .. } = &contoso;
        let holder = hold(&contoso, NINE).await?;
        throttle(&contoso, anna, minutes(throttled));
        world.microsoft.graph.drop_next(100);
        holder.cancel()?;
        contoso.run_for(seconds(30)).await;
        world.microsoft.graph.drop_next(0);
        let newcomer = contoso.meet(cleo, NINE, aurora)?;
        let (took, answer) = wait_for_answer(&contoso, &newcomer, seconds(60)).await?;
        assert_eq!(answer, Response::Accepted, "{throttled}: {took}");
        // And nothing fails when the holder's own calendar can be read and written again.
        contoso.run_for(hours(2)).await;
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_holder_who_has_withdrawn_is_known_without_asking_microsoft() -> TestResult {
    let contoso = open().await?;
    let Contoso { anna, cleo, aurora, world, .. } = &contoso;
    hold(&contoso, NINE).await?;
    throttle(&contoso, anna, hours(1));
    let released = MailboxState::Withdrawn(BookingDisposition::Release);
    world.fixtures().set_mailbox_state(anna, released).await?;
    let newcomer = contoso.meet(cleo, NINE, aurora)?;
    let (took, answer) = wait_for_answer(&contoso, &newcomer, minutes(2)).await?;
    assert_eq!(answer, Response::Accepted, "{took}");
    assert_eq!(booked_starts(&contoso).await?, [at("09:00")]);
    contoso.assert_healthy().await
}
