//! `write-back`: makes Outlook show the outcome.
//!
//! The room answers the organizer by accepting or declining its own copy; the organizer's copy gets
//! our extended property and nothing else. When all of it is published the booking is settled, and
//! the due entry that watches it is removed: no other function settles a booking.
//!
//! What Graph refuses has one chain of retries: those of the first job, until the due entry sends
//! its own.

mod publish;
mod series;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::publish::CallResults;
use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    domain::{
        booking::{Booking, PublishLease, PublishedOutcome, RoomResponse},
        retry::{MAX_DEFERRAL_TIME, UNSETTLED_RECHECK},
        tenant::policy::ResponseMode,
    },
    graph::{Graph, TenantGraph},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError, JobResult},
    },
    messages::{BookingJob, BookingTask, JobMeta},
    store::{
        appointments::Appointments,
        bookings::Bookings,
        due::{DueEntries, DueEntry},
        mailboxes::Mailboxes,
        rooms::RoomMap,
        tables::{ETag, Update},
        tenants::Tenants,
    },
};

/// When to come back after a write conflict.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(2);
/// How long a worker may publish. When one is killed, the due entry's job follows it.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// When a worker is cut off, so that it has surely stopped when its lease ends.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(100);

/// What the function needs.
#[derive(Clone)]
pub struct Deps {
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) appointments: Appointments,
    pub(crate) bookings: Bookings,
    pub(crate) due: DueEntries,
    pub(crate) graph: Graph,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = BookingTask;
    type Item = BookingTask;
    const JOB: fn(BookingTask) -> Job = Job::WriteBack;

    async fn run(&self, invocation: &Invocation, task: BookingTask) -> Outcomes<BookingTask> {
        let result = match &task {
            BookingTask::One(job) => write_back(self, invocation, job).await,
            BookingTask::Series(job) => series::write_back_series(self, invocation, job).await,
        };
        vec![(task, result)].into()
    }
}

/// Publishes what Outlook does not show yet of one booking.
async fn write_back(deps: &Deps, invocation: &Invocation, job: &BookingJob) -> JobResult {
    let row = deps.bookings.get(&job.key).await?;
    let Some((booking, etag)) = row.filter(|(booking, _)| booking.purge_due > deps.clock.now())
    else {
        // Nobody else knows that the due entry has nothing left to watch.
        deps.due.remove_unsettled(job.key, job.due).await?;
        return Err(JobError::Discard("the booking is gone or over"));
    };
    let Some(tenant) = deps.tenants.get_active(job.key.tenant).await? else {
        return Err(JobError::Discard("the tenant is not active"));
    };
    if booking.intent.is_some() {
        // create-booking is at work; it starts us again when it has an outcome.
        return Ok(Vec::new());
    }
    if !booking.is_in_sync() {
        let job = BookingJob { holder: None, ..*job };
        return Ok(vec![Enqueue::now(Job::CreateBooking(job.into()))]);
    }
    let response_mode = deps.rooms.response_mode(tenant.id, job.key.room).await?;
    let is_new = job.due.is_none() && job.meta.is_first_try();
    if is_new && booking.is_publish_retried(response_mode, deps.clock.now()) {
        return Err(JobError::Discard("another job tries to publish the same again"));
    }
    // The calls belong to the change that is published, whatever started this job.
    let invocation = invocation.with_correlation(booking.correlation);
    let publisher = Publisher {
        deps,
        graph: deps.graph.for_tenant(tenant.registration, &invocation),
        job,
        response_mode,
        id: deps.rng.next_u64(),
        room_response: None,
        organizer_outcome: None,
        unconfirmed: booking.unconfirmed,
        results: CallResults::default(),
    };
    let published = publisher.publish(booking.clone(), etag).await;
    published.map_err(|error| keep_one_chain(deps, job.due, &booking, error))
}

