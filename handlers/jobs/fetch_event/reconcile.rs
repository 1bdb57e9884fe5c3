//! From what one copy says to the desired state of its bookings, written in the order that survives
//! a crash: due entries, booking, pointer, and only then the nudge.

use std::time::Duration;

use jiff::Timestamp;

use super::{Deps, rows::REREAD_DELAY};
use crate::{
    domain::{
        appointment::{CopyLocation, CopyRole, Observation},
        booking::{Booking, CopyReading},
        keys::{BookingKey, Digest},
        personal::Personal,
        policy::Room,
    },
    graph::{CopySnapshot, Event},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, BookingRequest, EventChange, EventChanges, JobMeta},
    store::{appointments::AppointmentCopy, tables::ETag, tenants::Tenant},
};

/// When a copy that was seen for the first time is looked at once more: a reader that was slower than a deletion must not
/// bring an appointment back.
const REFETCH_DELAY: Duration = Duration::from_secs(60);
/// When the other copy is looked at after the two disagreed.
const COMPARE_DELAY: Duration = Duration::from_secs(5);
/// A booking's row as it was before Graph was asked.
pub(super) struct BookingSnapshot {
    pub(super) key: BookingKey,
    pub(super) row: Option<(Booking, ETag)>,
}

/// Everything that turns one item's answer into rows.
pub(super) struct Reconciler<'a> {
    pub(super) deps: &'a Deps,
    pub(super) tenant: &'a Tenant,
    pub(super) rooms: &'a [Room],
    pub(super) item: &'a EventChange,
    pub(super) pointer: Option<AppointmentCopy>,
    /// The version of the pointer that is there.
    pub(super) pointer_etag: Option<ETag>,
    pub(super) bookings: Vec<BookingSnapshot>,
    /// Everything about the mailbox is to be forgotten, the way to its copy too.
    pub(super) erased: bool,
}

/// What became of one booking.
pub(super) struct BookingWrite {
    pub(super) key: BookingKey,
    pub(super) needs_booking_job: bool,
    pub(super) has_property: bool,
    pub(super) disagrees_with: Option<CopyLocation>,
    pub(super) ends_at: Timestamp,
}

