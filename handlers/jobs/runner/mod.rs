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

pub use items::Item;

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    domain::{
        ids::{CorrelationId, TenantId},
        retry::{gives_up, wait},
    },
    jobs::runner::job::{Next, StepError},
    messages::{Message as _, Passage, TenantTask, TenantWork},
    queue::{Outbox, QueueError},
    store::{
        StoreError,
        audit::{Audit, Numbered},
        failures::{Failure, Failures},
    },
};

/// The longest a storage queue hides a message: seven days; we never ask for more than one.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// The outcome could not be carried on: the invocation fails, and the host brings the message back.
#[derive(Debug, thiserror::Error)]
pub enum NotCarried {
    /// The queue did not take what comes next.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The failure could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries outcomes on.
#[derive(Clone)]
pub struct Carrier {
    /// The way to the functions.
    pub outbox: Arc<dyn Outbox>,
    /// Where failures go.
    pub failures: Failures,
    /// Where calls go.
    pub audit: Audit,
    /// Calls that could not be written yet.
    pub backlog: Backlog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

impl Carrier {
    /// Carries one item's outcome on.
    ///
    /// # Errors
    /// [`NotCarried`]: the step may be repeated as a whole.
    pub async fn carry<I: Item>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &I,
        outcome: Result<Vec<Next>, StepError>,
    ) -> Result<(), NotCarried> {
        let correlation = item.passage().correlation;
        let whose = item.tenant(tenant);
        let mut waiting = false;
        let error = match outcome {
            Ok(next) => {
                tracing::info!(function, tenant = %whose, %correlation, next = next.len(), "done");
                for next in next {
                    self.outbox.send(next.message.queue(), next.message.text(), next.delay).await?;
                }
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::info!(function, tenant = %whose, %correlation, outcome = %error, "not done");
        let passage = item.passage();
        let waited = self.clock.now().duration_since(passage.first_seen);
        let (passage, after, cause) = match error {
            StepError::Drop { .. } => return Ok(()),
            StepError::Wait { after, cause } => {
                waiting = true;
                (Passage { waits: passage.waits + 1, ..passage }, after, cause)
            }
            StepError::Closed { cause } => {
                waiting = true;
                if passage.waits == 0 {
                    self.check(whose, correlation).await?;
                }
                (Passage { waits: passage.waits + 1, ..passage }, None, cause)
            }
            StepError::Fault { cause } => {
                (Passage { tries: passage.tries + 1, ..passage }, None, cause)
            }
        };
        if gives_up(passage.tries, passage.waits, waited) {
            return self.record(function, tenant, item, passage, cause).await;
        }
        let delay =
            wait(passage.tries.max(passage.waits.saturating_sub(1)), after, self.rng.number());
        let delay = delay.min(LONGEST_DELAY);
        if waiting && item.due().is_some_and(|at| at <= self.clock.now() + delay) {
            // The due entry asks again before this would; both together would only multiply.
            return Ok(());
        }
        let delay: Duration = delay.unsigned_abs();
        let message = item.anew(tenant, passage);
        self.outbox.send(message.queue(), message.text(), delay).await?;
        Ok(())
    }

    /// Asks whether the tenant's access is still there.
    async fn check(&self, tenant: TenantId, correlation: CorrelationId) -> Result<(), QueueError> {
        let passage = Passage::start(correlation, self.clock.now());
        let task = TenantTask { tenant, work: TenantWork::Check, passage };
        self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await
    }

    /// The item stops here, visible to people, with its message for a replay.
    async fn record<I: Item>(
        &self,
        function: &'static str,
        tenant: TenantId,
        item: &I,
        passage: Passage,
        cause: String,
    ) -> Result<(), NotCarried> {
        let whose = item.tenant(tenant);
        tracing::error!(
            function,
            tenant = %whose,
            correlation = %passage.correlation,
            %cause,
            tries = passage.tries,
            "gave up"
        );
        let fresh = Passage::start(passage.correlation, self.clock.now());
        let failure = Failure {
            tenant: Some(whose),
            function: function.to_owned(),
            subject: item.subject(),
            cause,
            tries: passage.tries,
            first_seen: passage.first_seen,
            failed_at: self.clock.now(),
            correlation: Some(passage.correlation),
            message: Some(item.replay(tenant, fresh).text()),
        };
        self.failures.add(&failure).await?;
        Ok(())
    }

    /// Watches `trail` until the invocation ends.
    pub fn watch(&self, trail: &Trail) -> Watched<'_> {
        Watched { carrier: self, trail: trail.clone() }
    }

    /// Writes the calls of one invocation, and those that could not be written before. The work
    /// was done whether or not this succeeds, so a failure only keeps them for the next time; they
    /// are in the log in any case.
    pub async fn audit(&self, trail: &Trail) {
        let mut calls = self.backlog.take();
        calls.extend(Audit::numbered(trail.take(), self.rng.as_ref()));
        if calls.is_empty() {
            return;
        }
        if let Err(error) = self.audit.write(&calls).await {
            tracing::warn!(%error, calls = calls.len(), "the audit will be written later");
            self.backlog.keep(calls);
        }
    }
}

/// Sees to it that the calls of an invocation that is cut off, or panics, are written with the next.
pub struct Watched<'a> {
    carrier: &'a Carrier,
    trail: Trail,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let calls = self.trail.take();
        if !calls.is_empty() {
            self.carrier.backlog.keep(Audit::numbered(calls, self.carrier.rng.as_ref()));
        }
    }
}

/// Calls that are still to be written into the audit. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<Mutex<Vec<Numbered>>>);

/// How many calls wait at most: some minutes of a busy process. The oldest go first.
const BACKLOG: usize = 10_000;

impl Backlog {
    fn take(&self) -> Vec<Numbered> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, mut calls: Vec<Numbered>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.append(&mut kept);
        let over = calls.len().saturating_sub(BACKLOG);
        if over > 0 {
            tracing::error!(calls = over, "calls are in the log and will not be in the audit");
            calls.drain(..over);
        }
        *kept = calls;
    }
}
