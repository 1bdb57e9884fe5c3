//! From what Graph answered to what the domain needs: whose copy it is, which managed rooms it
//! holds, and when.
//!
//! Used by the fetch and by the resync alike, so that both see the same.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    domain::{
        appointment::{CopyRole, Details, Facts, change_digest},
        ids::{EventId, RoomId},
        interval::Interval,
        keys::{Digest, DigestKey},
        personal::Personal,
        tenant::policy::{ContentPolicy, PeoplePolicy, ResponseMode, Room},
    },
    graph::{Event, EventKind, EventTime, RoomMatch},
};

/// Whose calendar was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarOwner {
    Person,
    Room(RoomId),
}

impl CalendarOwner {
    /// Whether a copy in this calendar says anything about this room: a room's own only about itself.
    pub fn concerns(self, room: RoomId) -> bool {
        match self {
            Self::Person => true,
            Self::Room(own) => own == room,
        }
    }
}

/// What one copy says, as far as Roombridge is concerned.
#[derive(Debug, Clone)]
pub struct CopySnapshot {
    pub event: EventId,
    pub role: CopyRole,
    /// Whether the room could answer it: a room does not answer itself.
    pub can_respond: bool,
    /// The managed rooms it holds, each with the time in that room's zone; empty for a cancelled
    /// appointment and for one that is over.
    pub rooms: Vec<(RoomId, Interval)>,
    /// Whether it was cancelled, or is over.
    pub ended: bool,
    pub private: bool,
    /// Whether a room that Roombridge answers for has not answered it: a new copy is tentative, and
    /// becomes so again when the organizer asks again.
    pub unanswered: bool,
    /// Whom it concerns, matched with all managed rooms.
    matched: RoomMatch,
}

/// Why an event is none of Roombridge's business, or cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Somebody else's invitation: the organizer's and the rooms' copies are the ones that book.
    AttendeeCopy,
    /// What it is, who organizes it or who is invited cannot be read: it is set aside.
    Ambiguous,
    /// Its times cannot be understood.
    UnreadableTime,
}

impl CopySnapshot {
    /// What `event` says, seen in the calendar of `owner` at `now`.
    ///
    /// # Errors
    /// [`SkipReason`] when it says nothing that may be acted on.
    pub fn from_event(
        event: &Event,
        owner: CalendarOwner,
        map: &[Room],
        now: Timestamp,
    ) -> Result<Self, SkipReason> {
        let role = match owner {
            CalendarOwner::Room(_) => CopyRole::Room,
            CalendarOwner::Person => match event.is_organizer {
                Some(true) if event.lists_attendees() => CopyRole::Organizer,
                Some(false) => return Err(SkipReason::AttendeeCopy),
                Some(true) | None => return Err(SkipReason::Ambiguous),
            },
        };
        let matched = event.match_rooms(map);
        let wanted = match owner {
            CalendarOwner::Room(room) => vec![room],
            CalendarOwner::Person => matched.rooms.clone(),
        };
        // A master takes place nowhere: its occurrences hold the rooms.
        let takes_place = match event.kind {
            EventKind::SingleInstance | EventKind::Occurrence | EventKind::Exception => true,
            EventKind::SeriesMaster => false,
            EventKind::Unknown => return Err(SkipReason::Ambiguous),
        };
        let has_time = event.time != EventTime::Empty;
        let (mut rooms, mut answered_by_us) = (Vec::new(), false);
        for room in map.iter().filter(|room| has_time && wanted.contains(&room.id)) {
            let interval =
                interval_in_room_zone(&event.time, room).ok_or(SkipReason::UnreadableTime)?;
            // Free alone says nothing: an organizer may choose it, and a room may show it while an
            // approval is pending.
            let left = role == CopyRole::Room && event.shown_free && event.is_declined_by(room);
            if takes_place && !left && !event.cancelled && !interval.is_over(now) {
                rooms.push((room.id, interval));
                answered_by_us |= room.response_mode == ResponseMode::RoombridgeDecides;
            }
        }
        // When an all-day event is over depends on its room's zone: its interval there says so.
        let over = match &event.time {
            EventTime::Timed(interval) => interval.is_over(now),
            EventTime::AllDay { .. } | EventTime::Empty | EventTime::Unreadable => false,
        };
        let can_respond = event.is_organizer != Some(true);
        Ok(Self {
            event: event.id.clone(),
            role,
            can_respond,
            unanswered: role == CopyRole::Room
                && can_respond
                && answered_by_us
                && event.shown_tentative,
            rooms,
            ended: event.cancelled || over || !has_time,
            private: event.private,
            matched,
        })
    }

    /// The facts of this copy about a room it holds. Only the organizer's copy, read with the
    /// organizer's consent, brings content.
    pub fn facts(
        &self,
        key: &DigestKey,
        appointment: Digest,
        interval: Interval,
        policy: &ContentPolicy,
        subject: Option<Personal>,
    ) -> Facts {
        let details = match self.role {
            CopyRole::Room => Details::default(),
            CopyRole::Organizer => Details {
                subject: policy.booking_subject(self.private, subject),
                organizer: match policy.people_policy(self.private) {
                    PeoplePolicy::Count => None,
                    PeoplePolicy::Organizer | PeoplePolicy::Addresses => {
                        self.matched.organizer.clone()
                    }
                },
                attendees: match policy.people_policy(self.private) {
                    PeoplePolicy::Count | PeoplePolicy::Organizer => Vec::new(),
                    PeoplePolicy::Addresses => self.matched.attendees.clone(),
                },
            },
        };
        Facts::new(key, appointment, interval, self.matched.people, self.private, details)
    }

    /// What a resync compares with the store.
    pub fn change_digest(&self, key: &DigestKey) -> Digest {
        let digest = self.digest_when_answered(key);
        if self.unanswered { Digest::of(&[b"unanswered", &digest.0.to_be_bytes()]) } else { digest }
    }

    /// The same once the room has answered. It is stored before that, so that the answer's own
    /// notification changes nothing.
    pub fn digest_when_answered(&self, key: &DigestKey) -> Digest {
        let rooms: Vec<RoomId> = self.rooms.iter().map(|(room, _)| *room).collect();
        let Some((_, interval)) = self.rooms.first() else { return Self::digest_when_gone() };
        let facts = (*interval, self.matched.people, self.private);
        change_digest(key, &self.event, facts, &rooms)
    }

    /// The digest of a copy that is known and not read (any more); it equals none of a copy that was read.
    pub fn never_read() -> Digest {
        Digest(0)
    }

    /// The digest of a series that holds a room: what its dates say is compared one by one.
    pub fn digest_of_series() -> Digest {
        Digest(2)
    }

    /// What a resync compares with the store for a copy that is gone, or holds no room.
    pub fn digest_when_gone() -> Digest {
        Digest(1)
    }
}

/// The interval in the room's zone: an all-day booking is the room's day, wherever the organizer is.
fn interval_in_room_zone(when: &EventTime, room: &Room) -> Option<Interval> {
    match when {
        EventTime::Timed(interval) => Some(*interval),
        EventTime::AllDay { first, until } => {
            // If the database does not know the zone: a day in UTC is better than no booking.
            let zone = TimeZone::get(&room.time_zone).unwrap_or(TimeZone::UTC);
            let midnight =
                |day: &Date| day.to_zoned(zone.clone()).map(|start| start.timestamp()).ok();
            Interval::new(midnight(first)?, midnight(until)?)
        }
        EventTime::Empty | EventTime::Unreadable => None,
    }
}
