//! A weekly meeting: one of its dates is in conflict, one is moved, one takes another room, one is cancelled.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use roombridge::domain::booking::{Booking, ObservedState};

use super::expectations::ExpectedBooking;
use super::{AppointmentOutcome, Day, PlayedAppointment, format_hours};
use crate::exchange::{Invitation, Mailbox, Meeting, Recurrence, Response};
use crate::local::LocalError;

const TITLE: &str = "Project weekly";
const WEEKS: u16 = 5;

/// The series while it is played.
struct Weekly {
    meeting: Meeting,
    chiara: Mailbox,
    borealis: Mailbox,
    cirrus: Mailbox,
}

impl Day<'_> {
    pub(super) async fn a_series_is_booked_and_changed(&mut self) -> Result<(), LocalError> {
        self.anna_takes_a_date_of_it().await?;
        let weekly = self.a_series_is_booked().await?;
        let moved = self.one_date_is_moved(&weekly).await?;
        self.one_date_takes_another_room(&weekly).await?;
        self.one_date_is_cancelled(&weekly).await?;
        let booked = AppointmentOutcome::Booked;
        let times = |day: &Self, week| (day.of_week(week, 17), day.of_week(week, 18));
        for (week, time, room, outcome) in [
            (0, times(self, 0), &weekly.borealis, booked),
            (1, moved, &weekly.borealis, booked),
            (2, times(self, 2), &weekly.borealis, AppointmentOutcome::Refused),
            (3, times(self, 3), &weekly.cirrus, booked),
            (4, times(self, 4), &weekly.borealis, AppointmentOutcome::Cancelled),
        ] {
            self.played.push(PlayedAppointment {
                meeting: weekly.meeting.clone(),
                date: Some(self.of_week(week, 17)),
                organizer: weekly.chiara.name().to_owned(),
                title: format!("{TITLE}, {}", date_of(time.0)),
                room: room.name().to_owned(),
                time: format_hours(time.0, time.1),
                kept: None,
                outcome,
            });
        }
        Ok(())
    }

    async fn anna_takes_a_date_of_it(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.of_week(2, 17), self.of_week(2, 19));
        let (anna, borealis) = (self.organisation.anna.clone(), self.organisation.borealis.clone());
        let title = "Board meeting";
        let meeting = self.invite(&anna, Invitation::new(title, start, end).room(&borealis))?;
        let wanted =
            ExpectedBooking { meeting: &meeting, room: &borealis, start, subject: Some(title) };
        self.wait_until_booked(&wanted).await?;
        let date = date_of(start);
        self.report_step(
            &format!("Anna books Borealis for \"{title}\" on {date}, 17:00–19:00"),
            "booked",
            "Borealis accepted",
        );
        let (title, booked) = (format!("{title}, {date}"), AppointmentOutcome::Booked);
        self.add_to_report(&anna, &title, Some(&borealis), (start, end), meeting, booked);
        Ok(())
    }

    async fn a_series_is_booked(&mut self) -> Result<Weekly, LocalError> {
        let (start, end) = (self.of_week(0, 17), self.of_week(0, 18));
        let weekday = start.to_zoned(TimeZone::UTC).weekday();
        let organisation = &self.organisation;
        let (chiara, borealis, cirrus) = (
            organisation.chiara.clone(),
            organisation.borealis.clone(),
            organisation.cirrus.clone(),
        );
        let rule = Recurrence::weekly(&[weekday]).times(WEEKS);
        let invitation = Invitation::new(TITLE, start, end).room(&borealis).series(rule);
        let meeting = self.invite(&chiara, invitation)?;
        let conflict = self.of_week(2, 17);
        let dates: Vec<Timestamp> = (0..WEEKS).map(|week| self.of_week(week.into(), 17)).collect();
        self.wait_for_dates("the weekly meeting is booked", &meeting, &dates, |dates| {
            let is_refused = |date: &Booking| matches!(date.observed, ObservedState::Refused(_));
            let refused = dates.iter().filter(|date| is_refused(date));
            let refused: Vec<_> = refused.map(|date| date.key.original_start).collect();
            dates.len() == usize::from(WEEKS) && refused == [Some(conflict)]
        })
        .await?;
        let answers =
            (meeting.response_of(&borealis), meeting.occurrence(conflict).response_of(&borealis));
        self.ensure(
            "Borealis accepted the series and declined one date of it",
            answers == (Some(Response::Accepted), Some(Response::Declined)),
        )?;
        let note = self.outcome_on_copy(&chiara, &meeting, &borealis);
        self.ensure("the series says so", note.as_deref() == Some("partly booked"))?;
        self.report_step(
            &format!("Chiara wants Borealis for \"{TITLE}\", five weeks, 17:00–18:00"),
            "booked four dates; refused the third: conflict",
            "Borealis accepted the series and declined one date; it says \"partly booked\"",
        );
        Ok(Weekly { meeting, chiara, borealis, cirrus })
    }

    /// Returns the date's new time.
    async fn one_date_is_moved(
        &self,
        weekly: &Weekly,
    ) -> Result<(Timestamp, Timestamp), LocalError> {
        let date = self.of_week(1, 17);
        let (start, end) = (self.of_week(1, 18), self.of_week(1, 19));
        let moved = weekly.meeting.occurrence(date);
        moved.move_to(start, end).map_err(LocalError::while_doing("moving a date"))?;
        self.wait_for_dates("the second date is moved", &weekly.meeting, &[date], |rooms| {
            held_at(rooms, &weekly.borealis) == Some(start)
                && moved.response_of(&weekly.borealis) == Some(Response::Accepted)
        })
        .await?;
        self.report_step(
            &format!("Chiara moves {} of it to 18:00–19:00", date_of(date)),
            "moved that booking alone",
            "Borealis accepted that date again",
        );
        Ok((start, end))
    }

    async fn one_date_takes_another_room(&self, weekly: &Weekly) -> Result<(), LocalError> {
        let date = self.of_week(3, 17);
        let other = weekly.meeting.occurrence(date);
        let changed = other.change_rooms(&[&weekly.cirrus]);
        changed.map_err(LocalError::while_doing("changing the room of a date"))?;
        self.wait_for_dates(
            "the fourth date has another room",
            &weekly.meeting,
            &[date],
            |rooms| {
                held_at(rooms, &weekly.cirrus) == Some(date)
                    && held_at(rooms, &weekly.borealis).is_none()
                    && other.response_of(&weekly.cirrus) == Some(Response::Accepted)
            },
        )
        .await?;
        self.report_step(
            &format!("Chiara takes Cirrus on {}", date_of(date)),
            "released Borealis on that date, booked Cirrus",
            "Cirrus accepted",
        );
        Ok(())
    }

    async fn one_date_is_cancelled(&self, weekly: &Weekly) -> Result<(), LocalError> {
        let date = self.of_week(4, 17);
        let cancelled = weekly.meeting.occurrence(date).cancel();
        cancelled.map_err(LocalError::while_doing("cancelling a date"))?;
        self.wait_for_dates("the fifth date is free again", &weekly.meeting, &[date], |rooms| {
            held_at(rooms, &weekly.borealis).is_none()
        })
        .await?;
        self.report_step(
            &format!("Chiara cancels {}", date_of(date)),
            "released that date",
            "Borealis is free on that date",
        );
        Ok(())
    }

    /// Waits until the bookings of these dates are settled and `as_wanted`.
    async fn wait_for_dates(
        &self,
        what: &str,
        series: &Meeting,
        dates: &[Timestamp],
        as_wanted: impl Fn(&[Booking]) -> bool,
    ) -> Result<(), LocalError> {
        self.feed.set_activity(what);
        self.world
            .wait_for(what, async || {
                let mut found = Vec::new();
                for date in dates {
                    found.extend(self.world.bookings_of_date(series, *date).await?);
                }
                let is_settled =
                    |one: &Booking| one.unsettled_due.is_none() && one.intent.is_none();
                Ok((found.iter().all(is_settled) && as_wanted(&found)).then_some(()))
            })
            .await
    }

    /// That hour of today's weekday in so many weeks.
    fn of_week(&self, week: i64, hour: i64) -> Timestamp {
        self.at(hour, 0) + SignedDuration::from_hours(24 * 7 * week)
    }
}

/// When the room is held by one of these bookings.
fn held_at(bookings: &[Booking], room: &Mailbox) -> Option<Timestamp> {
    let mut of_room = bookings.iter().filter(|one| one.key.room.to_string() == room.id());
    of_room.find_map(Booking::confirmed).map(|held| held.interval.start())
}

fn date_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
