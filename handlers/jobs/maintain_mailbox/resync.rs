//! The resync of one mailbox: the calendar is compared with the store, and only differences are
//! looked at. It is what makes a lost notification harmless. What was found is counted into the
//! mailbox's row, for people to see.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::MailboxWorker;
use crate::{
    domain::{
        drift::Drift,
        ids::{EventId, RoomId},
        keys::Digest,
        policy::Room,
    },
    graph::{CalendarOwner, CopySnapshot},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{EventChange, JobMeta, MailboxTaskKind, pack},
    store::{
        appointments::AppointmentCopy,
        mailboxes::{Health, Mailbox, MailboxKind},
        tables::ETag,
    },
};

/// How long after its end a pointer is surely purged.
const PURGE_GRACE: SignedDuration = SignedDuration::from_hours(1);
/// For how long a row that says what was found is not written anew, so that comparing a mailbox in
/// which nothing changes stays cheap, and a daily one still leaves its mark.
const HEALTH_WRITE_INTERVAL: SignedDuration = SignedDuration::from_hours(20);

/// What a comparison found.
struct ResyncFindings {
    drift: Drift,
    /// The events that must be looked at.
    events: Vec<EventId>,
}

impl MailboxWorker<'_> {
    pub(super) async fn resync(
        &self,
        mailbox: &Mailbox,
        etag: &ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let rooms = self.deps.rooms.list(self.tenant.id).await?;
        let found = self.compare(mailbox, &rooms).await?;
        let basis = comparison_basis(&rooms, self.tenant.policy.rehearsal);
        let suspicion = self.suspect_dead(mailbox, &found.drift, basis);
        self.record_drift(mailbox, etag, found.drift, basis).await?;
        // A rehearsal tells what would be booked, and books nothing.
        let events = if self.tenant.policy.rehearsal { Vec::new() } else { found.events };
        let mut next = self.enqueue_refetches(mailbox, events);
        next.extend(suspicion);
        Ok(next)
    }

    /// The calendar beside the store.
    async fn compare(&self, mailbox: &Mailbox, rooms: &[Room]) -> Result<ResyncFindings, JobError> {
        let now = self.deps.clock.now();
        let until = now + self.deps.settings.horizon;
        let calendar = match mailbox.kind {
            MailboxKind::Person => CalendarOwner::Person,
            MailboxKind::Room => CalendarOwner::Room(RoomId(mailbox.id.0)),
        };
        // The store before the calendar: what changes in between is only looked at once too often.
        let pointers = self.deps.appointments.list(mailbox.tenant, mailbox.id).await?;
        let mut known: HashMap<EventId, AppointmentCopy> =
            pointers.into_iter().map(|pointer| (pointer.event.clone(), pointer)).collect();
        let drift = Drift { at: now, missing: 0, orphaned: 0, different: 0 };
        let mut found = ResyncFindings { drift, events: Vec::new() };
        let mut next = None;
        loop {
            let page = self.graph.calendar_view(mailbox.id, now, until, next).await?;
            for read in &page.events {
                let before = known.remove(&read.id).map(|pointer| pointer.change_digest);
                let sighting = CopySnapshot::from_event(read, calendar, rooms, now);
                let now_there = sighting.ok().filter(|sighting| !sighting.rooms.is_empty());
                let now_there = now_there.map(|sighting| sighting.change_digest());
                if let Some(difference) = classify_copy(before, now_there) {
                    found.add(difference, read.id.clone());
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
        let gone = CopySnapshot::digest_when_gone();
        let to_come = |pointer: &AppointmentCopy| {
            let waits_for_its_purge = pointer.ends_at <= now && now < pointer.ends_at + PURGE_GRACE;
            !waits_for_its_purge && pointer.ends_at <= until
        };
        let missing = known.into_values().filter(|p| to_come(p) && p.change_digest != gone);
        missing.for_each(|pointer| found.add(CopyDifference::LeftOver, pointer.event));
        found.events.sort_unstable();
        Ok(found)
    }

    /// Keeps what was found, unless the row says it already. Whoever was faster at the row has more
    /// to say, and the next comparison comes.
    async fn record_drift(
        &self,
        mailbox: &Mailbox,
        etag: &ETag,
        drift: Drift,
        basis: Digest,
    ) -> Result<(), JobError> {
        let says_so = mailbox.health.drift.is_some_and(|known| {
            known.at + HEALTH_WRITE_INTERVAL > drift.at && Drift { at: known.at, ..drift } == known
        });
        // After `missed` it says when, so that Graph saying it again costs nothing.
        let says_so = says_so && self.task.kind != MailboxTaskKind::MissedNotifications;
        if says_so && mailbox.health.drift_basis == Some(basis) {
            return Ok(());
        }
        let health = Health { drift: Some(drift), drift_basis: Some(basis), ..mailbox.health };
        match self.deps.mailboxes.replace(&Mailbox { health, ..mailbox.clone() }, etag).await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(super) fn enqueue_refetches(
        &self,
        mailbox: &Mailbox,
        events: Vec<EventId>,
    ) -> Vec<Enqueue> {
        let passage = JobMeta::new(self.task.meta.correlation, self.deps.clock.now());
        let item = |event| EventChange::refetch(mailbox.id, event, passage);
        let items = events.into_iter().map(item).collect();
        let messages = pack(mailbox.tenant, items);
        messages.into_iter().map(|changes| Enqueue::now(Job::FetchEvent(changes))).collect()
    }
}

impl ResyncFindings {
    fn add(&mut self, difference: CopyDifference, event: EventId) {
        let count = match difference {
            CopyDifference::Missing => &mut self.drift.missing,
            CopyDifference::LeftOver => &mut self.drift.orphaned,
            CopyDifference::Different => &mut self.drift.different,
        };
        *count = count.saturating_add(1);
        self.events.push(event);
    }
}

/// How the calendar and the store differ about one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyDifference {
    Missing,
    LeftOver,
    Different,
}

/// What the store has missed. A copy without a managed room that was never stored is nobody's
/// business.
fn classify_copy(before: Option<Digest>, now: Option<Digest>) -> Option<CopyDifference> {
    let before = before.filter(|before| *before != CopySnapshot::digest_when_gone());
    match (before, now) {
        (None, None) => None,
        (None, Some(_)) => Some(CopyDifference::Missing),
        (Some(_), None) => Some(CopyDifference::LeftOver),
        (Some(before), Some(now)) => (before != now).then_some(CopyDifference::Different),
    }
}

/// Names what decides which appointments count: when it is another one, differences are no wonder.
fn comparison_basis(rooms: &[Room], rehearsal: bool) -> Digest {
    let mut rooms: Vec<&Room> = rooms.iter().collect();
    rooms.sort_unstable_by_key(|room| room.id);
    let mut parts = vec![if rehearsal { "rehearsal" } else { "for good" }.to_owned()];
    for room in rooms {
        parts.push(format!("{} {} {}", room.id, room.time_zone, room.addresses.join(" ")));
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    Digest::of(&parts)
}
