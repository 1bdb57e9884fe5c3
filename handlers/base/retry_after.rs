//! `Retry-After`: how long another system asks us to wait.

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};

/// The wait that an answer's headers ask for, as seen from `now`.
pub fn from_headers(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    parse(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

/// Reads seconds, or an HTTP date (RFC 9110 section 10.2.3) as seen from `now`; never negative.
pub fn parse(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let at = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(at.duration_since(now).max(SignedDuration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seconds_or_a_date() {
        let now = "2026-11-24T09:00:00Z".parse().unwrap();
        let seconds = SignedDuration::from_secs;
        assert_eq!(parse("17", now), Some(seconds(17)));
        assert_eq!(parse("Tue, 24 Nov 2026 09:01:30 GMT", now), Some(seconds(90)));
        assert_eq!(parse("Tue, 24 Nov 2026 08:00:00 GMT", now), Some(seconds(0)));
        assert_eq!(parse("soon", now), None);
        assert_eq!(parse("-1", now), None);
    }
}
