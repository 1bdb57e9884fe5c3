//! What one copy says, booking by booking: of a single appointment, or of every occurrence of a series.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Batch;
use crate::{
    domain::{
        appointment::{CopyLocation, CopyRole, Facts},
        ids::{EventId, RoomId},
        interval::Interval,
        keys::{BookingKey, Digest},
        personal::Personal,
    },
    graph::{CopySnapshot, Event, EventKind},
};

/// What a copy says of one room that it holds.
pub(super) struct HeldRoom {
    pub(super) facts: Facts,
    /// See [`CopySnapshot::unanswered`].
    pub(super) unanswered: bool,
    /// The `iCalUId` that the room's copy has.
    pub(super) ical_uid: Personal,
    /// The one date of a series that the room is invited to, where it is not invited to the series.
    pub(super) part: Option<CopyLocation>,
}

/// What one copy says.
pub(super) struct CopyReport {
    /// The event that was read: a single appointment, or the master of a series.
    pub(super) event: Event,
    pub(super) role: CopyRole,
    pub(super) can_respond: bool,
    /// Whether it was cancelled, or is over.
    pub(super) ended: bool,
    pub(super) appointment: Digest,
    pub(super) held: BTreeMap<BookingKey, HeldRoom>,
    pub(super) dates: ReportedDates,
}

/// When it takes place.
pub(super) enum ReportedDates {
    Once(Box<CopySnapshot>),
    Series(SeriesDates),
}

/// The dates of a series.
pub(super) struct SeriesDates {
    /// Until when they were listed.
    pub(super) until: Timestamp,
    /// Whether all of them could be read: otherwise nothing is known of those that are not listed.
    pub(super) is_complete: bool,
    /// The original starts of all of them, also of those that hold no room.
    pub(super) listed: BTreeSet<Timestamp>,
    /// What those say that hold one.
    pub(super) snapshots: Vec<(Timestamp, CopySnapshot)>,
}

/// What was read of a series.
pub(super) struct ReadSeries {
    pub(super) master: Event,
    pub(super) at: CopyLocation,
    pub(super) role: CopyRole,
    /// Its occurrences and exceptions until `until`.
    pub(super) occurrences: Vec<(Event, CopySnapshot)>,
    pub(super) subjects: BTreeMap<EventId, Personal>,
    pub(super) until: Timestamp,
    /// See [`SeriesDates::is_complete`].
    pub(super) is_complete: bool,
}

impl CopyReport {
    /// Of a single appointment, and of one date of a series to which this mailbox was invited alone.
    pub(super) fn of_single(
        batch: &Batch<'_>,
        event: Event,
        snapshot: CopySnapshot,
        subject: Option<&Personal>,
    ) -> Self {
        // Only an event that holds no room (any more) comes without one.
        let ical_uid = event.ical_uid.clone().unwrap_or_default();
        let appointment = match event.kind {
            EventKind::Occurrence | EventKind::Exception => batch.date_digest(&event, &ical_uid),
            EventKind::SingleInstance | EventKind::SeriesMaster | EventKind::Unknown => {
                batch.digest_key.appointment(ical_uid.reveal())
            }
        };
        let held = snapshot.rooms.iter().map(|(room, interval)| {
            let facts = batch.facts(&snapshot, appointment, *interval, subject);
            let (ical_uid, unanswered) = (ical_uid.clone(), snapshot.unanswered);
            let held = HeldRoom { facts, unanswered, ical_uid, part: None };
            (batch.booking_key(appointment, None, *room), held)
        });
        Self {
            role: snapshot.role,
            can_respond: snapshot.can_respond,
            ended: snapshot.ended,
            appointment,
            held: held.collect(),
            event,
            dates: ReportedDates::Once(Box::new(snapshot)),
        }
    }

