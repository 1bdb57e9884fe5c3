//! The pointer: the row that leads from the copy to its bookings.

use jiff::Timestamp;

use super::{Reconciler, row_changed};
use crate::{
    domain::{
        appointment::CopyRole,
        keys::{BookingKey, Digest},
    },
    graph::CopySnapshot,
    jobs::runner::job::JobError,
    store::{appointments::AppointmentCopy, tables::ETag},
};

impl Reconciler<'_> {
    /// Writes the pointer before a booking is made: if the worker then dies and the copy is deleted,
    /// nothing else leads from the copy to the booking. The pointer's digest says that the copy was
    /// never read, so that a resync reads it.
    pub(super) async fn ensure_pointer(&mut self, snapshot: &CopySnapshot) -> Result<(), JobError> {
        let known = self.stored.pointer.as_ref();
        let bookings: Vec<BookingKey> = self.stored.bookings.keys().copied().collect();
        if known.is_some_and(|pointer| pointer.bookings == bookings) {
            return Ok(());
        }
        let ends = snapshot.rooms.iter().map(|(_, interval)| interval.end());
        let Some(ends_at) = ends.chain(known.map(|pointer| pointer.ends_at)).max() else {
            return Ok(());
        };
        let pointer = self.pointer(snapshot.role, bookings, CopySnapshot::never_read(), ends_at);
        self.stored.pointer_etag = Some(self.save_pointer(&pointer).await?);
        Ok(())
    }

    pub(super) fn pointer(
        &self,
        role: CopyRole,
        bookings: Vec<BookingKey>,
        change_digest: Digest,
        ends_at: Timestamp,
    ) -> AppointmentCopy {
        let known = self.stored.pointer.as_ref();
        AppointmentCopy {
            tenant: self.batch.tenant.id,
            mailbox: self.item.mailbox,
            event: self.item.event.clone(),
            event_digest: self.batch.copy_key(self.item).digest,
            role,
            bookings,
            change_digest,
            ends_at,
            last_modified_at: known.and_then(|pointer| pointer.last_modified_at),
        }
    }

    pub(super) async fn save_pointer(&self, pointer: &AppointmentCopy) -> Result<ETag, JobError> {
        let etag = self.stored.pointer_etag.as_ref();
        match self.deps().appointments.insert_or_replace(pointer, etag).await {
            // The other worker may have found that nothing has changed, and then the pointer is its
            // only mark. Which of the two readings is the newer one only Graph can tell.
            Err(error) if error.is_conflict() => Err(row_changed()),
            written => Ok(written?),
        }
    }
}
