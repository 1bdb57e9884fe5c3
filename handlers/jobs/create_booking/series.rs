//! The bookings of a series, as many at once as a transaction takes: all dates of a room take the steps that a
//! single booking takes.
//!
//! What needs a second look is left to the job of a single booking: a date on which another booking has the
//! room, and one that another worker is busy with or has left half-done.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{CONFLICT_BACKOFF, Deps, LEASE, refusal, system_calls::SystemCalls};
use crate::{
    base::invocation::Invocation,
    booking::{BookingSystemError, SlotChange},
    domain::{
        booking::{
            Booking, BookingOrder, ConfirmedBooking, Intent, ObservedState, RefusalReason, Step,
            series::{is_series_declined, was_series_declined},
        },
        ids::{BookingId, RoomId, TenantId},
        keys::BookingKey,
        tenant::policy::ResponseMode,
    },
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{BookingJob, JobMeta, SeriesJob},
    store::{
        bookings::{BookingChange, VersionedBooking},
        tables::MAX_CONFLICT_RETRIES,
        tenants::Tenant,
    },
};

/// How many days of a room are changed in one transaction, which takes 100.
const DAYS_AT_ONCE: usize = 90;
/// How many bookings are worked on at once: each may give days back beside those that it takes.
const BOOKINGS_AT_ONCE: usize = 45;

/// A date, and what is to be done with it.
struct Planned {
    booking: VersionedBooking,
    step: Step,
}

/// Takes the next step of every date of a series.
pub(super) async fn book_series(
    deps: &Deps,
    invocation: &Invocation,
    job: &SeriesJob,
) -> JobResult {
    let now = deps.clock.now();
    let rooms = deps.bookings.list_current_series(job.key, now).await?;
    if rooms.is_empty() {
        // Nobody else knows that the due entry has nothing left to watch.
        deps.due.remove_unsettled(job.key, job.due).await?;
        return Err(JobError::Discard("the series is gone or over"));
    }
    let Some(tenant) = deps.tenants.get_active(job.key.tenant).await? else {
        return Err(JobError::Discard("the tenant is not active"));
    };
    let worker = SeriesWorker { deps, invocation, job, tenant: &tenant, id: deps.rng.next_u64() };
    let mut apart = Vec::new();
    for (room, rows) in rooms {
        let mode = deps.rooms.response_mode(tenant.id, room).await?;
        let (batches, alone) = plan(rows, &tenant, mode, now);
        apart.extend(alone);
        let mut conflicts = Vec::new();
        for batch in batches {
            conflicts.extend(worker.book((job.key.tenant, room), batch).await?);
        }
        // For each the holder is read. Of those beyond the limit nothing has to be known before the others
        // are; the due entry comes back to them.
        if mode == Some(ResponseMode::RoombridgeDecides) {
            conflicts.truncate(tenant.policy.series_conflicts.enough());
        }
        apart.extend(conflicts);
    }
    if apart.is_empty() {
        let correlation = invocation.correlation;
        let meta = JobMeta::new(correlation, job.meta.first_seen);
        return Ok(vec![Enqueue::now(Job::WriteBack(SeriesJob { meta, ..*job }.into()))]);
    }
    // Each of them is published when it is decided, and with the last one the whole series.
    let meta = JobMeta::new(invocation.correlation, now);
    let jobs =
        apart.into_iter().map(|key| BookingJob { due: job.due, ..BookingJob::new(key, meta) });
    Ok(jobs.map(|job| Enqueue::now(Job::CreateBooking(job.into()))).collect())
}

/// What is to be done with the dates in one room, in parts that fit a transaction, and those that are left to
/// the job of a single booking.
fn plan(
    rows: Vec<VersionedBooking>,
    tenant: &Tenant,
    mode: Option<ResponseMode>,
    now: Timestamp,
) -> (Vec<Vec<Planned>>, Vec<BookingKey>) {
    let bookings = || rows.iter().map(|(booking, _)| booking);
    let policy = tenant.policy.series_conflicts;
    // Where Exchange decides it has its own limits, and a later conflict is one date's own.
    let is_ours = mode == Some(ResponseMode::RoombridgeDecides);
    let is_declined = is_ours && is_series_declined(bookings(), policy, now);
    let was_declined = is_ours && was_series_declined(bookings(), now);
    // A date that is in the room's calendar was asked for after we had declined what was there.
    let is_new = |booking: &Booking| {
        booking.observed == ObservedState::Nothing && booking.copies.room_copy().is_none()
    };
    let refuse = || Step::Refuse(RefusalReason::SeriesConflicts);
    let (mut batches, mut alone) = (vec![Vec::new()], Vec::new());
    let mut days = 0;
    for (booking, etag) in rows {
        let step = match booking.next_step(now, tenant.systems.current) {
            Step::InSync if is_declined && booking.confirmed().is_some() => refuse(),
            Step::InSync => continue,
            Step::Put(_) if is_declined => refuse(),
            Step::Put(_) if was_declined && is_new(&booking) => refuse(),
            step @ (Step::Busy(_) | Step::Put(_) | Step::Refuse(_) | Step::Cancel) => step,
        };
        let more = change_of(&booking, &step).days().len();
        if booking.intent.is_some() || matches!(step, Step::Busy(_)) || more > DAYS_AT_ONCE {
            alone.push(booking.key);
            continue;
        }
        let is_full = |batch: &Vec<Planned>| batch.len() >= BOOKINGS_AT_ONCE;
        if days + more > DAYS_AT_ONCE || batches.last().is_none_or(is_full) {
            batches.push(Vec::new());
            days = 0;
        }
        days += more;
        if let Some(batch) = batches.last_mut() {
            batch.push(Planned { booking: (booking, etag), step });
        }
    }
    batches.retain(|batch| !batch.is_empty());
    (batches, alone)
}

