//! What one read of an event tells, with the addresses kept behind the rooms they are matched with.

use std::collections::BTreeSet;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use super::{
    error::GraphError,
    properties::PropertyId,
    wire::{AddressWire, EventWire, TimeWire},
};
use crate::domain::{
    ids::{EventId, RoomId},
    interval::Interval,
    personal::Personal,
    policy::Room,
};

/// An event as the first read tells it. Whom it concerns is asked with [`EventRead::against`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRead {
    /// Its immutable id in this mailbox.
    pub event: EventId,
    /// The name that all copies share.
    pub ical_uid: Personal,
    /// Single, or what part of a series.
    pub kind: EventKind,
    /// When it takes place.
    pub when: When,
    /// Whether it is cancelled.
    pub cancelled: bool,
    /// Whether this mailbox organizes it.
    pub is_organizer: bool,
    /// Whether it is private or confidential; also true for a sensitivity we do not know.
    pub private: bool,
    /// When an occurrence was to start before it was moved.
    pub original_start: Option<Timestamp>,
    /// The master of an occurrence, in this mailbox.
    pub series_master: Option<EventId>,
    /// The value of the add-in's extended property, if it was asked for and is there.
    pub add_in: Option<Personal>,
    organizer: Option<Personal>,
    invited: Vec<Invited>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It stands alone.
    Single,
    /// The series itself.
    Master,
    /// One of a series, as the series says.
    Occurrence,
    /// One of a series, changed.
    Exception,
}

/// When an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Between two instants.
    Between(Interval),
    /// All day, in the zone of whoever asks.
    AllDay {
        /// The first day.
        first: Date,
        /// The day after the last.
        until: Date,
    },
    /// No time can be made of what was told: a zone without an IANA name, an end that is not after
    /// the start, an all-day event that does not begin at midnight.
    Unreadable,
}

/// What an event has to do with the managed rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The managed rooms that are invited, in the order they were given.
    pub rooms: Vec<RoomId>,
    /// Organizer and attendees that are neither managed rooms nor resources; an address counts once.
    pub people: u16,
    /// The addresses of the people invited, the organizer's not among them, in lower case, sorted.
    pub attendees: Vec<Personal>,
    /// The organizer's address in lower case; `None` if it is a managed room's, or there is none.
    pub organizer: Option<Personal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Invited {
    address: Option<Personal>,
    resource: bool,
}

impl EventRead {
    /// Which of `rooms` are invited, and the people beside them. The only way to the addresses.
    pub fn against(&self, rooms: &[Room]) -> Match {
        let is_room = |address: &Personal| rooms.iter().any(|r| r.has_address(address.reveal()));
        let invited = |room: &Room| {
            let mut addresses = self.invited.iter().filter_map(|i| i.address.as_ref());
            addresses.any(|address| room.has_address(address.reveal()))
        };
        let organizer = self.organizer.clone().filter(|address| !is_room(address));
        let people = || self.invited.iter().filter(|i| !i.resource);
        let addresses: BTreeSet<&Personal> = people()
            .filter_map(|i| i.address.as_ref())
            .filter(|address| !is_room(address) && Some(*address) != organizer.as_ref())
            .collect();
        let nameless = people().filter(|i| i.address.is_none()).count();
        let count = addresses.len() + nameless + usize::from(organizer.is_some());
        Match {
            rooms: rooms.iter().filter(|room| invited(room)).map(|room| room.id).collect(),
            people: u16::try_from(count).unwrap_or(u16::MAX),
            attendees: addresses.into_iter().cloned().collect(),
            organizer,
        }
    }

    /// Makes sense of the JSON; `add_in` is the property that was expanded.
    pub(super) fn of(wire: EventWire, add_in: Option<&PropertyId>) -> Result<Self, GraphError> {
        let id = |text: String| text.parse::<EventId>().map_err(|_| GraphError::Unreadable);
        let wanted = add_in.map(ToString::to_string);
        let mut properties = wire.single_value_extended_properties.into_iter();
        let add_in = wanted
            .and_then(|wanted| properties.find(|p| p.id.eq_ignore_ascii_case(&wanted)))
            .and_then(|property| property.value);
        let original_start = wire.original_start.map(|text| text.parse()).transpose();
        let invited = wire.attendees.into_iter().map(|attendee| Invited {
            address: address(attendee.email_address),
            resource: attendee.kind.is_some_and(|kind| kind.eq_ignore_ascii_case("resource")),
        });
        Ok(Self {
            event: id(wire.id)?,
            ical_uid: Personal::new(wire.ical_uid),
            kind: kind(&wire.kind)?,
            when: when(wire.is_all_day, &wire.start, &wire.end),
            cancelled: wire.is_cancelled,
            is_organizer: wire.is_organizer,
            private: !matches!(wire.sensitivity.as_str(), "normal" | "personal"),
            original_start: original_start.map_err(|_| GraphError::Unreadable)?,
            series_master: wire.series_master_id.map(id).transpose()?,
            add_in: add_in.map(Personal::new),
            organizer: wire.organizer.and_then(|organizer| address(organizer.email_address)),
            invited: invited.collect(),
        })
    }
}

fn address(wire: Option<AddressWire>) -> Option<Personal> {
    let text = wire?.address?.trim().to_lowercase();
    (!text.is_empty()).then(|| Personal::new(text))
}

fn kind(text: &str) -> Result<EventKind, GraphError> {
    match text {
        "singleInstance" => Ok(EventKind::Single),
        "seriesMaster" => Ok(EventKind::Master),
        "occurrence" => Ok(EventKind::Occurrence),
        "exception" => Ok(EventKind::Exception),
        _ => Err(GraphError::Unreadable),
    }
}

fn when(all_day: bool, start: &TimeWire, end: &TimeWire) -> When {
    let read = if all_day { days(start, end) } else { between(start, end) };
    read.unwrap_or(When::Unreadable)
}

fn days(start: &TimeWire, end: &TimeWire) -> Option<When> {
    let day = |time: &TimeWire| {
        let at: DateTime = time.date_time.parse().ok()?;
        (at.time() == Time::midnight()).then(|| at.date())
    };
    let (first, until) = (day(start)?, day(end)?);
    (first < until).then_some(When::AllDay { first, until })
}

fn between(start: &TimeWire, end: &TimeWire) -> Option<When> {
    Interval::new(instant(start)?, instant(end)?).ok().map(When::Between)
}

/// UTC was asked for; another zone is taken if it has an IANA name (never a Windows one).
fn instant(time: &TimeWire) -> Option<Timestamp> {
    let at: DateTime = time.date_time.parse().ok()?;
    let zone = match time.time_zone.as_str() {
        "UTC" => TimeZone::UTC,
        name => TimeZone::get(name).ok()?,
    };
    Some(at.to_zoned(zone).ok()?.timestamp())
}
