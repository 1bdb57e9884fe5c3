//! `dispatch-due`: sends jobs for what is due, and moves poison messages into `Failures`.
//!
//! The timer only reschedules an entry and sends a job; the worker that finds the booking or
//! mailbox settled deletes the entry. So a lost job costs one attempt and nothing else. The timer
//! never reads what an entry is about: its cost depends on what is due alone, and a row that it
//! misread could not be forgotten by mistake.
//!
//! A run keeps nothing for the next one. It reads and sends only as many renewals as can be done
//! until then (`renewals`), so however much is due, what waits is in the table and not in a queue.
//!
//! It also creates and destroys the keys that are due for it (`keys`), and sends each tenant's
//! daily task (`daily_task`).

mod deps;
mod keys;
mod poison;
mod renewals;
mod reschedule;

use std::time::Duration;

use async_trait::async_trait;
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit, tz::TimeZone};

use crate::{
    domain::{ids::CorrelationId, tenant::TenantState},
    host::{InvocationContext, InvocationError, TimerFunction, TimerTick},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, CompareCursor, JobMeta, SeriesJob, TenantTask, TenantTaskKind},
    queue::{MAX_MESSAGES_PER_RECEIVE, Queue},
    store::{
        due::{DueList, DueSubject},
        tenants::Tenant,
    },
};

use reschedule::{CHUNK, DispatchCounts, PAGE_SIZE, reschedule, send_and_reschedule};

pub use deps::Deps;

/// The hour (UTC) in whose first minutes every tenant has its daily task: a quiet one in Europe,
/// and not the one of `purge-expired`. Nobody notifies us of who joins or leaves a scope group or
/// the organisation, and nothing else watches a task of a tenant that was lost. The next day's run
/// makes up for one that is missed, or that fails before it comes to this: so a change is noticed
/// after two days at the latest.
const DAILY_HOUR: i8 = 2;
/// Those minutes: the timer runs once in them.
const DAILY_MINUTES: i8 = 5;
/// Over how many seconds the tenants are spread, so that they do not all call Graph at once.
const DAILY_SPREAD: u64 = 60 * 60;

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DispatchSummary {
    /// Bookings for which a job was sent.
    pub unsettled: u64,
    /// How many seconds the oldest of them had been due; 0 when none was.
    pub unsettled_oldest_s: u64,
    /// Mailboxes for which a check was sent.
    pub renewals: u64,
    /// How many seconds the oldest of them had been due; 0 when none was.
    pub renewals_oldest_s: u64,
    /// Tenants that may have more mailboxes due than were sent. How many is not known, because
    /// counting them would cost reading them.
    pub waiting_tenants: u64,
    pub poisoned: u64,
    pub reconciled: u64,
}

#[async_trait]
impl TimerFunction for Deps {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
        let done = run(self, cx.deadline).await?;
        tracing::info!(
            unsettled = done.unsettled,
            unsettled_oldest_s = done.unsettled_oldest_s,
            renewals = done.renewals,
            renewals_oldest_s = done.renewals_oldest_s,
            waiting_tenants = done.waiting_tenants,
            poisoned = done.poisoned,
            reconciled = done.reconciled,
            "due work dispatched"
        );
        Ok(())
    }
}

/// Sends jobs for what is due until nothing is left or `stop_at` has come.
///
/// # Errors
/// [`JobError`] when a table or queue does not answer; the next run continues where this one stopped.
pub async fn run(deps: &Deps, stop_at: Timestamp) -> Result<DispatchSummary, JobError> {
    let began = deps.clock.now();
    // Renewals first: a backlog of bookings must not cost a subscription its life.
    let renewals = renewals::dispatch(deps, stop_at).await?;
    let poisoned = drain_poison_queues(deps, stop_at).await?;
    let unsettled = dispatch_unsettled(deps, stop_at).await?;
    let reconciled = enqueue_daily_tasks(deps, began, stop_at).await?;
    keys::rotate(deps, daily_hour(began).is_some()).await;
    Ok(DispatchSummary {
        unsettled: unsettled.sent,
        unsettled_oldest_s: unsettled.oldest_s,
        renewals: renewals.sent,
        renewals_oldest_s: renewals.oldest_s,
        waiting_tenants: renewals.waiting_tenants,
        poisoned,
        reconciled,
    })
}