impl Reconciler<'_> {
    /// The copy is there.
    pub(super) async fn apply_copy(
        mut self,
        sighting: &CopySnapshot,
        read: Event,
        subject: Option<Personal>,
    ) -> Result<Vec<Enqueue>, JobError> {
        let Event { ical_uid, last_modified_at: modified, .. } = read;
        let appointment = Digest::of_ical_uid(ical_uid.reveal());
        let mut found = std::mem::take(&mut self.bookings);
        for (room, _) in &sighting.rooms {
            let key = BookingKey {
                tenant: self.tenant.id,
                appointment,
                original_start: None,
                room: *room,
            };
            if !found.iter().any(|f| f.key == key) {
                found.push(BookingSnapshot { key, row: self.deps.bookings.get(&key).await? });
            }
        }
        self.ensure_pointer(sighting, &found).await?;
        let mut written = Vec::new();
        for BookingSnapshot { key, row } in found {
            let held = sighting
                .rooms
                .iter()
                .find(|(room, _)| *room == key.room && key.appointment == appointment);
            let content = &self.tenant.policy.content;
            let seen = match held {
                Some((_, interval)) => {
                    Observation::WithRoom(sighting.facts(*interval, content, subject.clone()))
                }
                None if sighting.ended => Observation::Cancelled,
                None => Observation::WithoutRoom,
            };
            let reading = self.build_reading(sighting.role, sighting.can_respond, seen);
            written.extend(self.write_booking(key, row, &ical_uid, reading).await?);
        }
        self.finish(sighting.role, sighting.change_digest(), modified, written).await
    }

    /// The copy is not there, or may not be read.
    pub(super) async fn apply_absence(
        mut self,
        role: CopyRole,
        seen: Observation,
    ) -> Result<Vec<Enqueue>, JobError> {
        let glance = match seen {
            Observation::Withdrawn | Observation::Released => CopySnapshot::never_read(),
            Observation::WithRoom(_)
            | Observation::WithoutRoom
            | Observation::Cancelled
            | Observation::Gone => CopySnapshot::digest_when_gone(),
        };
        let mut written = Vec::new();
        for BookingSnapshot { key, row } in std::mem::take(&mut self.bookings) {
            let reading = self.build_reading(role, true, seen.clone());
            // No row, no booking to end; `first` makes none of a copy that is gone.
            written.extend(self.write_booking(key, row, &Personal::default(), reading).await?);
        }
        let modified = self.pointer.as_ref().and_then(|pointer| pointer.last_modified_at);
        self.finish(role, glance, modified, written).await
    }

    /// A booking that is about to be made can be found from its copy before it is there: should the
    /// copy be gone by the time a crash is over, nothing else leads from one to the other. The
    /// pointer says that it was not read yet, so that a resync looks.
    async fn ensure_pointer(
        &mut self,
        sighting: &CopySnapshot,
        found: &[BookingSnapshot],
    ) -> Result<(), JobError> {
        let mut bookings: Vec<BookingKey> = found.iter().map(|found| found.key).collect();
        bookings.sort_unstable();
        let known = self.pointer.as_ref().is_some_and(|pointer| pointer.bookings == bookings);
        let ends = sighting.rooms.iter().map(|(_, interval)| interval.end());
        let ends_at = ends.chain(self.pointer.as_ref().map(|pointer| pointer.ends_at)).max();
        let Some(ends_at) = ends_at.filter(|_| !known) else { return Ok(()) };
        let (role, glance) = (sighting.role, CopySnapshot::never_read());
        let pointer = self.build_pointer(role, bookings, glance, ends_at);
        self.pointer_etag = Some(self.save_pointer(&pointer).await?);
        Ok(())
    }

    /// Another reading of this copy may have found that nothing changed, and then left no mark but
    /// the pointer: which of the two is the newer one only Graph can tell.
    async fn save_pointer(&self, pointer: &AppointmentCopy) -> Result<ETag, JobError> {
        match self.deps.appointments.insert_or_replace(pointer, self.pointer_etag.as_ref()).await {
            Err(error) if error.is_conflict() => {
                Err(JobError::retry_after(REREAD_DELAY, "another reading was faster"))
            }
            written => Ok(written?),
        }
    }

    fn build_pointer(
        &self,
        role: CopyRole,
        bookings: Vec<BookingKey>,
        glance: Digest,
        ends_at: Timestamp,
    ) -> AppointmentCopy {
        let (mailbox, event) = (self.item.mailbox, self.item.event.clone());
        let modified = self.pointer.as_ref().and_then(|pointer| pointer.last_modified_at);
        AppointmentCopy {
            tenant: self.tenant.id,
            mailbox,
            event,
            role,
            bookings,
            change_digest: glance,
            ends_at,
            last_modified_at: modified,
        }
    }

    fn build_reading(&self, role: CopyRole, answerable: bool, seen: Observation) -> CopyReading {
        let at = CopyLocation { mailbox: self.item.mailbox, event: self.item.event.clone() };
        CopyReading {
            role,
            at,
            answerable,
            observation: seen,
            correlation: self.item.meta.correlation,
        }
    }

    /// The pointer, then the nudges.
    async fn finish(
        self,
        role: CopyRole,
        glance: Digest,
        modified: Option<Timestamp>,
        written: Vec<BookingWrite>,
    ) -> Result<Vec<Enqueue>, JobError> {
        let Some(ends_at) = written.iter().map(|w| w.ends_at).max() else {
            // What was pointed at never came to be.
            let EventChange { mailbox, event, .. } = self.item;
            if self.pointer.is_some() {
                self.deps.appointments.remove(self.tenant.id, *mailbox, event).await?;
            }
            return Err(JobError::Discard { reason: "no managed room" });
        };
        let mut bookings: Vec<BookingKey> = written.iter().map(|w| w.key).collect();
        bookings.sort_unstable();
        let mut pointer = self.build_pointer(role, bookings, glance, ends_at);
        // An echo that changed nothing else is worth a write only where late content could come.
        if self.pointer.as_ref() != Some(&pointer) || self.tenant.policy.rich_notifications {
            pointer.last_modified_at = modified;
        }
        if self.erased && !written.iter().any(|w| w.has_property) {
            self.deps.appointments.remove(self.tenant.id, pointer.mailbox, &pointer.event).await?;
        } else if self.pointer.as_ref() != Some(&pointer) {
            self.save_pointer(&pointer).await?;
        }
        let now = self.deps.clock.now();
        let passage = JobMeta::new(self.item.meta.correlation, now);
        let mut next = Vec::new();
        for w in written.iter().filter(|w| w.needs_booking_job) {
            let nudge = BookingJob { key: w.key, due: None, conflicts: 0, meta: passage };
            next.push(Enqueue::now(Job::CreateBooking(BookingRequest(nudge))));
        }
        // The first time this copy is seen, whoever made the booking's row.
        let unread =
            |pointer: &AppointmentCopy| pointer.change_digest == CopySnapshot::never_read();
        if self.pointer.as_ref().is_none_or(unread) && !unread(&pointer) {
            let own = CopyLocation { mailbox: self.item.mailbox, event: self.item.event.clone() };
            next.push(Enqueue::later(self.refetch(own, passage), REFETCH_DELAY));
        }
        for other in written.into_iter().filter_map(|w| w.disagrees_with) {
            next.push(Enqueue::later(self.refetch(other, passage), COMPARE_DELAY));
        }
        Ok(next)
    }

    fn refetch(&self, copy: CopyLocation, passage: JobMeta) -> Job {
        let CopyLocation { mailbox, event } = copy;
        let item = EventChange::refetch(mailbox, event, passage);
        Job::FetchEvent(EventChanges { tenant: self.tenant.id, items: vec![item] })
    }
}
