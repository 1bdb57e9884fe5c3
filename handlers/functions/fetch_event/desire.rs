//! From what one copy says to the desired state of its bookings, written in the order that survives
//! a crash: due entries, booking, pointer, and only then the nudge.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Deps;
use crate::{
    domain::{
        appointment::{CopyAt, Role, Seen},
        booking::{Booking, Reading},
        ids::BookingId,
        keys::{BookingKey, Digest},
        personal::Personal,
        policy::{Answering, Room},
    },
    graph::sighting::Sighting,
    messages::{BookingNudge, BookingRequest, EventChange, EventChanges, Passage},
    step::{Next, Onward, StepError},
    store::{
        appointments::Pointer,
        due::{DueEntry, Purpose, Subject},
        tables::ETag,
        tenants::Tenant,
    },
};

/// When a booking that is still unsettled is looked at again.
pub(super) const UNSETTLED: SignedDuration = SignedDuration::from_mins(5);
/// When a copy that was seen for the first time is looked at once more: a reader that was slower than a deletion must not
/// bring an appointment back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// When the other copy is looked at after the two disagreed.
const COMPARE: Duration = Duration::from_secs(5);
/// How often a lost race for a booking's row is run again in place.
const RACES: u32 = 8;

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
    pub(super) found: Vec<Found>,
    /// Everything about the mailbox is to be forgotten, the way to its copy too.
    pub(super) erased: bool,
}

/// What became of one booking.
struct Written {
    key: BookingKey,
    nudge: bool,
    marked: bool,
    disagrees_with: Option<CopyAt>,
    ends_at: Timestamp,
}

impl Desire<'_> {
    /// The copy is there.
    pub(super) async fn of_present(
        mut self,
        sighting: &Sighting,
        ical_uid: Personal,
        subject: Option<Personal>,
    ) -> Result<Vec<Next>, StepError> {
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
        self.finish(sighting.role, sighting.glance(), written).await
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
        self.finish(role, glance, written).await
    }

    /// A booking that is about to be made can be found from its copy before it is there: should the
    /// copy be gone by the time a crash is over, nothing else leads from one to the other. The
    /// pointer says that it was not read yet, so that a resync looks.
    async fn point_first(&self, sighting: &Sighting, found: &[Found]) -> Result<(), StepError> {
        let mut bookings: Vec<BookingKey> = found.iter().map(|found| found.key).collect();
        bookings.sort_unstable();
        let known = self.pointer.as_ref().is_some_and(|pointer| pointer.bookings == bookings);
        let ends = sighting.rooms.iter().map(|(_, interval)| interval.end());
        let ends_at = ends.chain(self.pointer.as_ref().map(|pointer| pointer.ends_at)).max();
        let Some(ends_at) = ends_at.filter(|_| !known) else { return Ok(()) };
        let (role, glance) = (sighting.role, Sighting::glance_unread());
        let pointer = self.pointer_to(role, bookings, glance, ends_at);
        Ok(self.deps.appointments.put(&pointer).await?)
    }

    fn pointer_to(
        &self,
        role: Role,
        bookings: Vec<BookingKey>,
        glance: Digest,
        ends_at: Timestamp,
    ) -> Pointer {
        let (mailbox, event) = (self.item.mailbox, self.item.event.clone());
        Pointer { tenant: self.tenant.id, mailbox, event, role, bookings, glance, ends_at }
    }

    fn reading(&self, role: Role, answerable: bool, seen: Seen) -> Reading {
        let at = CopyAt { mailbox: self.item.mailbox, event: self.item.event.clone() };
        Reading { role, at, answerable, seen, correlation: self.item.passage.correlation }
    }

    /// Brings one booking's row up to what was read, however often somebody else is faster.
    async fn write(
        &self,
        key: BookingKey,
        mut row: Option<(Booking, ETag)>,
        ical_uid: &Personal,
        reading: Reading,
    ) -> Result<Option<Written>, StepError> {
        let (answering, waits) = self.rule(key);
        for race in 0.. {
            let before = row.as_ref().map(|(booking, _)| booking.clone());
            let after = match &before {
                Some(booking) => Some(booking.clone().see(waits, reading.clone())),
                None => {
                    let id = BookingId(self.deps.rng.uuid());
                    Booking::first(key, id, ical_uid.clone(), waits, reading.clone())
                }
            };
            let Some(mut after) = after else { return Ok(None) };
            if self.erased {
                after = after.forget(self.item.mailbox);
            }
            let changed = before.as_ref() != Some(&after);
            let written = Written {
                key,
                nudge: changed || answering.is_some_and(|answering| !after.is_settled(answering)),
                marked: after.shown.organizer.is_some(),
                disagrees_with: if changed { after.other_copy(reading.role) } else { None },
                ends_at: after.purge_due,
            };
            if !changed {
                return Ok(Some(written));
            }
            let etag = row.as_ref().map(|(_, etag)| etag.clone());
            match self.save(before.as_ref(), after, etag).await {
                Ok(()) => return Ok(Some(written)),
                Err(error) if error.is_changed() && race < RACES => {
                    row = self.deps.bookings.get(&key).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Watchers first: an entry without a row costs one look, a row without an entry is forgotten.
    async fn save(
        &self,
        before: Option<&Booking>,
        mut after: Booking,
        etag: Option<ETag>,
    ) -> Result<(), crate::store::StoreError> {
        let now = self.deps.clock.now();
        let subject = Subject::Booking(after.key);
        if after.unsettled_due.is_none_or(|at| at <= now) {
            // Spread, so that a storm is not looked at again all at once, and so that an entry
            // being removed and one being written are hardly ever the same.
            let spread = self.deps.rng.below(60_000);
            let at =
                now + UNSETTLED + SignedDuration::from_millis(i64::try_from(spread).unwrap_or(0));
            self.deps.due.put(&DueEntry::new(Purpose::Unsettled, at, subject)).await?;
            after.unsettled_due = Some(at);
        }
        if before.is_none_or(|before| before.purge_due != after.purge_due) {
            let at = after.purge_due;
            self.deps.due.put(&DueEntry::new(Purpose::Purge, at, subject)).await?;
        }
        match etag {
            Some(etag) => self.deps.bookings.replace(&after, &etag).await?,
            None => self.deps.bookings.insert(&after).await?,
        };
        Ok(())
    }

    fn rule(&self, key: BookingKey) -> (Option<Answering>, bool) {
        let room = self.rooms.iter().find(|room| room.id == key.room);
        let answering = room.map(|room| room.answering);
        let waits = match answering {
            Some(Answering::ExchangeDecides) => self.tenant.policy.rooms_subscribed,
            Some(Answering::RoombridgeDecides) | None => false,
        };
        (answering, waits)
    }

    /// The pointer, then the nudges.
    async fn finish(
        self,
        role: Role,
        glance: Digest,
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
        let pointer = self.pointer_to(role, bookings, glance, ends_at);
        if self.erased && !written.iter().any(|w| w.marked) {
            self.deps.appointments.remove(self.tenant.id, pointer.mailbox, &pointer.event).await?;
        } else if self.pointer.as_ref() != Some(&pointer) {
            self.deps.appointments.put(&pointer).await?;
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
