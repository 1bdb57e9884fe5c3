//! What is read from the vault, kept for an hour: loaded when first needed, again when it is an hour
//! old, and again when somebody names what is not in it.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt};
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

/// What was loaded, and when it was; shared by everybody who holds it.
///
/// It is loaded by a task of its own: a caller that gives up after its two seconds must not undo a
/// load that needs three.
#[expect(clippy::type_complexity, reason = "a loader is named here alone")]
pub(in crate::identity) struct VaultCache<T> {
    /// Loads all of it, given what was loaded before.
    load:
        Box<dyn Fn(Option<Arc<T>>) -> BoxFuture<'static, Result<T, KeysUnavailable>> + Send + Sync>,
    clock: Arc<dyn Clock>,
    loaded: StdMutex<Option<(Arc<T>, Timestamp)>>,
    /// When it was last tried. Locked while that lasts: those who wait for it share its outcome.
    last_attempt: Mutex<Option<Timestamp>>,
}

impl<T: Send + Sync + 'static> VaultCache<T> {
    pub(in crate::identity) fn new<
        F: Future<Output = Result<T, KeysUnavailable>> + Send + 'static,
    >(
        clock: Arc<dyn Clock>,
        load: impl Fn(Option<Arc<T>>) -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let load = Box::new(move |held| load(held).boxed());
        Arc::new(Self { load, clock, loaded: StdMutex::default(), last_attempt: Mutex::default() })
    }

    /// What is held, loaded again after an hour while it serves on.
    pub(in crate::identity) async fn get(self: &Arc<Self>) -> Result<Arc<T>, KeysUnavailable> {
        let Some((loaded, at)) = self.lock_loaded().clone() else {
            return self.load().await;
        };
        if self.clock.now().duration_since(at) >= MAX_AGE {
            let cache = Arc::clone(self);
            // Nobody waits for it: a webhook has two seconds for everything.
            drop(tokio::spawn(async move { cache.load_unless_recent(false).await.map(drop) }));
        }
        Ok(loaded)
    }

    /// What is held, loaded again first if it is an hour old; what is older serves on only where that
    /// fails.
    pub(in crate::identity) async fn get_fresh(
        self: &Arc<Self>,
    ) -> Result<Arc<T>, KeysUnavailable> {
        let Some((loaded, at)) = self.lock_loaded().clone() else {
            return self.load().await;
        };
        if self.clock.now().duration_since(at) < MAX_AGE {
            return Ok(loaded);
        }
        Ok(self.load().await.unwrap_or(loaded))
    }

    /// What is held if it `has` what is looked for and is less than an hour old: what was replaced must
    /// not be found for longer. Otherwise it is loaded again, at most every 30 s, and then it may
    /// still not be in it.
    pub(in crate::identity) async fn get_containing(
        self: &Arc<Self>,
        has: impl Fn(&T) -> bool + Send,
    ) -> Result<Arc<T>, KeysUnavailable> {
        let (now, held) = (self.clock.now(), self.lock_loaded().clone());
        let is_fresh = |at: &Timestamp| now.duration_since(*at) < MAX_AGE;
        match held.filter(|(loaded, at)| is_fresh(at) && has(loaded)) {
            Some((loaded, _)) => Ok(loaded),
            None => self.load().await,
        }
    }

    /// Loads it, whether or not the caller stays to see it.
    pub(in crate::identity) async fn load(self: &Arc<Self>) -> Result<Arc<T>, KeysUnavailable> {
        self.spawn_load(false).await
    }

    /// Loads it although that may have been done a moment ago.
    pub(in crate::identity) async fn force_reload(
        self: &Arc<Self>,
    ) -> Result<Arc<T>, KeysUnavailable> {
        self.spawn_load(true).await
    }

    async fn spawn_load(self: &Arc<Self>, forced: bool) -> Result<Arc<T>, KeysUnavailable> {
        let cache = Arc::clone(self);
        let loaded = tokio::spawn(async move { cache.load_unless_recent(forced).await }).await;
        loaded.unwrap_or(Err(KeysUnavailable))
    }

    fn lock_loaded(&self) -> MutexGuard<'_, Option<(Arc<T>, Timestamp)>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads, unless that was done a moment ago: then the earlier outcome counts. `forced`: in any
    /// case, because it was just changed or is about to be.
    async fn load_unless_recent(&self, forced: bool) -> Result<Arc<T>, KeysUnavailable> {
        let mut last_attempt = self.last_attempt.lock().await;
        let (now, held) = (self.clock.now(), self.lock_loaded().clone());
        let pause = if held.is_some() { MIN_RELOAD_INTERVAL } else { MIN_FIRST_LOAD_INTERVAL };
        let just_now = last_attempt.is_some_and(|tried| now.duration_since(tried) < pause);
        if just_now && !forced {
            // What is older than the last attempt is no answer to it: that one failed.
            let loaded_then = held.filter(|(_, at)| Some(*at) == *last_attempt);
            return loaded_then.map(|(loaded, _)| loaded).ok_or(KeysUnavailable);
        }
        // Before the load: one that is cut off counts as tried, too.
        *last_attempt = Some(now);
        let loaded = Arc::new((self.load)(held.map(|(loaded, _)| loaded)).await?);
        *self.lock_loaded() = Some((Arc::clone(&loaded), now));
        Ok(loaded)
    }
}
