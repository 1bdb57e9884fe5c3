//! What is read from the vault, kept for an hour: loaded when first needed, again when it is an hour
//! old, and again when somebody names what is not in it.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::vault::KeysUnavailable;
use crate::base::clock::Clock;

/// Loads are at least this far apart, so that foreign notifications and cookies cannot wear the vault out.
const MIN_RELOAD_INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// The same while nothing was loaded yet: every caller waits for them.
const MIN_FIRST_LOAD_INTERVAL: SignedDuration = SignedDuration::from_secs(2);

/// What is older than this is loaded again, so that a new current key is taken up.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(1);

/// Where something is loaded from.
#[async_trait]
pub(in crate::identity) trait VaultLoader: Send + Sync + 'static {
    /// What is loaded.
    type Loaded: Send + Sync;

    /// Loads all of it; `held` is what was loaded before.
    async fn load(&self, held: Option<&Self::Loaded>) -> Result<Self::Loaded, KeysUnavailable>;
}

/// What was loaded, and when it was; shared by everybody who holds it.
///
/// It is loaded by a task of its own: a caller that gives up after its two seconds must not undo a
/// load that needs three.
pub(in crate::identity) struct VaultCache<S: VaultLoader> {
    source: S,
    clock: Arc<dyn Clock>,
    state: StdMutex<VaultCacheState<S::Loaded>>,
    /// One load at a time; those who wait for it share its outcome.
    load_lock: Mutex<()>,
}

struct VaultCacheState<T> {
    loaded: Option<(Arc<T>, Timestamp)>,
    last_attempt: Option<Timestamp>,
}

impl<S: VaultLoader> VaultCache<S> {
    pub(in crate::identity) fn new(source: S, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = StdMutex::new(VaultCacheState { loaded: None, last_attempt: None });
        Arc::new(Self { source, clock, state, load_lock: Mutex::default() })
    }

    /// Where it is loaded from.
    pub(in crate::identity) fn source(&self) -> &S {
        &self.source
    }

    /// What is held, loaded again after an hour while it serves on.
    pub(in crate::identity) async fn get(
        self: &Arc<Self>,
    ) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        let Some((loaded, at)) = self.lock_state().loaded.clone() else {
            return self.load().await;
        };
        if self.clock.now().duration_since(at) >= MAX_AGE {
            let cache = Arc::clone(self);
            drop(tokio::spawn(async move { cache.load_unless_recent(false).await.map(drop) }));
        }
        Ok(loaded)
    }

    /// What is held, loaded again first if it is an hour old; what is older serves on only where that
    /// fails.
    pub(in crate::identity) async fn get_fresh(
        self: &Arc<Self>,
    ) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        let Some((loaded, at)) = self.lock_state().loaded.clone() else {
            return self.load().await;
        };
        if self.clock.now().duration_since(at) < MAX_AGE {
            return Ok(loaded);
        }
        Ok(self.load().await.unwrap_or(loaded))
    }

    /// What is held if it `has` what is looked for; otherwise loaded again, at most every 30 s, and
    /// then it may still not be in it.
    pub(in crate::identity) async fn get_containing(
        self: &Arc<Self>,
        has: impl Fn(&S::Loaded) -> bool + Send,
    ) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        let held = self.lock_state().loaded.clone();
        match held.filter(|(loaded, _)| has(loaded)) {
            Some((loaded, _)) => Ok(loaded),
            None => self.load().await,
        }
    }

    /// Loads it, whether or not the caller stays to see it.
    pub(in crate::identity) async fn load(
        self: &Arc<Self>,
    ) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        self.spawn_load(false).await
    }

    /// Loads it although that may have been done a moment ago.
    pub(in crate::identity) async fn force_reload(
        self: &Arc<Self>,
    ) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        self.spawn_load(true).await
    }

    async fn spawn_load(self: &Arc<Self>, forced: bool) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        let cache = Arc::clone(self);
        let loaded = tokio::spawn(async move { cache.load_unless_recent(forced).await }).await;
        loaded.unwrap_or(Err(KeysUnavailable))
    }

    fn lock_state(&self) -> MutexGuard<'_, VaultCacheState<S::Loaded>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads, unless that was done a moment ago: then the earlier outcome counts. `forced`: in any
    /// case, because it was just changed or is about to be.
    async fn load_unless_recent(&self, forced: bool) -> Result<Arc<S::Loaded>, KeysUnavailable> {
        let _lock = self.load_lock.lock().await;
        let now = self.clock.now();
        let before = {
            let mut state = self.lock_state();
            let pause =
                if state.loaded.is_some() { MIN_RELOAD_INTERVAL } else { MIN_FIRST_LOAD_INTERVAL };
            let just_now =
                state.last_attempt.is_some_and(|tried| now.duration_since(tried) < pause);
            if just_now && !forced {
                let loaded_then =
                    state.loaded.as_ref().filter(|(_, at)| Some(*at) == state.last_attempt);
                return loaded_then.map(|(it, _)| Arc::clone(it)).ok_or(KeysUnavailable);
            }
            state.last_attempt = Some(now);
            state.loaded.clone()
        };
        let before = before.as_ref().map(|(loaded, _)| loaded.as_ref());
        let loaded = Arc::new(self.source.load(before).await?);
        self.lock_state().loaded = Some((Arc::clone(&loaded), now));
        Ok(loaded)
    }
}
