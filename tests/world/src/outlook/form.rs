//! What somebody fills in: a new meeting, or what is to be done with one.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::exchange::{Exchange, Invitation, Mailbox, Recurrence};

/// A new meeting as it was typed; shown again when something is wrong with it.
#[derive(Default)]
pub(super) struct MeetingForm {
    pub(super) subject: String,
    /// `2026-11-24`.
    pub(super) date: String,
    /// `09:00`.
    pub(super) start: String,
    /// `10:00`; `00:00` is the midnight after the date.
    pub(super) end: String,
    /// Object ids of people and rooms.
    invited: Vec<String>,
    /// `daily`, `weekly`, or nothing.
    repeats: String,
    /// How many dates a series has.
    pub(super) times: String,
}

/// More dates than a series of Outlook can have.
const MAX_TIMES: u16 = 999;

/// Something that cannot be sent like that.
pub(super) struct FormError {
    /// Id of the field.
    pub(super) field: &'static str,
    /// What is wrong, as a sentence.
    pub(super) text: &'static str,
}

const DATE: FormError = FormError { field: "date", text: "Give the date as year-month-day." };
const START: FormError = FormError { field: "start", text: "Give the start as hours:minutes." };
const END: FormError = FormError { field: "end", text: "Give the end as hours:minutes." };
const END_BEFORE_START: FormError =
    FormError { field: "end", text: "The end must be after the start." };
const TIMES: FormError =
    FormError { field: "times", text: "Give the number of dates, from 2 to 999." };
const UNKNOWN_INVITEE: FormError =
    FormError { field: "invited", text: "Somebody who was chosen is not in this organisation." };

impl MeetingForm {
    /// An hour from the next full one on.
    pub(super) fn next_hour(now: Timestamp) -> Self {
        let hour = SignedDuration::from_hours(1).as_secs();
        let from = |hours: i64| {
            let second = (now.as_second().div_euclid(hour) + hours) * hour;
            Timestamp::from_second(second).unwrap_or(now)
        };
        Self {
            date: from(1).strftime("%Y-%m-%d").to_string(),
            start: from(1).strftime("%H:%M").to_string(),
            end: from(2).strftime("%H:%M").to_string(),
            times: "5".to_owned(),
            ..Self::default()
        }
    }

    /// Reads the form.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(body).into_owned() {
            match name.as_str() {
                "subject" => form.subject = value.trim().to_owned(),
                "date" => form.date = value,
                "start" => form.start = value,
                "end" => form.end = value,
                "invited" => form.invited.push(value),
                "repeats" => form.repeats = value,
                "times" => form.times = value,
                _ => {}
            }
        }
        form
    }

    /// Whether the mailbox with that object id was chosen.
    pub(super) fn invites(&self, id: &str) -> bool {
        self.invited.iter().any(|one| one == id)
    }

    /// Whether this is how it repeats.
    pub(super) fn repeats(&self, how: &str) -> bool {
        self.repeats == how
    }

    /// How it repeats from `first` on, if it does.
    fn recurrence(&self, first: Date) -> Result<Option<Recurrence>, FormError> {
        let rule = match self.repeats.as_str() {
            "daily" => Recurrence::daily(),
            "weekly" => Recurrence::weekly(&[first.weekday()]),
            _ => return Ok(None),
        };
        match self.times.trim().parse() {
            Ok(times @ 2..=MAX_TIMES) => Ok(Some(rule.times(times))),
            Ok(_) | Err(_) => Err(TIMES),
        }
    }

    /// The invitation to those of `colleagues` who were chosen, or everything that is wrong with it.
    pub(super) fn invitation(&self, colleagues: &[Mailbox]) -> Result<Invitation, Vec<FormError>> {
        let mut mistakes = Vec::new();
        let (date, start, end) = (
            self.date.parse::<Date>().map_err(|_| mistakes.push(DATE)),
            self.start.parse::<Time>().map_err(|_| mistakes.push(START)),
            self.end.parse::<Time>().map_err(|_| mistakes.push(END)),
        );
        let known = |id: &String| colleagues.iter().any(|one| one.id() == id);
        if !self.invited.iter().all(known) {
            mistakes.push(UNKNOWN_INVITEE);
        }
        let (Ok(date), Ok(start), Ok(end)) = (date, start, end) else { return Err(mistakes) };
        let times = match meeting_times(date, start, end) {
            Some((start, end)) if start < end => (start, end),
            Some(_) => return Err(with_error(mistakes, END_BEFORE_START)),
            None => return Err(with_error(mistakes, DATE)),
        };
        let recurrence = match self.recurrence(date) {
            Ok(recurrence) => recurrence,
            Err(mistake) => return Err(with_error(mistakes, mistake)),
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let blank = Invitation::new(&self.subject, times.0, times.1);
        let blank = match recurrence {
            Some(rule) => blank.series(rule),
            None => blank,
        };
        let chosen = colleagues.iter().filter(|one| self.invites(one.id()));
        Ok(chosen.fold(blank, |invitation, one| match one.is_room() {
            true => invitation.room(one),
            false => invitation.with(one),
        }))
    }
}

fn with_error(mut mistakes: Vec<FormError>, last: FormError) -> Vec<FormError> {
    mistakes.push(last);
    mistakes
}

/// Both instants; none when they lie outside of all calendars.
fn meeting_times(date: Date, start: Time, end: Time) -> Option<(Timestamp, Timestamp)> {
    let last = if end == Time::midnight() { date.checked_add(1.day()).ok()? } else { date };
    let at = |date: Date, time| date.to_datetime(time).to_zoned(TimeZone::UTC).ok();
    Some((at(date, start)?.timestamp(), at(last, end)?.timestamp()))
}

/// What is to be done with a meeting.
#[derive(Default)]
pub(super) struct MeetingAction {
    /// Which.
    pub(super) ical: String,
    /// Its new start. It is absolute, so that a form sent twice moves once.
    pub(super) start: Option<Timestamp>,
    /// The object id of its new room.
    pub(super) room: String,
}

impl MeetingAction {
    /// Reads the form.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut action = Self::default();
        for (name, value) in url::form_urlencoded::parse(body).into_owned() {
            match name.as_str() {
                "ical" => action.ical = value,
                "start" => action.start = value.parse().ok(),
                "room" => action.room = value,
                _ => {}
            }
        }
        action
    }
}

/// Whom `owner` can invite: people and rooms of the same organisation.
pub(super) fn colleagues(exchange: &Exchange, owner: &Mailbox) -> Vec<Mailbox> {
    let own = exchange.tenants().into_iter().filter(|tenant| tenant.id() == owner.tenant_id());
    let all = own.flat_map(|tenant| tenant.mailboxes());
    all.filter(|one| one.id() != owner.id()).collect()
}
