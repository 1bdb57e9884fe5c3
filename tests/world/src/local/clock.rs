//! The local world's time: the machine's, moved ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::{Clock, ShiftedClock, SystemClock};

/// A clock that runs with the machine's and can be moved. Clones share the shift.
#[derive(Debug, Clone)]
pub struct WorldClock(Arc<AtomicI64>);

impl WorldClock {
    /// A clock that shows `start` now, to the second.
    pub fn starting_at(start: Timestamp) -> Self {
        let ahead = start.duration_since(SystemClock.now());
        Self(Arc::new(AtomicI64::new(ahead.as_secs())))
    }

    /// How far ahead of the machine's clock it is.
    pub fn offset(&self) -> SignedDuration {
        SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }

    /// Moves it ahead.
    pub(super) fn advance(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        ShiftedClock(self.offset()).now()
    }
}
