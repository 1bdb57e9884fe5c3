//! Versions of events that were already handled: one change comes as several notifications, and one
//! read is enough for all that name the same version.
//!
//! It only saves work. It belongs to this process alone, is bounded and short-lived, and holds keyed
//! digests and no id. A version is in it only after it was read and everything that follows was
//! sent, so that a crash in between loses nothing. Only a notification is skipped because of it:
//! never our own refetch, never a deletion, and never a notification that names no version.
//!
//! The second look at a new copy ([`Origin::Recheck`]) is skipped in the same way, where the echo of our
//! own write has led to one. It is there for a deletion that came before the copy had its row and so found
//! nothing to end. But our write and the read after it found the event when the row was there: a deletion
//! that comes later finds the row, and so does a withdrawal, as the mailbox was still active.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        ids::{EventId, MailboxId, TenantId},
        keys::Digest,
    },
    jobs::runner::job::{JobError, JobResult},
    messages::{EventChange, Origin},
};

/// How many versions are remembered: some 3 MB. The least used ones are dropped first.
const CAPACITY: usize = 65_536;

/// How long: a storm and the echo of our own writes are over by then.
const REMEMBER_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How long a message waits for its events' locks in all. Without them an event is read twice at
/// worst.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How many locks are kept before those that nobody holds are dropped.
const MAX_EVENT_LOCKS: usize = 1_024;

/// Each event of a mailbox once for each nonce: a nonce that is not the mailbox's own must not speak
/// for one that is, and which is which is not known yet.
pub(super) fn merge_duplicates(items: Vec<EventChange>) -> Vec<EventChange> {
    let mut merged: Vec<EventChange> = Vec::with_capacity(items.len());
    let mut indices = HashMap::new();
    for item in items {
        match indices.entry(notification_key(&item)) {
            Entry::Occupied(index) => {
                let first: &mut EventChange = &mut merged[*index.get()];
                first.merge(item.origin, item.encrypted_content);
            }
            Entry::Vacant(index) => {
                index.insert(merged.len());
                merged.push(item);
            }
        }
    }
    merged
}

/// What tells two items of one message apart.
type NotificationKey = (MailboxId, EventId, Option<u64>);

fn notification_key(item: &EventChange) -> NotificationKey {
    let nonce = match item.origin {
        Origin::Notification { nonce, .. } => Some(nonce),
        Origin::Refetch | Origin::Recheck | Origin::Unlisted | Origin::NotFound => None,
    };
    (item.mailbox, item.event.clone(), nonce)
}

/// The version because of which a notification could be skipped.
fn skippable_version(item: &EventChange) -> Option<Digest> {
    match item.origin {
        Origin::Notification { deleted: false, version, .. } => version,
        Origin::Notification { deleted: true, .. }
        | Origin::Refetch
        | Origin::Recheck
        | Origin::Unlisted
        | Origin::NotFound => None,
    }
}

/// What this process has handled. Clones share it. Its keys are digests that name one version of an
/// event, an event, or a mailbox; they are worth nothing outside this process.
#[derive(Clone)]
pub struct DedupCache {
    secret: hmac::Key,
    clock: Arc<dyn Clock>,
    handled_at: Arc<Cache<Digest, Timestamp>>,
    event_locks: Arc<Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>>,
}

