//! `create-booking`: makes the booking system agree with what should be booked.
//!
//! The order is always the same: intent → claim → call → verify → observed → release → intent
//! cleared → write-back. An intent that nobody cleared means that the outcome is *unknown*: the next
//! worker looks the idempotency key up before it does anything else.
//!
//! Two checks come before that order. The ledger is read without claiming, so that a conflict costs
//! no intent. And nobody is refused before the holder's appointment was read again in Outlook
//! (`conflict`): when two meetings swap rooms, the notification of the one that leaves may arrive
//! second, and a decline cannot be taken back.

mod conflict;
mod series;
mod system_calls;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;

use self::system_calls::SystemCalls;
use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    booking::{BookingSystemError, BookingSystems, LedgerClaims},
    domain::{
        booking::{Booking, BookingOrder, Intent, ObservedState, RefusalReason, Step},
        booking_system::MatchKey,
    },
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError, JobResult},
    },
    messages::{BookingJob, BookingTask, JobMeta, SeriesJob},
    store::{
        bookings::Bookings,
        due::DueEntries,
        rooms::RoomMap,
        tables::{ETag, MAX_CONFLICT_RETRIES},
        tenants::{Tenant, Tenants},
    },
};

/// How long a worker may hold a booking: the handler's own deadline, and two minutes more so that a
/// worker that was cut off is surely gone.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// When to come back after too many write conflicts.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(2);

/// When to look again whether another booking of ours has left the room.
const OTHER_BOOKING_DELAY: SignedDuration = SignedDuration::from_secs(15);
/// For how long: a key that looks like ours may be another Roombridge's, which stays.
const OTHER_BOOKING_WAIT: SignedDuration = SignedDuration::from_mins(5);

/// What the function needs.
#[derive(Clone)]
pub struct Deps {
    pub(crate) tenants: Tenants,
    pub(crate) rooms: RoomMap,
    pub(crate) bookings: Bookings,
    pub(crate) due: DueEntries,
    pub(crate) claims: LedgerClaims,
    pub(crate) systems: BookingSystems,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = BookingTask;
    type Item = BookingTask;
    const JOB: fn(BookingTask) -> Job = Job::CreateBooking;

    async fn run(&self, invocation: &Invocation, task: BookingTask) -> Outcomes<BookingTask> {
        let result = match &task {
            BookingTask::One(job) => book(self, invocation, job).await,
            BookingTask::Series(job) => series::book_series(self, invocation, job).await,
        };
        vec![(task, result)].into()
    }
}

/// Takes the next step of one booking. The loop does more than update the row: a lost race for the
/// ledger, too, makes it decide again, and each step makes calls between its writes.
async fn book(deps: &Deps, invocation: &Invocation, job: &BookingJob) -> JobResult {
    for _ in 0..MAX_CONFLICT_RETRIES {
        let now = deps.clock.now();
        let row = deps.bookings.get(&job.key).await?;
        let Some((booking, etag)) = row.filter(|(booking, _)| booking.purge_due > now) else {
            // Nobody else knows that the due entry has nothing left to watch. That of a series watches
            // other dates, too.
            if job.key.series().is_none() {
                deps.due.remove_unsettled(job.key, job.due).await?;
            }
            return Err(JobError::Discard("the booking is gone or over"));
        };
        // The tenant comes after the row, so that a due entry without a booking is removed even
        // when the tenant has left.
        let Some(tenant) = deps.tenants.get_active(job.key.tenant).await? else {
            return Err(JobError::Discard("the tenant is not active"));
        };
        let step = booking.next_step(now, tenant.systems.current);
        let is_doubted = job.verify && step == Step::InSync && booking.confirmed().is_some();
        let step = if is_doubted { booking.repeated_step() } else { step };
        let worker = BookingWorker { deps, invocation, job, tenant, id: deps.rng.next_u64() };
        let done = match step {
            Step::InSync => return Ok(vec![enqueue_write_back(job, &booking)]),
            Step::Busy(until) => {
                let wait = until.duration_since(now);
                return Err(JobError::retry_after(wait, "another worker may still hold the lease"));
            }
            Step::Put(order) => worker.put(booking, etag, *order).await?,
            Step::Refuse(reason) => worker.end(booking, etag, Some(reason)).await?,
            Step::Cancel => worker.end(booking, etag, None).await?,
        };
        if let Some(next) = done {
            return Ok(next);
        }
        // Two workers that met once should not meet again: each pauses for a random time.
        tokio::time::sleep(Duration::from_millis(5 + deps.rng.below(50))).await;
    }
    Err(JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts"))
}

/// Why a booking system will not have the booking, whenever it is asked.
fn refusal(error: &BookingSystemError) -> Option<RefusalReason> {
    match error {
        BookingSystemError::Conflict => Some(RefusalReason::Conflict),
        BookingSystemError::Rejected { .. } => Some(RefusalReason::Rejected),
        BookingSystemError::NotFound
        | BookingSystemError::Unauthorised
        | BookingSystemError::Throttled { .. }
        | BookingSystemError::Unavailable { .. }
        | BookingSystemError::OutcomeUnknown(_)
        | BookingSystemError::NotReturned
        | BookingSystemError::NotConnected
        | BookingSystemError::RoomNotMapped
        | BookingSystemError::RequesterUnknown
        | BookingSystemError::Store(_) => None,
    }
}

/// Follows with write-back, under the correlation of the change that it will publish.
fn enqueue_write_back(job: &BookingJob, booking: &Booking) -> Enqueue {
    let meta = JobMeta::new(booking.correlation, job.meta.first_seen);
    let task = match job.key.series() {
        None => BookingJob { holder: None, verify: false, meta, ..*job }.into(),
        // The answers to a series are given together.
        Some(key) => SeriesJob { key, due: job.due, meta }.into(),
    };
    Enqueue::now(Job::WriteBack(task))
}

/// One worker on one booking. Each of its steps answers what comes next, or `None` when the row or the
/// ledger has changed, so that the step has to be decided again.
struct BookingWorker<'a> {
    deps: &'a Deps,
    invocation: &'a Invocation,
    job: &'a BookingJob,
    tenant: Tenant,
    /// Marks the intents that this worker wrote.
    id: u64,
}

