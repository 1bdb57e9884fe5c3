//! Series: every occurrence is a booking of its own, and every change of the series is followed.

use jiff::SignedDuration;
use jiff::civil::Weekday;
use world::exchange::{Invitation, Mailbox, Meeting, Recurrence, Response};

use crate::contoso::{Contoso, at, hours, minutes};
use crate::{TestError, TestResult};

/// An hour at nine, from Tuesday 1 December on.
fn meet_weekly(contoso: &Contoso, count: u16, room: &Mailbox) -> Result<Meeting, TestError> {
    let start = at("2026-12-01T09:00");
    let rule = Recurrence::weekly(&[Weekday::Tuesday]).times(count);
    let invitation = Invitation::new("Standup", start, start + hours(1)).room(room).series(rule);
    Ok(contoso.tenant.meet(&contoso.anna, invitation)?)
}

/// When the room is taken from December to March, in order.
async fn booked(contoso: &Contoso, room: &Mailbox) -> Result<Vec<String>, TestError> {
    let mut all = Vec::new();
    for day in 0..120 {
        let date = jiff::civil::date(2026, 11, 24) + SignedDuration::from_hours(24 * day);
        let slots = contoso.ledger_slots(room, &date.to_string()).await?;
        all.extend(slots.iter().map(|slot| slot.interval.start().to_string()));
    }
    Ok(all)
}

#[tokio::test]
async fn a_weekly_series_is_booked_and_accepted_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { aurora, anna, .. } = &contoso;
    let meeting = meet_weekly(&contoso, 3, aurora)?;
    contoso.run_for(minutes(10)).await;
    let dates = ["2026-12-01T09:00:00Z", "2026-12-08T09:00:00Z", "2026-12-15T09:00:00Z"];
    assert_eq!(booked(&contoso, aurora).await?, dates);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let answers = contoso.world.microsoft.exchange.responses_from(meeting.ical(), aurora);
    assert_eq!(answers.len(), 1);
    let property = contoso.outcome_property(&meeting, anna, aurora)?.ok_or("nothing written")?;
    assert_eq!((&property["outcome"], &property["dates"]), (&"booked".into(), &3.into()));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn the_dates_that_are_taken_are_declined_one_by_one() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { aurora, anna, cleo, .. } = &contoso;
    let (from, to) = ("2026-12-08T09:30", "2026-12-08T10:30");
    contoso.meet(cleo, (from, to), aurora)?;
    contoso.run_for(minutes(10)).await;
    let meeting = meet_weekly(&contoso, 3, aurora)?;
    contoso.run_for(minutes(10)).await;
    let dates = ["2026-12-01T09:00:00Z", "2026-12-08T09:30:00Z", "2026-12-15T09:00:00Z"];
    assert_eq!(booked(&contoso, aurora).await?, dates);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let taken = meeting.occurrence(at("2026-12-08T09:00"));
    let answers = contoso.world.microsoft.exchange.responses_from(taken.ical(), aurora);
    assert_eq!(answers.len(), 1);
    let property = contoso.outcome_property(&meeting, anna, aurora)?.ok_or("nothing written")?;
    assert_eq!((&property["outcome"], &property["refused"]), (&"partly booked".into(), &1.into()));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_series_moved_by_an_hour_keeps_its_bookings() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { aurora, .. } = &contoso;
    let meeting = meet_weekly(&contoso, 3, aurora)?;
    contoso.run_for(minutes(10)).await;
    meeting.move_to(at("2026-12-01T09:30"), at("2026-12-01T10:30"))?;
    contoso.run_for(minutes(10)).await;
    let dates = ["2026-12-01T09:30:00Z", "2026-12-08T09:30:00Z", "2026-12-15T09:30:00Z"];
    assert_eq!(booked(&contoso, aurora).await?, dates);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_occurrence_that_is_cancelled_frees_its_date_alone() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { aurora, .. } = &contoso;
    let meeting = meet_weekly(&contoso, 3, aurora)?;
    contoso.run_for(minutes(10)).await;
    meeting.occurrence(at("2026-12-08T09:00")).cancel()?;
    contoso.run_for(minutes(10)).await;
    let dates = ["2026-12-01T09:00:00Z", "2026-12-15T09:00:00Z"];
    assert_eq!(booked(&contoso, aurora).await?, dates);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_single_that_becomes_a_series_keeps_its_booking() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let (from, to) = ("2026-12-01T09:00", "2026-12-01T10:00");
    let meeting = contoso.meet(anna, (from, to), aurora)?;
    contoso.run_for(minutes(10)).await;
    let before = contoso.ledger_slots(aurora, "2026-12-01").await?;
    meeting.repeat(Recurrence::weekly(&[Weekday::Tuesday]).times(2))?;
    contoso.run_for(minutes(10)).await;
    let after = contoso.ledger_slots(aurora, "2026-12-01").await?;
    assert_eq!(before[0].booking, after[0].booking);
    let dates = ["2026-12-01T09:00:00Z", "2026-12-08T09:00:00Z"];
    assert_eq!(booked(&contoso, aurora).await?, dates);
    meeting.repeat_no_more()?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(booked(&contoso, aurora).await?, dates[..1]);
    assert_eq!(contoso.ledger_slots(aurora, "2026-12-01").await?[0].booking, before[0].booking);
    contoso.assert_healthy().await
}
