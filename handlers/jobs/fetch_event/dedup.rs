//! Versions of events that were handled: a change comes as several notifications, and one look is
//! enough for all that name the same version.
//!
//! It saves work and nothing hangs on it. It is this process's alone, bounded, and short-lived; it
//! keeps keyed digests and no id; and a version is in it only once it was read and all that follows
//! from it was sent on, so that a crash in between loses nothing. Only a notification is passed
//! over for it: never a wish of ours to look, never a deletion, never one that names no version.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        ids::{EventId, MailboxId, TenantId},
        keys::Digest,
    },
    jobs::runner::job::{Enqueue, JobError},
    messages::{EventChange, Origin},
};

/// How many versions are remembered: some 3 MB. The least used go first.
const CAPACITY: usize = 65_536;

/// How long: a storm and the echo of our own writes are over by then.
const REMEMBER_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How long a message waits for its turns in all. Without them an event is read once more at worst.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Turns remembered before those that nobody takes are forgotten.
const MAX_EVENT_LOCKS: usize = 1_024;

/// What this process has handled. Clones share it.
#[derive(Clone)]
pub struct DedupCache(Arc<DedupState>);

struct DedupState {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    handled_at: Cache<DedupKey, Timestamp>,
    event_locks: Mutex<HashMap<DedupKey, Weak<Turn<()>>>>,
}

/// Stands for one version of one event, or one event: worth nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct DedupKey(u128);

impl DedupCache {
    /// Nothing yet, under a key of its own.
    pub fn new(clock: Arc<dyn Clock>, rng: &dyn Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let (seen, turns) = (Cache::new(CAPACITY), Mutex::default());
        Self(Arc::new(DedupState { key, clock, handled_at: seen, event_locks: turns }))
    }

    /// Takes the turn of each event that a notification could be passed over for: of several
    /// notifications of one change that are worked on at once, one looks and the others wait for
    /// what comes of it, for a moment: a slow answer must not hold up the process. Always in the
    /// same order, so that nobody waits in a circle.
    pub(super) async fn begin(&self, tenant: TenantId, items: &[EventChange]) -> DedupSession {
        let named = items.iter().filter(|item| skippable_version(item).is_some());
        let mut marks: Vec<DedupKey> =
            named.map(|item| self.dedup_key(tenant, item.mailbox, &item.event, None)).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut turns = Vec::with_capacity(marks.len());
        let until = tokio::time::Instant::now() + LOCK_TIMEOUT;
        for mark in marks {
            let turn = tokio::time::timeout_at(until, self.event_lock(mark).lock_owned()).await;
            turns.extend(turn.ok());
        }
        DedupSession {
            cache: self.clone(),
            tenant,
            versions_read: HashMap::new(),
            _event_locks: turns,
        }
    }

    /// Whether nothing was said about this mailbox as a whole for a while. Only the first of a storm
    /// is to call for somebody.
    pub(super) fn is_first_for_mailbox(&self, tenant: TenantId, mailbox: MailboxId) -> bool {
        let mark = self.keyed_digest(tenant, mailbox, "", None);
        let first = !self.contains(mark);
        if first {
            self.0.handled_at.insert(mark, self.0.clock.now());
        }
        first
    }

    fn event_lock(&self, mark: DedupKey) -> Arc<Turn<()>> {
        let mut turns = self.0.event_locks.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= MAX_EVENT_LOCKS {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = turns.entry(mark).or_default();
        turn.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(Turn::new(()));
            *turn = Arc::downgrade(&fresh);
            fresh
        })
    }

    fn dedup_key(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        event: &EventId,
        version: Option<Digest>,
    ) -> DedupKey {
        self.keyed_digest(tenant, mailbox, event.as_str(), version)
    }

    /// No event has an empty id.
    fn keyed_digest(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        event: &str,
        version: Option<Digest>,
    ) -> DedupKey {
        let mut context = hmac::Context::with_key(&self.0.key);
        context.update(tenant.0.as_bytes());
        context.update(mailbox.0.as_bytes());
        // All of a fixed length but the last: nothing can be shifted from one part into another.
        context.update(&version.map_or(0, |Digest(version)| version).to_be_bytes());
        context.update(event.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&context.sign().as_ref()[..16]);
        DedupKey(u128::from_be_bytes(first))
    }

    fn contains(&self, mark: DedupKey) -> bool {
        let now = self.0.clock.now();
        // A clock that was set back must not make a mark immortal.
        let fresh = |at: Timestamp| at <= now && now.duration_since(at) < REMEMBER_FOR;
        self.0.handled_at.get(&mark).is_some_and(fresh)
    }
}