impl DedupCache {
    /// An empty cache, with a secret of its own.
    pub fn new(clock: Arc<dyn Clock>, rng: &dyn Rng) -> Self {
        let mut secret = [0; 32];
        rng.fill(&mut secret);
        Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            clock,
            handled_at: Arc::new(Cache::new(CAPACITY)),
            event_locks: Arc::default(),
        }
    }

    /// Locks each event of which a notification could be skipped. Of several messages about one
    /// change, the first reads the event and the others wait for what comes of it.
    pub(super) async fn begin(&self, tenant: TenantId, items: &[EventChange]) -> DedupSession {
        let skippable = items.iter().filter(|item| skippable_version(item).is_some());
        let mut keys: Vec<Digest> = skippable
            .map(|item| self.dedup_key(tenant, item.mailbox, Some(&item.event), None))
            .collect();
        // Always in the same order: two messages that lock the same events in different orders would
        // wait for each other.
        keys.sort_unstable();
        keys.dedup();
        let mut locks = Vec::with_capacity(keys.len());
        // One deadline for all of them: a slow answer must not hold up the process.
        let deadline = tokio::time::Instant::now() + LOCK_TIMEOUT;
        for key in keys {
            let lock = self.event_lock(key).lock_owned();
            locks.extend(tokio::time::timeout_at(deadline, lock).await.ok());
        }
        DedupSession {
            cache: self.clone(),
            tenant,
            begun_at: self.clock.now(),
            versions_read: HashMap::new(),
            looked_again: HashSet::new(),
            _event_locks: locks,
        }
    }

    /// Whether nothing was asked for this mailbox as a whole for a while: one notification of a storm
    /// is enough to renew a subscription.
    pub(super) fn is_first_for_mailbox(&self, tenant: TenantId, mailbox: MailboxId) -> bool {
        let key = self.dedup_key(tenant, mailbox, None, None);
        let first = !self.contains(key);
        if first {
            self.handled_at.insert(key, self.clock.now());
        }
        first
    }

    fn event_lock(&self, key: Digest) -> Arc<AsyncMutex<()>> {
        let mut locks = self.event_locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.len() >= MAX_EVENT_LOCKS {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = locks.entry(key).or_default();
        lock.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(AsyncMutex::new(()));
            *lock = Arc::downgrade(&fresh);
            fresh
        })
    }

    fn dedup_key(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        event: Option<&EventId>,
        version: Option<Digest>,
    ) -> Digest {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(tenant.0.as_bytes());
        context.update(mailbox.0.as_bytes());
        // All parts but the last have a fixed length, so none can be shifted into another; and no
        // event has an empty id.
        context.update(&version.map_or(0, |Digest(version)| version).to_be_bytes());
        context.update(event.map_or("", EventId::as_str).as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&context.sign().as_ref()[..16]);
        Digest(u128::from_be_bytes(first))
    }

    fn contains(&self, key: Digest) -> bool {
        self.contains_since(key, Timestamp::MIN)
    }

    fn contains_since(&self, key: Digest, since: Timestamp) -> bool {
        let now = self.clock.now();
        // A clock that was set back must not make a key immortal.
        let is_fresh = |at: Timestamp| at <= now && now.duration_since(at) < REMEMBER_FOR;
        self.handled_at.get(&key).is_some_and(|at| at >= since && is_fresh(at))
    }
}

/// One message in progress; it holds the locks of its events until it is dropped.
pub(super) struct DedupSession {
    cache: DedupCache,
    tenant: TenantId,
    /// Before anything was read.
    begun_at: Timestamp,
    versions_read: HashMap<NotificationKey, Digest>,
    looked_again: HashSet<NotificationKey>,
    _event_locks: Vec<OwnedMutexGuard<()>>,
}

impl DedupSession {
    /// Whether the version that `item` names was already handled, or the second look that it asks for
    /// already taken.
    pub(super) fn is_duplicate(&self, item: &EventChange) -> bool {
        if item.origin == Origin::Recheck {
            return self.cache.contains_since(self.key(item, None), item.meta.first_seen);
        }
        skippable_version(item)
            .is_some_and(|version| self.cache.contains(self.key(item, Some(version))))
    }

    /// Notes that the event was read in Graph and is there, after our own write had found it.
    pub(super) fn record_second_look(&mut self, item: &EventChange, result: &JobResult) {
        if result.is_ok() {
            self.looked_again.insert(notification_key(item));
        }
    }

    /// Notes which version of the event was read, if `result` ends the item.
    pub(super) fn record_read(
        &mut self,
        item: &EventChange,
        version: Option<Digest>,
        result: &JobResult,
    ) {
        if let Some(version) = version
            && matches!(result, Ok(_) | Err(JobError::Discard(_)))
        {
            self.versions_read.insert(notification_key(item), version);
        }
    }

