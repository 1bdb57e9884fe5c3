//! How long to wait before a step is tried again, and when to stop.

use jiff::SignedDuration;

/// Own faults after which an item stops and becomes a row in `Failures`.
pub const MAX_ATTEMPTS: u32 = 5;

/// How long an item may wait on others (throttling, outages) before it stops.
pub const MAX_DEFERRAL_TIME: SignedDuration = SignedDuration::from_hours(24);

/// When a booking that is still unsettled is checked for the first time.
pub const UNSETTLED_RECHECK: SignedDuration = SignedDuration::from_mins(5);

/// How often an item waits at the least before it can stop: a day on which nothing ran is
/// not the item's.
const MIN_DEFERRALS: u32 = 5;

/// Whether an item stops: after its own faults, or when it has waited long and often for others.
pub fn is_exhausted(attempts: u32, deferrals: u32, elapsed: SignedDuration) -> bool {
    attempts >= MAX_ATTEMPTS || (deferrals >= MIN_DEFERRALS && elapsed >= MAX_DEFERRAL_TIME)
}

/// The first wait.
const INITIAL_BACKOFF: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait of our own choosing; a longer `Retry-After` is obeyed.
const MAX_BACKOFF: SignedDuration = SignedDuration::from_hours(1);

/// The wait before try number `tries + 1`: doubling from 5 s up to 1 h, between half and all of it
/// by `random`, and never shorter than `asked` (a `Retry-After`).
pub fn backoff(attempts: u32, retry_after: Option<SignedDuration>, random: u64) -> SignedDuration {
    let whole = (INITIAL_BACKOFF * (1_i32 << attempts.min(10))).min(MAX_BACKOFF);
    let half = whole / 2;
    let spread = u64::try_from(half.as_millis()).unwrap_or(0).max(1);
    let jitter = SignedDuration::from_millis(i64::try_from(random % spread).unwrap_or(0));
    (half + jitter).max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_on_which_nothing_ran_does_not_end_an_item_that_has_hardly_been_tried() {
        let day = SignedDuration::from_hours(27);
        assert!(!is_exhausted(0, 1, day));
        assert!(is_exhausted(0, MIN_DEFERRALS, day));
        assert!(!is_exhausted(0, 40, SignedDuration::from_hours(23)));
        assert!(is_exhausted(MAX_ATTEMPTS, 0, SignedDuration::ZERO));
    }

    #[test]
    fn waits_double_up_to_an_hour_and_obey_retry_after() {
        for (tries, whole) in [(0, 5), (1, 10), (5, 160), (9, 2560), (10, 3600), (40, 3600)] {
            let wait = backoff(tries, None, 12_345);
            assert!(wait.as_secs() <= whole && wait.as_secs() >= whole / 2, "{tries}: {wait:?}");
        }
        let asked = SignedDuration::from_hours(2);
        assert_eq!(backoff(0, Some(asked), 0), asked);
    }
}
