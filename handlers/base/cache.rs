//! What was read lately, so that a policy is not read for every item.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
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
    values: Arc<Mutex<HashMap<K, (Timestamp, V)>>>,
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
        Self { clock, ttl, values: Arc::default() }
    }

    /// The value, when it was read lately.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let now = self.clock.now();
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, value) = values.get(key)?;
        // A clock that was set back must not make a value immortal.
        let fresh = *read_at <= now && now.duration_since(*read_at) < self.ttl;
        fresh.then(|| value.clone())
    }

    /// Remembers what was just read.
    pub(crate) fn insert(&self, key: K, value: V) {
        let now = self.clock.now();
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (now, value));
    }

    /// Forgets a value that has changed.
    pub(crate) fn invalidate(&self, key: &K) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
