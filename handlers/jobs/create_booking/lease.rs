//! The lease of an intent: while it lasts nobody else works at the booking, so it is ended as soon as
//! its worker has to give up.

use super::{Advance, Worker};
use crate::{domain::booking::Intent, jobs::runner::job::StepError};

impl Worker<'_> {
    /// Does `work` under `intent`. After an error nobody should have to wait for our lease.
    pub(super) async fn holding(
        &self,
        intent: Option<Intent>,
        work: impl Future<Output = Result<Advance, StepError>>,
    ) -> Result<Advance, StepError> {
        let result = work.await;
        if result.is_err() && intent.is_some() {
            self.let_go(intent).await;
        }
        result
    }

    /// Ends our lease. If this fails too, others wait for it.
    async fn let_go(&self, intent: Option<Intent>) {
        let Ok(Some((row, etag))) = self.deps.bookings.get(&self.nudge.key).await else { return };
        if row.intent == intent {
            let freed = row.let_go(self.deps.clock.now());
            if let Err(error) = self.deps.bookings.replace(&freed, &etag).await {
                tracing::warn!(%error, "the lease stays until it ends");
            }
        }
    }
}