/// The version that a notification could be passed over for.
fn skippable_version(item: &EventChange) -> Option<Digest> {
    match item.origin {
        Origin::Notification { deleted: false, version, .. } => version,
        Origin::Notification { deleted: true, .. } | Origin::Refetch => None,
    }
}

/// One item of a message: a nonce that is not the mailbox's own must not speak for one that is.
type NotificationKey = (MailboxId, EventId, Option<u64>);

fn notification_key(item: &EventChange) -> NotificationKey {
    let nonce = match item.origin {
        Origin::Notification { nonce, .. } => Some(nonce),
        Origin::Refetch => None,
    };
    (item.mailbox, item.event.clone(), nonce)
}

/// One message being handled; it holds the turns of its events until it is dropped.
pub(super) struct DedupSession {
    cache: DedupCache,
    tenant: TenantId,
    versions_read: HashMap<NotificationKey, Digest>,
    _event_locks: Vec<OwnedMutexGuard<()>>,
}

impl DedupSession {
    /// Whether the version that `item` tells of was handled before.
    pub(super) fn is_duplicate(&self, item: &EventChange) -> bool {
        let mark = |version| self.cache.dedup_key(self.tenant, item.mailbox, &item.event, version);
        skippable_version(item).is_some_and(|version| self.cache.contains(mark(Some(version))))
    }

    /// Notes which version of the event was read, if what it says is settled here by `result`.
    pub(super) fn record_read(
        &mut self,
        item: &EventChange,
        version: Option<Digest>,
        result: &Result<Vec<Enqueue>, JobError>,
    ) {
        let settled = matches!(result, Ok(_) | Err(JobError::Discard { .. }));
        let version = version.filter(|_| settled).map(|version| (notification_key(item), version));
        self.versions_read.extend(version);
    }

    /// `item`'s outcome was carried on: the version that was read for it is handled.
    pub(super) fn mark_handled(&self, item: &EventChange) {
        if let Some(version) = self.versions_read.get(&notification_key(item)) {
            let DedupCache(inner) = &self.cache;
            let mark = self.cache.dedup_key(self.tenant, item.mailbox, &item.event, Some(*version));
            inner.handled_at.insert(mark, inner.clock.now());
        }
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
        let handled = DedupCache::new(Arc::new(clock.clone()), &SeededRng::new(seed));
        (clock, handled)
    }

    fn notification(event: &str, version: Option<&str>, deleted: bool) -> EventChange {
        let passage = JobMeta::new(CorrelationId(1), noon());
        let mailbox = MailboxId(Uuid::from_u128(1));
        let version = version.map(Digest::of_etag);
        EventChange {
            origin: Origin::Notification { nonce: 7, deleted, version },
            ..EventChange::refetch(mailbox, event.parse().unwrap(), passage)
        }
    }

    async fn handle(handled: &DedupCache, item: &EventChange, read: &str) {
        let mut handling = handled.begin(TENANT, std::slice::from_ref(item)).await;
        handling.record_read(item, Some(Digest::of_etag(read)), &Ok(Vec::new()));
        handling.mark_handled(item);
    }

    async fn is_known(handled: &DedupCache, tenant: TenantId, item: &EventChange) -> bool {
        handled.begin(tenant, std::slice::from_ref(item)).await.is_duplicate(item)
    }

