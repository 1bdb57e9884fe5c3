//! Carries a step's outcome on: what it asks for is sent, what failed waits or is recorded, and the
//! calls it made go into the audit.
//!
//! A failed item is sent anew alone, as the last act of its invocation, so that the host sees a
//! success and its dequeue count is left for what kills the process.

pub(crate) mod adapters;
mod items;
pub mod job;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;

pub use items::JobItem;

use crate::{
    base::{call_log::CallLog, clock::Clock, rng::Rng},
    domain::{
        ids::{CorrelationId, TenantId},
        retry::{backoff, is_exhausted},
    },
    jobs::runner::job::{Enqueue, JobError},
    messages::{JobMeta, Message as _, TenantTask, TenantTaskKind},
    queue::{Outbox, QueueError},
    store::{
        StoreError,
        audit::{Audit, KeyedCall},
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
    pub audit: Audit,
    /// Calls that could not be written yet.
    pub pending_audit: PendingAudit,
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
                tracing::info!(function, tenant = %whose, %correlation, next = next.len(), "done");
                for next in next {
                    self.outbox.send(next.job.queue(), next.job.text(), next.delay).await?;
                }
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::info!(function, tenant = %whose, %correlation, outcome = %error, "not done");
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
        self.outbox.send(message.queue(), message.text(), delay).await?;
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
        self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await
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
        tracing::error!(
            function,
            tenant = %whose,
            correlation = %passage.correlation,
            %cause,
            tries = passage.attempts,
            "gave up"
        );
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

    /// Watches `trail` until the invocation ends.
    pub fn audit_guard(&self, calls: &CallLog) -> AuditGuard<'_> {
        AuditGuard { runner: self, calls: calls.clone() }
    }

    /// Writes the calls of one invocation, and those that could not be written before. The work
    /// was done whether or not this succeeds, so a failure only keeps them for the next time; they
    /// are in the log in any case.
    pub async fn write_audit(&self, calls: &CallLog) {
        let mut pending = self.pending_audit.take();
        pending.extend(Audit::assign_keys(calls.take(), self.rng.as_ref()));
        if pending.is_empty() {
            return;
        }
        if let Err(error) = self.audit.write(&pending).await {
            tracing::warn!(%error, calls = pending.len(), "the audit will be written later");
            self.pending_audit.add(pending);
        }
    }
}

/// Sees to it that the calls of an invocation that is cut off, or panics, are written with the next.
pub struct AuditGuard<'a> {
    runner: &'a Runner,
    calls: CallLog,
}

impl Drop for AuditGuard<'_> {
    fn drop(&mut self) {
        let calls = self.calls.take();
        if !calls.is_empty() {
            self.runner.pending_audit.add(Audit::assign_keys(calls, self.runner.rng.as_ref()));
        }
    }
}

/// Calls that are still to be written into the audit. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PendingAudit(Arc<Mutex<Vec<KeyedCall>>>);

/// How many calls wait at most: some minutes of a busy process. The oldest go first.
const MAX_PENDING_CALLS: usize = 10_000;

impl PendingAudit {
    fn take(&self) -> Vec<KeyedCall> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, mut calls: Vec<KeyedCall>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.append(&mut kept);
        let over = calls.len().saturating_sub(MAX_PENDING_CALLS);
        if over > 0 {
            tracing::error!(calls = over, "calls are in the log and will not be in the audit");
            calls.drain(..over);
        }
        *kept = calls;
    }
}
