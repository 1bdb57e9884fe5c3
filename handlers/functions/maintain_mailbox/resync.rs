//! The resync of one mailbox: the calendar is compared with the store, and only differences are
//! looked at. It is what makes a lost notification harmless.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    domain::{
        ids::{EventId, RoomId},
        keys::Digest,
    },
    graph::sighting::{Calendar, Sighting},
    messages::{EventChange, Passage, packed},
    step::{Next, Onward, StepError},
    store::{
        appointments::Pointer,
        mailboxes::{Mailbox, MailboxKind},
    },
};

/// How long after its end a pointer is surely purged.
const PURGED: SignedDuration = SignedDuration::from_hours(1);

impl Keeper<'_> {
    pub(super) async fn resync(&self, mailbox: &Mailbox) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        let until = now + self.deps.settings.horizon;
        let rooms = self.deps.rooms.all(self.tenant.id).await?;
        let calendar = match mailbox.kind {
            MailboxKind::Person => Calendar::Person,
            MailboxKind::Room => Calendar::Room(RoomId(mailbox.id.0)),
        };
        // The store before the calendar: what changes in between is only looked at once too often.
        let pointers = self.deps.appointments.all(mailbox.tenant, mailbox.id).await?;
        let mut known: HashMap<EventId, Pointer> =
            pointers.into_iter().map(|pointer| (pointer.event.clone(), pointer)).collect();
        let mut different = Vec::new();
        let mut next = None;
        loop {
            let page = self.graph.calendar_view(mailbox.id, now, until, next).await?;
            for read in &page.events {
                let before = known.remove(&read.event).map(|pointer| pointer.glance);
                let sighting = Sighting::of(read, calendar, &rooms, now);
                let now_there = sighting.ok().filter(|sighting| !sighting.rooms.is_empty());
                if differs(before, now_there.map(|sighting| sighting.glance())) {
                    different.push(read.event.clone());
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
        different.extend(missing.map(|pointer| pointer.event));
        different.sort_unstable();
        Ok(self.looks(mailbox, different))
    }

    pub(super) fn looks(&self, mailbox: &Mailbox, events: Vec<EventId>) -> Vec<Next> {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let item = |event| EventChange::look(mailbox.id, event, passage);
        let items = events.into_iter().map(item).collect();
        let messages = packed(mailbox.tenant, items);
        messages.into_iter().map(|changes| Next::now(Onward::Fetch(changes))).collect()
    }
}

/// Whether the store has missed something. A copy without a managed room that was never stored is
/// nobody's business.
fn differs(before: Option<Digest>, now: Option<Digest>) -> bool {
    match (before, now) {
        (None, None) => false,
        (None, Some(_)) => true,
        (Some(before), None) => before != Sighting::glance_gone(),
        (Some(before), Some(now)) => before != now,
    }
}
