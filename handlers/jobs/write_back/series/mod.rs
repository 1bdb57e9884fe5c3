//! What Outlook shows of a series: one answer for all its dates, and one for each date on which the room
//! could not be had.
//!
//! Each answer mails the organizer. So the series is accepted once, and then the dates that conflict are
//! declined; or it is declined once, where none is left. The first answer waits until every date is decided.

mod answers;
mod outcome;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{CONFLICT_BACKOFF, Deps, LEASE, PUBLISH_TIMEOUT, keep_one_chain, publish::CallResults};
use crate::{
    base::invocation::Invocation,
    domain::{
        booking::{
            Booking, PublishLease, PublishedOutcome, RoomResponse,
            series::{is_open, is_series_decided, is_series_declined},
        },
        ids::{BookingId, RoomId},
        tenant::policy::ResponseMode,
    },
    graph::TenantGraph,
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{JobMeta, SeriesJob},
    store::{
        bookings::{BookingChange, VersionedBooking},
        tables::MAX_CONFLICT_RETRIES,
    },
};

/// Publishes what Outlook does not show yet of a series.
pub(super) async fn write_back_series(
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
    let (mut next, mut failed, mut settled) = (Vec::new(), None, Settled::default());
    for (room, rows) in rooms {
        let mode = deps.rooms.response_mode(tenant.id, room).await?;
        let bookings = || rows.iter().map(|(booking, _)| booking);
        let is_ours = mode == Some(ResponseMode::RoombridgeDecides);
        if is_ours
            && is_series_declined(bookings(), tenant.policy.series_conflicts, now)
            && bookings().any(|booking| is_open(booking, now))
        {
            next.push(Enqueue::now(Job::CreateBooking((*job).into())));
            settled.leave(bookings());
            continue;
        }
        let invocation = match bookings().find(|booking| booking.needs_publishing(mode)) {
            // The calls belong to the change that is published, whatever started this job.
            Some(booking) => &invocation.with_correlation(booking.correlation),
            None => invocation,
        };
        let publisher = SeriesPublisher {
            deps,
            graph: deps.graph.for_tenant(tenant.registration, invocation),
            job,
            room,
            mode,
            id: deps.rng.next_u64(),
            responses: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            unconfirmed: BTreeMap::new(),
            results: CallResults::default(),
        };
        let watched: Vec<Booking> = bookings().cloned().collect();
        match publisher.publish(rows, &mut settled).await {
            Ok(jobs) => next.extend(jobs),
            Err(error) => {
                settled.leave(&watched);
                // What is tried again is not given up because another room has nothing to try.
                failed =
                    failed.filter(|first| !matches!(first, JobError::Discard(_))).or(Some(error));
            }
        }
    }
    settled.remove_checks(deps, job).await?;
    failed.map_or(Ok(next), Err)
}

/// Which due entries are left to remove.
struct Settled {
    /// Whether nothing of the series is left to do.
    is_whole: bool,
    /// The instants of the entries that watched what is settled, and of those that watch the rest.
    watched: BTreeSet<Timestamp>,
    still_watched: BTreeSet<Timestamp>,
}

impl Default for Settled {
    fn default() -> Self {
        Self { is_whole: true, watched: BTreeSet::new(), still_watched: BTreeSet::new() }
    }
}

impl Settled {
    /// These are looked at again.
    fn leave<'a>(&mut self, rows: impl IntoIterator<Item = &'a Booking>) {
        self.is_whole = false;
        self.still_watched.extend(rows.into_iter().filter_map(|row| row.unsettled_due));
    }

    /// Only after the rows: an unsettled booking must never be without its entry.
    async fn remove_checks(self, deps: &Deps, job: &SeriesJob) -> Result<(), JobError> {
        let own = job.due.filter(|_| self.is_whole);
        let done = self.watched.into_iter().chain(own);
        let done = done.filter(|at| !self.still_watched.contains(at));
        Ok(deps.due.remove_unsettled(job.key, done).await?)
    }
}