/// What a step does to the ledger.
fn change_of(booking: &Booking, step: &Step) -> SlotChange {
    let claim = match step {
        Step::Put(order) => Some(order.slot()),
        Step::InSync | Step::Busy(_) | Step::Refuse(_) | Step::Cancel => None,
    };
    let stale = booking.confirmed().map(|held| held.interval).into_iter().collect();
    SlotChange { booking: booking.id, claim, stale }
}

/// One worker on the bookings of a series.
struct SeriesWorker<'a> {
    deps: &'a Deps,
    invocation: &'a Invocation,
    job: &'a SeriesJob,
    tenant: &'a Tenant,
    /// Marks the intents that this worker wrote.
    id: u64,
}

impl SeriesWorker<'_> {
    /// Intent → claim → call → verify → outcome, for all of them; answers those that conflict.
    async fn book(
        &self,
        room: (TenantId, RoomId),
        batch: Vec<Planned>,
    ) -> Result<Vec<BookingKey>, JobError> {
        let changes: Vec<SlotChange> =
            batch.iter().map(|planned| change_of(&planned.booking.0, &planned.step)).collect();
        let (rows, steps): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|planned| (planned.booking, planned.step)).unzip();
        let rows = self.write_intents(rows, &steps).await?;
        let done = async {
            let conflicts = self.deps.claims.exchange(room, &changes).await?;
            let is_possible = |booking: &Booking| !conflicts.contains_key(&booking.id);
            let placed = self.call_system(&rows, &steps, is_possible).await?;
            let outcome = |((booking, etag), step): (VersionedBooking, &Step)| {
                let ended = if is_possible(&booking) {
                    with_outcome(booking, step, &placed)
                } else {
                    booking.abandon_unclaimed(self.deps.clock.now())
                };
                (ended, etag)
            };
            let held = rows.iter().map(|(row, _)| (row.id, row.intent.clone())).collect();
            let ended = rows.iter().cloned().zip(&steps).map(outcome).collect();
            self.save(ended, &held).await?;
            let apart = rows.iter().filter(|(booking, _)| !is_possible(booking));
            Ok(apart.map(|(booking, _)| booking.key).collect())
        }
        .await;
        if done.is_err() {
            // Until the leases end nobody else can work on the bookings, and we have stopped.
            self.release_leases(&rows).await;
        }
        done
    }

    async fn write_intents(
        &self,
        rows: Vec<VersionedBooking>,
        steps: &[Step],
    ) -> Result<Vec<VersionedBooking>, JobError> {
        let now = self.deps.clock.now();
        let begin = |((booking, etag), step): (VersionedBooking, &Step)| {
            BookingChange::Replace(booking.begin_intent(step, self.id, now, LEASE), etag)
        };
        let ids: Vec<BookingId> = rows.iter().map(|(booking, _)| booking.id).collect();
        let changes = rows.into_iter().zip(steps).map(begin).collect();
        match self.deps.bookings.write_all(changes).await {
            Ok(written) => return Ok(written),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        // The conflict may be with our own write: its answer was lost, and the client below us has
        // repeated it.
        let mut current = self.own_rows().await?;
        let ours: Option<Vec<_>> = ids.iter().map(|id| current.remove(id)).collect();
        ours.ok_or_else(|| JobError::retry_after(CONFLICT_BACKOFF, "the series was changed"))
    }

    /// The rows with an intent of this worker.
    async fn own_rows(&self) -> Result<BTreeMap<BookingId, VersionedBooking>, JobError> {
        let rows = self.deps.bookings.list_series(self.job.key).await?;
        let is_ours =
            |row: &Booking| row.intent.as_ref().is_some_and(|intent| intent.worker == self.id);
        let ours = rows.into_iter().filter(|(row, _)| is_ours(row));
        Ok(ours.map(|row| (row.0.id, row)).collect())
    }

    /// Ends what is to be ended, and makes what is to be made; answers what became of each order.
    async fn call_system(
        &self,
        rows: &[VersionedBooking],
        steps: &[Step],
        is_possible: impl Fn(&Booking) -> bool,
    ) -> Result<Placed, JobError> {
        let mut orders: Vec<(&Booking, &BookingOrder)> = Vec::new();
        for ((booking, _), step) in rows.iter().zip(steps).filter(|((row, _), _)| is_possible(row))
        {
            match step {
                Step::Put(order) => orders.push((booking, &**order)),
                Step::Refuse(_) | Step::Cancel => self.cancel(booking).await?,
                Step::InSync | Step::Busy(_) => {}
            }
        }
        let mut placed = Placed::new();
        // A date may move to where another one still is, so it is tried again when that one has moved.
        loop {
            let tried = orders.len();
            orders = self.put_all(orders, &mut placed).await?;
            if orders.is_empty() {
                return Ok(placed);
            }
            if orders.len() == tried {
                break;
            }
        }
        // Those that wait for each other give up what they have; nobody asks for that any more.
        for (booking, _) in &orders {
            self.cancel(booking).await?;
        }
        let refused = self.put_all(orders, &mut placed).await?;
        placed.extend(refused.iter().map(|(row, _)| (row.id, Err(RefusalReason::Conflict))));
        Ok(placed)
    }

    /// Makes bookings, or changes them; answers those whose room another booking has.
    async fn put_all<'o>(
        &self,
        orders: Vec<(&'o Booking, &'o BookingOrder)>,
        placed: &mut Placed,
    ) -> Result<Vec<(&'o Booking, &'o BookingOrder)>, JobError> {
        let mut conflicting = Vec::new();
        for (booking, order) in orders {
            match self.system().put(booking, order, false).await {
                Ok(confirmed) => drop(placed.insert(booking.id, Ok(confirmed))),
                Err(BookingSystemError::Conflict) => conflicting.push((booking, order)),
                Err(error) => {
                    let reason = refusal(&error).ok_or(error)?;
                    self.cancel(booking).await?;
                    placed.insert(booking.id, Err(reason));
                }
            }
        }
        Ok(conflicting)
    }

    async fn cancel(&self, booking: &Booking) -> Result<(), JobError> {
        Ok(self.system().cancel(booking, false).await?)
    }

    fn system(&self) -> SystemCalls<'_> {
        let Self { deps, invocation, job, tenant, .. } = self;
        SystemCalls { deps, invocation, tenant, meta: job.meta }
    }

    /// Writes our part of the rows, and keeps what others have changed in theirs meanwhile, be it the key
    /// that a booking is found under.
    async fn save(
        &self,
        rows: Vec<VersionedBooking>,
        held: &BTreeMap<BookingId, Option<Intent>>,
    ) -> Result<(), JobError> {
        let ours: BTreeMap<BookingId, Booking> =
            rows.iter().map(|(booking, _)| (booking.id, booking.clone())).collect();
        let mut rows = rows;
        for _ in 0..MAX_CONFLICT_RETRIES {
            let replace = |(booking, etag)| BookingChange::Replace(booking, etag);
            match self.deps.bookings.write_all(rows.into_iter().map(replace).collect()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            let current = self.deps.bookings.list_series(self.job.key).await?;
            // Where our own write got through, or our lease has ended, nothing is left to write.
            let still_held =
                |row: &Booking| held.get(&row.id).is_some_and(|own| row.intent == *own);
            let current = current.into_iter().filter(|(row, _)| still_held(row));
            let merge = |(row, etag): VersionedBooking| {
                let Some(own) = ours.get(&row.id) else { return (row, etag) };
                let (intent, observed) = (own.intent.clone(), own.observed.clone());
                (Booking { intent, observed, ..row }, etag)
            };
            rows = current.map(merge).collect();
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts"))
    }

    async fn release_leases(&self, rows: &[VersionedBooking]) {
        let Ok(mut ours) = self.own_rows().await else { return };
        ours.retain(|id, _| rows.iter().any(|(row, _)| row.id == *id));
        let now = self.deps.clock.now();
        let free =
            |(row, etag): VersionedBooking| BookingChange::Replace(row.release_lease(now), etag);
        let changes = ours.into_values().map(free).collect();
        if let Err(error) = self.deps.bookings.write_all(changes).await {
            tracing::warn!(%error, "leases were not released; they will expire");
        }
    }
}

/// What became of each order.
type Placed = BTreeMap<BookingId, Result<ConfirmedBooking, RefusalReason>>;

/// The booking with what became of its step.
fn with_outcome(booking: Booking, step: &Step, placed: &Placed) -> Booking {
    let ended = match (step, placed.get(&booking.id)) {
        (Step::Put(_), Some(Ok(confirmed))) => {
            booking.with_observed(ObservedState::Booked(confirmed.clone()))
        }
        (Step::Put(_), Some(Err(reason))) => booking.with_refusal(*reason),
        (Step::Refuse(reason), _) => booking.with_refusal(*reason),
        (Step::Cancel, _) => booking.with_observed(ObservedState::Nothing),
        (Step::Put(_), None) | (Step::InSync | Step::Busy(_), _) => booking,
    };
    ended.clear_intent()
}
