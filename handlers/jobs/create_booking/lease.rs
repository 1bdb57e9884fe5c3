//! The lease of an intent: while it lasts nobody else works at the booking, so it is ended as soon as
//! its worker has to give up.

use super::{Advance, BookingWorker};
use crate::{domain::booking::Intent, jobs::runner::job::JobError};

impl BookingWorker<'_> {
    /// Does `work` under `intent`. After an error nobody should have to wait for our lease.
    pub(super) async fn with_lease(
        &self,
        intent: Option<Intent>,
        work: impl Future<Output = Result<Advance, JobError>>,
    ) -> Result<Advance, JobError> {
        let result = work.await;
        if result.is_err() && intent.is_some() {
            self.release_lease(intent).await;
        }
        result
    }

    /// Ends our lease. If this fails too, others wait for it.
    async fn release_lease(&self, intent: Option<Intent>) {
        let Ok(Some((row, etag))) = self.deps.bookings.get(&self.job.key).await else { return };
        if row.intent == intent {
            let freed = row.release_lease(self.deps.clock.now());
            if let Err(error) = self.deps.bookings.replace(&freed, &etag).await {
                tracing::warn!(%error, "the lease stays until it ends");
            }
        }
    }
}
