//! Who may call now: at most four calls in flight for one mailbox, a share of the process for one
//! tenant, and none for a mailbox that asked to be left alone for a while.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    error::{GraphError, RetryCause},
    response::GraphResponse,
};
use crate::domain::ids::{MailboxId, TenantId};

/// Concurrent requests that Outlook allows one application for one mailbox
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06). Other processes are not counted;
/// across them 429 rules.
const PER_MAILBOX: usize = 4;

/// Calls to mailboxes of one tenant at once, waiting ones included. The host gives a process more
/// messages only while at most 32 are being worked on (`newBatchThreshold` in host.json), so two
/// tenants whose calendars answer slowly can hold it up, and one cannot. What finds no place comes
/// back later instead of waiting here.
const PER_TENANT: usize = 16;

/// Mailboxes (and tenants) remembered before idle ones are forgotten.
const PRUNE_THRESHOLD: usize = 1_024;

/// Closed mailboxes remembered at most; of those beyond, each call asks for itself.
const MAX_THROTTLED: usize = 16_384;

/// The longest that a mailbox is left alone on its word: after that one call asks again.
const MAX_THROTTLE: SignedDuration = SignedDuration::from_hours(1);

/// Hands out places.
#[derive(Debug, Default)]
pub(in crate::graph) struct ConcurrencyLimiter {
    mailboxes: Mutex<HashMap<MailboxId, Arc<Semaphore>>>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
    throttled_until: Mutex<HashMap<MailboxId, Timestamp>>,
}

impl ConcurrencyLimiter {
    /// Waits for one place at each of these mailboxes, as often as it is named but never more than
    /// the limit (Graph sends at most four requests of a batch at a time). `now` is asked after the
    /// wait as well: a mailbox may have closed meanwhile. The right to call ends when the permits are
    /// dropped.
    ///
    /// # Errors
    /// `Retry` when a mailbox wants to be left alone, or the tenant has all its places: nothing was
    /// asked of Graph.
    pub(in crate::graph) async fn acquire(
        &self,
        tenant: TenantId,
        mailboxes: &[MailboxId],
        now: impl Fn() -> Timestamp + Send,
    ) -> Result<Vec<OwnedSemaphorePermit>, GraphError> {
        let mut permits = Vec::new();
        if mailboxes.is_empty() {
            return Ok(permits);
        }
        self.check_not_throttled(mailboxes, now())?;
        let busy = GraphError::Retry { after: None, cause: RetryCause::ConcurrencyLimit };
        // Not waited for: a job that waits here would keep the process from other tenants.
        let places = semaphore(&self.tenants, tenant, PER_TENANT);
        permits.push(places.try_acquire_owned().map_err(|_| busy)?);
        // In the order of the ids, so that two batches never wait for each other.
        let mut wanted: BTreeMap<MailboxId, u32> = BTreeMap::new();
        for mailbox in mailboxes {
            let places = wanted.entry(*mailbox).or_default();
            *places = (*places + 1).min(PER_MAILBOX as u32);
        }
        for (mailbox, places) in wanted {
            // The semaphores are never closed, so this cannot fail.
            let semaphore = semaphore(&self.mailboxes, mailbox, PER_MAILBOX);
            permits.extend(semaphore.acquire_many_owned(places).await);
        }
        self.check_not_throttled(mailboxes, now())?;
        Ok(permits)
    }

