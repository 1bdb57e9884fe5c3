//! Carries a step's outcome on: what it asks for is sent, what failed waits or is recorded, and the
//! calls it made go into the audit.
//!
//! A failed item is sent anew alone, as the last act of its invocation, so that the host sees a
//! success and its dequeue count is left for what kills the process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;

use crate::{
    clock::Clock,
    domain::{
        ids::TenantId,
        retry::{gives_up, wait},
    },
    messages::{
        BookingNudge, BookingRequest, CalendarWrite, EventChange, EventChanges, MailboxTask,
        Passage,
    },
    queue::{Outbox, QueueError},
    rng::Rng,
    step::{Next, Onward, StepError},
    store::{
        StoreError,
        audit::{Audit, Numbered},
        failures::{Failure, Failures},
    },
    trail::Trail,
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

/// Something that travels in a message and can be sent anew.
pub trait Item: Clone + Send + Sync {
    /// Its passage so far.
    fn passage(&self) -> Passage;
    /// Whose tenant it is for.
    fn tenant(&self, of: TenantId) -> TenantId;
    /// The same item with another passage, as a message of its own.
    fn anew(&self, of: TenantId, passage: Passage) -> Onward;
    /// What it is about, in ids or keys; a failure of `fetch-event` names only the mailbox.
    fn subject(&self) -> String;
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
        let error = match outcome {
            Ok(next) => {
                tracing::info!(function, %correlation, next = next.len(), "done");
                for next in next {
                    self.outbox.send(next.message.queue(), next.message.text(), next.delay).await?;
                }
                return Ok(());
            }
            Err(error) => error,
        };
        tracing::info!(function, %correlation, outcome = %error, "not done");
        let passage = item.passage();
        let waited = self.clock.now().duration_since(passage.first_seen);
        let (passage, after, cause) = match error {
            StepError::Drop { .. } => return Ok(()),
            StepError::Wait { after, cause } => {
                (Passage { waits: passage.waits + 1, ..passage }, after, cause)
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
        let delay: Duration = delay.min(LONGEST_DELAY).unsigned_abs();
        let message = item.anew(tenant, passage);
        self.outbox.send(message.queue(), message.text(), delay).await?;
        Ok(())
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
        tracing::error!(function, correlation = %passage.correlation, %cause, tries = passage.tries, "gave up");
        let fresh = Passage::start(passage.correlation, self.clock.now());
        let failure = Failure {
            tenant: Some(item.tenant(tenant)),
            function: function.to_owned(),
            subject: item.subject(),
            cause,
            tries: passage.tries,
            first_seen: passage.first_seen,
            failed_at: self.clock.now(),
            correlation: Some(passage.correlation),
            message: Some(item.anew(tenant, fresh).text()),
        };
        self.failures.add(&failure).await?;
        Ok(())
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

impl Item for EventChange {
    fn passage(&self) -> Passage {
        self.passage
    }

    fn tenant(&self, of: TenantId) -> TenantId {
        of
    }

    fn anew(&self, of: TenantId, passage: Passage) -> Onward {
        let items = vec![Self { passage, ..self.clone() }];
        Onward::Fetch(EventChanges { tenant: of, items })
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl Item for BookingRequest {
    fn passage(&self) -> Passage {
        self.0.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Book(Self(BookingNudge { passage, ..self.0 }))
    }

    fn subject(&self) -> String {
        subject_of(&self.0)
    }
}

impl Item for CalendarWrite {
    fn passage(&self) -> Passage {
        self.0.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Write(Self(BookingNudge { passage, ..self.0 }))
    }

    fn subject(&self) -> String {
        subject_of(&self.0)
    }
}

impl Item for MailboxTask {
    fn passage(&self) -> Passage {
        self.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Maintain(Self { passage, ..*self })
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

/// A booking by its keys, which hold digests and no content.
fn subject_of(nudge: &BookingNudge) -> String {
    format!("{} {}", nudge.key.partition(), nudge.key.row())
}
