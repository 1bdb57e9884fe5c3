//! The large bodies that this process holds. Anybody can send one, so there are places for a few.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};

/// Large bodies held in this process at a time: with 4 MiB each, 32 MiB of an instance's 2 GiB.
const MAX_LARGE_BODIES: usize = 8;

/// A large body's place, until it is dropped.
pub(super) type BodyPermit = OwnedSemaphorePermit;

/// Those that are being read, the first to come in front: what tells the reader that its place is taken,
/// and the place.
type Arriving = VecDeque<(Arc<Notify>, BodyPermit)>;

/// Places for large bodies. Clones share them.
///
/// A body that trickles would keep a place for as long as an answer may take, and a few such would keep
/// everybody else's out. So where no place is free, a new body takes that of the one that has been
/// arriving for longest.
#[derive(Clone)]
pub(super) struct LargeBodies {
    places: Arc<Semaphore>,
    arriving: Arc<Mutex<Arriving>>,
}

impl LargeBodies {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_LARGE_BODIES)), arriving: Arc::default() }
    }

    /// Has `read` read a body, and returns what it did with the body's place; `None` when another body
    /// took that meanwhile.
    ///
    /// # Errors
    /// When the process is stopping.
    pub(super) async fn read_in_place<T>(
        &self,
        read: impl Future<Output = T>,
    ) -> Result<Option<(T, BodyPermit)>, AcquireError> {
        let place = match self.take_place() {
            Some(place) => place,
            // All that have one are read, and are being answered.
            None => Arc::clone(&self.places).acquire_owned().await?,
        };
        let evicted = Arc::new(Notify::new());
        self.lock().push_back((Arc::clone(&evicted), place));
        let done = tokio::select! {
            done = read => done,
            () = evicted.notified() => { return Ok(None) },
        };
        let mut arriving = self.lock();
        let own = arriving.iter().position(|(reader, _)| Arc::ptr_eq(reader, &evicted));
        Ok(own.and_then(|own| arriving.remove(own)).map(|(_, place)| (done, place)))
    }

    fn take_place(&self) -> Option<BodyPermit> {
        let mut arriving = self.lock();
        // Without those that nobody reads any more: their time was up.
        arriving.retain(|(reader, _)| Arc::strong_count(reader) > 1);
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let (oldest, place) = arriving.pop_front()?;
        oldest.notify_one();
        Some(place)
    }

    fn lock(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
