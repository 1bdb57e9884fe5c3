//! The pointer: the row that leads from the copy to its bookings.

use jiff::Timestamp;

use super::{Reconciler, row_changed, unless_changed};
use crate::{
    domain::{
        appointment::{CopyRole, OrganizerCopy},
        booking::Booking,
        interval::end_of_day,
        keys::{BookingKey, Digest},
    },
    graph::CopySnapshot,
    jobs::runner::job::JobError,
    store::{StoreError, appointments::AppointmentCopy, tables::ETag},
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

    /// The pointer as it should be once the bookings were written; `None` when there are none. Of a copy
    /// that is in its calendar no more, neither id nor time is kept.
    pub(super) fn pointer_to(
        &self,
        role: CopyRole,
        change_digest: Digest,
        reconciled: &[(Booking, bool)],
    ) -> Option<AppointmentCopy> {
        let own = self.batch.copy_key(self.item);
        let bookings = || reconciled.iter().map(|(booking, _)| booking);
        let ends_at = bookings().map(|booking| booking.purge_due).max()?;
        let keys = bookings().map(|booking| booking.key).collect();
        let is_there = |booking: &Booking| booking.copies.both().any(|copy| copy.key == own);
        // Its owner has withdrawn, and our property may be on it.
        let has_mark = |booking: &Booking| {
            let organizer = &booking.copies.organizer;
            booking.may_be_marked_in(own.digest)
                && matches!(organizer, OrganizerCopy::Unknown | OrganizerCopy::Released)
        };
        let ended = bookings().all(|booking| booking.is_redacted() || !is_there(booking));
        let keeps_event = bookings().any(|booking| is_there(booking) || has_mark(booking));
        let pointer = self.pointer(role, keys, change_digest, ends_at);
        Some(AppointmentCopy {
            event: pointer.event.filter(|_| keeps_event),
            ended,
            ends_at: if ended { end_of_day(ends_at) } else { ends_at },
            ..pointer
        })
    }

    fn pointer(
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
            event: Some(self.item.event.clone()),
            event_digest: self.batch.copy_key(self.item).digest,
            role,
            bookings,
            change_digest,
            ended: false,
            ends_at,
            last_modified_at: known.and_then(|pointer| pointer.last_modified_at),
        }
    }

    pub(super) async fn save_pointer(&self, pointer: &AppointmentCopy) -> Result<ETag, JobError> {
        let appointments = &self.deps().appointments;
        let written =
            appointments.insert_or_replace(pointer, self.stored.pointer_etag.as_ref()).await;
        if written == Err(StoreError::NotFound) {
            // Another worker removed it before the bookings were made. Without it nothing would lead
            // to them, and the copy's end would be missed.
            let change_digest = CopySnapshot::never_read();
            let unread = AppointmentCopy { change_digest, ..pointer.clone() };
            return Err(match appointments.insert_or_replace(&unread, None).await {
                Err(error) if !error.is_conflict() => error.into(),
                Ok(_) | Err(_) => row_changed(),
            });
        }
        unless_changed(written)
    }
}
