//! What happens when another booking holds the room.
//!
//! Nobody is refused before the holder's appointment was read again in Outlook: its cancellation may
//! be on the way, and a refusal is hard to take back.

use jiff::SignedDuration;

use super::BookingWorker;
use crate::{
    domain::{
        appointment::DesiredState,
        booking::{Booking, RefusalReason},
        ledger::Conflict,
    },
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, EventChanges, JobMeta},
    store::tables::ETag,
};

/// How often the holder's appointment is read again before the room is refused.
const MAX_HOLDER_CHECKS: u8 = 1;
/// How long that takes at most: a missing event is read again after ten seconds before it
/// counts as deleted, and then its interval has to be released.
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
        let Some((holder, _)) = self.deps.bookings.get(&conflict.holder).await? else {
            // The slot's booking is gone, so nobody else would ever release the slot.
            if let DesiredState::Wanted(spec) = &booking.desired {
                self.deps.claims.release(conflict.holder, &[spec.facts.interval], None).await?;
            }
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
        if self.job.conflicts < MAX_HOLDER_CHECKS {
            self.abandon_unclaimed(booking, etag).await?;
            let mut next = self.refetch_holder(&holder);
            next.push(self.requeue(self.job.conflicts + 1, HOLDER_CHECK_DELAY));
            return Ok(Some(next));
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
                Job::CreateBooking(BookingJob::new(holder.key, meta)),
                HOLDER_DELAY.unsigned_abs(),
            ),
            self.requeue(self.job.conflicts, RELEASE_DELAY),
        ]))
    }

    fn requeue(&self, conflicts: u8, delay: SignedDuration) -> Enqueue {
        let meta = JobMeta { deferrals: self.job.meta.deferrals + 1, ..self.job.meta };
        let job = BookingJob { conflicts, meta, ..*self.job };
        Enqueue::later(Job::CreateBooking(job), delay.unsigned_abs())
    }

    fn refetch_holder(&self, holder: &Booking) -> Vec<Enqueue> {
        let meta = JobMeta::new(holder.correlation, self.deps.clock.now());
        let changes = EventChanges::refetch(holder.key.tenant, holder.copies.locations(), meta);
        if changes.items.is_empty() {
            return Vec::new();
        }
        vec![Enqueue::now(changes)]
    }
}

/// Whether the holder still wants a time that overlaps the one that is asked for.
fn still_wants(holder: &Booking, asking: &Booking) -> bool {
    match (&holder.desired, &asking.desired) {
        (DesiredState::Wanted(theirs), DesiredState::Wanted(ours)) => {
            theirs.facts.interval.overlaps(&ours.facts.interval)
        }
        (DesiredState::Unwanted(_), _) | (DesiredState::Wanted(_), DesiredState::Unwanted(_)) => {
            false
        }
    }
}
