//! `nudge-due`: nudges what is due, and empties the poison queues into `Failures`.
//!
//! The timer only moves an entry on and sends a nudge; the worker that finds the truth settled
//! deletes it. So a lost nudge costs one round and nothing else. The timer never reads what an entry
//! is about: its cost is what is due, and a row that it misread could not be forgotten by mistake.
//!
//! It also has keys made and destroyed that are due for it, see [`keys`].
//!
//! Once a day it also has those tenants looked at whose mailboxes depend on the directory, see
//! `QUIET_HOUR`.

mod keys;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    clock::Clock,
    domain::{ids::CorrelationId, tenancy::TenantState},
    identity::{content_keys::ContentKeys, key_ring::KeyRing},
    messages::{BookingNudge, BookingRequest, MailboxTask, Passage, Task, TenantTask, TenantWork},
    queue::{Outbox, Queue},
    rng::Rng,
    step::{Next, Onward, StepError},
    store::{
        due::{Due, DueEntry, Purpose, Subject},
        failures::{Failure, Failures},
        tenants::{Tenant, Tenants},
    },
};

/// When an unsettled booking is nudged again; each round waits twice as long.
const UNSETTLED_AGAIN: SignedDuration = SignedDuration::from_mins(15);
/// The longest wait between two rounds: what will never settle costs four looks a day.
const LONGEST_ROUND: SignedDuration = SignedDuration::from_hours(6);
/// When a renewal is nudged again: the subscription lives at least half a day beyond the first nudge.
const RENEW_AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// How many due entries are read at a time.
const PAGE: u16 = 500;
/// Renewals a second: half of what one tenant may change, 500 in 20 s
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06), so that other work finds room.
const RENEWALS_A_SECOND: u64 = 12;
/// How many poisoned messages are taken at a time; a storage queue gives 32 at most.
const POISONED: u8 = 32;
/// The hour (UTC) in whose first minutes every tenant is looked at: a quiet one in Europe, and not the
/// one of `purge-expired`. Nobody tells us who joins or leaves a scope group or the organisation, and
/// a task of a tenant that was lost has no other watcher. A run that is missed, or that fails before
/// it comes to this, is made up for by the next day's: so a change counts after two days at the latest.
const QUIET_HOUR: i8 = 2;
/// Those minutes: the timer runs once in them.
const QUIET_MINUTES: i8 = 5;
/// Over how many seconds the tenants are spread, so that they do not all ask at once.
const SPREAD: u64 = 60 * 60;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// What is due.
    pub due: Due,
    /// Who is connected.
    pub tenants: Tenants,
    /// Where failures go.
    pub failures: Failures,
    /// The poison queues, and the way to the workers.
    pub outbox: Arc<dyn Outbox>,
    /// The keys that grow old.
    pub keys: AgingKeys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// The keys that grow old.
