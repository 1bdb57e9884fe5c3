//! The clock: the only place that asks what time it is.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Tells the current instant. Everything that needs the time gets one of these, so that tests and
/// the simulation can move it.
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The seconds of a wait, rounded up: what waits exactly as long must not come too early.
pub fn ceil_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may ask the machine for the time"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The machine's clock, shifted: what the local world moves time with. Settings refuse a shift unless
/// everything the process talks to is on its own machine.
#[derive(Debug, Clone, Copy)]
pub struct ShiftedClock(pub SignedDuration);

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(self.0).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_is_ahead_by_its_shift() {
        let before = SystemClock.now();
        let shifted = ShiftedClock(SignedDuration::from_hours(5)).now();
        let ahead = SignedDuration::from_hours(5);
        assert!(before + ahead <= shifted && shifted <= SystemClock.now() + ahead);
    }
}
