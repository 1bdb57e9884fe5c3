//! What happens when somebody else has the room.
//!
//! Nobody is refused before the holder of the blocking interval was looked at in Outlook: its
//! cancellation may be on the way, and a refusal is hard to take back.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Advance, BookingWorker};
use crate::{
    domain::{
        appointment::{CopyLocation, DesiredState},
        booking::{Booking, RefusalReason, Step},
        ledger::Conflict,
    },
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, BookingRequest, EventChange, EventChanges, JobMeta},
    store::tables::ETag,
};

/// How often the holder is looked at before the answer is no.
const MAX_HOLDER_CHECKS: u8 = 1;
/// How long that look is given: an event that cannot be found is looked for once more after ten
/// seconds before it counts as deleted, and then its interval has to be released.
const HOLDER_CHECK_DELAY: Duration = Duration::from_secs(20);
/// When to come back after a holder that no longer wants its interval.
const RELEASE_DELAY: Duration = Duration::from_secs(2);

impl BookingWorker<'_> {
    pub(super) async fn resolve_conflict(
        &self,
        booking: Booking,
        etag: ETag,
        conflict: Conflict,
    ) -> Result<Advance, JobError> {
        let Some((holder, _)) = self.deps.bookings.get(&conflict.holder).await? else {
            // A slot whose booking is gone: nobody else would ever take it out.
            if let DesiredState::Wanted(wish) = &booking.desired {
                self.deps.claims.release(conflict.holder, &[wish.facts.interval], None).await?;
            }
            return Ok(Advance::Retry);
        };
        if !still_wants(&holder, &booking) {
            if booking.confirmed().is_some() {
                return self.release_previous(booking, etag).await;
            }
            self.abandon_unclaimed(booking, etag).await?;
            return self.await_release(&holder);
        }
        if self.job.conflicts < MAX_HOLDER_CHECKS {
            self.abandon_unclaimed(booking, etag).await?;
            let mut next = self.refetch_holder(&holder);
            next.push(self.requeue(self.job.conflicts + 1, HOLDER_CHECK_DELAY));
            return Ok(Advance::Done(next));
        }
        self.refuse_for_conflict(booking, etag).await
    }

    /// Without an earlier booking there is nothing to undo, and one write says all.
    async fn refuse_for_conflict(&self, booking: Booking, etag: ETag) -> Result<Advance, JobError> {
        let step = Step::Refuse(RefusalReason::Conflict);
        let (booking, etag) = if booking.confirmed().is_none() && booking.intent.is_none() {
            (booking, etag)
        } else {
            match self.begin_intent(booking, etag, &step).await? {
                Some(both) => both,
                None => return Ok(Advance::Retry),
            }
        };
        let intent = booking.intent.clone();
        let refused = async {
            let booking = self.refuse(booking, RefusalReason::Conflict).await?;
            self.record_outcome(booking, etag).await
        };
        self.with_lease(intent, refused).await
    }

    /// A conflict met after our intent was written: nothing was claimed. An intent that another
    /// worker left is not ours to drop: what it claimed is still to be released.
    async fn abandon_unclaimed(&self, booking: Booking, etag: ETag) -> Result<(), JobError> {
        if booking.intent.as_ref().is_some_and(|intent| intent.worker == self.worker_id) {
            let freed = booking.abandon_unclaimed(self.deps.clock.now());
            self.deps.bookings.replace(&freed, &etag).await?;
        }
        Ok(())
    }

    /// Gives back the time that is not wished any more before it waits for another's: of two meetings
    /// that change places each would wait for the other for ever.
    async fn release_previous(&self, booking: Booking, etag: ETag) -> Result<Advance, JobError> {
        let Some((booking, etag)) = self.begin_intent(booking, etag, &Step::Cancel).await? else {
            return Ok(Advance::Retry);
        };
        let intent = booking.intent.clone();
        let freed = async {
            let booking = self.cancel(booking).await?;
            self.record_outcome(booking, etag).await
        };
        self.with_lease(intent, freed).await?;
        // The wish stands: look at the ledger once more.
        Ok(Advance::Retry)
    }

    /// The holder is nudged once; after that the wait grows like any other.
    fn await_release(&self, holder: &Booking) -> Result<Advance, JobError> {
        let at_work = holder.intent.as_ref().is_some_and(|i| i.lease_until > self.deps.clock.now());
        if at_work || self.job.meta.deferrals > 0 {
            let rest = SignedDuration::try_from(RELEASE_DELAY).unwrap_or_default();
            return Err(JobError::retry_after(rest, "the room is just being released"));
        }
        let back = self.requeue(self.job.conflicts, RELEASE_DELAY);
        Ok(Advance::Done(vec![self.enqueue_holder(holder), back]))
    }

    fn requeue(&self, conflicts: u8, after: Duration) -> Enqueue {
        let passage = JobMeta { deferrals: self.job.meta.deferrals + 1, ..self.job.meta };
        let nudge = BookingJob { conflicts, meta: passage, ..*self.job };
        Enqueue::later(Job::CreateBooking(BookingRequest(nudge)), after)
    }

    fn enqueue_holder(&self, holder: &Booking) -> Enqueue {
        // As one that waited already: met by us in turn, it does not nudge back.
        let fresh = JobMeta::new(holder.correlation, self.deps.clock.now());
        let passage = JobMeta { deferrals: 1, ..fresh };
        let nudge = BookingJob { key: holder.key, due: None, conflicts: 0, meta: passage };
        Enqueue::now(Job::CreateBooking(BookingRequest(nudge)))
    }

    fn refetch_holder(&self, holder: &Booking) -> Vec<Enqueue> {
        let passage = JobMeta::new(holder.correlation, self.deps.clock.now());
        let item =
            |copy: &CopyLocation| EventChange::refetch(copy.mailbox, copy.event.clone(), passage);
        let copies = [holder.copies.organizer_location(), holder.copies.room_location()];
        let items: Vec<_> = copies.into_iter().flatten().map(item).collect();
        if items.is_empty() {
            return Vec::new();
        }
        vec![Enqueue::now(Job::FetchEvent(EventChanges { tenant: holder.key.tenant, items }))]
    }
}

/// Whether the holder of a slot still wants a time that is in the way.
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
