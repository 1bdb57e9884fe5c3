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
    jobs::runner::job::{Next, StepError},
    messages::{EventChange, Origin},
};

/// How many versions are remembered: some 3 MB. The least used go first.
const CAPACITY: usize = 65_536;

/// How long: a storm and the echo of our own writes are over by then.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);

/// How long a message waits for its turns in all. Without them an event is read once more at worst.
const PATIENCE: Duration = Duration::from_secs(2);

/// Turns remembered before those that nobody takes are forgotten.
const TURNS: usize = 1_024;

/// What this process has handled. Clones share it.
#[derive(Clone)]
pub struct Handled(Arc<Inner>);

struct Inner {
    key: hmac::Key,
    clock: Arc<dyn Clock>,
    seen: Cache<Mark, Timestamp>,
    turns: Mutex<HashMap<Mark, Weak<Turn<()>>>>,
}

/// Stands for one version of one event, or one event: worth nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mark(u128);

impl Handled {
    /// Nothing yet, under a key of its own.
    pub fn new(clock: Arc<dyn Clock>, rng: &dyn Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let (seen, turns) = (Cache::new(CAPACITY), Mutex::default());
        Self(Arc::new(Inner { key, clock, seen, turns }))
    }

    /// Takes the turn of each event that a notification could be passed over for: of several
    /// notifications of one change that are worked on at once, one looks and the others wait for
    /// what comes of it, for a moment: a slow answer must not hold up the process. Always in the
    /// same order, so that nobody waits in a circle.
    pub(super) async fn begin(&self, tenant: TenantId, items: &[EventChange]) -> Handling {
        let named = items.iter().filter(|item| version(item).is_some());
        let mut marks: Vec<Mark> =
            named.map(|item| self.mark(tenant, item.mailbox, &item.event, None)).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut turns = Vec::with_capacity(marks.len());
        let until = tokio::time::Instant::now() + PATIENCE;
        for mark in marks {
            let turn = tokio::time::timeout_at(until, self.turn(mark).lock_owned()).await;
            turns.extend(turn.ok());
        }
        Handling { handled: self.clone(), tenant, read: HashMap::new(), _turns: turns }
    }

    /// Whether nothing was said about this mailbox as a whole for a while. Only the first of a storm
    /// is to call for somebody.
    pub(super) fn is_first_call(&self, tenant: TenantId, mailbox: MailboxId) -> bool {
        let mark = self.mark_of(tenant, mailbox, "", None);
        let first = !self.knows(mark);
        if first {
            self.0.seen.insert(mark, self.0.clock.now());
        }
        first
    }

    fn turn(&self, mark: Mark) -> Arc<Turn<()>> {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= TURNS {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = turns.entry(mark).or_default();
        turn.upgrade().unwrap_or_else(|| {
            let fresh = Arc::new(Turn::new(()));
            *turn = Arc::downgrade(&fresh);
            fresh
        })
    }

    fn mark(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        event: &EventId,
        version: Option<Digest>,
    ) -> Mark {
        self.mark_of(tenant, mailbox, event.as_str(), version)
    }

    /// No event has an empty id.
    fn mark_of(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        event: &str,
        version: Option<Digest>,
    ) -> Mark {
        let mut context = hmac::Context::with_key(&self.0.key);
        context.update(tenant.0.as_bytes());
        context.update(mailbox.0.as_bytes());
        // All of a fixed length but the last: nothing can be shifted from one part into another.
        context.update(&version.map_or(0, |Digest(version)| version).to_be_bytes());
        context.update(event.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&context.sign().as_ref()[..16]);
        Mark(u128::from_be_bytes(first))
    }

    fn knows(&self, mark: Mark) -> bool {
        let now = self.0.clock.now();
        // A clock that was set back must not make a mark immortal.
        let fresh = |at: Timestamp| at <= now && now.duration_since(at) < REMEMBERED;
        self.0.seen.get(&mark).is_some_and(fresh)
    }
}

/// The version that a notification could be passed over for.
fn version(item: &EventChange) -> Option<Digest> {
    match item.origin {
        Origin::Notification { deleted: false, version, .. } => version,
        Origin::Notification { deleted: true, .. } | Origin::Look => None,
    }
}

/// One item of a message: a nonce that is not the mailbox's own must not speak for one that is.
type Telling = (MailboxId, EventId, Option<u64>);

fn telling(item: &EventChange) -> Telling {
    let nonce = match item.origin {
        Origin::Notification { nonce, .. } => Some(nonce),
        Origin::Look => None,
    };
    (item.mailbox, item.event.clone(), nonce)
}

/// One message being handled; it holds the turns of its events until it is dropped.
pub struct Handling {
    handled: Handled,
    tenant: TenantId,
    read: HashMap<Telling, Digest>,
    _turns: Vec<OwnedMutexGuard<()>>,
}

impl Handling {
    /// Whether the version that `item` tells of was handled before.
    pub(super) fn is_known(&self, item: &EventChange) -> bool {
        let mark = |version| self.handled.mark(self.tenant, item.mailbox, &item.event, version);
        version(item).is_some_and(|version| self.handled.knows(mark(Some(version))))
    }

