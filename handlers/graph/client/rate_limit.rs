//! Token buckets for the subscription API: what would go beyond Graph's limits waits in its queue,
//! and nobody sleeps meanwhile.
//!
//! The limits (learn.microsoft.com/graph/throttling-limits, 2026-02-06) are for any 20 s, and a bucket
//! that is full lets its whole burst through on top of what flows in. So burst and inflow together
//! stay below the limit, with a margin for what other processes do; beyond that Graph's 429 rules.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock as Hand,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, keyed::HashMapStateStore},
};
use http::Method;
use jiff::SignedDuration;

use super::{
    error::{GraphError, RetryCause},
    request::GraphRequest,
};
use crate::{base::clock::Clock, domain::ids::TenantId};

/// The time that Graph's limits are for.
const WINDOW: Duration = Duration::from_secs(20);
/// POST, PATCH and DELETE of subscriptions in one tenant: 480 of Graph's 500. One read of a single
/// subscription counts as one, too.
const TENANT_CHANGES: RateLimit = RateLimit { burst: 100, refill: 380 };
/// The same in all tenants: 1,900 of Graph's 2,000. That limit is for each registration; both share
/// this bucket.
const ALL_CHANGES: RateLimit = RateLimit { burst: 400, refill: 1_500 };
/// Lists of the subscriptions of one tenant: 23 of Graph's 25.
const TENANT_LISTS: RateLimit = RateLimit { burst: 5, refill: 18 };
/// The same in all tenants: 36 of Graph's 40.
const ALL_LISTS: RateLimit = RateLimit { burst: 8, refill: 28 };
/// Tenants remembered before those with a full bucket are forgotten.
const PRUNE_THRESHOLD: usize = 1_024;

/// What is let through in any [`WINDOW`]: at once, and over its time.
#[derive(Debug, Clone, Copy)]
struct RateLimit {
    burst: u32,
    refill: u32,
}

impl RateLimit {
    fn quota(self) -> Quota {
        let whole = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(WINDOW / self.refill)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(whole(self.burst))
    }
}

/// Our clock, as the buckets read it.
#[derive(Clone)]
struct GovernorClock(Arc<dyn Clock>);

impl Hand for GovernorClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.now().as_nanosecond()).unwrap_or(0))
    }
}

type Bucket<Key, State> = RateLimiter<Key, State, GovernorClock, NoOpMiddleware<Nanos>>;

/// A bucket for each tenant, and one for all of them.
struct TenantBuckets {
    tenants: Bucket<TenantId, HashMapStateStore<TenantId>>,
    all_tenants: Bucket<NotKeyed, InMemoryState>,
    clock: GovernorClock,
}

impl TenantBuckets {
    fn new(tenant: RateLimit, all: RateLimit, hand: &GovernorClock) -> Self {
        Self {
            tenants: RateLimiter::new(tenant.quota(), HashMapStateStore::default(), hand.clone()),
            all_tenants: RateLimiter::direct_with_clock(all.quota(), hand.clone()),
            clock: hand.clone(),
        }
    }

    /// Takes a place, or answers how long there is none. A place of the tenant's that the other
    /// bucket refuses is lost, which only makes us slower.
    fn try_take(&self, tenant: TenantId) -> Result<(), Duration> {
        if self.tenants.len() > PRUNE_THRESHOLD {
            self.tenants.retain_recent();
        }
        let of_tenant = self.tenants.check_key(&tenant);
        of_tenant.map_err(|full| full.wait_time_from(self.clock.now()))?;
        self.all_tenants.check().map_err(|full| full.wait_time_from(self.clock.now()))
    }
}

/// Who may change or list subscriptions now.
pub(in crate::graph) struct SubscriptionRateLimiter {
    changes: TenantBuckets,
    lists: TenantBuckets,
}

impl SubscriptionRateLimiter {
    /// All buckets full.
    pub(in crate::graph) fn new(clock: Arc<dyn Clock>) -> Self {
        let hand = GovernorClock(clock);
        Self {
            changes: TenantBuckets::new(TENANT_CHANGES, ALL_CHANGES, &hand),
            lists: TenantBuckets::new(TENANT_LISTS, ALL_LISTS, &hand),
        }
    }

    /// Lets a request pass, or answers when to come again. What is not about subscriptions passes.
    pub(in crate::graph) fn check(
        &self,
        tenant: TenantId,
        ask: &GraphRequest,
    ) -> Result<(), GraphError> {
        let buckets = match (&ask.method, ask.path_template) {
            (&Method::GET, "/subscriptions") => &self.lists,
            (_, "/subscriptions" | "/subscriptions/{id}") => &self.changes,
            _ => return Ok(()),
        };
        buckets.try_take(tenant).map_err(|rest| {
            let after = SignedDuration::try_from(rest).ok();
            GraphError::Retry { after, cause: RetryCause::RateLimited }
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::base::test_support::ManualClock;

    fn tenant(n: u128) -> TenantId {
        TenantId(Uuid::from_u128(n))
    }

    fn patch() -> GraphRequest {
        GraphRequest::new(Method::PATCH, "/subscriptions/{id}", "/subscriptions/x".to_owned())
    }

    fn list() -> GraphRequest {
        GraphRequest::new(Method::GET, "/subscriptions", "/subscriptions".to_owned())
    }

    /// The most that passed in any 20 s, when each tenant asks all the time for two minutes.
    fn most(ask: &GraphRequest, tenants: u128) -> usize {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let rate_limiter = SubscriptionRateLimiter::new(Arc::new(clock.clone()));
        let mut passed = Vec::new();
        for step in 0..1_200 {
            for n in 0..tenants {
                while rate_limiter.check(tenant(n), ask).is_ok() {
                    passed.push(step);
                }
            }
            clock.advance(SignedDuration::from_millis(100));
        }
        let within =
            |from: i32| passed.iter().filter(|at| (from..from + 200).contains(*at)).count();
        (0..1_000).map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_twenty_seconds_hold_more_than_graph_allows_one_tenant_or_all() {
        let (one, all) = (most(&patch(), 1), most(&patch(), 10));
        assert!((450..=485).contains(&one), "{one}");
        assert!((1_800..=1_910).contains(&all), "{all}");
        let (one, all) = (most(&list(), 1), most(&list(), 10));
        assert!((20..=24).contains(&one), "{one}");
        assert!((30..=38).contains(&all), "{all}");
    }

    #[test]
    fn a_request_that_waits_as_long_as_asked_passes_and_other_tenants_are_not_kept() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let rate_limiter = SubscriptionRateLimiter::new(Arc::new(clock.clone()));
        while rate_limiter.check(tenant(1), &patch()).is_ok() {}
        assert_eq!(rate_limiter.check(tenant(2), &patch()), Ok(()));
        let Err(GraphError::Retry { after: Some(after), cause: RetryCause::RateLimited }) =
            rate_limiter.check(tenant(1), &patch())
        else {
            panic!("the bucket is empty")
        };
        assert!(after > SignedDuration::ZERO && after <= SignedDuration::from_secs(1), "{after}");
        clock.advance(after);
        assert_eq!(rate_limiter.check(tenant(1), &patch()), Ok(()));
        let read = GraphRequest::new(Method::GET, "/users/{id}/calendarView", "/x".to_owned());
        assert!((0..10_000).all(|_| rate_limiter.check(tenant(1), &read).is_ok()));
    }
}