/// One worker on the dates of a series in one room.
struct SeriesPublisher<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    job: &'a SeriesJob,
    room: RoomId,
    /// `None` when the room is no longer managed: nobody answers for it then.
    mode: Option<ResponseMode>,
    /// Marks the leases that this worker wrote.
    id: u64,
    // What was done in Outlook: it is recorded even when the rest has failed.
    responses: BTreeMap<BookingId, RoomResponse>,
    outcomes: BTreeMap<BookingId, PublishedOutcome>,
    /// See [`Booking::unconfirmed`].
    unconfirmed: BTreeMap<BookingId, Option<PublishedOutcome>>,
    results: CallResults,
}

impl SeriesPublisher<'_> {
    /// Lease → calls → record what was done → settle.
    async fn publish(
        mut self,
        rows: Vec<VersionedBooking>,
        settled: &mut Settled,
    ) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.clock.now();
        let bookings = || rows.iter().map(|(booking, _)| booking);
        // Until then another date may still change the answer.
        let is_ready =
            is_series_decided(bookings(), now) || bookings().any(|booking| booking.is_accepted());
        let pending = |booking: &&Booking| is_ready && booking.needs_publishing(self.mode);
        let waiting = bookings().filter(pending).min_by_key(|booking| booking.unsettled_since);
        let waiting = waiting.cloned();
        let is_new = self.job.due.is_none() && self.job.meta.is_first_try();
        if is_new && waiting.as_ref().is_some_and(|row| row.is_publish_retried(self.mode, now)) {
            return Err(JobError::Discard("another job tries to publish the same again"));
        }
        if self.job.due.is_some() {
            self.reread_disagreeing(bookings()).await?;
        }
        let mut rows = self.acquire_leases(rows, is_ready).await?;
        let result = if waiting.is_some() {
            let work = self.publish_outcome(&mut rows);
            let done = tokio::time::timeout(PUBLISH_TIMEOUT, work).await;
            done.unwrap_or_else(|_| Err(JobError::retry_after(None, "publishing timed out")))
        } else {
            Ok(())
        };
        // Before the error is returned: an answer that is not recorded would be given twice.
        self.record(rows, Some(settled)).await?;
        if let Err(error) = result {
            return Err(match waiting {
                Some(before) => keep_one_chain(self.deps, self.job.due, &before, error),
                None => error,
            });
        }
        let (tenant, now) = (self.job.key.tenant, self.deps.clock.now());
        let meta = JobMeta::new(self.job.meta.correlation, now);
        let mut asked = BTreeSet::new();
        self.results.refetch.retain(|at| asked.insert(at.event.clone()));
        Ok(self.results.into_jobs(tenant, meta).collect())
    }

    /// Each read of one copy also asks for a read of the other. Only the due entry knows when that request
    /// was lost.
    async fn reread_disagreeing(
        &mut self,
        rows: impl Iterator<Item = &Booking>,
    ) -> Result<(), JobError> {
        let disagrees = |row: &&Booking| row.copies.times_differ() || row.needs_reading();
        let mut copies = BTreeMap::new();
        for copy in rows.filter(disagrees).flat_map(|row| row.copies.both()) {
            copies.entry((copy.key.mailbox, copy.key.digest)).or_insert(copy);
        }
        for copy in copies.into_values() {
            let tenant = self.job.key.tenant;
            self.results.refetch.extend(self.deps.appointments.locate(tenant, copy).await?);
        }
        Ok(())
    }

    /// Takes the leases of what is to be published. Two workers, one for each copy that was read, would
    /// answer the organizer twice.
    async fn acquire_leases(
        &mut self,
        rows: Vec<VersionedBooking>,
        is_ready: bool,
    ) -> Result<Vec<VersionedBooking>, JobError> {
        let now = self.deps.clock.now();
        let busy = || JobError::retry_after(CONFLICT_BACKOFF, "another worker is publishing");
        let (pending, rest): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(row, _)| is_ready && row.needs_publishing(self.mode));
        if pending.iter().any(|(row, _)| row.has_publish_lease(now)) {
            return Err(busy());
        }
        let ids: BTreeSet<BookingId> = pending.iter().map(|(row, _)| row.id).collect();
        let lease = PublishLease { worker: self.id, lease_until: now + LEASE };
        let take = |(row, etag): VersionedBooking| {
            // Before the write to Outlook, which may get through though nobody learns of it.
            let unconfirmed = row.pending_outcome().or(row.unconfirmed);
            BookingChange::Replace(Booking { publish_lease: Some(lease), unconfirmed, ..row }, etag)
        };
        self.unconfirmed = pending.iter().map(|(row, _)| (row.id, row.unconfirmed)).collect();
        let written = self.deps.bookings.write_all(pending.into_iter().map(take).collect()).await;
        let leased = match written {
            Ok(leased) => leased,
            Err(error) => {
                // It may be our own write, whose answer was lost.
                let mut current = self.deps.bookings.list_series(self.job.key).await?;
                current.retain(|(row, _)| row.publish_lease == Some(lease));
                if current.len() < ids.len() || !error.is_conflict() {
                    self.record(current, Some(&mut Settled::default())).await?;
                    return Err(if error.is_conflict() { busy() } else { error.into() });
                }
                current
            }
        };
        Ok(leased.into_iter().chain(rest).collect())
    }

    /// Publishes the room's answers, and our property on the organizer's copy.
    async fn publish_outcome(&mut self, rows: &mut Vec<VersionedBooking>) -> Result<(), JobError> {
        let answered = self.answer(rows).await;
        // The organizer reads the outcome even when the room cannot answer yet.
        self.publish_to_organizer(rows).await.and(answered)
    }
}

