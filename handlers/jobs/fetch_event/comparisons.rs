//! Which copies agree by the end of a message: of two that were read together, the first always seems to
//! disagree with what was stored of the second.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Batch;
use crate::{
    domain::appointment::CopyKey,
    jobs::runner::job::{Enqueue, JobResult},
    messages::EventChange,
};

/// When the other copy is read after the two disagreed.
pub(super) const COMPARE_DELAY: Duration = Duration::from_secs(5);

/// The copies that were read and agree with the others since.
#[derive(Default)]
pub(super) struct Comparisons {
    agreed: Mutex<BTreeSet<CopyKey>>,
}

impl Comparisons {
    /// Another copy disagrees with this one, so it is to be read (again).
    pub(super) fn ask(&self, copy: CopyKey) {
        self.lock().remove(&copy);
    }

    /// This copy was read, and no other has to be compared with it.
    pub(super) fn agree(&self, copy: CopyKey) {
        self.lock().insert(copy);
    }

    fn has_agreed(&self, copy: CopyKey) -> bool {
        self.lock().contains(&copy)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<CopyKey>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch<'_> {
    /// Leaves out the reads that an item asked for before the copy's own item came.
    pub(super) fn forget_answered_comparisons(&self, outcomes: &mut [(EventChange, JobResult)]) {
        for (item, result) in outcomes.iter_mut() {
            let own = self.copy_key(item);
            let is_answered = |job: &Enqueue| {
                let asked = job.refetched_event(COMPARE_DELAY).map(|asked| self.copy_key(asked));
                asked.is_some_and(|copy| copy != own && self.comparisons.has_agreed(copy))
            };
            if let Ok(next) = result {
                next.retain(|job| !is_answered(job));
            }
        }
    }
}
