//! From what one copy says to the desired state of its bookings, written in the order that survives
//! a crash: due entries, booking, pointer, and only then the nudge.

use std::time::Duration;

use jiff::Timestamp;

use super::{Deps, rows::AGAIN};
use crate::{
    domain::{
        appointment::{CopyAt, Role, Seen},
        booking::{Booking, Reading},
        keys::{BookingKey, Digest},
        personal::Personal,
        policy::Room,
    },
    graph::{EventRead, sighting::Sighting},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{BookingNudge, BookingRequest, EventChange, EventChanges, Passage},
    store::{appointments::Pointer, tables::ETag, tenants::Tenant},
};

/// When a copy that was seen for the first time is looked at once more: a reader that was slower than a deletion must not
/// bring an appointment back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// When the other copy is looked at after the two disagreed.
const COMPARE: Duration = Duration::from_secs(5);
/// A booking's row as it was before Graph was asked.
pub(super) struct Found {
    pub(super) key: BookingKey,
    pub(super) row: Option<(Booking, ETag)>,
}

/// Everything that turns one item's answer into rows.
pub(super) struct Desire<'a> {
    pub(super) deps: &'a Deps,
    pub(super) tenant: &'a Tenant,
    pub(super) rooms: &'a [Room],
    pub(super) item: &'a EventChange,
    pub(super) pointer: Option<Pointer>,
    /// The version of the pointer that is there.
    pub(super) etag: Option<ETag>,
    pub(super) found: Vec<Found>,
    /// Everything about the mailbox is to be forgotten, the way to its copy too.
    pub(super) erased: bool,
}

/// What became of one booking.
pub(super) struct Written {
    pub(super) key: BookingKey,
    pub(super) nudge: bool,
    pub(super) marked: bool,
    pub(super) disagrees_with: Option<CopyAt>,
    pub(super) ends_at: Timestamp,
}

