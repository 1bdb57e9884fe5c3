//! The rule of a series and its dates, in the wall-clock time of the series. A kept library expands it.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rrule::{RRuleError, RRuleSet};
use serde_json::{Value, json};

/// How far a series without end is laid out: further than anything here reads.
const ENDLESS: SignedDuration = SignedDuration::from_hours(24 * 800);

/// Which of the days that fit is meant (resources/recurrencepattern.md, `weekIndex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeekIndex {
    First,
    Second,
    Third,
    Fourth,
    Last,
}

/// When a series repeats (resources/recurrencepattern.md). The interval is the series'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    Daily,
    Weekly(Vec<Weekday>),
    /// A day of the month; in a shorter one its last (EWS `AbsoluteMonthlyRecurrence`).
    AbsoluteMonthly(i8),
    /// The first, …, last of all these days in the month.
    RelativeMonthly(WeekIndex, Vec<Weekday>),
    AbsoluteYearly {
        month: i8,
        day: i8,
    },
    RelativeYearly {
        month: i8,
        index: WeekIndex,
        days: Vec<Weekday>,
    },
}

/// How long a series repeats (resources/recurrencerange.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurrenceEnd {
    Never,
    /// The last date on which one may begin.
    On(Date),
    After(u16),
}

/// The rule of a series.
#[derive(Clone, PartialEq, Eq)]
pub struct Recurrence {
    pattern: Pattern,
    interval: u16,
    end: RecurrenceEnd,
    zone: TimeZone,
}