/// What has killed the process too often becomes a row that people can see and replay.
async fn drain_poison_queues(deps: &Deps, stop_at: Timestamp) -> Result<u64, JobError> {
    let mut drained = 0;
    for queue in Queue::ALL {
        while deps.clock.now() < stop_at {
            let poisoned = deps.outbox.receive_poisoned(queue, MAX_MESSAGES_PER_RECEIVE).await?;
            if poisoned.is_empty() {
                break;
            }
            for message in poisoned {
                let failure = poison::failure_from(queue, &message.text, deps.clock.now());
                // The row first: recorded twice it is still one row, and deleted first it is lost.
                deps.failures.record(&failure).await?;
                deps.outbox.delete_poisoned(queue, &message.receipt).await?;
                drained += 1;
            }
        }
    }
    Ok(drained)
}

/// Sends jobs for bookings that are not settled.
async fn dispatch_unsettled(deps: &Deps, stop_at: Timestamp) -> Result<DispatchCounts, JobError> {
    let (mut counts, mut from) = (DispatchCounts::default(), None);
    // One instant for the whole run, so that it does not find the entries that it rescheduled.
    let now = deps.clock.now();
    while deps.clock.now() < stop_at {
        let (entries, next) = deps.due.list_due(DueList::Unsettled, now, from, PAGE_SIZE).await?;
        counts.add(&entries, now);
        for chunk in entries.chunks(CHUNK) {
            if deps.clock.now() >= stop_at {
                return Ok(counts);
            }
            let (mut moves, mut jobs) = (Vec::new(), Vec::new());
            for entry in chunk {
                let next = reschedule(deps, entry, now, SignedDuration::ZERO);
                let (due, meta) = (Some(next.at), new_meta(deps, now));
                let task = match entry.subject {
                    DueSubject::Booking(key) => {
                        BookingJob { due, ..BookingJob::new(key, meta) }.into()
                    }
                    DueSubject::Series(key) => SeriesJob { key, due, meta }.into(),
                    DueSubject::Mailbox { .. } => continue,
                };
                jobs.push(Enqueue::now(Job::CreateBooking(task)));
                moves.push((*entry, next));
            }
            send_and_reschedule(deps, &moves, jobs).await?;
            counts.sent += moves.len() as u64;
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    Ok(counts)
}

/// Sends each tenant's daily task, once a day. One pass too many is harmless, because it changes
/// only what is not in line; and all of a day have the same instant, so what they decide is the
/// same entry of the register.
async fn enqueue_daily_tasks(
    deps: &Deps,
    began: Timestamp,
    stop_at: Timestamp,
) -> Result<u64, JobError> {
    let Some(asked_at) = daily_hour(began) else { return Ok(0) };
    let mut sent = 0;
    for (tenant, _) in deps.tenants.list().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        for kind in daily_tasks(&tenant) {
            let task = TenantTask { tenant: tenant.id, kind, meta: new_meta(deps, asked_at) };
            let delay = Duration::from_secs(deps.rng.below(DAILY_SPREAD));
            deps.outbox.enqueue(Enqueue::later(task, delay)).await?;
            sent += 1;
        }
    }
    Ok(sent)
}

/// When the daily hour began, in its first minutes.
fn daily_hour(now: Timestamp) -> Option<Timestamp> {
    let utc = now.to_zoned(TimeZone::UTC);
    let is_time = utc.hour() == DAILY_HOUR && utc.minute() < DAILY_MINUTES;
    let hour = TimestampRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc);
    is_time.then(|| now.round(hour).unwrap_or(now))
}

fn daily_tasks(tenant: &Tenant) -> Vec<TenantTaskKind> {
    match tenant.state {
        TenantState::Active => {
            let systems = &tenant.systems;
            let of_systems = if systems.moving_since.is_some() {
                Some(TenantTaskKind::MoveBookings { from: None })
            } else if systems.current.is_built_in() {
                None
            } else {
                Some(TenantTaskKind::CompareSystem { from: CompareCursor::default() })
            };
            [TenantTaskKind::ReconcilePolicy { from: None }].into_iter().chain(of_systems).collect()
        }
        TenantState::Disconnecting => vec![TenantTaskKind::Leave],
        // Nobody tells us that an administrator has let us in again at Microsoft's side.
        TenantState::Suspended(_) => vec![TenantTaskKind::Resume],
        TenantState::Deleted(_) => Vec::new(),
    }
}

/// A job that a timer sends is the first of its kind, and has a correlation of its own.
fn new_meta(deps: &Deps, first_seen: Timestamp) -> JobMeta {
    JobMeta::new(CorrelationId(deps.rng.uuid().as_u128()), first_seen)
}