// === The steps ===

impl BookingWorker<'_> {
    fn system(&self) -> SystemCalls<'_> {
        let Self { deps, invocation, job, tenant, .. } = self;
        SystemCalls { deps, invocation, tenant, meta: job.meta }
    }

    /// Makes the booking, or changes the one that exists.
    async fn put(
        &self,
        booking: Booking,
        etag: ETag,
        order: BookingOrder,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        let free = match self.deps.claims.availability(order.slot()).await? {
            Ok(free) => free,
            Err(conflict) => return self.resolve_conflict(booking, etag, conflict).await,
        };
        // A worker before us may have made the booking and died before it could record it.
        let taken_over = booking.intent.is_some();
        let step = Step::Put(Box::new(order.clone()));
        self.under_intent(booking, etag, &step, async |booking, etag| {
            // Another booking may have claimed the time since it was read as free.
            if let Some(conflict) = self.deps.claims.claim(free).await? {
                return self.resolve_conflict(booking, etag, conflict).await;
            }
            let ended = match self.system().put(&booking, &order, taken_over).await {
                Ok(confirmed) => booking.with_observed(ObservedState::Booked(confirmed)),
                Err(error) => {
                    let reason = refusal(&error).ok_or(error)?;
                    if reason == RefusalReason::Conflict && self.awaits_another(&order).await? {
                        return self.await_another(booking, etag, taken_over).await;
                    }
                    // What it had before is of no use, as the appointment is not there any more.
                    self.system().cancel(&booking, taken_over).await?;
                    booking.with_refusal(reason)
                }
            };
            self.record_outcome(ended, etag).await
        })
        .await
    }

    /// Whether another booking of ours has the room in the booking system, though the ledger says that it is
    /// free: that one is about to move, or has ended here and not there yet.
    async fn awaits_another(&self, order: &BookingOrder) -> Result<bool, JobError> {
        let Self { deps, invocation, tenant, job, .. } = self;
        if deps.clock.now().duration_since(job.meta.first_seen) > OTHER_BOOKING_WAIT {
            return Ok(false);
        }
        let (room, interval) = (order.key.room, order.spec.facts.interval);
        let there = deps.systems.list(invocation, tenant, room, interval).await?;
        let is_other = |key: MatchKey| key.booking != order.id;
        Ok(there.iter().any(|booking| booking.key.is_some_and(is_other)))
    }

    /// Gives back what the booking has, or two that swap would wait for each other; then it waits.
    async fn await_another(
        &self,
        booking: Booking,
        etag: ETag,
        taken_over: bool,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        if booking.confirmed().is_none() {
            let cause = "another booking has the room in the booking system, and not in the ledger";
            return Err(JobError::retry_after(OTHER_BOOKING_DELAY, cause));
        }
        self.system().cancel(&booking, taken_over).await?;
        self.record_outcome(booking.with_observed(ObservedState::Nothing), etag).await
    }

    /// Ends the booking that exists, or may exist. With a `refusal` the room is refused, and an
    /// earlier booking of the same appointment is of no use.
    async fn end(
        &self,
        booking: Booking,
        etag: ETag,
        refusal: Option<RefusalReason>,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        let taken_over = booking.intent.is_some();
        let step = refusal.map_or(Step::Cancel, Step::Refuse);
        self.under_intent(booking, etag, &step, async |booking, etag| {
            self.system().cancel(&booking, taken_over).await?;
            let ended = match refusal {
                Some(reason) => booking.with_refusal(reason),
                None => booking.with_observed(ObservedState::Nothing),
            };
            self.record_outcome(ended, etag).await
        })
        .await
    }
}