impl Desire<'_> {
    /// The copy is there.
    pub(super) async fn of_present(
        mut self,
        sighting: &Sighting,
        read: EventRead,
        subject: Option<Personal>,
    ) -> Result<Vec<Next>, StepError> {
        let EventRead { ical_uid, modified, .. } = read;
        let appointment = Digest::of_ical_uid(ical_uid.reveal());
        let mut found = std::mem::take(&mut self.found);
        for (room, _) in &sighting.rooms {
            let key = BookingKey {
                tenant: self.tenant.id,
                appointment,
                original_start: None,
                room: *room,
            };
            if !found.iter().any(|f| f.key == key) {
                found.push(Found { key, row: self.deps.bookings.get(&key).await? });
            }
        }
        self.point_first(sighting, &found).await?;
        let mut written = Vec::new();
        for Found { key, row } in found {
            let held = sighting
                .rooms
                .iter()
                .find(|(room, _)| *room == key.room && key.appointment == appointment);
            let content = &self.tenant.policy.content;
            let seen = match held {
                Some((_, interval)) => {
                    Seen::Holds(sighting.facts(*interval, content, subject.clone()))
                }
                None if sighting.ended => Seen::Cancelled,
                None => Seen::WithoutRoom,
            };
            let reading = self.reading(sighting.role, sighting.answerable, seen);
            written.extend(self.write(key, row, &ical_uid, reading).await?);
        }
        self.finish(sighting.role, sighting.glance(), modified, written).await
    }

    /// The copy is not there, or may not be read.
    pub(super) async fn of_missing(
        mut self,
        role: Role,
        seen: Seen,
    ) -> Result<Vec<Next>, StepError> {
        let glance = match seen {
            Seen::Withheld | Seen::GivenUp => Sighting::glance_unread(),
            Seen::Holds(_) | Seen::WithoutRoom | Seen::Cancelled | Seen::Gone => {
                Sighting::glance_gone()
            }
        };
        let mut written = Vec::new();
        for Found { key, row } in std::mem::take(&mut self.found) {
            let reading = self.reading(role, true, seen.clone());
            // No row, no booking to end; `first` makes none of a copy that is gone.
            written.extend(self.write(key, row, &Personal::default(), reading).await?);
        }
        let modified = self.pointer.as_ref().and_then(|pointer| pointer.modified);
        self.finish(role, glance, modified, written).await
    }

    /// A booking that is about to be made can be found from its copy before it is there: should the
    /// copy be gone by the time a crash is over, nothing else leads from one to the other. The
    /// pointer says that it was not read yet, so that a resync looks.
    async fn point_first(&mut self, sighting: &Sighting, found: &[Found]) -> Result<(), StepError> {
        let mut bookings: Vec<BookingKey> = found.iter().map(|found| found.key).collect();
        bookings.sort_unstable();
        let known = self.pointer.as_ref().is_some_and(|pointer| pointer.bookings == bookings);
        let ends = sighting.rooms.iter().map(|(_, interval)| interval.end());
        let ends_at = ends.chain(self.pointer.as_ref().map(|pointer| pointer.ends_at)).max();
        let Some(ends_at) = ends_at.filter(|_| !known) else { return Ok(()) };
        let (role, glance) = (sighting.role, Sighting::glance_unread());
        let pointer = self.pointer_to(role, bookings, glance, ends_at);
        self.etag = Some(self.keep(&pointer).await?);
        Ok(())
    }

    /// Another reading of this copy may have found that nothing changed, and then left no mark but
    /// the pointer: which of the two is the newer one only Graph can tell.
    async fn keep(&self, pointer: &Pointer) -> Result<ETag, StepError> {
        match self.deps.appointments.write(pointer, self.etag.as_ref()).await {
            Err(error) if error.is_changed() => {
                Err(StepError::wait(AGAIN, "another reading was faster"))
            }
            written => Ok(written?),
        }
    }

    fn pointer_to(
        &self,
        role: Role,
        bookings: Vec<BookingKey>,
        glance: Digest,
        ends_at: Timestamp,
    ) -> Pointer {
        let (mailbox, event) = (self.item.mailbox, self.item.event.clone());
        let modified = self.pointer.as_ref().and_then(|pointer| pointer.modified);
        Pointer {
            tenant: self.tenant.id,
            mailbox,
            event,
            role,
            bookings,
            glance,
            ends_at,
            modified,
        }
    }

    fn reading(&self, role: Role, answerable: bool, seen: Seen) -> Reading {
        let at = CopyAt { mailbox: self.item.mailbox, event: self.item.event.clone() };
        Reading { role, at, answerable, seen, correlation: self.item.passage.correlation }
    }

    /// The pointer, then the nudges.
    async fn finish(
        self,
        role: Role,
        glance: Digest,
        modified: Option<Timestamp>,
        written: Vec<Written>,
    ) -> Result<Vec<Next>, StepError> {
        let Some(ends_at) = written.iter().map(|w| w.ends_at).max() else {
            // What was pointed at never came to be.
            let EventChange { mailbox, event, .. } = self.item;
            if self.pointer.is_some() {
                self.deps.appointments.remove(self.tenant.id, *mailbox, event).await?;
            }
            return Err(StepError::Drop { reason: "no managed room" });
        };
        let mut bookings: Vec<BookingKey> = written.iter().map(|w| w.key).collect();
        bookings.sort_unstable();
        let mut pointer = self.pointer_to(role, bookings, glance, ends_at);
        // An echo that changed nothing else is worth a write only where late content could come.
        if self.pointer.as_ref() != Some(&pointer) || self.tenant.policy.rich {
            pointer.modified = modified;
        }
        if self.erased && !written.iter().any(|w| w.marked) {
            self.deps.appointments.remove(self.tenant.id, pointer.mailbox, &pointer.event).await?;
        } else if self.pointer.as_ref() != Some(&pointer) {
            self.keep(&pointer).await?;
        }
        let now = self.deps.clock.now();
        let passage = Passage::start(self.item.passage.correlation, now);
        let mut next = Vec::new();
        for w in written.iter().filter(|w| w.nudge) {
            let nudge = BookingNudge { key: w.key, due: None, conflicts: 0, passage };
            next.push(Next::now(Onward::Book(BookingRequest(nudge))));
        }
        // The first time this copy is seen, whoever made the booking's row.
        let unread = |pointer: &Pointer| pointer.glance == Sighting::glance_unread();
        if self.pointer.as_ref().is_none_or(unread) && !unread(&pointer) {
            let own = CopyAt { mailbox: self.item.mailbox, event: self.item.event.clone() };
            next.push(Next::later(self.look_at(own, passage), LOOK_AGAIN));
        }
        for other in written.into_iter().filter_map(|w| w.disagrees_with) {
            next.push(Next::later(self.look_at(other, passage), COMPARE));
        }
        Ok(next)
    }

    fn look_at(&self, copy: CopyAt, passage: Passage) -> Onward {
        let CopyAt { mailbox, event } = copy;
        let item = EventChange::look(mailbox, event, passage);
        Onward::Fetch(EventChanges { tenant: self.tenant.id, items: vec![item] })
    }
}
