//! What happens when somebody else has the room.
//!
//! Nobody is refused before the holder of the blocking interval was looked at in Outlook: its
//! cancellation may be on the way, and a refusal is hard to take back.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Advance, Worker};
use crate::{
    domain::{
        appointment::{CopyAt, Desired},
        booking::{Booking, RefusalReason, Step},
        ledger::Conflict,
    },
    jobs::runner::job::{Next, Onward, StepError},
    messages::{BookingNudge, BookingRequest, EventChange, EventChanges, Passage},
    store::tables::ETag,
};

/// How often the holder is looked at before the answer is no.
const LOOKS: u8 = 1;
/// How long that look is given: an event that cannot be found is looked for once more after ten
/// seconds before it counts as deleted, and then its interval has to be released.
const LOOK_TIME: Duration = Duration::from_secs(20);
/// When to come back after a holder that no longer wants its interval.
const RELEASE_TIME: Duration = Duration::from_secs(2);

impl Worker<'_> {
    pub(super) async fn conflict(
        &self,
        booking: Booking,
        etag: ETag,
        conflict: Conflict,
    ) -> Result<Advance, StepError> {
        let Some((holder, _)) = self.deps.bookings.get(&conflict.holder).await? else {
            // A slot whose booking is gone: nobody else would ever take it out.
            if let Desired::Wanted(wish) = &booking.desired {
                self.deps.claims.release(conflict.holder, &[wish.facts.interval], None).await?;
            }
            return Ok(Advance::Again);
        };
        if !wants(&holder, &booking) {
            if booking.held().is_some() {
                return self.free_old(booking, etag).await;
            }
            self.stand_back(booking, etag).await?;
            return self.await_release(&holder);
        }
        if self.nudge.conflicts < LOOKS {
            self.stand_back(booking, etag).await?;
            let mut next = self.look_at(&holder);
            next.push(self.come_back(self.nudge.conflicts + 1, LOOK_TIME));
            return Ok(Advance::Done(next));
        }
        self.refuse_for_conflict(booking, etag).await
    }

    /// Without an earlier booking there is nothing to undo, and one write says all.
    async fn refuse_for_conflict(
        &self,
        booking: Booking,
        etag: ETag,
    ) -> Result<Advance, StepError> {
        let step = Step::Refuse(RefusalReason::Conflict);
        let (booking, etag) = if booking.held().is_none() && booking.intent.is_none() {
            (booking, etag)
        } else {
            match self.set_out(booking, etag, &step).await? {
                Some(both) => both,
                None => return Ok(Advance::Again),
            }
        };
        let intent = booking.intent.clone();
        let refused = async {
            let booking = self.refuse(booking, RefusalReason::Conflict).await?;
            self.record(booking, etag).await
        };
        self.holding(intent, refused).await
    }

    /// A conflict met after our intent was written: nothing was claimed. An intent that another
    /// worker left is not ours to drop: what it claimed is still to be released.
    async fn stand_back(&self, booking: Booking, etag: ETag) -> Result<(), StepError> {
        if booking.intent.as_ref().is_some_and(|intent| intent.worker == self.id) {
            let freed = booking.stand_back(self.deps.clock.now());
            self.deps.bookings.replace(&freed, &etag).await?;
        }
        Ok(())
    }

    /// Gives back the time that is not wished any more before it waits for another's: of two meetings
    /// that change places each would wait for the other for ever.
    async fn free_old(&self, booking: Booking, etag: ETag) -> Result<Advance, StepError> {
        let Some((booking, etag)) = self.set_out(booking, etag, &Step::Cancel).await? else {
            return Ok(Advance::Again);
        };
        let intent = booking.intent.clone();
        let freed = async {
            let booking = self.cancel(booking).await?;
            self.record(booking, etag).await
        };
        self.holding(intent, freed).await?;
        // The wish stands: look at the ledger once more.
        Ok(Advance::Again)
    }

    /// The holder is nudged once; after that the wait grows like any other.
    fn await_release(&self, holder: &Booking) -> Result<Advance, StepError> {
        let at_work = holder.intent.as_ref().is_some_and(|i| i.lease_until > self.deps.clock.now());
        if at_work || self.nudge.passage.waits > 0 {
            let rest = SignedDuration::try_from(RELEASE_TIME).unwrap_or_default();
            return Err(StepError::wait(rest, "the room is just being released"));
        }
        let back = self.come_back(self.nudge.conflicts, RELEASE_TIME);
        Ok(Advance::Done(vec![self.nudge_holder(holder), back]))
    }

    fn come_back(&self, conflicts: u8, after: Duration) -> Next {
        let passage = Passage { waits: self.nudge.passage.waits + 1, ..self.nudge.passage };
        let nudge = BookingNudge { conflicts, passage, ..*self.nudge };
        Next::later(Onward::Book(BookingRequest(nudge)), after)
    }

    fn nudge_holder(&self, holder: &Booking) -> Next {
        // As one that waited already: met by us in turn, it does not nudge back.
        let fresh = Passage::start(holder.correlation, self.deps.clock.now());
        let passage = Passage { waits: 1, ..fresh };
        let nudge = BookingNudge { key: holder.key, due: None, conflicts: 0, passage };
        Next::now(Onward::Book(BookingRequest(nudge)))
    }

    fn look_at(&self, holder: &Booking) -> Vec<Next> {
        let passage = Passage::start(holder.correlation, self.deps.clock.now());
        let item = |copy: &CopyAt| EventChange::look(copy.mailbox, copy.event.clone(), passage);
        let copies = [holder.copies.organizer_at(), holder.copies.room_at()];
        let items: Vec<_> = copies.into_iter().flatten().map(item).collect();
        if items.is_empty() {
            return Vec::new();
        }
        vec![Next::now(Onward::Fetch(EventChanges { tenant: holder.key.tenant, items }))]
    }
}

/// Whether the holder of a slot still wants a time that is in the way.
fn wants(holder: &Booking, asking: &Booking) -> bool {
    match (&holder.desired, &asking.desired) {
        (Desired::Wanted(theirs), Desired::Wanted(ours)) => {
            theirs.facts.interval.overlaps(&ours.facts.interval)
        }
        (Desired::Unwanted(_), _) | (Desired::Wanted(_), Desired::Unwanted(_)) => false,
    }
}