// === Intent, outcome and lease ===

impl BookingWorker<'_> {
    /// Writes the intent to take `step` and then does `work`, which changes the world outside the
    /// row; `None` when somebody else changed the row first.
    async fn under_intent(
        &self,
        booking: Booking,
        etag: ETag,
        step: &Step,
        work: impl AsyncFnOnce(Booking, ETag) -> Result<Option<Vec<Enqueue>>, JobError>,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        let ours = booking.begin_intent(step, self.id, self.deps.clock.now(), LEASE);
        let (booking, etag) = match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => (ours, etag),
            Err(error) if error.is_conflict() => match self.deps.bookings.get(&ours.key).await? {
                // The conflict was with our own write: its answer was lost, and the client below us
                // has repeated it.
                Some((row, etag)) if row.intent == ours.intent => (row, etag),
                Some(_) | None => return Ok(None),
            },
            Err(error) => return Err(error.into()),
        };
        let intent = booking.intent.clone();
        let result = work(booking, etag).await;
        if result.is_err() {
            // Until the lease ends nobody else can work on the booking, and we have stopped.
            self.release_lease(intent).await;
        }
        result
    }

    /// Writes what the booking system has now, releases what else the ledger held, and clears
    /// the intent.
    async fn record_outcome(
        &self,
        booking: Booking,
        etag: ETag,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        let intent = booking.intent.clone();
        let stale = booking.intervals_to_release();
        let keep = booking.confirmed().map(|confirmed| confirmed.interval);
        let (booking, etag) = if stale.is_empty() {
            (booking, etag)
        } else {
            // The booking must be known before its earlier times are released, and the intent must
            // last until they are: it is the only record of them.
            let saved = self.save(booking, etag, &intent).await?;
            let Booking { key, id, .. } = &saved.0;
            self.deps.claims.release((key.tenant, key.room), *id, &stale, keep).await?;
            saved
        };
        let (booking, _) = self.save(booking.clear_intent(), etag, &intent).await?;
        Ok(Some(vec![enqueue_write_back(self.job, &booking)]))
    }

    /// Writes our part of the row, and keeps what others have changed in theirs meanwhile. The loop is
    /// not [`crate::store::tables::TypedTable::update`], because the next write of the same step needs
    /// the new ETag.
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
            let Some((current, current_etag)) = self.deps.bookings.get(&ours.key).await? else {
                return Err(JobError::Discard("the booking was purged meanwhile"));
            };
            if current.intent != *held {
                // Either our own write got through, or our lease ended and another worker began.
                let saved = current.intent == ours.intent && current.observed == ours.observed;
                return if saved {
                    Ok((current, current_etag))
                } else {
                    Err(JobError::retry_after(CONFLICT_BACKOFF, "another worker took over"))
                };
            }
            row =
                Booking { intent: ours.intent.clone(), observed: ours.observed.clone(), ..current };
            etag = current_etag;
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts"))
    }

    async fn release_lease(&self, intent: Option<Intent>) {
        let Ok(Some((row, etag))) = self.deps.bookings.get(&self.job.key).await else { return };
        if row.intent == intent {
            let freed = row.release_lease(self.deps.clock.now());
            if let Err(error) = self.deps.bookings.replace(&freed, &etag).await {
                tracing::warn!(%error, "lease was not released; it will expire");
            }
        }
    }
}