    /// Notes which version of the event was read, if what it says is settled here by `result`.
    pub(super) fn read(
        &mut self,
        item: &EventChange,
        version: Option<Digest>,
        result: &Result<Vec<Next>, StepError>,
    ) {
        let settled = matches!(result, Ok(_) | Err(StepError::Drop { .. }));
        let version = version.filter(|_| settled).map(|version| (telling(item), version));
        self.read.extend(version);
    }

    /// `item`'s outcome was carried on: the version that was read for it is handled.
    pub fn carried_on(&self, item: &EventChange) {
        if let Some(version) = self.read.get(&telling(item)) {
            let Handled(inner) = &self.handled;
            let mark = self.handled.mark(self.tenant, item.mailbox, &item.event, Some(*version));
            inner.seen.insert(mark, inner.clock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::{clock::ManualClock, rng::SeededRng},
        domain::ids::CorrelationId,
        messages::Passage,
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(9));

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn opened(seed: u64) -> (ManualClock, Handled) {
        let clock = ManualClock::new(noon());
        let handled = Handled::new(Arc::new(clock.clone()), &SeededRng::new(seed));
        (clock, handled)
    }

    fn told(event: &str, version: Option<&str>, deleted: bool) -> EventChange {
        let passage = Passage::start(CorrelationId(1), noon());
        let mailbox = MailboxId(Uuid::from_u128(1));
        let version = version.map(Digest::of_etag);
        EventChange {
            origin: Origin::Notification { nonce: 7, deleted, version },
            ..EventChange::look(mailbox, event.parse().unwrap(), passage)
        }
    }

    async fn handle(handled: &Handled, item: &EventChange, read: &str) {
        let mut handling = handled.begin(TENANT, std::slice::from_ref(item)).await;
        handling.read(item, Some(Digest::of_etag(read)), &Ok(Vec::new()));
        handling.carried_on(item);
    }

    async fn is_known(handled: &Handled, tenant: TenantId, item: &EventChange) -> bool {
        handled.begin(tenant, std::slice::from_ref(item)).await.is_known(item)
    }

    #[tokio::test]
    async fn only_the_version_that_was_read_and_carried_on_is_known() {
        let (_, handled) = opened(1);
        let first = told("AAMk1", Some("1"), false);
        let mut handling = handled.begin(TENANT, std::slice::from_ref(&first)).await;
        handling.read(&first, Some(Digest::of_etag("2")), &Ok(Vec::new()));
        drop(handling);
        assert!(!is_known(&handled, TENANT, &told("AAMk1", Some("2"), false)).await, "not yet");
        handle(&handled, &first, "2").await;
        assert!(!is_known(&handled, TENANT, &first).await, "it was never read");
        assert!(is_known(&handled, TENANT, &told("AAMk1", Some("2"), false)).await);
        for other in [
            told("AAMk1", Some("2"), true),
            told("AAMk1", None, false),
            told("AAMk2", Some("2"), false),
            EventChange { origin: Origin::Look, ..first.clone() },
            EventChange {
                mailbox: MailboxId(Uuid::from_u128(2)),
                ..told("AAMk1", Some("2"), false)
            },
        ] {
            assert!(!is_known(&handled, TENANT, &other).await, "{other:?}");
        }
        let foreign = TenantId(Uuid::from_u128(8));
        assert!(!is_known(&handled, foreign, &told("AAMk1", Some("2"), false)).await);
    }

    #[tokio::test]
    async fn it_is_forgotten_after_ten_minutes_and_when_the_clock_is_set_back() {
        let (clock, handled) = opened(1);
        let item = told("AAMk1", Some("1"), false);
        handle(&handled, &item, "1").await;
        clock.advance(REMEMBERED - SignedDuration::from_secs(1));
        assert!(is_known(&handled, TENANT, &item).await);
        clock.advance(SignedDuration::from_secs(1));
        assert!(!is_known(&handled, TENANT, &item).await);
        clock.set(noon() - SignedDuration::from_secs(1));
        assert!(!is_known(&handled, TENANT, &item).await);
    }

    #[tokio::test]
    async fn a_storm_of_versions_is_bounded_and_another_process_has_other_marks() {
        let (_, handled) = opened(1);
        let item = told("AAMk1", Some("1"), false);
        let mut handling = handled.begin(TENANT, std::slice::from_ref(&item)).await;
        for version in 0..2 * CAPACITY as u128 {
            handling.read(&item, Some(Digest(version)), &Ok(Vec::new()));
            handling.carried_on(&item);
        }
        assert!(handled.0.seen.len() <= CAPACITY);
        let mark = |handled: &Handled| handled.mark(TENANT, item.mailbox, &item.event, None);
        assert_ne!(mark(&handled), mark(&opened(2).1));
    }

    #[tokio::test]
    async fn of_two_messages_about_one_event_the_second_waits_for_the_first() {
        let (_, handled) = opened(1);
        let (a, b) = (told("AAMk1", Some("1"), false), told("AAMk2", Some("1"), false));
        let mut first = handled.begin(TENANT, &[a.clone(), b.clone()]).await;
        let both = [b.clone(), a.clone()];
        let mut second = Box::pin(handled.begin(TENANT, &both));
        assert!(second.as_mut().now_or_never().is_none());
        let other = told("AAMk3", Some("1"), false);
        assert!(handled.begin(TENANT, &[other]).now_or_never().is_some(), "another does not");
        let look = EventChange { origin: Origin::Look, ..a.clone() };
        assert!(handled.begin(TENANT, &[look]).now_or_never().is_some(), "nor does our own look");
        first.read(&a, Some(Digest::of_etag("1")), &Ok(Vec::new()));
        first.read(&b, Some(Digest::of_etag("1")), &Err(StepError::fault("no luck")));
        first.carried_on(&b);
        first.carried_on(&a);
        drop(first);
        let second = second.await;
        assert!(second.is_known(&a) && !second.is_known(&b));
    }

    #[tokio::test]
    async fn an_item_that_was_turned_away_does_not_settle_what_another_has_read() {
        let (_, handled) = opened(1);
        let own = told("AAMk1", Some("1"), false);
        let Origin::Notification { version, .. } = own.origin else { panic!("a notification") };
        let origin = Origin::Notification { nonce: 8, deleted: false, version };
        let strange = EventChange { origin, ..own.clone() };
        let mut handling = handled.begin(TENANT, &[strange.clone(), own.clone()]).await;
        handling.read(&own, version, &Ok(Vec::new()));
        // The strange one is dropped first; carrying the other one on then fails.
        handling.carried_on(&strange);
        drop(handling);
        assert!(!is_known(&handled, TENANT, &own).await, "it is to be looked at again");
    }
}