    /// Remembers what was read for `item`, now that its outcome was completed.
    pub(super) fn mark_handled(&self, item: &EventChange) {
        let key = notification_key(item);
        if let Some(version) = self.versions_read.get(&key) {
            self.cache.handled_at.insert(self.key(item, Some(*version)), self.cache.clock.now());
        }
        if self.looked_again.contains(&key) {
            self.cache.handled_at.insert(self.key(item, None), self.begun_at);
        }
    }

    fn key(&self, item: &EventChange, version: Option<Digest>) -> Digest {
        self.cache.dedup_key(self.tenant, item.mailbox, Some(&item.event), version)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        domain::ids::CorrelationId,
        messages::JobMeta,
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(9));

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn new_cache(seed: u64) -> (ManualClock, DedupCache) {
        let clock = ManualClock::new(noon());
        let cache = DedupCache::new(Arc::new(clock.clone()), &SeededRng::new(seed));
        (clock, cache)
    }

    fn notification(event: &str, version: Option<&str>, deleted: bool) -> EventChange {
        let meta = JobMeta::new(CorrelationId(1), noon());
        let mailbox = MailboxId(Uuid::from_u128(1));
        let version = version.map(Digest::of_etag);
        EventChange {
            origin: Origin::Notification { nonce: 7, deleted, version },
            ..EventChange::refetch(mailbox, event.parse().unwrap(), meta)
        }
    }

    async fn handle(cache: &DedupCache, item: &EventChange, read: &str) {
        let mut session = cache.begin(TENANT, std::slice::from_ref(item)).await;
        session.record_read(item, Some(Digest::of_etag(read)), &Ok(Vec::new()));
        session.mark_handled(item);
    }

    async fn is_known(cache: &DedupCache, tenant: TenantId, item: &EventChange) -> bool {
        cache.begin(tenant, std::slice::from_ref(item)).await.is_duplicate(item)
    }

    #[tokio::test]
    async fn only_a_version_that_was_read_and_completed_is_known() {
        let (_, cache) = new_cache(1);
        let first = notification("AAMk1", Some("1"), false);
        let mut session = cache.begin(TENANT, std::slice::from_ref(&first)).await;
        session.record_read(&first, Some(Digest::of_etag("2")), &Ok(Vec::new()));
        drop(session);
        assert!(
            !is_known(&cache, TENANT, &notification("AAMk1", Some("2"), false)).await,
            "not yet"
        );
        handle(&cache, &first, "2").await;
        assert!(!is_known(&cache, TENANT, &first).await, "it was never read");
        assert!(is_known(&cache, TENANT, &notification("AAMk1", Some("2"), false)).await);
        for other in [
            notification("AAMk1", Some("2"), true),
            notification("AAMk1", None, false),
            notification("AAMk2", Some("2"), false),
            EventChange { origin: Origin::Refetch, ..first.clone() },
            EventChange {
                mailbox: MailboxId(Uuid::from_u128(2)),
                ..notification("AAMk1", Some("2"), false)
            },
        ] {
            assert!(!is_known(&cache, TENANT, &other).await, "{other:?}");
        }
        let foreign = TenantId(Uuid::from_u128(8));
        assert!(!is_known(&cache, foreign, &notification("AAMk1", Some("2"), false)).await);
    }

    #[tokio::test]
    async fn a_second_look_counts_for_the_rechecks_that_were_asked_for_before_it() {
        let (clock, cache) = new_cache(1);
        let echo = notification("AAMk1", None, false);
        let recheck = |first_seen| {
            let meta = JobMeta { first_seen, ..echo.meta };
            EventChange { origin: Origin::Recheck, meta, ..echo.clone() }
        };
        for (result, counts) in [(Err(JobError::fail("no luck")), false), (Ok(Vec::new()), true)] {
            let mut session = cache.begin(TENANT, std::slice::from_ref(&echo)).await;
            session.record_second_look(&echo, &result);
            clock.advance(SignedDuration::from_secs(1));
            session.mark_handled(&echo);
            assert_eq!(is_known(&cache, TENANT, &recheck(noon())).await, counts);
        }
        assert!(!is_known(&cache, TENANT, &recheck(clock.now())).await, "it began earlier");
        let refetch = EventChange { origin: Origin::Refetch, ..recheck(noon()) };
        assert!(!is_known(&cache, TENANT, &refetch).await);
        assert!(!is_known(&new_cache(2).1, TENANT, &recheck(noon())).await, "another process");
    }

