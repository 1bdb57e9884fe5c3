//! Runs queue and timer functions: decodes a message, runs its function, and completes each item.
//!
//! An item is completed by sending the work that follows from it, by sending it again later, or by
//! recording its failure. A failed item is requeued alone, so the host sees a success and its dequeue
//! count is left for what kills the process. Only the audit is written after that, as nobody waits for it:
//! a process that is killed there has the message come again beside what was requeued.

pub mod audit;
mod function;
mod items;
pub mod job;

use std::{error::Error, sync::Arc};

use jiff::SignedDuration;

pub use function::{Outcomes, QueueJob, QueueJobFunction};
pub use items::JobItem;

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        ids::TenantId,
        retry::{backoff, is_exhausted},
    },
    host::InvocationError,
    jobs::runner::{
        audit::AuditWriter,
        job::{Enqueue, JobError, JobResult},
    },
    messages::{JobMeta, JobOrigin, TenantTask, TenantTaskKind},
    queue::Outbox,
    store::failures::{Failure, Failures},
};

/// The longest delay that we ask a queue for.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// Completes items.
#[derive(Clone)]
pub struct Runner {
    pub outbox: Arc<dyn Outbox>,
    pub failures: Failures,
    pub audit: AuditWriter,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

impl Runner {
    /// Completes one item of a message for `tenant`.
    ///
    /// # Errors
    /// [`InvocationError`] when a queue or the table of failures is not available: the host delivers
    /// the whole message again.
    pub async fn complete<J: QueueJob>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &J::Item,
        outcome: JobResult,
    ) -> Result<(), InvocationError> {
        let meta = item.meta();
        let error = match outcome {
            Ok(next) => {
                tracing::info!(enqueued = next.len(), "job completed");
                if next.is_empty() {
                    return Ok(());
                }
                let origin = JobOrigin::new(&J::JOB(item.requeue(tenant, meta)), meta);
                for next in next {
                    // The only way by which a job sends another one.
                    let next = next.following(&origin, || self.rng.next_u64());
                    self.outbox.enqueue(next).await?;
                }
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::info!(outcome = %error, "job not completed");

        // Only a fault of our own uses up an attempt: an outage of others may last a day.
        let deferred = JobMeta { deferrals: meta.deferrals.saturating_add(1), ..meta };
        let (meta, retry_after, cause) = match error {
            JobError::Discard(_) => return Ok(()),
            JobError::Retry { after, cause } => (deferred, after, cause),
            JobError::AccessLost { cause } => {
                if meta.deferrals == 0 {
                    // Once for each item: the tenant may have withdrawn its consent, which nobody
                    // tells us.
                    let meta = JobMeta::new(meta.correlation, self.clock.now());
                    let kind = TenantTaskKind::CheckAccess;
                    self.outbox.enqueue(TenantTask { tenant, kind, meta }).await?;
                }
                if item.is_retried_by_due_entry() {
                    return Ok(());
                }
                (deferred, None, cause)
            }
            JobError::GiveUp { cause } => {
                return self
                    .record_failure::<J>(function, tenant, item, meta, cause.as_ref())
                    .await;
            }
            JobError::Fail { cause } => {
                (JobMeta { attempts: meta.attempts + 1, ..meta }, None, cause)
            }
        };
        let now = self.clock.now();
        if is_exhausted(meta.attempts, meta.deferrals, now.duration_since(meta.first_seen)) {
            return self.record_failure::<J>(function, tenant, item, meta, cause.as_ref()).await;
        }

        // The first deferral waits as long as the first attempt; of both counts the larger decides.
        let retry = meta.attempts.max(meta.deferrals.saturating_sub(1));
        let delay = backoff(retry, retry_after, self.rng.next_u64()).min(MAX_DELAY);
        let is_deferred = meta.deferrals > item.meta().deferrals;
        if is_deferred && item.due().is_some_and(|at| at <= now + delay) {
            // The due entry sends it again before this delay is over; both together would only
            // multiply the messages.
            return Ok(());
        }
        let job = J::JOB(item.requeue(tenant, meta));
        Ok(self.outbox.enqueue(Enqueue::later(job, delay.unsigned_abs())).await?)
    }

    /// Stops retrying the item: it becomes a row that people see, with a message to replay it.
    async fn record_failure<J: QueueJob>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &J::Item,
        meta: JobMeta,
        cause: &(dyn Error + Send + Sync),
    ) -> Result<(), InvocationError> {
        tracing::error!(%cause, attempts = meta.attempts, "job failed for good");
        let now = self.clock.now();
        let fresh = JobMeta::new(meta.correlation, now);
        let replay = item.replay(tenant, fresh);
        let replay = replay.unwrap_or_else(|| J::JOB(item.requeue(tenant, fresh)));
        let failure = Failure {
            tenant: Some(tenant),
            function: function.to_owned(),
            subject: item.subject(),
            cause: cause.to_string(),
            attempts: meta.attempts,
            first_seen: meta.first_seen,
            failed_at: now,
            correlation: Some(meta.correlation),
            message: Some(replay.text()),
        };
        Ok(self.failures.record(&failure).await?)
    }
}
