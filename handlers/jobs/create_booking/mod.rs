//! `create-booking`: makes the booking system agree with what should be booked.
//!
//! In this order and no other: intent → claim → call → verify → observed → release → intent
//! cleared → nudge. An intent without its outcome is *unknown*: the next worker looks the
//! idempotency key up before it does anything else.
//!
//! Two things come before the order above. The ledger is looked at without claiming, so that a
//! conflict costs no intent. And nobody is refused before the holder of the time was looked at in
//! Outlook: when two meetings swap rooms, the notification of the one that leaves may come second,
//! and a decline that was sent is hard to take back.

mod conflict;
mod effects;
mod lease;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    booking::{Availability, BookingSystem, BookingSystemCall, FreeInterval, LedgerClaims},
    domain::{
        booking::{Booking, Intent, Step},
        tenancy::TenantState,
    },
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError},
    },
    messages::{BookingJob, BookingRequest, CalendarWrite, JobMeta},
    store::{
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        tables::ETag,
        tenants::Tenants,
    },
};

/// How long a worker may be at one booking: the handler's own deadline, and two minutes so that a
/// worker that was cut off is surely gone.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// How often a lost race for the row is run again in place.
const MAX_CONFLICT_RETRIES: u32 = 8;
/// When to come back after somebody else was faster each time.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(2);

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// What should be booked, and what is.
    pub bookings: Bookings,
    /// What must be looked at when.
    pub due: DueEntries,
    /// The ledger's claims.
    pub claims: LedgerClaims,
    /// The booking system.
    pub system: Arc<dyn BookingSystem>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = BookingRequest;
    type Item = BookingRequest;

    async fn run(
        &self,
        invocation: &Invocation,
        request: BookingRequest,
    ) -> Outcomes<BookingRequest> {
        let outcome = run(self, invocation, request).await;
        vec![(request, outcome)].into()
    }
}

/// Looks at one booking and does what is missing.
///
/// # Errors
/// [`JobError`] says whether it waits, counts, or is over.
async fn run(
    deps: &Deps,
    invocation: &Invocation,
    request: BookingRequest,
) -> Result<Vec<Enqueue>, JobError> {
    let calls = &invocation.calls;
    let BookingRequest(nudge) = request;
    for _ in 0..MAX_CONFLICT_RETRIES {
        let now = deps.clock.now();
        let Some((booking, etag)) = deps.bookings.get(&nudge.key).await? else {
            remove_due_entry(deps, &nudge).await?;
            return Err(JobError::Discard { reason: "there is no such booking" });
        };
        if booking.purge_due <= now {
            remove_due_entry(deps, &nudge).await?;
            return Err(JobError::Discard { reason: "it is over" });
        }
        // After the row: an entry with nothing left to watch goes, whatever became of the tenant.
        require_active(deps, &nudge).await?;
        let step = booking.next_step(now);
        match &step {
            Step::InSync => return Ok(vec![enqueue_write_back(&nudge, &booking)]),
            Step::Busy(at) => {
                let rest = at.duration_since(now);
                return Err(JobError::retry_after(rest, "another worker may still be at it"));
            }
            Step::Put(_) | Step::Refuse(_) | Step::Cancel => {}
        }
        let call = BookingSystemCall { trail: calls.clone(), correlation: nudge.meta.correlation };
        let worker =
            BookingWorker { deps, call: &call, job: &nudge, worker_id: deps.rng.next_u64() };
        match worker.advance(booking, etag, step).await? {
            Advance::Done(next) => return Ok(next),
            Advance::Retry => deps.conflict_pause().await,
        }
    }
    Err(JobError::retry_after(CONFLICT_BACKOFF, "others were faster each time"))
}

async fn require_active(deps: &Deps, nudge: &BookingJob) -> Result<(), JobError> {
    let tenant = deps.tenants.get(nudge.key.tenant).await?;
    match tenant.map(|tenant| tenant.state) {
        Some(TenantState::Active) => Ok(()),
        Some(TenantState::Suspended(_) | TenantState::Disconnecting | TenantState::Deleted(_))
        | None => Err(JobError::Discard { reason: "the tenant is not active" }),
    }
}

/// The entry that sent this has nothing to watch any more.
async fn remove_due_entry(deps: &Deps, nudge: &BookingJob) -> Result<(), JobError> {
    if let Some(at) = nudge.due {
        let subject = DueSubject::Booking(nudge.key);
        deps.due.remove(&DueEntry::new(DuePurpose::Unsettled, at, subject)).await?;
    }
    Ok(())
}

/// On to write-back, with the correlation of the change that is to be shown.
fn enqueue_write_back(nudge: &BookingJob, booking: &Booking) -> Enqueue {
    let passage = JobMeta::new(booking.correlation, nudge.meta.first_seen);
    let onward = BookingJob { conflicts: 0, meta: passage, ..*nudge };
    Enqueue::now(Job::WriteBack(CalendarWrite(onward)))
}

impl Deps {
    async fn conflict_pause(&self) {
        tokio::time::sleep(Duration::from_millis(5 + self.rng.below(50))).await;
    }
}

