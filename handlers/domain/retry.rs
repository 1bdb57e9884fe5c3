//! How long to wait before a step is tried again, and when to stop.

use jiff::SignedDuration;

/// Own faults after which an item stops and becomes a row in `Failures`.
pub const FAULTS: u32 = 5;

/// How long an item may wait on others (throttling, outages) before it stops.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// How often an item waits at the least before its patience can end: a day on which nothing ran is
/// not the item's.
const WAITS: u32 = 5;

/// Whether an item stops: after its own faults, or when it has waited long and often for others.
pub fn gives_up(tries: u32, waits: u32, waited: SignedDuration) -> bool {
    tries >= FAULTS || (waits >= WAITS && waited >= PATIENCE)
}

/// The first wait.
const FIRST: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait of our own choosing; a longer `Retry-After` is obeyed.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The wait before try number `tries + 1`: doubling from 5 s up to 1 h, between half and all of it
/// by `chance`, and never shorter than `asked` (a `Retry-After`).
pub fn wait(tries: u32, asked: Option<SignedDuration>, chance: u64) -> SignedDuration {
    let whole = (FIRST * (1_i32 << tries.min(10))).min(LONGEST);
    let half = whole / 2;
    let spread = u64::try_from(half.as_millis()).unwrap_or(0).max(1);
    let jitter = SignedDuration::from_millis(i64::try_from(chance % spread).unwrap_or(0));
    (half + jitter).max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_on_which_nothing_ran_does_not_end_an_item_that_has_hardly_been_tried() {
        let day = SignedDuration::from_hours(27);
        assert!(!gives_up(0, 1, day));
        assert!(gives_up(0, WAITS, day));
        assert!(!gives_up(0, 40, SignedDuration::from_hours(23)));
        assert!(gives_up(FAULTS, 0, SignedDuration::ZERO));
    }

    #[test]
    fn waits_double_up_to_an_hour_and_obey_retry_after() {
        for (tries, whole) in [(0, 5), (1, 10), (5, 160), (9, 2560), (10, 3600), (40, 3600)] {
            let wait = wait(tries, None, 12_345);
            assert!(wait.as_secs() <= whole && wait.as_secs() >= whole / 2, "{tries}: {wait:?}");
        }
        let asked = SignedDuration::from_hours(2);
        assert_eq!(wait(0, Some(asked), 0), asked);
    }
}
