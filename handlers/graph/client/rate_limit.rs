//! Token buckets for the subscription API: what would go beyond Graph's limits waits in its queue,
//! and nobody sleeps meanwhile.
//!
//! The limits (learn.microsoft.com/graph/throttling-limits, 2026-02-06) are for any 20 s, and a bucket
//! that is full lets its whole burst through on top of what flows in. So burst and inflow together
//! stay below the limit, with a margin for what other processes do; beyond that Graph's 429 rules.

use std::{hash::Hash, sync::Arc, time::Duration};

use http::Method;

use super::{
    error::{GraphError, RetryCause},
    request::GraphRequest,
};
use crate::{
    base::{clock::Clock, rate_limit::Buckets},
    domain::ids::TenantId,
};

/// The time that Graph's limits are for.
const WINDOW: Duration = Duration::from_secs(20);

// What is let through in any [`WINDOW`]: at once (the burst), and over its time (the inflow).

/// POST, PATCH and DELETE of subscriptions in one tenant: 480 of Graph's 500. One read of a single
/// subscription counts as one, too.
const TENANT_CHANGES: (u32, u32) = (100, 380);
/// The same in all tenants: 1,900 of Graph's 2,000. That limit is for each registration; both share
/// this bucket.
const ALL_CHANGES: (u32, u32) = (400, 1_500);
/// Lists of the subscriptions of one tenant: 23 of Graph's 25.
const TENANT_LISTS: (u32, u32) = (5, 18);
/// The same in all tenants: 36 of Graph's 40.
const ALL_LISTS: (u32, u32) = (8, 28);
/// Who may change or list subscriptions now.
pub(in crate::graph) struct SubscriptionRateLimiter {
    tenant_changes: Buckets<TenantId>,
    all_changes: Buckets<()>,
    tenant_lists: Buckets<TenantId>,
    all_lists: Buckets<()>,
}

impl SubscriptionRateLimiter {
    /// All buckets full.
    pub(in crate::graph) fn new(clock: Arc<dyn Clock>) -> Self {
        fn buckets<K: Hash + Eq + Clone>(
            clock: &Arc<dyn Clock>,
            (burst, inflow): (u32, u32),
        ) -> Buckets<K> {
            Buckets::new(Arc::clone(clock), burst, WINDOW / inflow)
        }
        Self {
            tenant_changes: buckets(&clock, TENANT_CHANGES),
            all_changes: buckets(&clock, ALL_CHANGES),
            tenant_lists: buckets(&clock, TENANT_LISTS),
            all_lists: buckets(&clock, ALL_LISTS),
        }
    }

    /// Lets a request pass, or answers when to come again. What is not about subscriptions passes.
    pub(in crate::graph) fn check(
        &self,
        tenant: TenantId,
        ask: &GraphRequest,
    ) -> Result<(), GraphError> {
        let (of_tenant, of_all) = match (&ask.method, ask.path_template) {
            (&Method::GET, "/subscriptions") => (&self.tenant_lists, &self.all_lists),
            (_, "/subscriptions" | "/subscriptions/{id}") => {
                (&self.tenant_changes, &self.all_changes)
            }
            _ => return Ok(()),
        };
        // A place of the tenant's that the other bucket refuses is lost, which only makes us slower.
        let taken = of_tenant.take(&tenant).and_then(|()| of_all.take(&()));
        let cause = RetryCause::RateLimited;
        taken.map_err(|after| GraphError::Retry { after: Some(after), cause })
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
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
