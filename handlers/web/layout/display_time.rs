//! Instants as people read them. Downloads and answers to programs keep RFC 3339.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

/// An instant on a page, in UTC and to the minute: `24 November 2026, 09:00 UTC`.
///
/// In a template: `<time datetime="{{ at.machine() }}">{{ at }}</time>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayTime(pub Timestamp);

impl DisplayTime {
    /// The same for the attribute `datetime`, in whole seconds: it takes no more than three digits
    /// of a fraction (html.spec.whatwg.org, "Times").
    pub fn rfc3339(&self) -> String {
        self.0.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for DisplayTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_zoned(TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_for_people_and_for_their_browsers() {
        let at = DisplayTime("2026-11-04T09:05:59.123456789Z".parse().unwrap());
        assert_eq!(at.to_string(), "4 November 2026, 09:05 UTC");
        assert_eq!(at.rfc3339(), "2026-11-04T09:05:59Z");
    }
}
