//! `Retry-After`: how long another system asks us to wait.

use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

/// The longest wait that is believed; after it the other side is asked again.
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(6);

/// The wait that an answer's headers ask for, as seen from `now`.
pub fn from_headers(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    parse(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

/// Reads seconds, or an HTTP date in any of its three forms (RFC 9110, sections 10.2.3 and 5.6.7), as
/// seen from `now`: never negative, in whole seconds (rounded up), and not longer than six hours. Of
/// several values, which proxies make of repeated headers, the longest counts.
pub fn parse(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let seconds = |text: &str| {
        let seconds: f64 = text.trim().parse().ok()?;
        let seconds = seconds.is_finite().then_some(seconds.ceil())?;
        (seconds >= 0.0).then(|| SignedDuration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT))
    };
    let date = || {
        let at = httpdate::parse_http_date(text.trim()).ok()?;
        let at = Timestamp::try_from(at).ok()?;
        Some(at.duration_since(now).max(SignedDuration::ZERO))
    };
    let wait = text.split(',').filter_map(seconds).max().or_else(date)?;
    Some(wait.min(MAX_WAIT))
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
        assert_eq!(parse("Tue Nov 24 09:01:30 2026", now), Some(seconds(90)), "asctime");
        assert_eq!(parse("Tuesday, 24-Nov-26 09:01:30 GMT", now), Some(seconds(90)), "RFC 850");
        assert_eq!(parse("1.2", now), Some(seconds(2)));
        assert_eq!(parse("120, 60", now), Some(seconds(120)));
        assert_eq!(parse("1e30", now), Some(MAX_WAIT));
        assert_eq!(parse("99999999", now), Some(MAX_WAIT));
        assert_eq!(parse("soon", now), None);
        assert_eq!(parse("NaN", now), None);
        assert_eq!(parse("-1", now), None);
    }
}
