//! Six-field NCRONTAB: second, minute, hour, day, month, day of week, all in UTC.
//!
//! Understood: `*`, numbers, names of months and days, lists, ranges and steps
//! (github.com/atifaziz/NCrontab, crontab expression; learn.microsoft.com/azure/azure-functions/
//! functions-bindings-timer, 2025-03-19: six fields, UTC on Flex Consumption). As in NCrontab, and
//! unlike Vixie cron, day and day of week must both match.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A schedule of a timer trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seconds: Field,
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The text is not a six-field NCRONTAB expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a six-field NCRONTAB expression")]
pub struct InvalidSchedule(String);

/// How far ahead an occurrence is searched for; the 29th of February is never further away.
const HORIZON_DAYS: usize = 366 * 8;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`InvalidSchedule`] for anything else than six valid fields.
    pub fn parse(text: &str) -> Result<Self, InvalidSchedule> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[second, minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(InvalidSchedule(text.to_owned()));
        };
        let read = |field: &str, low, high, names: &[&str]| {
            Field::parse(field, low, high, names).ok_or_else(|| InvalidSchedule(text.to_owned()))
        };
        Ok(Self {
            seconds: read(second, 0, 59, &[])?,
            minutes: read(minute, 0, 59, &[])?,
            hours: read(hour, 0, 23, &[])?,
            days: read(day, 1, 31, &[])?,
            months: read(month, 1, 12, &MONTHS)?,
            weekdays: read(weekday, 0, 6, &WEEKDAYS)?,
        })
    }

    /// The first occurrence after `instant`; `None` when there is none within eight years.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let from = TimeZone::UTC.to_datetime(instant);
        let mut date = from.date();
        let mut after = Some(from.time());
        for _ in 0..HORIZON_DAYS {
            if self.matches_date(date)
                && let Some(time) = self.time_after(after)
            {
                let found = DateTime::from_parts(date, time);
                return TimeZone::UTC.to_timestamp(found).ok();
            }
            after = None;
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn matches_date(&self, date: Date) -> bool {
        self.months.has(date.month())
            && self.days.has(date.day())
            && self.weekdays.has(date.weekday().to_sunday_zero_offset())
    }

    /// The first time of day strictly after `after`, or the first at all.
    fn time_after(&self, after: Option<Time>) -> Option<Time> {
        for hour in self.hours.values() {
            if after.is_some_and(|after| hour < after.hour()) {
                continue;
            }
            for minute in self.minutes.values() {
                for second in self.seconds.values() {
                    let time = Time::new(hour, minute, second, 0).ok()?;
                    if after.is_none_or(|after| time > after) {
                        return Some(time);
                    }
                }
            }
        }
        None
    }
}

/// The values that one field allows, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field(u64);

impl Field {
    fn parse(text: &str, low: i8, high: i8, names: &[&str]) -> Option<Self> {
        let value = |text: &str| {
            let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
            let number = match named {
                Some(position) => i8::try_from(position).ok()? + low,
                None => text.parse::<i8>().ok()?,
            };
            (low..=high).contains(&number).then_some(number)
        };
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<usize>().ok()?)),
                None => (part, None),
            };
            let (from, to) = match range.split_once('-') {
                Some((from, to)) => (value(from)?, value(to)?),
                None if range == "*" => (low, high),
                // `5/10` runs to the end, as in NCrontab.
                None if step.is_some() => (value(range)?, high),
                None => (value(range)?, value(range)?),
            };
            if from > to || step == Some(0) {
                return None;
            }
            for allowed in (from..=to).step_by(step.unwrap_or(1)) {
                bits |= 1 << allowed;
            }
        }
        Some(Self(bits))
    }

    fn has(self, value: i8) -> bool {
        self.0 & (1 << value) != 0
    }

    fn values(self) -> impl Iterator<Item = i8> {
        (0..64).filter(move |&value| self.has(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).unwrap();
        schedule.next_after(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_occurrence_is_later_than_now() {
        for (schedule, after, expected) in [
            ("0 */15 * * * *", "2026-11-21T10:00:00Z", "2026-11-21T10:15:00Z"),
            ("0 */15 * * * *", "2026-11-21T10:14:59.9Z", "2026-11-21T10:15:00Z"),
            ("30 */5 * * * *", "2026-12-31T23:55:30Z", "2027-01-01T00:00:30Z"),
            ("0 0 3 * * Mon", "2026-11-21T10:00:00Z", "2026-11-23T03:00:00Z"),
            ("0 30 9-17/4 1,15 * *", "2026-11-21T10:00:00Z", "2026-12-01T09:30:00Z"),
            ("0 0 0 29 feb *", "2026-11-21T10:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn an_invalid_schedule_is_refused() {
        for text in [
            "",
            "*/5 * * * *",
            "60 * * * * *",
            "0 */0 * * * *",
            "0 5-1 * * * *",
            "0 0 0 0 * *",
            "x y z a b c",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
