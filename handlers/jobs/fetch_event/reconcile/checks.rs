//! Whether a reading may be taken in: whose copy it is, and whether it is newer than what we did.

use super::{super::CATCH_UP_DELAY, Reconciler};
use crate::{
    domain::{
        appointment::{CopyLocation, CopyReading, CopyRole, ForeignCopy, RoomCopy},
        ids::EventId,
        keys::BookingKey,
        personal::Personal,
    },
    graph::CopySnapshot,
    jobs::runner::job::JobError,
};

impl Reconciler<'_> {
    /// The event that was the room's copy so far, if it is no longer in the room's calendar. The
    /// calendar decides: a deleted event can still be read by its id, and its deletion may be
    /// reported after the new copy. Asked only when the room has another copy than the known one.
    pub(super) async fn superseded_event(
        &self,
        snapshot: &CopySnapshot,
        ical_uid: &Personal,
    ) -> Result<Option<EventId>, JobError> {
        if snapshot.role == CopyRole::Organizer || snapshot.rooms.is_empty() {
            return Ok(None);
        }
        let bookings = self.stored.bookings.values().flatten();
        let mut known = bookings.filter_map(|(booking, _)| match &booking.copies.room {
            RoomCopy::Live { at, .. } if at.event != self.item.event => Some(&at.event),
            RoomCopy::Live { .. } | RoomCopy::Unknown | RoomCopy::Gone => None,
        });
        let Some(known) = known.next() else { return Ok(None) };
        let graph = self.batch.graph(&self.batch.item_invocation(self.item));
        let listed = graph.list_by_ical_uid(self.item.mailbox, ical_uid).await?;
        Ok((!listed.contains(known)).then(|| known.clone()))
    }

    /// Ends with a failure where another copy is the organizer's or the room's.
    pub(super) async fn reject_foreign_copy(
        &self,
        readings: &[(BookingKey, CopyReading)],
    ) -> Result<(), JobError> {
        for (key, reading) in readings {
            let Some(Some((booking, _))) = self.stored.bookings.get(key) else { continue };
            let Err(foreign) = booking.check(reading) else { continue };
            // The purge of a booking finds the pointers of the copies it knows, and no others.
            if self.stored.pointer.is_some() && !booking.known_copies.contains(&reading.at) {
                let (tenant, CopyLocation { mailbox, event }) = (key.tenant, &reading.at);
                self.deps().appointments.remove(tenant, *mailbox, event).await?;
            }
            return Err(foreign.into());
        }
        Ok(())
    }

    /// Waits once before the room is taken for asked again: a read may lag behind the answer.
    pub(super) fn confirm_asked_again(
        &self,
        readings: &[(BookingKey, CopyReading)],
    ) -> Result<(), JobError> {
        let mut rows = readings.iter().filter_map(|(key, reading)| {
            Some((&self.stored.bookings.get(key)?.as_ref()?.0, reading))
        });
        if self.item.meta.deferrals == 0
            && rows.any(|(booking, reading)| booking.is_asked_again(reading))
        {
            let reason = "the room's copy does not show its answer; checking once more";
            return Err(JobError::retry_after(CATCH_UP_DELAY, reason));
        }
        Ok(())
    }
}

impl From<ForeignCopy> for JobError {
    fn from(error: ForeignCopy) -> Self {
        Self::Fail { cause: std::sync::Arc::new(error) }
    }
}