    #[tokio::test]
    async fn only_the_version_that_was_read_and_carried_on_is_known() {
        let (_, handled) = new_cache(1);
        let first = notification("AAMk1", Some("1"), false);
        let mut handling = handled.begin(TENANT, std::slice::from_ref(&first)).await;
        handling.record_read(&first, Some(Digest::of_etag("2")), &Ok(Vec::new()));
        drop(handling);
        assert!(
            !is_known(&handled, TENANT, &notification("AAMk1", Some("2"), false)).await,
            "not yet"
        );
        handle(&handled, &first, "2").await;
        assert!(!is_known(&handled, TENANT, &first).await, "it was never read");
        assert!(is_known(&handled, TENANT, &notification("AAMk1", Some("2"), false)).await);
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
            assert!(!is_known(&handled, TENANT, &other).await, "{other:?}");
        }
        let foreign = TenantId(Uuid::from_u128(8));
        assert!(!is_known(&handled, foreign, &notification("AAMk1", Some("2"), false)).await);
    }

    #[tokio::test]
    async fn it_is_forgotten_after_ten_minutes_and_when_the_clock_is_set_back() {
        let (clock, handled) = new_cache(1);
        let item = notification("AAMk1", Some("1"), false);
        handle(&handled, &item, "1").await;
        clock.advance(REMEMBER_FOR - SignedDuration::from_secs(1));
        assert!(is_known(&handled, TENANT, &item).await);
        clock.advance(SignedDuration::from_secs(1));
        assert!(!is_known(&handled, TENANT, &item).await);
        clock.set(noon() - SignedDuration::from_secs(1));
        assert!(!is_known(&handled, TENANT, &item).await);
    }

    #[tokio::test]
    async fn a_storm_of_versions_is_bounded_and_another_process_has_other_marks() {
        let (_, handled) = new_cache(1);
        let item = notification("AAMk1", Some("1"), false);
        let mut handling = handled.begin(TENANT, std::slice::from_ref(&item)).await;
        for version in 0..2 * CAPACITY as u128 {
            handling.record_read(&item, Some(Digest(version)), &Ok(Vec::new()));
            handling.mark_handled(&item);
        }
        assert!(handled.0.handled_at.len() <= CAPACITY);
        let mark =
            |handled: &DedupCache| handled.dedup_key(TENANT, item.mailbox, &item.event, None);
        assert_ne!(mark(&handled), mark(&new_cache(2).1));
    }

    #[tokio::test]
    async fn of_two_messages_about_one_event_the_second_waits_for_the_first() {
        let (_, handled) = new_cache(1);
        let (a, b) =
            (notification("AAMk1", Some("1"), false), notification("AAMk2", Some("1"), false));
        let mut first = handled.begin(TENANT, &[a.clone(), b.clone()]).await;
        let both = [b.clone(), a.clone()];
        let mut second = Box::pin(handled.begin(TENANT, &both));
        assert!(second.as_mut().now_or_never().is_none());
        let other = notification("AAMk3", Some("1"), false);
        assert!(handled.begin(TENANT, &[other]).now_or_never().is_some(), "another does not");
        let look = EventChange { origin: Origin::Refetch, ..a.clone() };
        assert!(handled.begin(TENANT, &[look]).now_or_never().is_some(), "nor does our own look");
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
        let (_, handled) = new_cache(1);
        let own = notification("AAMk1", Some("1"), false);
        let Origin::Notification { version, .. } = own.origin else { panic!("a notification") };
        let origin = Origin::Notification { nonce: 8, deleted: false, version };
        let strange = EventChange { origin, ..own.clone() };
        let mut handling = handled.begin(TENANT, &[strange.clone(), own.clone()]).await;
        handling.record_read(&own, version, &Ok(Vec::new()));
        // The strange one is dropped first; carrying the other one on then fails.
        handling.mark_handled(&strange);
        drop(handling);
        assert!(!is_known(&handled, TENANT, &own).await, "it is to be looked at again");
    }
}
