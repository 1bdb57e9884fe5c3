//! `dispatch-due`: nudges what is due, and empties the poison queues into `Failures`.
//!
//! The timer only moves an entry on and sends a nudge; the worker that finds the truth settled
//! deletes it. So a lost nudge costs one round and nothing else. The timer never reads what an entry
//! is about: its cost is what is due, and a row that it misread could not be forgotten by mistake.
//!
//! A run keeps nothing for the next one. It sends only as many looks as are to be done until then
//! (`send_slots`), so however much is due, what waits is in the table and not in a queue.
//!
//! It also has keys made and destroyed that are due for it, see `keys`.
//!
//! Once a day it also has those tenants looked at whose mailboxes depend on the directory, see
//! `daily_task`.

mod daily;
mod keys;
mod poison;
mod renewals;
mod reschedule;
mod send_slots;
mod unsettled;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{
    base::{clock::Clock, rng::Rng},
    identity::keys::{KeyRing, content_keys::ContentKeys},
    jobs::runner::{TimerJob, job::JobError},
    queue::Outbox,
    store::{due::DueEntries, failures::Failures, tenants::Tenants},
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// What is due.
    pub due: DueEntries,
    /// Who is connected.
    pub tenants: Tenants,
    /// Where failures go.
    pub failures: Failures,
    /// The poison queues, and the way to the workers.
    pub outbox: Arc<dyn Outbox>,
    /// The keys that grow old.
    pub keys: RotatedKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// The keys that grow old.
#[derive(Clone)]
pub struct RotatedKeys {
    /// What proves that a notification is ours.
    pub client_state: Arc<KeyRing>,
    /// What cookies are sealed with.
    pub cookies: Arc<KeyRing>,
    /// What Graph seals content with.
    pub content: Arc<ContentKeys>,
    /// How old the newest content key may be before there is a new one.
    pub content_max_age: SignedDuration,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DispatchSummary {
    /// Bookings nudged.
    pub unsettled: u64,
    /// How many seconds the oldest of them had been due; 0 when none was.
    pub unsettled_oldest_s: u64,
    /// Mailboxes whose look was sent off.
    pub renewals: u64,
    /// How many seconds the oldest look had been due; 0 when none was.
    pub renewals_oldest_s: u64,
    /// Due entries that were read and wait for the next run. What was not even read is not among
    /// them: to count it would cost the reading of it.
    pub remaining: u64,
    /// Poisoned messages recorded.
    pub poisoned: u64,
    /// Tenants whose daily look was sent off.
    pub reconciled: u64,
}

#[async_trait]
impl TimerJob for Deps {
    async fn run(&self, stop_at: Timestamp) -> Result<(), JobError> {
        let nudged = run(self, stop_at).await?;
        tracing::info!(
            unsettled = nudged.unsettled,
            unsettled_oldest_s = nudged.unsettled_oldest_s,
            renewals = nudged.renewals,
            looks_oldest_s = nudged.renewals_oldest_s,
            left = nudged.remaining,
            poisoned = nudged.poisoned,
            aligned = nudged.reconciled,
            "nudged"
        );
        Ok(())
    }
}

/// Nudges what is due until nothing is left or `stop_at` has come.
///
/// # Errors
/// [`JobError`] when a table or queue does not answer; the next run goes on where this one stopped.
pub async fn run(deps: &Deps, stop_at: Timestamp) -> Result<DispatchSummary, JobError> {
    let began = deps.clock.now();
    // A backlog of bookings must not cost a subscription its life.
    let looks = renewals::dispatch(deps, stop_at).await?;
    let poisoned = poison::drain(deps, stop_at).await?;
    let unsettled = unsettled::dispatch(deps, stop_at).await?;
    let aligned = daily::enqueue_daily_tasks(deps, began, stop_at).await?;
    keys::rotate(deps).await;
    Ok(DispatchSummary {
        unsettled: unsettled.sent,
        unsettled_oldest_s: unsettled.oldest_s,
        renewals: looks.sent,
        renewals_oldest_s: looks.oldest_s,
        remaining: looks.remaining() + unsettled.remaining(),
        poisoned,
        reconciled: aligned,
    })
}