    #[tokio::test]
    async fn it_is_forgotten_after_ten_minutes_and_when_the_clock_is_set_back() {
        let (clock, cache) = new_cache(1);
        let item = notification("AAMk1", Some("1"), false);
        handle(&cache, &item, "1").await;
        clock.advance(REMEMBER_FOR - SignedDuration::from_secs(1));
        assert!(is_known(&cache, TENANT, &item).await);
        clock.advance(SignedDuration::from_secs(1));
        assert!(!is_known(&cache, TENANT, &item).await);
        clock.set(noon() - SignedDuration::from_secs(1));
        assert!(!is_known(&cache, TENANT, &item).await);
    }

    #[tokio::test]
    async fn a_storm_of_versions_is_bounded_and_another_process_has_other_keys() {
        let (_, cache) = new_cache(1);
        let item = notification("AAMk1", Some("1"), false);
        let mut session = cache.begin(TENANT, std::slice::from_ref(&item)).await;
        for version in 0..2 * CAPACITY as u128 {
            session.record_read(&item, Some(Digest(version)), &Ok(Vec::new()));
            session.mark_handled(&item);
        }
        assert!(cache.handled_at.len() <= CAPACITY);
        let key =
            |cache: &DedupCache| cache.dedup_key(TENANT, item.mailbox, Some(&item.event), None);
        assert_ne!(key(&cache), key(&new_cache(2).1));
    }

    #[tokio::test]
    async fn of_two_messages_about_one_event_the_second_waits_for_the_first() {
        let (_, cache) = new_cache(1);
        let (a, b) =
            (notification("AAMk1", Some("1"), false), notification("AAMk2", Some("1"), false));
        let mut first = cache.begin(TENANT, &[a.clone(), b.clone()]).await;
        let both = [b.clone(), a.clone()];
        let mut second = Box::pin(cache.begin(TENANT, &both));
        assert!(second.as_mut().now_or_never().is_none());
        let other = notification("AAMk3", Some("1"), false);
        assert!(cache.begin(TENANT, &[other]).now_or_never().is_some(), "another does not");
        let refetch = EventChange { origin: Origin::Refetch, ..a.clone() };
        assert!(
            cache.begin(TENANT, &[refetch]).now_or_never().is_some(),
            "nor does our own refetch"
        );
        first.record_read(&a, Some(Digest::of_etag("1")), &Ok(Vec::new()));
        first.record_read(&b, Some(Digest::of_etag("1")), &Err(JobError::fail("no luck")));
        first.mark_handled(&b);
        first.mark_handled(&a);
        drop(first);
        let second = second.await;
        assert!(second.is_duplicate(&a) && !second.is_duplicate(&b));
    }

    #[tokio::test]
    async fn an_item_that_was_turned_away_does_not_settle_what_another_has_read() {
        let (_, cache) = new_cache(1);
        let own = notification("AAMk1", Some("1"), false);
        let Origin::Notification { version, .. } = own.origin else { panic!("a notification") };
        let origin = Origin::Notification { nonce: 8, deleted: false, version };
        let foreign = EventChange { origin, ..own.clone() };
        let mut session = cache.begin(TENANT, &[foreign.clone(), own.clone()]).await;
        session.record_read(&own, version, &Ok(Vec::new()));
        // The foreign one is discarded first; completing the other one then fails.
        session.mark_handled(&foreign);
        drop(session);
        assert!(!is_known(&cache, TENANT, &own).await, "it is to be read again");
    }
}