impl Recurrence {
    /// Repeats each time, without end, in UTC.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, interval: 1, end: RecurrenceEnd::Never, zone: TimeZone::UTC }
    }

    /// Every day.
    pub fn daily() -> Self {
        Self::new(Pattern::Daily)
    }

    /// On these days of every week.
    pub fn weekly(days: &[Weekday]) -> Self {
        Self::new(Pattern::Weekly(days.to_vec()))
    }

    /// Only every `interval`th day, week, month or year.
    #[must_use]
    pub fn every(self, interval: u16) -> Self {
        Self { interval, ..self }
    }

    /// Until that date.
    #[must_use]
    pub fn until(self, last: Date) -> Self {
        Self { end: RecurrenceEnd::On(last), ..self }
    }

    /// So many times.
    #[must_use]
    pub fn times(self, count: u16) -> Self {
        Self { end: RecurrenceEnd::After(count), ..self }
    }

    /// In the wall-clock time of that zone, daylight saving included.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    /// Whether both have the same dates but for how long they repeat.
    pub(crate) fn repeats_like(&self, other: &Self) -> bool {
        (&self.pattern, self.interval, &self.zone) == (&other.pattern, other.interval, &other.zone)
    }

    /// The date of an instant where the series takes place.
    pub(crate) fn local_date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// Starts and ends of its occurrences, where the first would take `start..end`.
    ///
    /// # Errors
    /// [`RRuleError`] when the rule contradicts itself.
    pub(crate) fn dates(
        &self,
        start: Timestamp,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, RRuleError> {
        let (first, last) = (self.zone.to_datetime(start), self.zone.to_datetime(end));
        let length = first.duration_until(last);
        // The library sees the wall clock as if it were UTC, so that this crate's zones decide alone.
        let text = format!("DTSTART:{}\nRRULE:{}", ical_time(first), self.rule());
        let rule: RRuleSet = text.parse()?;
        let horizon = self.zone.to_datetime(now.max(start) + ENDLESS);
        let starts = rule.into_iter().filter_map(|date| {
            let instant = Timestamp::from_second(date.timestamp()).ok()?;
            Some(TimeZone::UTC.to_datetime(instant))
        });
        let instant = |at: DateTime| self.zone.to_timestamp(at).ok();
        Ok(starts
            .take_while(|at| self.end != RecurrenceEnd::Never || *at < horizon)
            .filter_map(|at| Some((instant(at)?, instant(at.checked_add(length).ok()?)?)))
            .collect())
    }

    /// The rule as RFC 5545 writes it.
    fn rule(&self) -> String {
        let what = match &self.pattern {
            Pattern::Daily => "FREQ=DAILY".to_owned(),
            Pattern::Weekly(days) => format!("FREQ=WEEKLY;WKST=SU;BYDAY={}", ical_days(days)),
            Pattern::AbsoluteMonthly(day) => format!("FREQ=MONTHLY;{}", day_or_last(*day)),
            Pattern::RelativeMonthly(index, days) => {
                format!("FREQ=MONTHLY;BYDAY={};BYSETPOS={}", ical_days(days), index.position())
            }
            Pattern::AbsoluteYearly { month, day } => {
                format!("FREQ=YEARLY;BYMONTH={month};{}", day_or_last(*day))
            }
            Pattern::RelativeYearly { month, index, days } => {
                let (days, position) = (ical_days(days), index.position());
                format!("FREQ=YEARLY;BYMONTH={month};BYDAY={days};BYSETPOS={position}")
            }
        };
        let until = match self.end {
            RecurrenceEnd::Never => String::new(),
            RecurrenceEnd::On(last) => format!(";UNTIL={}", ical_time(last.at(23, 59, 59, 0))),
            RecurrenceEnd::After(count) => format!(";COUNT={count}"),
        };
        format!("{what};INTERVAL={}{until}", self.interval)
    }

    /// As Graph shows it, with the name that its zone has there. What a pattern or a range does not
    /// need is there all the same.
    pub(crate) fn as_graph_json(&self, start: Timestamp, zone: &str) -> Value {
        let (mut month, mut day, mut index, mut days) = (0, 0, WeekIndex::First, &[][..]);
        let kind = match &self.pattern {
            Pattern::Daily => "daily",
            Pattern::Weekly(on) => {
                days = on;
                "weekly"
            }
            Pattern::AbsoluteMonthly(on) => {
                day = *on;
                "absoluteMonthly"
            }
            Pattern::RelativeMonthly(which, on) => {
                (index, days) = (*which, on);
                "relativeMonthly"
            }
            Pattern::AbsoluteYearly { month: of, day: on } => {
                (month, day) = (*of, *on);
                "absoluteYearly"
            }
            Pattern::RelativeYearly { month: of, index: which, days: on } => {
                (month, index, days) = (*of, *which, on);
                "relativeYearly"
            }
        };
        let (range, last, count) = match self.end {
            RecurrenceEnd::Never => ("noEnd", "0001-01-01".to_owned(), 0),
            RecurrenceEnd::On(last) => ("endDate", last.to_string(), 0),
            RecurrenceEnd::After(count) => ("numbered", "0001-01-01".to_owned(), count),
        };
        let days: Vec<&str> = days.iter().map(|day| names(*day).1).collect();
        json!({
            "pattern": {
                "type": kind, "interval": self.interval, "month": month, "dayOfMonth": day,
                "daysOfWeek": days, "firstDayOfWeek": "sunday", "index": index.as_graph_str(),
            },
            "range": {
                "type": range, "startDate": self.local_date(start).to_string(), "endDate": last,
                "recurrenceTimeZone": zone, "numberOfOccurrences": count,
            },
        })
    }
}

impl WeekIndex {
    fn position(self) -> i8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Third => 3,
            Self::Fourth => 4,
            Self::Last => -1,
        }
    }

    fn as_graph_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
            Self::Fourth => "fourth",
            Self::Last => "last",
        }
    }
}

fn ical_time(at: DateTime) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// RFC 5545 leaves a month out that does not have the day; Exchange takes its last one.
fn day_or_last(day: i8) -> String {
    let days: Vec<String> = (day.min(28)..=day).map(|day| day.to_string()).collect();
    format!("BYMONTHDAY={};BYSETPOS=-1", days.join(","))
}

fn ical_days(days: &[Weekday]) -> String {
    days.iter().map(|day| names(*day).0).collect::<Vec<_>>().join(",")
}

/// A weekday in RFC 5545 and in Graph.
fn names(day: Weekday) -> (&'static str, &'static str) {
    match day {
        Weekday::Monday => ("MO", "monday"),
        Weekday::Tuesday => ("TU", "tuesday"),
        Weekday::Wednesday => ("WE", "wednesday"),
        Weekday::Thursday => ("TH", "thursday"),
        Weekday::Friday => ("FR", "friday"),
        Weekday::Saturday => ("SA", "saturday"),
        Weekday::Sunday => ("SU", "sunday"),
    }
}
