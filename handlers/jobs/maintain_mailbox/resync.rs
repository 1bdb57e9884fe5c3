//! The resync of one mailbox: the calendar is compared with the store, and only differences are
//! looked at. It is what makes a lost notification harmless. What was found is counted into the
//! mailbox's row, for people to see.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    domain::{
        drift::Drift,
        ids::{EventId, RoomId},
        keys::Digest,
        policy::Room,
    },
    graph::sighting::{Calendar, Sighting},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{EventChange, Passage, Task, packed},
    store::{
        appointments::Pointer,
        mailboxes::{Health, Mailbox, MailboxKind},
        tables::ETag,
    },
};

/// How long after its end a pointer is surely purged.
const PURGED: SignedDuration = SignedDuration::from_hours(1);
/// For how long a row that says what was found is not written anew, so that comparing a mailbox in
/// which nothing changes stays cheap, and a daily one still leaves its mark.
const NEWS: SignedDuration = SignedDuration::from_hours(20);

/// What a comparison found.
struct Found {
    drift: Drift,
    /// The events that must be looked at.
    events: Vec<EventId>,
}

impl Keeper<'_> {
    pub(super) async fn resync(
        &self,
        mailbox: &Mailbox,
        etag: &ETag,
    ) -> Result<Vec<Next>, StepError> {
        let rooms = self.deps.rooms.all(self.tenant.id).await?;
        let found = self.compared(mailbox, &rooms).await?;
        let basis = basis(&rooms, self.tenant.policy.rehearsal);
        let suspicion = self.suspicion(mailbox, &found.drift, basis);
        self.note(mailbox, etag, found.drift, basis).await?;
        // A rehearsal tells what would be booked, and books nothing.
        let events = if self.tenant.policy.rehearsal { Vec::new() } else { found.events };
        let mut next = self.looks(mailbox, events);
        next.extend(suspicion);
        Ok(next)
    }

    /// The calendar beside the store.
    async fn compared(&self, mailbox: &Mailbox, rooms: &[Room]) -> Result<Found, StepError> {
        let now = self.deps.clock.now();
        let until = now + self.deps.settings.horizon;
        let calendar = match mailbox.kind {
            MailboxKind::Person => Calendar::Person,
            MailboxKind::Room => Calendar::Room(RoomId(mailbox.id.0)),
        };
        // The store before the calendar: what changes in between is only looked at once too often.
        let pointers = self.deps.appointments.all(mailbox.tenant, mailbox.id).await?;
        let mut known: HashMap<EventId, Pointer> =
            pointers.into_iter().map(|pointer| (pointer.event.clone(), pointer)).collect();
        let drift = Drift { at: now, missing: 0, left_over: 0, different: 0 };
        let mut found = Found { drift, events: Vec::new() };
        let mut next = None;
        loop {
            let page = self.graph.calendar_view(mailbox.id, now, until, next).await?;
            for read in &page.events {
                let before = known.remove(&read.event).map(|pointer| pointer.glance);
                let sighting = Sighting::of(read, calendar, rooms, now);
                let now_there = sighting.ok().filter(|sighting| !sighting.rooms.is_empty());
                let now_there = now_there.map(|sighting| sighting.glance());
                if let Some(difference) = difference(before, now_there) {
                    found.add(difference, read.event.clone());
                }
            }
            // There, but not to be understood: neither gone nor to be acted on.
            for event in &page.unreadable {
                tracing::warn!("an event of the calendar cannot be understood");
                known.remove(event);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        // What is known, still to come, and not in the calendar any more; and what should have been
        // purged by now.
        let gone = Sighting::glance_gone();
        let to_come = |pointer: &Pointer| {
            let waits_for_its_purge = pointer.ends_at <= now && now < pointer.ends_at + PURGED;
            !waits_for_its_purge && pointer.ends_at <= until
        };
        let missing = known.into_values().filter(|p| to_come(p) && p.glance != gone);
        missing.for_each(|pointer| found.add(Difference::LeftOver, pointer.event));
        found.events.sort_unstable();
        Ok(found)
    }

    /// Keeps what was found, unless the row says it already. Whoever was faster at the row has more
    /// to say, and the next comparison comes.
    async fn note(
        &self,
        mailbox: &Mailbox,
        etag: &ETag,
        drift: Drift,
        basis: Digest,
    ) -> Result<(), StepError> {
        let says_so = mailbox.health.drift.is_some_and(|known| {
            known.at + NEWS > drift.at && Drift { at: known.at, ..drift } == known
        });
        // After `missed` it says when, so that Graph saying it again costs nothing.
        let says_so = says_so && self.task.task != Task::Missed;
        if says_so && mailbox.health.basis == Some(basis) {
            return Ok(());
        }
        let health = Health { drift: Some(drift), basis: Some(basis), ..mailbox.health };
        match self.deps.mailboxes.replace(&Mailbox { health, ..mailbox.clone() }, etag).await {
            Err(error) if !error.is_changed() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn looks(&self, mailbox: &Mailbox, events: Vec<EventId>) -> Vec<Next> {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let item = |event| EventChange::look(mailbox.id, event, passage);
        let items = events.into_iter().map(item).collect();
        let messages = packed(mailbox.tenant, items);
        messages.into_iter().map(|changes| Next::now(Onward::Fetch(changes))).collect()
    }
}

impl Found {
    fn add(&mut self, difference: Difference, event: EventId) {
        let count = match difference {
            Difference::Missing => &mut self.drift.missing,
            Difference::LeftOver => &mut self.drift.left_over,
            Difference::Different => &mut self.drift.different,
        };
        *count = count.saturating_add(1);
        self.events.push(event);
    }
}

/// How the calendar and the store differ about one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    Missing,
    LeftOver,
    Different,
}

/// What the store has missed. A copy without a managed room that was never stored is nobody's
/// business.
fn difference(before: Option<Digest>, now: Option<Digest>) -> Option<Difference> {
    let before = before.filter(|before| *before != Sighting::glance_gone());
    match (before, now) {
        (None, None) => None,
        (None, Some(_)) => Some(Difference::Missing),
        (Some(_), None) => Some(Difference::LeftOver),
        (Some(before), Some(now)) => (before != now).then_some(Difference::Different),
    }
}

/// Names what decides which appointments count: when it is another one, differences are no wonder.
fn basis(rooms: &[Room], rehearsal: bool) -> Digest {
    let mut rooms: Vec<&Room> = rooms.iter().collect();
    rooms.sort_unstable_by_key(|room| room.id);
    let mut parts = vec![if rehearsal { "rehearsal" } else { "for good" }.to_owned()];
    for room in rooms {
        parts.push(format!("{} {} {}", room.id, room.time_zone, room.addresses.join(" ")));
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    Digest::of(&parts)
}
