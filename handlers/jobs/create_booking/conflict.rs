//! What happens when another booking holds the room.
//!
//! Nobody is refused before the holder's appointment was read again in Outlook: its cancellation may
//! be on the way, and a decline cannot be taken back. Its copies are read at once. Each names the
//! booking that waits for it, whose job is sent when they were read, however late.
//!
//! The booking's due entry covers a read that was lost or has failed. Without one the room is refused
//! only when its organizer can wait no longer.

use jiff::{SignedDuration, Timestamp};

use super::BookingWorker;
use crate::{
    domain::{
        appointment::{CopyLocation, CopyRole, DesiredState},
        booking::{Booking, RefusalReason},
        ledger::Conflict,
        retry::MAX_DEFERRAL_TIME,
    },
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, EventChange, EventChanges, HolderCheck, JobMeta, WaitingBooking},
    store::tables::ETag,
};

/// How long a room is not refused though the holder was read: a missing event is read again after ten
/// seconds before it counts as deleted, and then its interval has to be released.
const HOLDER_CHECK_DELAY: SignedDuration = SignedDuration::from_secs(20);
/// How long a holder that no longer wants its interval takes to release it.
const RELEASE_DELAY: SignedDuration = SignedDuration::from_secs(2);
/// When the holder's job is started.
const HOLDER_DELAY: SignedDuration = SignedDuration::from_secs(1);

impl BookingWorker<'_> {
    /// Finds out whether the holder still wants the time, and refuses the room only if it does.
    pub(super) async fn resolve_conflict(
        &self,
        booking: Booking,
        etag: ETag,
        conflict: Conflict,
    ) -> Result<Option<Vec<Enqueue>>, JobError> {
        let Conflict { slot } = conflict;
        let Some(holder) = self.deps.bookings.find(&slot.holder, slot.booking).await? else {
            // The slot's booking is gone, so nobody else would ever release the slot.
            let room = (slot.holder.tenant, slot.holder.room);
            self.deps.claims.release(room, slot.booking, &[slot.interval], None).await?;
            return Ok(None);
        };
        if !still_wants(&holder, &booking) {
            if booking.confirmed().is_some() {
                // We give our earlier time back before we wait for the holder: two meetings that
                // swap their times would wait for each other forever.
                self.end(booking, etag, None).await?;
                return Ok(None);
            }
            self.abandon_unclaimed(booking, etag).await?;
            return self.await_release(&holder);
        }
        if let Some(read) = self.read_holder(&booking, &holder) {
            if booking.confirmed().is_some() && self.job.due.is_some() {
                // A long wait must not keep the earlier time, which nobody asks for any more.
                self.end(booking, etag, None).await?;
                return Ok(None);
            }
            self.abandon_unclaimed(booking, etag).await?;
            return Ok(Some(read));
        }
        if booking.confirmed().is_none() && booking.intent.is_none() {
            // There is nothing to undo, so the refusal takes one write and no intent.
            return self.record_outcome(booking.with_refusal(RefusalReason::Conflict), etag).await;
        }
        self.end(booking, etag, Some(RefusalReason::Conflict)).await
    }

    /// Takes back our intent, as nothing was claimed under it. Another worker's intent stays: what
    /// that worker claimed is still to be released.
    async fn abandon_unclaimed(&self, booking: Booking, etag: ETag) -> Result<(), JobError> {
        if booking.intent.as_ref().is_some_and(|intent| intent.worker == self.id) {
            let freed = booking.abandon_unclaimed(self.deps.clock.now());
            self.deps.bookings.replace(&freed, &etag).await?;
        }
        Ok(())
    }

    /// Starts the holder's job once; after that the job waits like any other.
    fn await_release(&self, holder: &Booking) -> Result<Option<Vec<Enqueue>>, JobError> {
        let now = self.deps.clock.now();
        let at_work = holder.intent.as_ref().is_some_and(|intent| intent.lease_until > now);
        if at_work || self.job.meta.deferrals > 0 {
            return Err(JobError::retry_after(RELEASE_DELAY, "the room is being released"));
        }
        // The holder's job counts as deferred once: if it meets us in turn, it does not start ours.
        let meta = JobMeta { deferrals: 1, ..JobMeta::new(holder.correlation, now) };
        Ok(Some(vec![
            Enqueue::later(
                Job::CreateBooking(BookingJob::new(holder.key, meta).into()),
                HOLDER_DELAY.unsigned_abs(),
            ),
            self.requeue(RELEASE_DELAY),
        ]))
    }

    fn requeue(&self, delay: SignedDuration) -> Enqueue {
        let meta = JobMeta { deferrals: self.job.meta.deferrals + 1, ..self.job.meta };
        let job = BookingJob { meta, ..*self.job };
        Enqueue::later(Job::CreateBooking(job.into()), delay.unsigned_abs())
    }
}