/// What one attempt came to.
enum Advance {
    Done(Vec<Enqueue>),
    Retry,
}

/// What a worker found before it set out.
struct StepInputs {
    /// The free interval of a booking to be made.
    free: Option<FreeInterval>,
    /// Whether another worker set out before and did not come back.
    taken_over: bool,
}

/// One worker at one booking.
struct BookingWorker<'a> {
    deps: &'a Deps,
    call: &'a BookingSystemCall,
    job: &'a BookingJob,
    worker_id: u64,
}

impl BookingWorker<'_> {
    async fn advance(&self, booking: Booking, etag: ETag, step: Step) -> Result<Advance, JobError> {
        // Looked at before anything is written: a conflict then costs no intent.
        let free = match &step {
            Step::Put(order) => {
                let interval = order.spec.facts.interval;
                match self.deps.claims.availability(booking.key, interval).await? {
                    Availability::Free(free) => Some(free),
                    Availability::Taken(conflict) => {
                        return self.resolve_conflict(booking, etag, conflict).await;
                    }
                }
            }
            Step::Refuse(_) | Step::Cancel | Step::InSync | Step::Busy(_) => None,
        };
        let found = StepInputs { free, taken_over: booking.intent.is_some() };
        let Some((booking, etag)) = self.begin_intent(booking, etag, &step).await? else {
            return Ok(Advance::Retry);
        };
        let intent = booking.intent.clone();
        self.with_lease(intent, self.execute_step(booking, etag, step, found)).await
    }

    /// Writes the intent; `None` when somebody else changed the row first.
    async fn begin_intent(
        &self,
        booking: Booking,
        etag: ETag,
        step: &Step,
    ) -> Result<Option<(Booking, ETag)>, JobError> {
        let ours = booking.begin_intent(step, self.worker_id, self.deps.clock.now(), LEASE);
        match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => return Ok(Some((ours, etag))),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        // Perhaps it was ours whose answer was lost, and a repeat below us met it.
        let fresh = self.deps.bookings.get(&ours.key).await?;
        Ok(fresh.filter(|(row, _)| row.intent == ours.intent))
    }

    async fn execute_step(
        &self,
        booking: Booking,
        etag: ETag,
        step: Step,
        found: StepInputs,
    ) -> Result<Advance, JobError> {
        let effect = match (&step, found.free) {
            (Step::Put(order), Some(free)) => {
                self.put(booking, order, free, found.taken_over).await?
            }
            (Step::Refuse(reason), _) => {
                effects::Effect::Done(Box::new(self.refuse(booking, *reason).await?))
            }
            (Step::Cancel, _) => effects::Effect::Done(Box::new(self.cancel(booking).await?)),
            (Step::Put(_), None) | (Step::InSync | Step::Busy(_), _) => {
                return Ok(Advance::Retry);
            }
        };
        match effect {
            effects::Effect::Done(booking) => self.record_outcome(*booking, etag).await,
            effects::Effect::Conflict(booking, conflict) => {
                self.resolve_conflict(*booking, etag, conflict).await
            }
        }
    }

    /// Observed first, so that the booking is known; then the ledger is tidied; then the intent is
    /// cleared. When there is nothing to tidy, one write says all.
    async fn record_outcome(&self, booking: Booking, etag: ETag) -> Result<Advance, JobError> {
        let intent = booking.intent.clone();
        let stale = booking.intervals_to_release();
        let keep = booking.confirmed().map(|held| held.interval);
        let (booking, etag) = if stale.is_empty() {
            (booking, etag)
        } else {
            let saved = self.save(booking, etag, &intent).await?;
            self.deps.claims.release(saved.0.key, &stale, keep).await?;
            saved
        };
        let (done, _) = self.save(booking.clear_intent(), etag, &intent).await?;
        Ok(Advance::Done(vec![enqueue_write_back(self.job, &done)]))
    }

    /// Writes our part of the row. Somebody who changed theirs meanwhile keeps it.
    async fn save(
        &self,
        ours: Booking,
        mut etag: ETag,
        held: &Option<Intent>,
    ) -> Result<(Booking, ETag), JobError> {
        let mut row = ours.clone();
        for _ in 0..MAX_CONFLICT_RETRIES {
            match self.deps.bookings.replace(&row, &etag).await {
                Ok(etag) => return Ok((row, etag)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            let Some((fresh, fresh_etag)) = self.deps.bookings.get(&ours.key).await? else {
                return Err(JobError::Discard { reason: "the booking was purged meanwhile" });
            };
            if fresh.intent != *held {
                let ours_already = fresh.intent == ours.intent && fresh.observed == ours.observed;
                return if ours_already {
                    Ok((fresh, fresh_etag))
                } else {
                    Err(JobError::retry_after(CONFLICT_BACKOFF, "another worker took over"))
                };
            }
            row = Booking { intent: ours.intent.clone(), observed: ours.observed.clone(), ..fresh };
            etag = fresh_etag;
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "others were faster each time"))
    }
}