/// Ends the job's own retries where the due entry has taken over, and records a failure once that has
/// lasted for too long. The entry stays, because what is refused may be allowed again.
fn keep_one_chain(
    deps: &Deps,
    own_due: Option<Timestamp>,
    before: &Booking,
    error: JobError,
) -> JobError {
    let now = deps.clock.now();
    let Some(due) = before.unsettled_due.filter(|at| *at <= now) else { return error };
    // A change in between writes another entry, and does not make the wait another one.
    let since = before.unsettled_since.map_or(due, |since| since + UNSETTLED_RECHECK);
    let limit = since + MAX_DEFERRAL_TIME;
    let is_too_long = now >= limit;
    match error {
        JobError::Retry { .. } | JobError::AccessLost { .. } if own_due.is_none() => {
            JobError::Discard("the outcome cannot be published; the due entry will retry")
        }
        JobError::Retry { cause, .. } | JobError::AccessLost { cause } if is_too_long => {
            JobError::GiveUp { cause }
        }
        // Access that is lost is left to the due entry, which would record the failure hours late.
        JobError::AccessLost { cause } if own_due.is_some_and(|next| limit < next) => {
            JobError::Retry { after: Some(limit.duration_since(now)), cause }
        }
        // The first chain has used up its attempts and has recorded the failure.
        JobError::Fail { .. } if before.publish_failed.is_some() && !is_too_long => {
            JobError::Discard("the outcome is refused as before; the due entry will retry")
        }
        error @ (JobError::Retry { .. }
        | JobError::AccessLost { .. }
        | JobError::Fail { .. }
        | JobError::GiveUp { .. }
        | JobError::Discard(_)) => error,
    }
}

/// One worker on one booking.
struct Publisher<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    job: &'a BookingJob,
    /// `None` when the room is no longer managed: nobody answers for it then.
    response_mode: Option<ResponseMode>,
    /// Marks the lease that this worker wrote.
    id: u64,
    // What was done in Outlook: it is recorded even when the rest has failed.
    room_response: Option<RoomResponse>,
    organizer_outcome: Option<PublishedOutcome>,
    /// See [`Booking::unconfirmed`].
    unconfirmed: Option<PublishedOutcome>,
    results: CallResults,
}

/// What was written to the row, and the instants of the due entries that are left to remove.
struct Recorded {
    row: Booking,
    watched_by: Option<Timestamp>,
    purged_at: Timestamp,
}

