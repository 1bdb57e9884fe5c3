//! How many bookings a system takes in a minute, so that it never has to refuse a call.
//!
//! A booking takes several calls, so places are given to bookings: one that has begun is not stopped between
//! its calls. A change that finds no place waits in its queue.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::BookingSystemError;
use crate::{
    base::{clock::Clock, rate_limit::Buckets},
    domain::booking_system::Capabilities,
};

/// How much of what a system grants is used; the rest is for what other processes do.
const USED_PERCENT: u32 = 95;
/// A tenth of that may be used at once, and the rest flows in over the minute.
const BURST_PART: u32 = 10;

/// How long a place is waited for: well below a worker's lease.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(45);

/// The bookings that may be worked on. Clones share it.
#[derive(Clone)]
pub(in crate::booking) struct BookingBudget {
    places: Arc<Buckets<()>>,
    /// From one place to the next.
    period: Duration,
}

impl BookingBudget {
    /// What `calls_per_minute` allow a system that `can` this.
    pub(in crate::booking) fn new(
        clock: Arc<dyn Clock>,
        can: &Capabilities,
        calls_per_minute: u32,
    ) -> Self {
        let calls = u64::from(calls_per_minute) * u64::from(USED_PERCENT) / 100;
        let bookings = calls / u64::from(can.calls_per_booking.max(1));
        let bookings = u32::try_from(bookings).unwrap_or(u32::MAX).max(1);
        let burst = (bookings / BURST_PART).max(1);
        let inflow = bookings.saturating_sub(burst).max(1);
        let period = Duration::from_secs(60) / inflow;
        Self { places: Arc::new(Buckets::new(clock, burst, period)), period }
    }

    /// Lets one booking be worked on. It waits for a place that comes soon: the dates of a series, or what is to
    /// be undone after a refusal, would begin again from the start otherwise.
    ///
    /// # Errors
    /// [`BookingSystemError::Throttled`] says when there is a place again.
    pub(in crate::booking) async fn take(&self) -> Result<(), BookingSystemError> {
        let mut waited = SignedDuration::ZERO;
        while let Err(wait) = self.places.take(&()) {
            waited += wait;
            if waited > LONGEST_WAIT {
                return Err(BookingSystemError::Throttled { retry_after: Some(wait) });
            }
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
        Ok(())
    }

    /// From one booking to the next for work that nobody waits for: every other place is left.
    pub(in crate::booking) fn idle_pause(&self) -> Duration {
        self.period * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::test_support::ManualClock, booking::built_in::CAPABILITIES};

    #[test]
    fn no_minute_has_more_calls_than_95_percent_of_what_is_granted() {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let can = Capabilities { calls_per_booking: 4, ..CAPABILITIES };
        let budget = BookingBudget::new(Arc::new(clock.clone()), &can, 500);
        let mut sent = Vec::new();
        for second in 0..300 {
            while budget.places.take(&()).is_ok() {
                sent.push(second);
            }
            clock.advance(SignedDuration::from_secs(1));
        }
        for start in 0..240 {
            let calls = sent.iter().filter(|at| (start..start + 60).contains(*at)).count() * 4;
            assert!(calls <= 475, "{calls} from second {start}");
        }
        assert!(sent.len() * 4 > 5 * 400, "and most of it is used: {}", sent.len() * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_comes_soon_is_waited_for_and_one_that_does_not_is_refused() {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let can = Capabilities { calls_per_booking: 4, ..CAPABILITIES };
        let budget = BookingBudget::new(Arc::new(clock.clone()), &can, 100);
        let moves = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                clock.advance(SignedDuration::from_millis(100));
            }
        };
        let takes = async {
            for _ in 0..20 {
                assert_eq!(budget.take().await, Ok(()));
            }
        };
        tokio::select! { () = takes => {}, () = moves => {} }
        let slow = BookingBudget::new(Arc::new(clock), &can, 1);
        assert_eq!(slow.take().await, Ok(()));
        assert!(matches!(slow.take().await, Err(BookingSystemError::Throttled { .. })));
    }
}