// === Reading the holder ===

impl BookingWorker<'_> {
    /// Has the copies of the holder read that were not; `None` when there are none, or when the answer
    /// can wait no longer.
    fn read_holder(&self, booking: &Booking, holder: &Booking) -> Option<Vec<Enqueue>> {
        let now = self.deps.clock.now();
        let appointment = holder.key.appointment;
        let check = self.job.holder.filter(|check| check.appointment == appointment);
        let check = check.unwrap_or(HolderCheck { appointment, since: now, last_read: None });
        let unread = unread_copies(holder, check.last_read);
        let last = unread.last()?.0;
        let decide_by = self.decide_by(booking)?;
        if decide_by <= now {
            tracing::warn!("the holder of the room could not be read in time");
            return None;
        }
        // The due entry has the holder read from the beginning, so these reads end then.
        let until = self.job.due.or(booking.unsettled_due);
        let read = |(role, at): (CopyRole, CopyLocation)| {
            let job = BookingJob {
                holder: Some(HolderCheck { last_read: Some(role), ..check }),
                meta: JobMeta { attempts: 0, deferrals: 0, ..self.job.meta },
                ..*self.job
            };
            let not_before = if role == last { check.since + HOLDER_CHECK_DELAY } else { now };
            let meta = JobMeta::new(holder.correlation, now);
            EventChange {
                awaited_by: Some(WaitingBooking { job, not_before, until }),
                ..EventChange::refetch(at.mailbox, at.event, meta)
            }
        };
        let items = unread.into_iter().map(read).collect();
        let mut next = vec![Enqueue::now(EventChanges { tenant: holder.key.tenant, items })];
        let is_first = check.last_read.is_none();
        if is_first && until.is_none_or(|until| now < until && decide_by < until) {
            // The due entry would come too late.
            next.push(self.requeue(decide_by.duration_since(now)));
        }
        Some(next)
    }

    /// Until when the answer waits for the holder to be read: no longer than anything else waits for
    /// Graph, and at most half of the time until the meeting, so that its organizer has as long to
    /// find another room. `None` when nothing is wanted.
    fn decide_by(&self, booking: &Booking) -> Option<Timestamp> {
        let DesiredState::Wanted(spec) = &booking.desired else { return None };
        let since = booking.unsettled_since.unwrap_or(self.job.meta.first_seen);
        let half = spec.facts.interval.start().duration_since(since) / 2;
        Some(since + half.clamp(HOLDER_CHECK_DELAY, MAX_DEFERRAL_TIME))
    }
}

/// The copies that come after the one that was read last. The room's is the first, because the room's
/// own calendar decides.
fn unread_copies(holder: &Booking, last_read: Option<CopyRole>) -> Vec<(CopyRole, CopyLocation)> {
    let room = holder.copies.room_copy().and_then(|at| Some((CopyRole::Room, at.location()?)));
    let organizer = holder.copies.organizer_copy();
    let organizer = organizer.and_then(|at| Some((CopyRole::Organizer, at.location()?)));
    match last_read {
        None => room.into_iter().chain(organizer).collect(),
        Some(CopyRole::Room) => organizer.into_iter().collect(),
        Some(CopyRole::Organizer) => Vec::new(),
    }
}

/// Whether the holder still wants a time that overlaps the one that is asked for.
fn still_wants(holder: &Booking, asking: &Booking) -> bool {
    match (&holder.desired, &asking.desired) {
        (DesiredState::Wanted(theirs), DesiredState::Wanted(ours)) => {
            theirs.facts.interval.overlaps(&ours.facts.interval)
        }
        (DesiredState::Unwanted(_) | DesiredState::Redacted, _)
        | (DesiredState::Wanted(_), DesiredState::Unwanted(_) | DesiredState::Redacted) => false,
    }
}
