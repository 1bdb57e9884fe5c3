//! How many requests Graph takes: the limits of the subscription API, and what was refused by which limit.

use std::collections::{BTreeMap, VecDeque};

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::Graph;
use super::request::{Call, Reply, Route};
use super::switches::throttle_error;
use crate::entra::Caller;

/// The time that the limits of the subscription API are for
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const WINDOW: SignedDuration = SignedDuration::from_secs(20);

/// What refused a request with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// More than four requests at once in a mailbox.
    MailboxConcurrency,
    /// POST, PATCH and DELETE of subscriptions.
    SubscriptionWrites,
    /// `reauthorize`.
    Reauthorizations,
    /// GET of one subscription.
    SubscriptionReads,
    /// GET of the list of subscriptions.
    SubscriptionLists,
    /// [`Graph::throttle`].
    Throttle,
}

impl Limit {
    /// The limit that a request counts against.
    fn of(method: &Method, route: &Route) -> Option<Self> {
        match (route, method.as_str()) {
            (Route::Subscriptions, "POST") | (Route::Subscription { .. }, "PATCH" | "DELETE") => {
                Some(Self::SubscriptionWrites)
            }
            (Route::Reauthorize { .. }, "POST") => Some(Self::Reauthorizations),
            (Route::Subscription { .. }, "GET") => Some(Self::SubscriptionReads),
            (Route::Subscriptions, "GET") => Some(Self::SubscriptionLists),
            _ => None,
        }
    }

    /// Requests in twenty seconds: of one app in one tenant, and of one app in all tenants
    /// (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
    fn quota(self) -> (usize, usize) {
        match self {
            Self::SubscriptionWrites | Self::SubscriptionReads => (500, 2_000),
            Self::Reauthorizations => (1_000, 4_000),
            Self::SubscriptionLists => (25, 40),
            Self::MailboxConcurrency | Self::Throttle => (usize::MAX, usize::MAX),
        }
    }
}

/// The instants of recent requests, oldest first.
#[derive(Default)]
struct SlidingWindow {
    at: VecDeque<Timestamp>,
    /// The most that ever were in one window.
    peak: usize,
}

impl SlidingWindow {
    fn evict(&mut self, now: Timestamp) {
        while self.at.front().is_some_and(|at| *at + WINDOW <= now) {
            self.at.pop_front();
        }
    }

    fn add(&mut self, now: Timestamp) {
        self.at.push_back(now);
        self.peak = self.peak.max(self.at.len());
    }

    /// When there is room again, if there is none now.
    fn full_until(&self, most: usize) -> Option<Timestamp> {
        let blocking = self.at.len().checked_sub(most)?;
        self.at.get(blocking).map(|at| *at + WINDOW)
    }
}

/// What was asked in the last twenty seconds, and what was refused so far.
#[derive(Default)]
pub(super) struct Limits {
    /// What was taken, by limit, app, and tenant (none for all tenants together).
    accepted: BTreeMap<(Limit, String, Option<String>), SlidingWindow>,
    /// Writes of subscriptions by tenant, taken or not.
    writes: BTreeMap<String, SlidingWindow>,
    refused: BTreeMap<Limit, u64>,
}

impl Limits {
    pub(super) fn count_refusal(&mut self, limit: Limit) {
        *self.refused.entry(limit).or_default() += 1;
    }

    /// Takes a request, or returns when to come back.
    fn take(&mut self, limit: Limit, caller: &Caller, now: Timestamp) -> Result<(), Timestamp> {
        if limit == Limit::SubscriptionWrites {
            let all = self.writes.entry(caller.tenant.clone()).or_default();
            all.evict(now);
            all.add(now);
        }
        let (of_tenant, of_app) = limit.quota();
        let key = |tenant: Option<&String>| (limit, caller.app.clone(), tenant.cloned());
        let keys = [(key(Some(&caller.tenant)), of_tenant), (key(None), of_app)];
        let mut until = None;
        for (key, most) in &keys {
            let recent = self.accepted.entry(key.clone()).or_default();
            recent.evict(now);
            until = until.max(recent.full_until(*most));
        }
        if let Some(until) = until {
            self.count_refusal(limit);
            return Err(until);
        }
        for (key, _) in keys {
            self.accepted.entry(key).or_default().add(now);
        }
        Ok(())
    }
}

impl Graph {
    /// The greatest number of POST, PATCH and DELETE requests for subscriptions of `tenant` in any
    /// twenty seconds, refused ones included.
    pub fn peak_subscription_writes(&self, tenant: &str) -> usize {
        self.lock().limits.writes.get(tenant).map_or(0, |recent| recent.peak)
    }

    /// How many requests were refused with 429 by `limit`.
    pub fn throttled(&self, limit: Limit) -> u64 {
        self.lock().limits.refused.get(&limit).copied().unwrap_or(0)
    }

    /// How many requests were refused with 429 in all.
    pub fn total_throttled(&self) -> u64 {
        self.lock().limits.refused.values().sum()
    }

    /// The refusal where this request is one too many. Refused requests do not count against the
    /// limit: a caller that waits as long as the answer says gets in.
    pub(super) fn check_limit(&self, call: &Call, route: &Route, caller: &Caller) -> Option<Reply> {
        let limit = Limit::of(&call.method, route)?;
        let now = self.now();
        let until = self.lock().limits.take(limit, caller, now).err()?;
        let wait = until.duration_since(now);
        let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        let text = "Too many requests for subscriptions.";
        let reply = throttle_error(StatusCode::TOO_MANY_REQUESTS, text);
        Some(reply.retry_after(seconds.max(1)))
    }
}
