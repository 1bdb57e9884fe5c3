//! A stretch of time in which a room is taken.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The longest booking, in days: the ledger changes all days of a booking in one transaction, and
/// one transaction holds 100 entities.
pub const MAX_BOOKING_DAYS: i64 = 90;

/// The midnight (UTC) that ends the day: it does not tell when something was to end.
pub fn end_of_day(at: Timestamp) -> Timestamp {
    let day = at.to_zoned(TimeZone::UTC);
    let start = day.start_of_day().unwrap_or_else(|_| day.clone());
    if start == day {
        return at;
    }
    start.checked_add(jiff::Span::new().days(1)).map_or(at, |next| next.timestamp())
}

/// From `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedInterval")]
pub struct Interval {
    #[serde(rename = "from")]
    start: Timestamp,
    #[serde(rename = "to")]
    end: Timestamp,
}

/// Two instants that may be no interval.
#[derive(Deserialize)]
struct UncheckedInterval {
    from: Timestamp,
    to: Timestamp,
}

impl TryFrom<UncheckedInterval> for Interval {
    type Error = &'static str;

    fn try_from(UncheckedInterval { from, to }: UncheckedInterval) -> Result<Self, Self::Error> {
        Self::new(from, to).ok_or("the interval ends before it starts")
    }
}

impl Interval {
    /// The interval between two instants; `None` when no time lies between them.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// Whether it is longer than [`MAX_BOOKING_DAYS`] and so cannot be booked.
    pub fn is_too_long(&self) -> bool {
        self.end.duration_since(self.start) > SignedDuration::from_hours(24 * MAX_BOOKING_DAYS)
    }

    /// When it starts.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// When it is over.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether both hold some instant together. Touching is not overlapping.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether it is over at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.end <= now
    }

    /// The UTC days it touches, in order: one, or two and more when it crosses midnight. Ask
    /// [`Interval::is_too_long`] first: a year is 366 days.
    pub fn days(&self) -> Vec<Date> {
        let first = self.start.to_zoned(TimeZone::UTC).date();
        // The end does not belong to it: a meeting up to midnight leaves the next day alone.
        let last_instant = self.end - SignedDuration::from_nanos(1);
        let last = last_instant.to_zoned(TimeZone::UTC).date();
        first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn between(start: &str, end: &str) -> Interval {
        Interval::new(at(start), at(end)).unwrap()
    }

    #[test]
    fn the_end_of_a_day_is_the_same_for_all_that_ends_on_it() {
        let midnight = at("2026-11-25T00:00:00Z");
        for on_tuesday in ["2026-11-24T00:00:00.000000001Z", "2026-11-24T09:00:00Z"] {
            assert_eq!(end_of_day(at(on_tuesday)), midnight);
        }
        assert_eq!(end_of_day(midnight), midnight);
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let nine = between("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
        let ten = between("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
        let half = between("2026-11-24T09:30:00Z", "2026-11-24T10:30:00Z");
        assert!(!nine.overlaps(&ten) && !ten.overlaps(&nine));
        assert!(nine.overlaps(&half) && half.overlaps(&ten));
    }

    #[test]
    fn a_meeting_over_midnight_touches_two_days_and_one_up_to_midnight_only_one() {
        assert_eq!(between("2026-11-24T22:00:00Z", "2026-11-25T02:00:00Z").days().len(), 2);
        assert_eq!(between("2026-11-24T22:00:00Z", "2026-11-25T00:00:00Z").days().len(), 1);
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z").days().len(), 90);
    }

    #[test]
    fn nothing_is_no_interval_and_a_year_is_too_long() {
        let (a, b) = (at("2026-11-24T09:00:00Z"), at("2027-11-24T09:00:00Z"));
        assert_eq!(Interval::new(a, a), None);
        assert!(Interval::new(a, b).unwrap().is_too_long());
    }
}
