//! Token buckets (GCRA), one for each key, that our own clock fills.

use std::{fmt, hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter, clock::Clock as GovernedClock, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::HashMapStateStore,
};
use jiff::SignedDuration;

use super::clock::Clock;

/// Keys remembered before those with a full bucket are forgotten.
const PRUNE_THRESHOLD: usize = 1_024;

/// Our clock, as the buckets read it.
#[derive(Clone)]
struct GovernorClock(Arc<dyn Clock>);

impl GovernedClock for GovernorClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.now().as_nanosecond()).unwrap_or(0))
    }
}

/// A bucket for each key, full at first.
pub(crate) struct Buckets<K: Hash + Eq + Clone> {
    buckets: RateLimiter<K, HashMapStateStore<K>, GovernorClock, NoOpMiddleware<Nanos>>,
    clock: GovernorClock,
}

impl<K: Hash + Eq + Clone> fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Buckets of `burst`, into which one more flows every `period`.
    pub(crate) fn new(clock: Arc<dyn Clock>, burst: u32, period: Duration) -> Self {
        let clock = GovernorClock(clock);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::with_period(period).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(burst);
        let buckets = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { buckets, clock }
    }

    /// Takes one from the bucket of `key`, or answers when there is one again.
    pub(crate) fn take(&self, key: &K) -> Result<(), SignedDuration> {
        if self.buckets.len() > PRUNE_THRESHOLD {
            // A bucket that is full again says no more than one that is not there.
            self.buckets.retain_recent();
        }
        self.buckets.check_key(key).map_err(|empty| {
            let wait = empty.wait_time_from(self.clock.now());
            SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
        })
    }
}
