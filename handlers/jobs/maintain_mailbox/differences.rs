//! How a calendar and the store differ, event by event; of a series date by date, though only its master is
//! fetched.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    domain::{
        ids::EventId,
        keys::{Digest, DigestKey},
        mailbox::Drift,
    },
    graph::{CopySnapshot, Event},
    messages::Origin,
    store::appointments::{AppointmentCopy, OccurrenceDigest},
};

/// How long after its end a copy is surely purged.
const PURGE_GRACE: SignedDuration = SignedDuration::from_hours(1);

/// What was found so far.
pub(super) struct Differences<'a> {
    key: &'a DigestKey,
    drift: Drift,
    /// What is stored and was not found yet.
    stored: HashMap<Digest, AppointmentCopy>,
    events: BTreeMap<EventId, Origin>,
    /// The series that are stored, with the dates that were found of each.
    series: BTreeMap<Digest, BTreeSet<Timestamp>>,
    /// The masters of series that are not stored: one of their dates is fetched.
    new_series: HashSet<EventId>,
    /// Until when the calendar was compared before: what lies beyond was not missed.
    known_until: Option<Timestamp>,
    /// The series of which nothing is taken for gone.
    unreadable: BTreeSet<Digest>,
}

impl<'a> Differences<'a> {
    pub(super) fn new(
        now: Timestamp,
        known_until: Option<Timestamp>,
        key: &'a DigestKey,
        stored: Vec<AppointmentCopy>,
    ) -> Self {
        Self {
            key,
            drift: Drift { at: now, missing: 0, orphaned: 0, different: 0 },
            stored: stored.into_iter().map(|copy| (copy.event_digest, copy)).collect(),
            events: BTreeMap::new(),
            series: BTreeMap::new(),
            new_series: HashSet::new(),
            known_until,
            unreadable: BTreeSet::new(),
        }
    }

    /// An event of the calendar, and what it says of managed rooms, if it holds any.
    pub(super) fn add(&mut self, event: &Event, present: Option<&CopySnapshot>) {
        let present = present.map(|copy| copy.change_digest(self.key));
        let own = self.key.event(&event.id);
        if let Some(master) = event.master()
            && !self.stored.contains_key(&own)
        {
            return self.add_date(event, master, present);
        }
        let before = self.stored.remove(&own).map(|copy| copy.change_digest);
        // Nothing can be booked for it, so nothing is missing.
        if event.ical_uid.is_none() && before.is_none() {
            return;
        }
        let gone = CopySnapshot::digest_when_gone();
        self.count(before.filter(|before| *before != gone), present, &event.id);
    }

    fn add_date(&mut self, event: &Event, master: &EventId, present: Option<Digest>) {
        let Some(start) = event.original_start() else { return };
        let digest = self.key.event(master);
        let Some(copy) = self.stored.get(&digest) else {
            if present.is_some() && self.new_series.insert(master.clone()) {
                self.count(None, present, &event.id);
            }
            return;
        };
        self.series.entry(digest).or_default().insert(start);
        let gone = CopySnapshot::digest_when_gone();
        let mut known = copy.occurrences.iter().filter(|_| copy.change_digest != gone);
        let before = known.find(|occurrence| occurrence.start == start).map(|known| known.digest);
        if before.is_none() && present.is_some() && self.known_until.is_some_and(|at| at <= start) {
            // The next date of a series without end.
            self.events.insert(master.clone(), Origin::Refetch);
            return;
        }
        self.count(before, present, master);
    }

    /// Counts one difference and has the event fetched. A copy without a managed room that was never stored
    /// is nobody's business.
    fn count(&mut self, before: Option<Digest>, present: Option<Digest>, event: &EventId) {
        let count = match (before, present) {
            (None, Some(_)) => &mut self.drift.missing,
            (Some(_), None) => &mut self.drift.orphaned,
            (Some(before), Some(present)) if before != present => &mut self.drift.different,
            (None, None) | (Some(_), Some(_)) => return,
        };
        *count = count.saturating_add(1);
        self.events.insert(event.clone(), Origin::Refetch);
    }

    /// An event that is there, and of which nothing more is known.
    pub(super) fn set_aside(&mut self, event: &Event) {
        self.set_aside_unreadable(&event.id);
        let master = event.series_master.as_ref().map(|master| self.key.event(master));
        self.unreadable.extend(master);
    }

    /// The same of one whose id alone could be read: it may be a date of any series.
    pub(super) fn set_aside_unreadable(&mut self, event: &EventId) {
        if self.stored.remove(&self.key.event(event)).is_none() {
            let series = self.stored.values().filter(|copy| !copy.occurrences.is_empty());
            self.unreadable.extend(series.map(|copy| copy.event_digest));
        }
    }

    /// All differences, once the whole calendar until `until` was read.
    pub(super) fn into_drift(
        mut self,
        is_complete: bool,
        until: Timestamp,
    ) -> (Drift, Vec<(EventId, Origin)>) {
        let (now, gone) = (self.drift.at, CopySnapshot::digest_when_gone());
        for copy in self.stored.values().filter(|_| is_complete) {
            // What is over is purged soon, and counts only when that has not happened in time.
            let awaits_purge = copy.ends_at <= now && now < copy.ends_at + PURGE_GRACE;
            let is_missed = !copy.ended && copy.change_digest != gone;
            let Some(event) = copy.event.as_ref().filter(|_| is_missed && !awaits_purge) else {
                continue;
            };
            let (lost, origin) = match self.series.get(&copy.event_digest) {
                _ if self.unreadable.contains(&copy.event_digest) => continue,
                None if copy.ends_at > until => continue,
                None => (1, Origin::Unlisted),
                Some(found) => {
                    let is_lost = |date: &&OccurrenceDigest| {
                        date.end > now && date.start < until && !found.contains(&date.start)
                    };
                    (copy.occurrences.iter().filter(is_lost).count(), Origin::Refetch)
                }
            };
            if lost > 0 {
                let lost = u32::try_from(lost).unwrap_or(u32::MAX);
                self.drift.orphaned = self.drift.orphaned.saturating_add(lost);
                self.events.insert(event.clone(), origin);
            }
        }
        (self.drift, self.events.into_iter().collect())
    }
}