    /// Of a series, of which a room is invited to all dates, or to some. One that is invited to one date
    /// alone has an appointment of its own in its calendar, with that date's `iCalUId`.
    pub(super) fn of_series(batch: &Batch<'_>, read: ReadSeries) -> Self {
        let ReadSeries { master, at, role, occurrences, subjects, until, is_complete } = read;
        let ical_uid = master.ical_uid.clone().unwrap_or_default();
        let series = batch.digest_key.appointment(ical_uid.reveal());
        // Exchange may write the room's address in another way on the master than on a date that was not
        // changed, which has the rooms of the series.
        let mut invited: BTreeSet<RoomId> =
            master.match_rooms(&batch.rooms()).rooms.into_iter().collect();
        let unchanged = occurrences.iter().filter(|(date, _)| date.kind == EventKind::Occurrence);
        invited
            .extend(unchanged.flat_map(|(_, snapshot)| snapshot.rooms.iter().map(|held| held.0)));
        let is_whole = |room: &RoomId| match role {
            // In its own calendar it is the room that is invited to the series, unless it was taken off it:
            // a date that is left is an appointment of its own then.
            CopyRole::Room => !master.cancelled,
            CopyRole::Organizer => invited.contains(room),
        };
        let mut held = BTreeMap::new();
        let (listed, snapshots) = (BTreeSet::new(), Vec::new());
        let mut dates = SeriesDates { until, is_complete, listed, snapshots };
        for (event, snapshot) in occurrences {
            let Some(start) = event.original_start() else { continue };
            dates.listed.insert(start);
            let subject = subjects.get(&event.id);
            for (room, interval) in &snapshot.rooms {
                let own = event.ical_uid.as_ref().filter(|_| !is_whole(room));
                let (appointment, original_start, part) = match own {
                    None => (series, Some(start), None),
                    Some(uid) => {
                        let part = CopyLocation { event: event.id.clone(), ..at.clone() };
                        (batch.date_digest(&event, uid), None, Some(part))
                    }
                };
                let facts = batch.facts(&snapshot, appointment, *interval, subject);
                let ical_uid = own.unwrap_or(&ical_uid).clone();
                let room_held = HeldRoom { facts, unanswered: snapshot.unanswered, ical_uid, part };
                held.insert(batch.booking_key(appointment, original_start, *room), room_held);
            }
            if !snapshot.rooms.is_empty() {
                dates.snapshots.push((start, snapshot));
            }
        }
        Self {
            role,
            can_respond: master.is_organizer != Some(true),
            ended: master.cancelled,
            appointment: series,
            held,
            event: master,
            dates: ReportedDates::Series(dates),
        }
    }

    /// Whether it (still) takes place as this booking knows it, with or without the room.
    pub(super) fn lists(&self, key: &BookingKey) -> bool {
        match (&self.dates, key.original_start) {
            (ReportedDates::Once(_), None) => true,
            (ReportedDates::Once(_), Some(_)) => false,
            (ReportedDates::Series(dates), Some(start)) => dates.listed.contains(&start),
            // A date to which the room was invited alone may be without it.
            (ReportedDates::Series(_), None) => key.appointment != self.appointment,
        }
    }

    /// When the last of what it holds is over.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.held.values().map(|held| held.facts.interval.end()).max()
    }
}

impl Batch<'_> {
    fn booking_key(
        &self,
        appointment: Digest,
        original_start: Option<Timestamp>,
        room: RoomId,
    ) -> BookingKey {
        BookingKey { tenant: self.tenant.id, appointment, original_start, room }
    }

    fn facts(
        &self,
        snapshot: &CopySnapshot,
        appointment: Digest,
        interval: Interval,
        subject: Option<&Personal>,
    ) -> Facts {
        let (key, policy) = (self.digest_key, &self.tenant.policy.content);
        snapshot.facts(key, appointment, interval, policy, subject.cloned())
    }

    /// What names one date of a series that is an appointment of its own.
    fn date_digest(&self, event: &Event, ical_uid: &Personal) -> Digest {
        match event.original_start() {
            Some(start) => self.digest_key.occurrence(ical_uid.reveal(), start),
            None => self.digest_key.appointment(ical_uid.reveal()),
        }
    }
}