#[derive(Clone)]
pub struct AgingKeys {
    /// What proves that a notification is ours.
    pub client_state: Arc<KeyRing>,
    /// What cookies are sealed with.
    pub cookies: Arc<KeyRing>,
    /// What Graph seals content with.
    pub content: Arc<ContentKeys>,
    /// How old the newest content key may be before there is a new one.
    pub content_life: SignedDuration,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Nudged {
    /// Bookings nudged.
    pub unsettled: u64,
    /// Subscriptions nudged.
    pub renewals: u64,
    /// Poisoned messages recorded.
    pub poisoned: u64,
    /// Tenants whose daily look was sent off.
    pub aligned: u64,
}

/// Nudges what is due until nothing is left or `stop_at` has come.
///
/// # Errors
/// [`StepError`] when a table or queue does not answer; the next run goes on where this one stopped.
pub async fn run(deps: &Deps, stop_at: Timestamp) -> Result<Nudged, StepError> {
    let began = deps.clock.now();
    // A backlog of bookings must not cost a subscription its life.
    let renewals = nudge(deps, Purpose::Renew, stop_at).await?;
    let poisoned = drain(deps, stop_at).await?;
    let unsettled = nudge(deps, Purpose::Unsettled, stop_at).await?;
    let aligned = align(deps, began, stop_at).await?;
    keys::rotate(deps).await;
    Ok(Nudged { unsettled, renewals, poisoned, aligned })
}

async fn nudge(deps: &Deps, purpose: Purpose, stop_at: Timestamp) -> Result<u64, StepError> {
    let (mut sent, mut from) = (0, None);
    // One instant for the whole run: entries moved on must not come into its sight again.
    let now = deps.clock.now();
    loop {
        let (entries, next) = deps.due.scan(purpose, now, from, PAGE).await?;
        for entry in &entries {
            move_on(deps, entry, now, sent).await?;
            sent += 1;
        }
        deps.due.remove_all(&entries).await?;
        from = next;
        if from.is_none() || deps.clock.now() >= stop_at {
            return Ok(sent);
        }
    }
}

/// The new entry before the nudge, the nudge before the old entry goes.
async fn move_on(
    deps: &Deps,
    entry: &DueEntry,
    now: Timestamp,
    sent: u64,
) -> Result<(), StepError> {
    let again = match entry.purpose {
        Purpose::Renew => RENEW_AGAIN,
        Purpose::Unsettled | Purpose::Purge => UNSETTLED_AGAIN,
    };
    let spread = i64::try_from(deps.rng.below(60_000)).unwrap_or(0);
    let again = (again * (1_i32 << entry.round.min(8))).min(LONGEST_ROUND);
    let at = now + again + SignedDuration::from_millis(spread);
    let round = entry.round.saturating_add(1);
    deps.due.put(&DueEntry { at, round, ..*entry }).await?;
    let next = next_of(deps, entry, at, now, sent);
    deps.outbox.send(next.message.queue(), next.message.text(), next.delay).await?;
    Ok(())
}

fn next_of(deps: &Deps, entry: &DueEntry, at: Timestamp, now: Timestamp, sent: u64) -> Next {
    let correlation = CorrelationId(deps.rng.uuid().as_u128());
    let passage = Passage::start(correlation, now);
    match entry.subject {
        Subject::Booking(key) => {
            let nudge = BookingNudge { key, due: Some(at), conflicts: 0, passage };
            Next::now(Onward::Book(BookingRequest(nudge)))
        }
        Subject::Mailbox(tenant, mailbox) => {
            let task = MailboxTask {
                tenant,
                mailbox,
                task: Task::Renew,
                nonce: None,
                due: Some(at),
                passage,
            };
            Next::later(Onward::Maintain(task), Duration::from_secs(sent / RENEWALS_A_SECOND))
        }
    }
}

/// What killed the process too often becomes a row that people can see and replay.
async fn drain(deps: &Deps, stop_at: Timestamp) -> Result<u64, StepError> {
    let mut drained = 0;
    for queue in Queue::ALL {
        while deps.clock.now() < stop_at {
            let poisoned = deps.outbox.poisoned(queue, POISONED).await?;
            if poisoned.is_empty() {
                break;
            }
            for message in poisoned {
                let failure = Failure::poisoned(queue, &message.text, deps.clock.now());
                deps.failures.add(&failure).await?;
                deps.outbox.discard(queue, &message.receipt).await?;
                drained += 1;
            }
        }
    }
    Ok(drained)
}

/// Once a day, each tenant whose scope changes without a word is brought in line with its directory.
/// A pass changes only what is not in line, so one too many is harmless; and both are dated to the
/// same instant, so what they decide is the same entry of the register.
async fn align(deps: &Deps, began: Timestamp, stop_at: Timestamp) -> Result<u64, StepError> {
    let Some(asked) = quiet_hour(began) else { return Ok(0) };
    let mut sent = 0;
    for (tenant, _) in deps.tenants.all().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        let Some(work) = daily(&tenant) else { continue };
        let passage = Passage::start(CorrelationId(deps.rng.uuid().as_u128()), asked);
        let task = Onward::Tenant(TenantTask { tenant: tenant.id, work, passage });
        let delay = Duration::from_secs(deps.rng.below(SPREAD));
        deps.outbox.send(task.queue(), task.text(), delay).await?;
        sent += 1;
    }
    Ok(sent)
}

/// When the quiet hour began, in its first minutes.
fn quiet_hour(now: Timestamp) -> Option<Timestamp> {
    let utc = now.to_zoned(TimeZone::UTC);
    let quiet = utc.hour() == QUIET_HOUR && utc.minute() < QUIET_MINUTES;
    let since = SignedDuration::from_mins(utc.minute().into())
        + SignedDuration::from_secs(utc.second().into())
        + SignedDuration::from_nanos(utc.subsec_nanosecond().into());
    quiet.then(|| now - since)
}

/// What is looked at in a tenant every day.
fn daily(tenant: &Tenant) -> Option<TenantWork> {
    match tenant.state {
        TenantState::Active => Some(TenantWork::Align { from: None }),
        TenantState::Leaving => Some(TenantWork::Leave),
        TenantState::Suspended(_) | TenantState::Left(_) => None,
    }
}