impl Publisher<'_> {
    /// Lease → calls → record what was done → settle.
    async fn publish(mut self, booking: Booking, etag: ETag) -> JobResult {
        let Some((booking, etag)) = self.acquire_lease(booking, etag).await? else {
            // The worker that holds the lease looks at the row once more when it has finished.
            return Ok(Vec::new());
        };
        // Each read of one copy also asks for a read of the other. Only the due entry knows when
        // that request was lost.
        if (booking.copies.times_differ() || booking.needs_reading()) && self.job.due.is_some() {
            for copy in booking.copies.both() {
                let tenant = self.job.key.tenant;
                self.results.refetch.extend(self.deps.appointments.locate(tenant, copy).await?);
            }
        }
        let work = self.publish_outcome(&booking);
        let result = tokio::time::timeout(PUBLISH_TIMEOUT, work)
            .await
            .unwrap_or_else(|_| Err(JobError::retry_after(None, "publishing timed out")));
        // Before the error is returned: an answer that is not recorded would be given twice.
        let more = match self.record_published(booking, etag).await {
            Ok(more) => more,
            Err(error) => {
                self.release_lease().await;
                return Err(error);
            }
        };
        result?;
        let tenant = self.job.key.tenant;
        let meta = JobMeta::new(self.job.meta.correlation, self.deps.clock.now());
        let mut next: Vec<Enqueue> = self.results.into_jobs(tenant, meta).collect();
        if more {
            next.push(Enqueue::now(Job::WriteBack(BookingJob { due: None, ..*self.job }.into())));
        }
        Ok(next)
    }

    /// Takes the lease if there is anything to publish; `None` when another worker has it. Two
    /// workers, one for each copy that was read, would answer the organizer twice.
    async fn acquire_lease(
        &self,
        booking: Booking,
        etag: ETag,
    ) -> Result<Option<(Booking, ETag)>, JobError> {
        let now = self.deps.clock.now();
        if !booking.needs_publishing(self.response_mode) {
            return Ok(Some((booking, etag)));
        }
        if booking.has_publish_lease(now) {
            return Ok(None);
        }
        let lease = PublishLease { worker: self.id, lease_until: now + LEASE };
        // Before the write to Outlook, which may get through though nobody learns of it.
        let unconfirmed = booking.pending_outcome().or(booking.unconfirmed);
        let ours = Booking { publish_lease: Some(lease), unconfirmed, ..booking };
        match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => return Ok(Some((ours, etag))),
            Err(error) if error.is_conflict() => {}
            Err(error) => {
                // The write may have got through although its answer was lost.
                self.release_lease().await;
                return Err(error.into());
            }
        }
        // The conflict may be our own write: its answer was lost, and the client below us has
        // repeated it.
        match self.deps.bookings.get(&ours.key).await? {
            Some((row, etag)) if row.publish_lease == ours.publish_lease => Ok(Some((row, etag))),
            Some((row, _)) if row.has_publish_lease(now) => Ok(None),
            Some(_) => Err(JobError::retry_after(
                CONFLICT_BACKOFF,
                "the booking was changed by another worker",
            )),
            None => Ok(None),
        }
    }

    /// Writes what was published, ends the lease, and settles the booking if nothing is left to do.
    /// Answers whether the row has changed meanwhile so that there is more to publish.
    async fn record_published(&self, booking: Booking, etag: ETag) -> Result<bool, JobError> {
        let (key, mut attempts) = (self.job.key, 0);
        let update = self.deps.bookings.update(&key, Some((booking, etag)), |row| {
            attempts += 1;
            self.write_published(row)
        });
        let Some(recorded) = update.await? else {
            return Err(JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts"));
        };
        let Some(Recorded { row, watched_by, purged_at }) = recorded else { return Ok(false) };
        if self.is_settled(&row) {
            // Only after the row: an unsettled booking must never be without its entry.
            let entries = watched_by.into_iter().chain(self.job.due);
            self.deps.due.remove_unsettled(key, entries).await?;
            if purged_at != row.purge_due {
                self.deps.due.remove(&DueEntry::purge(key, purged_at)).await?;
            }
            return Ok(false);
        }
        Ok(attempts > 1 && row.needs_publishing(self.response_mode))
    }

    /// The row with what was published, and without content when the booking has ended; nothing where
    /// it was purged meanwhile.
    async fn write_published(
        &self,
        row: Option<Booking>,
    ) -> Result<Update<Booking, Option<Recorded>>, JobError> {
        let Some(before) = row else { return Ok(Update::Unchanged(None)) };
        let purged_at = before.purge_due;
        let (row, watched_by) = self.with_published(&before);
        if row.purge_due != purged_at {
            // The due entry first: a row without one is never deleted.
            self.deps.due.upsert(&DueEntry::purge(row.key, row.purge_due)).await?;
        }
        let is_changed = row != before;
        let recorded = Recorded { row: row.clone(), watched_by, purged_at };
        Ok(if is_changed {
            Update::Write(row, Some(recorded))
        } else {
            Update::Unchanged(Some(recorded))
        })
    }

    /// The row as it should be, and the due entry that need not watch it any more.
    fn with_published(&self, before: &Booking) -> (Booking, Option<Timestamp>) {
        let mut row = before.clone();
        if row.publish_lease.take_if(|lease| lease.worker == self.id).is_some() {
            row.unconfirmed = self.unconfirmed;
        }
        row.published.room = self.room_response.or(row.published.room);
        row.published.organizer = self.organizer_outcome.or(row.published.organizer);
        row.publish_failed = self.results.refused.then(|| row.pending(self.response_mode));
        let mut watched_by = None;
        if self.is_settled(&row) {
            (watched_by, row.unsettled_since) = (row.unsettled_due.take(), None);
        }
        (row.redact_if_over(self.response_mode), watched_by)
    }

    fn is_settled(&self, booking: &Booking) -> bool {
        self.response_mode.is_none_or(|mode| booking.is_settled(mode))
    }

    /// After an error: nobody should have to wait until our lease ends.
    async fn release_lease(&self) {
        let Ok(Some((mut row, etag))) = self.deps.bookings.get(&self.job.key).await else { return };
        if row.publish_lease.take_if(|lease| lease.worker == self.id).is_some()
            && let Err(error) = self.deps.bookings.replace(&row, &etag).await
        {
            tracing::warn!(%error, "publish lease was not released; it will expire");
        }
    }
}
