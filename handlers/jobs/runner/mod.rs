//! Runs queue and timer functions: decodes a message, runs its function, and completes each item.
//!
//! An item is completed by sending the work that follows from it, by sending it again later, or by
//! recording its failure. A failed item is requeued alone, as the last act of its invocation, so
//! the host sees a success and its dequeue count is left for what kills the process.

pub mod audit;
mod function;
mod items;
pub mod job;

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

pub use function::{Outcomes, QueueJob, QueueJobFunction, TimerJob, TimerJobFunction};
pub use items::JobItem;

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        ids::{CorrelationId, TenantId},
        retry::{backoff, is_exhausted},
    },
    jobs::runner::{
        audit::AuditWriter,
        job::{Enqueue, JobError},
    },
    messages::{JobMeta, TenantTask, TenantTaskKind},
    queue::{Outbox, QueueError},
    store::{
        StoreError,
        failures::{Failure, Failures},
    },
};

/// The longest a storage queue hides a message: seven days; we never ask for more than one.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// The outcome could not be carried on: the invocation fails, and the host brings the message back.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The queue did not take what comes next.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The failure could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries outcomes on.
#[derive(Clone)]
pub struct Runner {
    /// The way to the functions.
    pub outbox: Arc<dyn Outbox>,
    /// Where failures go.
    pub failures: Failures,
    /// Where calls go.
    pub audit: AuditWriter,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

impl Runner {
    /// Carries one item's outcome on.
    ///
    /// # Errors
    /// [`DispatchError`]: the step may be repeated as a whole.
    pub async fn complete<I: JobItem>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &I,
        outcome: Result<Vec<Enqueue>, JobError>,
    ) -> Result<(), DispatchError> {
        let correlation = item.meta().correlation;
        let whose = item.tenant(tenant);
        let mut waiting = false;
        let error = match outcome {
            Ok(next) => {
                tracing::info!(next = next.len(), "done");
                for next in next {
                    self.outbox.enqueue(next).await?;
                }
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::info!(outcome = %error, "not done");
        let passage = item.meta();
        let waited = self.clock.now().duration_since(passage.first_seen);
        let (passage, after, cause) = match error {
            JobError::Discard { .. } => return Ok(()),
            JobError::Retry { after, cause } => {
                waiting = true;
                (JobMeta { deferrals: passage.deferrals + 1, ..passage }, after, cause)
            }
            JobError::AccessLost { cause } => {
                waiting = true;
                if passage.deferrals == 0 {
                    self.enqueue_access_check(whose, correlation).await?;
                }
                (JobMeta { deferrals: passage.deferrals + 1, ..passage }, None, cause)
            }
            JobError::Fail { cause } => {
                (JobMeta { attempts: passage.attempts + 1, ..passage }, None, cause)
            }
        };
        if is_exhausted(passage.attempts, passage.deferrals, waited) {
            return self.record_failure(function, tenant, item, passage, cause).await;
        }
        let delay = backoff(
            passage.attempts.max(passage.deferrals.saturating_sub(1)),
            after,
            self.rng.next_u64(),
        );
        let delay = delay.min(MAX_DELAY);
        if waiting && item.due().is_some_and(|at| at <= self.clock.now() + delay) {
            // The due entry asks again before this would; both together would only multiply.
            return Ok(());
        }
        let delay: Duration = delay.unsigned_abs();
        let message = item.requeue(tenant, passage);
        self.outbox.enqueue(Enqueue::later(message, delay)).await?;
        Ok(())
    }

    /// Asks whether the tenant's access is still there.
    async fn enqueue_access_check(
        &self,
        tenant: TenantId,
        correlation: CorrelationId,
    ) -> Result<(), QueueError> {
        let passage = JobMeta::new(correlation, self.clock.now());
        let task = TenantTask { tenant, kind: TenantTaskKind::CheckAccess, meta: passage };
        self.outbox.enqueue(task).await
    }

    /// The item stops here, visible to people, with its message for a replay.
    async fn record_failure<I: JobItem>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &I,
        passage: JobMeta,
        cause: String,
    ) -> Result<(), DispatchError> {
        let whose = item.tenant(tenant);
        tracing::error!(%cause, tries = passage.attempts, "gave up");
        let fresh = JobMeta::new(passage.correlation, self.clock.now());
        let failure = Failure {
            tenant: Some(whose),
            function: function.to_owned(),
            subject: item.subject(),
            cause,
            attempts: passage.attempts,
            first_seen: passage.first_seen,
            failed_at: self.clock.now(),
            correlation: Some(passage.correlation),
            message: Some(item.replay(tenant, fresh).text()),
        };
        self.failures.record(&failure).await?;
        Ok(())
    }
}
