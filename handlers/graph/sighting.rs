//! From what Graph answered to what the domain needs: whose copy it is, which managed rooms it
//! holds, and when.
//!
//! Used by the fetch and by the resync alike, so that both see the same.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{EventKind, EventRead, When};
use crate::domain::{
    appointment::{Details, Facts, Role},
    fingerprint::glance,
    ids::RoomId,
    interval::Interval,
    keys::Digest,
    personal::Personal,
    policy::{ContentPolicy, PeoplePolicy, Room},
};

/// Whose calendar was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calendar {
    /// A person's.
    Person,
    /// A room's.
    Room(RoomId),
}

/// What one copy says, as far as Roombridge is concerned.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// Whose copy it is.
    pub role: Role,
    /// Whether the room could answer it: a room does not answer itself.
    pub answerable: bool,
    /// The managed rooms it holds, each with the time in that room's zone; empty for a cancelled
    /// appointment and for one that is over.
    pub rooms: Vec<(RoomId, Interval)>,
    /// Whether it was cancelled, or is over.
    pub ended: bool,
    /// Whether it is marked private.
    pub private: bool,
    people: u16,
    organizer: Option<Personal>,
    attendees: Vec<Personal>,
}

/// Why an event is none of Roombridge's business, or cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Somebody else's invitation: the organizer's and the rooms' copies are the ones that book.
    AttendeesCopy,
    /// Its times cannot be understood.
    Unreadable,
}

impl Sighting {
    /// What `read` says, seen in `calendar` at `now`.
    ///
    /// # Errors
    /// [`Passed`] when it says nothing that may be acted on.
    pub fn of(
        read: &EventRead,
        calendar: Calendar,
        map: &[Room],
        now: Timestamp,
    ) -> Result<Self, Passed> {
        let role = match calendar {
            Calendar::Room(_) => Role::Room,
            Calendar::Person if read.is_organizer => Role::Organizer,
            Calendar::Person => return Err(Passed::AttendeesCopy),
        };
        let matched = read.against(map);
        let wanted = match calendar {
            Calendar::Room(room) => vec![room],
            Calendar::Person => matched.rooms,
        };
        // Series are not booked yet: their masters and occurrences hold no room for us, so what was
        // booked as a single appointment ends when it becomes one.
        let single = match read.kind {
            EventKind::Single => true,
            EventKind::Master | EventKind::Occurrence | EventKind::Exception => false,
        };
        let mut rooms = Vec::new();
        for room in map.iter().filter(|room| wanted.contains(&room.id)) {
            let interval = interval_in(&read.when, room).ok_or(Passed::Unreadable)?;
            if single && !read.cancelled && !interval.is_over(now) {
                rooms.push((room.id, interval));
            }
        }
        let over = match &read.when {
            When::Between(interval) => interval.is_over(now),
            When::AllDay { .. } | When::Unreadable => false,
        };
        Ok(Self {
            role,
            answerable: !read.is_organizer,
            rooms,
            ended: read.cancelled || over,
            private: read.private,
            people: matched.people,
            organizer: matched.organizer,
            attendees: matched.attendees,
        })
    }

    /// The facts of this copy about a room it holds. Only the organizer's copy, read with the
    /// organizer's consent, brings content.
    pub fn facts(
        &self,
        interval: Interval,
        policy: &ContentPolicy,
        subject: Option<Personal>,
    ) -> Facts {
        let details = match self.role {
            Role::Room => Details::default(),
            Role::Organizer => Details {
                subject: policy.subject(self.private, subject),
                organizer: match policy.people(self.private) {
                    PeoplePolicy::Count => None,
                    PeoplePolicy::Organizer | PeoplePolicy::Addresses => self.organizer.clone(),
                },
                attendees: match policy.people(self.private) {
                    PeoplePolicy::Count | PeoplePolicy::Organizer => Vec::new(),
                    PeoplePolicy::Addresses => self.attendees.clone(),
                },
            },
        };
        Facts { interval, people: self.people, private: self.private, details }
    }

    /// What a resync compares with the store.
    pub fn glance(&self) -> Digest {
        let rooms: Vec<RoomId> = self.rooms.iter().map(|(room, _)| *room).collect();
        let first = self.rooms.first();
        glance(first.map(|(_, interval)| (*interval, self.people, self.private)), &rooms)
    }

    /// The glance of a copy that is known of and not read (any more); like none that was read.
    pub fn glance_unread() -> Digest {
        Digest(0)
    }

    /// What a resync compares with the store for a copy that is gone.
    pub fn glance_gone() -> Digest {
        glance(None, &[])
    }
}

/// The interval in the room's zone: an all-day booking is the room's day, wherever the organizer is.
fn interval_in(when: &When, room: &Room) -> Option<Interval> {
    match when {
        When::Between(interval) => Some(*interval),
        When::AllDay { first, until } => {
            let zone = TimeZone::get(&room.time_zone).unwrap_or(TimeZone::UTC);
            let midnight =
                |day: &Date| day.to_zoned(zone.clone()).map(|start| start.timestamp()).ok();
            Interval::new(midnight(first)?, midnight(until)?).ok()
        }
        When::Unreadable => None,
    }
}
