//! What was read lately, so that a policy is not read for every item.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::clock::Clock;

/// How long something that was read is believed.
const TTL: SignedDuration = SignedDuration::from_secs(60);

/// Values as they were read, each for up to 60 s or what was asked for. Clones share them.
#[derive(Clone)]
pub(crate) struct Cache<K, V> {
    clock: Arc<dyn Clock>,
    ttl: SignedDuration,
    known: Arc<Mutex<Known<K, V>>>,
}

struct Known<K, V> {
    values: HashMap<K, (Timestamp, V)>,
    /// How often a value has changed.
    changes: u64,
}

/// When a read began, for [`Cache::insert_read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadStart {
    changes: u64,
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_ttl(clock, TTL)
    }

    /// An empty cache whose values are believed for `ttl`.
    pub(crate) fn with_ttl(clock: Arc<dyn Clock>, ttl: SignedDuration) -> Self {
        let known = Known { values: HashMap::new(), changes: 0 };
        Self { clock, ttl, known: Arc::new(Mutex::new(known)) }
    }

    /// The value, when it was read lately.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.get_younger(key, self.ttl)
    }

    /// The value, when it was read less than `age` ago.
    pub(crate) fn get_younger(&self, key: &K, age: SignedDuration) -> Option<V> {
        let now = self.clock.now();
        let known = self.lock();
        let (read_at, value) = known.values.get(key)?;
        // A clock that was set back must not make a value immortal.
        let fresh = *read_at <= now && now.duration_since(*read_at) < age.min(self.ttl);
        fresh.then(|| value.clone())
    }

    /// Remembers what holds now.
    pub(crate) fn insert(&self, key: K, value: V) {
        self.insert_read(self.begin_read(), key, value);
    }

    /// To be called before something is read that [`Cache::insert_read`] is to remember.
    pub(crate) fn begin_read(&self) -> ReadStart {
        ReadStart { changes: self.lock().changes }
    }

    /// Remembers what was read, unless something has changed since the read began: then it may be older, and
    /// the next read decides.
    pub(crate) fn insert_read(&self, since: ReadStart, key: K, value: V) {
        let now = self.clock.now();
        let mut known = self.lock();
        if known.changes == since.changes {
            known.values.insert(key, (now, value));
        } else {
            known.values.remove(&key);
        }
    }

    /// Forgets a value that has changed.
    pub(crate) fn invalidate(&self, key: &K) {
        let mut known = self.lock();
        known.values.remove(key);
        known.changes += 1;
    }
}

impl<K, V> Cache<K, V> {
    fn lock(&self) -> MutexGuard<'_, Known<K, V>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_support::ManualClock;

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let cache = Cache::new(Arc::new(clock));
        let slow = cache.begin_read();
        cache.invalidate(&"rooms");
        cache.insert_read(slow, "rooms", 1);
        assert_eq!(cache.get(&"rooms"), None);
        cache.insert_read(cache.begin_read(), "rooms", 2);
        assert_eq!(cache.get(&"rooms"), Some(2));
    }
}
