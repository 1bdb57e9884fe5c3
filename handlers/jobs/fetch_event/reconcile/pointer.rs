//! The pointer: the row that leads from the copy to its bookings.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    super::report::{CopyReport, ReportedDates},
    Reconciler, row_changed, unless_changed,
};
use crate::{
    domain::{
        appointment::{CopyRole, OrganizerCopy},
        booking::Booking,
        interval::end_of_day,
        keys::{BookingKey, Digest},
    },
    graph::CopySnapshot,
    jobs::runner::job::JobError,
    store::{
        StoreError,
        appointments::{AppointmentCopy, OccurrenceDigest},
        tables::ETag,
    },
};

impl Reconciler<'_> {
    /// Writes the pointer before a booking is made: if the worker then dies and the copy is deleted,
    /// nothing else leads from the copy to the booking. The pointer's digest says that the copy was
    /// never read, so that a resync reads it.
    pub(super) async fn ensure_pointer(&mut self, report: &CopyReport) -> Result<(), JobError> {
        let known = self.stored.pointer.as_ref();
        // Also what is found under another key from now on: it is not yet.
        let keys = self.stored.bookings.keys().chain(self.rekeyed.values()).chain(&self.passed);
        let bookings: BTreeSet<BookingKey> = keys.copied().collect();
        if known.is_some_and(|pointer| pointer.bookings.iter().eq(&bookings)) {
            return Ok(());
        }
        let Some(ends_at) = report.ends_at().max(known.map(|pointer| pointer.ends_at)) else {
            return Ok(());
        };
        let bookings = bookings.into_iter().collect();
        let pointer = self.pointer(report.role, bookings, CopySnapshot::never_read(), ends_at);
        self.stored.pointer_etag = Some(self.save_pointer(&pointer).await?);
        Ok(())
    }

    /// The pointer as it should be once the bookings were written; `None` when there are none. Of a copy
    /// that is in its calendar no more, neither id nor time is kept.
    pub(super) fn pointer_to(
        &self,
        role: CopyRole,
        report: Option<&CopyReport>,
        reconciled: &[(Booking, bool)],
    ) -> Option<AppointmentCopy> {
        let own = self.batch.copy_key(self.item);
        let bookings = || reconciled.iter().map(|(booking, _)| booking);
        let ends_at = bookings().map(|booking| booking.purge_due).max()?;
        let keys: BTreeSet<BookingKey> =
            bookings().map(|booking| booking.key).chain(self.passed.iter().copied()).collect();
        let keys = keys.into_iter().collect();
        let is_there = |booking: &Booking| booking.copies.both().any(|copy| copy.key == own);
        // Its owner has withdrawn, and our property may be on it.
        let has_mark = |booking: &Booking| {
            let organizer = &booking.copies.organizer;
            booking.may_be_marked_in(own.digest)
                && matches!(organizer, OrganizerCopy::Unknown | OrganizerCopy::Released)
        };
        let ended = bookings().all(|booking| booking.is_redacted() || !is_there(booking));
        let keeps_event = bookings().any(|booking| is_there(booking) || has_mark(booking));
        let (change_digest, occurrences) = self.digests(report, reconciled);
        let pointer = self.pointer(role, keys, change_digest, ends_at);
        Some(AppointmentCopy {
            occurrences,
            event: pointer.event.filter(|_| keeps_event),
            ended,
            ends_at: if ended { end_of_day(ends_at) } else { ends_at },
            ..pointer
        })
    }

    /// What a resync compares with the store: of a single appointment, and of each date of a series.
    fn digests(
        &self,
        report: Option<&CopyReport>,
        reconciled: &[(Booking, bool)],
    ) -> (Digest, Vec<OccurrenceDigest>) {
        let digest_key = self.batch.digest_key;
        let stays_tentative = |start: Option<Timestamp>| {
            let mut of_date = reconciled.iter().filter(|(row, _)| row.key.original_start == start);
            of_date.any(|(row, _)| row.copies.stays_tentative)
        };
        let digest = |start, snapshot: &CopySnapshot| match stays_tentative(start) {
            true => snapshot.change_digest(digest_key),
            false => snapshot.digest_when_answered(digest_key),
        };
        match report.map(|report| &report.dates) {
            None => {
                let known = self.stored.pointer.as_ref();
                let dates = known.map(|pointer| pointer.occurrences.clone());
                (self.absent_digest, dates.unwrap_or_default())
            }
            Some(ReportedDates::Once(snapshot)) => (digest(None, snapshot), Vec::new()),
            Some(ReportedDates::Series(dates)) => {
                let date = |(start, snapshot): &(Timestamp, CopySnapshot)| OccurrenceDigest {
                    start: *start,
                    end: snapshot.rooms.iter().map(|(_, at)| at.end()).max().unwrap_or(*start),
                    digest: digest(Some(*start), snapshot),
                };
                let dates: Vec<_> = dates.snapshots.iter().map(date).collect();
                let held = if dates.is_empty() {
                    CopySnapshot::digest_when_gone()
                } else {
                    CopySnapshot::digest_of_series()
                };
                (held, dates)
            }
        }
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
            occurrences: known.map(|pointer| pointer.occurrences.clone()).unwrap_or_default(),
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
