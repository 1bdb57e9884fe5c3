//! A believable day in a small organisation. Each step is something a person does in Outlook, waits
//! until Roombridge has done its part, and is reported in one line. A step that does not come true ends
//! the day with an error.

mod evening;
mod expectations;
mod morning;
mod organisation;
mod weekly;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use roombridge::base::clock::{Clock as _, SystemClock};
use roombridge::domain::booking::Booking;

use self::organisation::DayOrganisation;
use super::feed::ProgressFeed;
use super::{LocalError, LocalWorld};
use crate::exchange::Meeting;

/// How many steps there are: for the progress line.
pub const STEPS: u64 = 21;

/// When the day starts: 08:00 UTC of the next working day.
///
/// # Errors
/// [`LocalError::Other`] when the calendar ends.
pub fn start() -> Result<Timestamp, LocalError> {
    let mut date = SystemClock.now().to_zoned(TimeZone::UTC).date();
    loop {
        date =
            date.checked_add(1.day()).map_err(LocalError::while_doing("finding a working day"))?;
        if date.weekday().to_monday_one_offset() <= 5 {
            let morning = date.at(8, 0, 0, 0).to_zoned(TimeZone::UTC);
            return Ok(morning
                .map_err(LocalError::while_doing("finding a working day"))?
                .timestamp());
        }
    }
}

/// An appointment of the day, and what became of it.
pub struct PlayedAppointment {
    /// The appointment.
    pub meeting: Meeting,
    /// Which date of a series, by its pattern.
    pub date: Option<Timestamp>,
    /// Who organizes it.
    pub organizer: String,
    /// What it is about, as its organizer wrote it.
    pub title: String,
    /// The room asked for.
    pub room: String,
    /// Its time in the end.
    pub time: String,
    /// The subject that the booking kept.
    pub kept: Option<String>,
    /// What became of it before it was over.
    pub outcome: AppointmentOutcome,
}

impl PlayedAppointment {
    /// What is stored of it.
    ///
    /// # Errors
    /// [`LocalError::Other`] when it cannot be read.
    pub async fn bookings(&self, world: &LocalWorld) -> Result<Vec<Booking>, LocalError> {
        match self.date {
            Some(date) => world.bookings_of_date(&self.meeting, date).await,
            None => world.bookings_of(&self.meeting).await,
        }
    }
}

/// What became of an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppointmentOutcome {
    /// The room is booked.
    Booked,
    /// Roombridge declined for the room.
    Refused,
    /// Exchange declined for the room.
    RefusedByExchange,
    /// It was cancelled, and the room is free again.
    Cancelled,
    /// It has no room, and left no trace.
    Untouched,
}

impl AppointmentOutcome {
    /// As a person reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Refused => "refused: conflict",
            Self::RefusedByExchange => "refused by Exchange",
            Self::Cancelled => "cancelled, released",
            Self::Untouched => "no room: left alone",
        }
    }
}

/// The day while it is played.
pub struct Day<'a> {
    world: &'a mut LocalWorld,
    feed: &'a ProgressFeed,
    organisation: DayOrganisation,
    midnight: Timestamp,
    played: Vec<PlayedAppointment>,
}

impl<'a> Day<'a> {
    /// The organisation before the day.
    ///
    /// # Errors
    /// [`LocalError::Other`] when the calendar ends.
    pub fn new(world: &'a mut LocalWorld, feed: &'a ProgressFeed) -> Result<Self, LocalError> {
        let cast = DayOrganisation::create(world);
        let today = world.clock.now().to_zoned(TimeZone::UTC).start_of_day();
        let midnight = today.map_err(LocalError::while_doing("finding midnight"))?.timestamp();
        Ok(Self { world, feed, organisation: cast, midnight, played: Vec::new() })
    }

    /// Plays it all; returns what became of each appointment.
    ///
    /// # Errors
    /// [`LocalError`]: the first thing that did not come true.
    pub async fn play(mut self) -> Result<Vec<PlayedAppointment>, LocalError> {
        self.connect().await?;
        self.a_room_is_booked().await?;
        self.a_conflict_is_declined_and_moved_away().await?;
        self.a_meeting_is_moved().await?;
        self.a_meeting_is_cancelled().await?;
        self.a_private_meeting_keeps_its_subject().await?;
        self.lunch_leaves_no_trace().await?;
        self.a_stranger_books_anonymously().await?;
        self.exchange_answers_for_delta().await?;
        self.a_series_is_booked_and_changed().await?;
        self.a_night_is_booked().await?;
        self.evening_comes().await?;
        self.the_night_passes().await?;
        self.nothing_was_asked_too_much().await?;
        Ok(self.played)
    }

    /// That time of the day; beyond 24:00 it is tomorrow's.
    fn at(&self, hour: i64, minute: i64) -> Timestamp {
        self.midnight + SignedDuration::from_mins(hour * 60 + minute)
    }

    /// One line: what somebody did, what Roombridge did, what Outlook shows.
    fn report_step(&self, did: &str, made: &str, shown: &str) {
        let time = self.world.clock.now().strftime("%H:%M:%S").to_string();
        self.feed.line(&format!("{time}  {did}  →  {made}  →  {shown}"));
        self.feed.finish_step();
    }
}

/// `10:00–11:00`.
fn format_hours(start: Timestamp, end: Timestamp) -> String {
    format!("{}–{}", start.strftime("%H:%M"), end.strftime("%H:%M"))
}