// === What is recorded ===

impl SeriesPublisher<'_> {
    /// Writes what was published so far; with `settled` also ends the leases and settles what nothing is
    /// left to do for. Answers the rows as they are now.
    async fn record(
        &mut self,
        mut rows: Vec<VersionedBooking>,
        mut settled: Option<&mut Settled>,
    ) -> Result<Vec<VersionedBooking>, JobError> {
        for _ in 0..MAX_CONFLICT_RETRIES {
            let ends = settled.is_some();
            let mut watched = BTreeSet::new();
            let (mut changes, mut result) = (Vec::new(), Vec::new());
            for (before, etag) in &rows {
                let after = self.with_published(before, ends, &mut watched);
                if after == *before {
                    result.push((after, etag.clone()));
                } else {
                    changes.push(BookingChange::Replace(after, etag.clone()));
                }
            }
            match self.deps.bookings.write_all(changes).await {
                Ok(written) => result.extend(written),
                Err(error) if error.is_conflict() => {
                    rows = self.own_room().await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(settled) = settled.as_deref_mut() {
                let is_settled = |(row, _): &VersionedBooking| self.is_settled(row);
                settled.is_whole &= result.iter().all(is_settled);
                settled.watched.extend(watched);
                settled
                    .still_watched
                    .extend(result.iter().filter_map(|(row, _)| row.unsettled_due));
            }
            return Ok(result);
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts"))
    }

    async fn own_room(&self) -> Result<Vec<VersionedBooking>, JobError> {
        let now = self.deps.clock.now();
        let mut rooms = self.deps.bookings.list_current_series(self.job.key, now).await?;
        Ok(rooms.remove(&self.room).unwrap_or_default())
    }

    /// The row as it should be.
    fn with_published(
        &self,
        before: &Booking,
        ends: bool,
        watched: &mut BTreeSet<Timestamp>,
    ) -> Booking {
        let mut row = before.clone();
        if let Some(response) = self.responses.get(&row.id) {
            row.published.room = Some(*response);
        }
        if let Some(outcome) = self.outcomes.get(&row.id) {
            row.published.organizer = Some(*outcome);
        }
        if !ends {
            return row;
        }
        if row.publish_lease.take_if(|lease| lease.worker == self.id).is_some() {
            row.unconfirmed = self.unconfirmed.get(&row.id).copied().flatten();
            row.publish_failed = self.results.refused.then(|| row.pending(self.mode));
        }
        if self.is_settled(&row) {
            watched.extend(row.unsettled_due.take());
            row.unsettled_since = None;
        }
        row.redact_if_over(self.mode)
    }

    fn is_settled(&self, booking: &Booking) -> bool {
        self.mode.is_none_or(|mode| booking.is_settled(mode))
    }
}