    /// Whether all of these mailboxes may be called.
    ///
    /// # Errors
    /// `Retry` until the last of them opens.
    pub(in crate::graph) fn check_not_throttled(
        &self,
        mailboxes: &[MailboxId],
        now: Timestamp,
    ) -> Result<(), GraphError> {
        let closed = lock(&self.throttled_until);
        let until = mailboxes.iter().filter_map(|mailbox| closed.get(mailbox)).max();
        match until {
            Some(until) if *until > now => {
                let after = Some(until.duration_since(now));
                Err(GraphError::Retry { after, cause: RetryCause::Throttled })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Heeds an answer that asks for a wait: until then nobody else of this process asks.
    pub(in crate::graph) fn record_throttling(
        &self,
        mailboxes: &[MailboxId],
        reply: &GraphResponse,
        now: Timestamp,
    ) {
        // Other answers may name a wait too, but not for the sake of the mailbox.
        let (Some(after), 429 | 503) = (reply.retry_after, reply.status) else { return };
        let mut closed = lock(&self.throttled_until);
        if closed.len() + mailboxes.len() > MAX_THROTTLED {
            // Those that opened make room. Where none did, the rest is asked call by call.
            closed.retain(|_, until| *until > now);
        }
        for mailbox in mailboxes {
            if closed.len() < MAX_THROTTLED {
                closed.insert(*mailbox, now + after.min(MAX_THROTTLE));
            }
        }
    }
}

/// The `count` places of `key`.
fn semaphore<K: Eq + Hash>(
    all: &Mutex<HashMap<K, Arc<Semaphore>>>,
    key: K,
    count: usize,
) -> Arc<Semaphore> {
    let mut all = lock(all);
    if all.len() >= PRUNE_THRESHOLD {
        // One that somebody holds must stay: its key would get all its places a second time.
        all.retain(|_, places| Arc::strong_count(places) > 1);
    }
    Arc::clone(all.entry(key).or_insert_with(|| Arc::new(Semaphore::new(count))))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(9));
    const OTHER_TENANT: TenantId = TenantId(Uuid::from_u128(8));
    const ONE: MailboxId = MailboxId(Uuid::from_u128(1));
    const OTHER: MailboxId = MailboxId(Uuid::from_u128(2));

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn at_once(
        limiter: &ConcurrencyLimiter,
        mailboxes: &[MailboxId],
    ) -> Option<Result<Vec<OwnedSemaphorePermit>, GraphError>> {
        limiter.acquire(TENANT, mailboxes, noon).now_or_never()
    }

    fn reply(status: u16, after: Option<i64>) -> GraphResponse {
        let retry_after = after.map(SignedDuration::from_secs);
        GraphResponse { status, retry_after, body: Bytes::new() }
    }

    #[tokio::test]
    async fn the_fifth_call_waits_and_another_mailbox_does_not() {
        let limiter = ConcurrencyLimiter::default();
        let four = limiter.acquire(TENANT, &[ONE; 4], noon).await.ok().unwrap();
        assert!(at_once(&limiter, &[ONE]).is_none());
        assert!(at_once(&limiter, &[OTHER]).unwrap().is_ok());
        drop(four);
        assert!(at_once(&limiter, &[ONE; 20]).unwrap().is_ok(), "a batch takes four places");
    }

    #[tokio::test]
    async fn a_tenant_with_all_its_places_comes_back_later_and_another_does_not() {
        let limiter = ConcurrencyLimiter::default();
        let mailbox = |n: usize| MailboxId(Uuid::from_u128(n as u128));
        let mut held = Vec::new();
        for n in 0..PER_TENANT {
            held.push(at_once(&limiter, &[mailbox(n)]).unwrap().ok().unwrap());
        }
        let refused = at_once(&limiter, &[mailbox(99)]).unwrap().err();
        assert_eq!(
            refused,
            Some(GraphError::Retry { after: None, cause: RetryCause::ConcurrencyLimit })
        );
        assert!(limiter.acquire(OTHER_TENANT, &[mailbox(100)], noon).await.is_ok());
        assert!(at_once(&limiter, &[]).unwrap().is_ok(), "the directory has no such limit");
        held.pop();
        assert!(at_once(&limiter, &[mailbox(99)]).unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_mailbox_that_asked_for_it_is_left_alone_and_another_is_not() {
        let limiter = ConcurrencyLimiter::default();
        for unasked in [reply(429, None), reply(500, Some(30)), reply(200, Some(30))] {
            limiter.record_throttling(&[ONE], &unasked, noon());
            assert!(limiter.check_not_throttled(&[ONE], noon()).is_ok());
        }
        limiter.record_throttling(&[ONE], &reply(429, Some(30)), noon());
        let second = SignedDuration::from_secs(1);
        let wait = |after: i64| {
            let after = Some(second * i32::try_from(after).unwrap());
            Err(GraphError::Retry { after, cause: RetryCause::Throttled })
        };
        assert_eq!(limiter.check_not_throttled(&[OTHER, ONE], noon()), wait(30));
        assert_eq!(limiter.check_not_throttled(&[ONE], noon() + second * 29), wait(1));
        assert!(limiter.check_not_throttled(&[OTHER], noon()).is_ok());
        assert!(limiter.check_not_throttled(&[ONE], noon() + second * 30).is_ok());
        limiter.record_throttling(&[ONE], &reply(503, Some(1_000_000)), noon());
        assert!(
            limiter.check_not_throttled(&[ONE], noon() + MAX_THROTTLE).is_ok(),
            "nobody closes it for good"
        );
    }

    #[tokio::test]
    async fn a_request_that_waited_for_a_place_sees_that_the_mailbox_closed_meanwhile() {
        let limiter = ConcurrencyLimiter::default();
        let four = limiter.acquire(TENANT, &[ONE; 4], noon).await.ok().unwrap();
        let mut fifth = Box::pin(limiter.acquire(TENANT, &[ONE], noon));
        assert!(fifth.as_mut().now_or_never().is_none());
        limiter.record_throttling(&[ONE], &reply(429, Some(30)), noon());
        drop(four);
        assert!(matches!(fifth.await, Err(GraphError::Retry { cause: RetryCause::Throttled, .. })));
    }

    #[test]
    fn closed_mailboxes_are_bounded_and_those_that_opened_make_room() {
        let limiter = ConcurrencyLimiter::default();
        let mailbox = |n: usize| MailboxId(Uuid::from_u128(n as u128));
        for n in 0..MAX_THROTTLED + 10 {
            limiter.record_throttling(&[mailbox(n)], &reply(429, Some(30)), noon());
        }
        assert_eq!(lock(&limiter.throttled_until).len(), MAX_THROTTLED);
        let later = noon() + SignedDuration::from_secs(31);
        limiter.record_throttling(&[ONE], &reply(429, Some(30)), later);
        assert_eq!(lock(&limiter.throttled_until).len(), 1);
    }
}
