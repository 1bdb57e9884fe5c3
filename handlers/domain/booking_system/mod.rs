//! Booking systems in general: what is ordered from one, what it says that it has, and what each kind can
//! do.

pub mod drift;

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    ids::{BookingId, InvalidId},
    interval::Interval,
    personal::Personal,
};

/// The kinds of booking systems that there is an adapter for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SystemKind {
    Topdesk,
    LibreBooking,
}

impl SystemKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Topdesk, Self::LibreBooking];

    /// What its users call it.
    pub fn product_name(self) -> &'static str {
        match self {
            Self::Topdesk => "TOPdesk",
            Self::LibreBooking => "LibreBooking",
        }
    }

    /// How settings and the audit name it.
    pub fn audit_name(self) -> &'static str {
        match self {
            Self::Topdesk => "topdesk",
            Self::LibreBooking => "librebooking",
        }
    }
}

/// Which of the booking systems that a tenant has used: 0 is the built-in one, and each that is set up gets
/// the next number. A booking records where it is, so that it can be moved.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SystemId(pub u32);

impl SystemId {
    /// The built-in booking system.
    pub const BUILT_IN: Self = Self(0);

    /// Whether it is the built-in one.
    pub fn is_built_in(&self) -> bool {
        *self == Self::BUILT_IN
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a tenant reaches a booking system of its own. The credential is in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemConnection {
    pub id: SystemId,
    pub kind: SystemKind,
    /// One of the addresses that the operator allows.
    pub base_url: String,
    /// When its account was given last: a new one is used at once by every process.
    pub account_set_at: Timestamp,
    /// Whom a booking is made for whose organizer is not named, or not known there: an e-mail address or a
    /// login, as the system wants it.
    pub fallback_requester: String,
    /// The reason that a cancellation is given, where the system wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation_reason: Option<String>,
    /// Calls a minute that the system's owner grants us; the adapter's own number where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
    /// The last day of the account's password, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ends: Option<Date>,
}

impl SystemConnection {
    /// A connection whose account is given `now`.
    pub fn new(id: SystemId, kind: SystemKind, base_url: String, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            base_url,
            account_set_at: now,
            fallback_requester: String::new(),
            cancellation_reason: None,
            calls_per_minute: None,
            account_ends: None,
        }
    }

    /// The system as evidence and pages name it.
    pub fn name(&self) -> String {
        format!("{} {}", self.kind.product_name(), self.base_url)
    }
}

/// What came of a look at a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckOutcome {
    Passed,
    RightsMissing,
    AccountRefused,
    /// It did not answer, or not as it should.
    NoAnswer,
    Throttled,
    /// The operator does not allow its address any more.
    NotAllowed,
}

/// The last look that an administrator had at a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    pub at: Timestamp,
    pub outcome: CheckOutcome,
}

/// The booking systems of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SystemConnections {
    /// Where bookings are made.
    pub current: SystemId,
    /// Since when; `None` for the built-in one from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_since: Option<Timestamp>,
    /// Every system that may hold a booking, beside the built-in one.
    pub all: Vec<SystemConnection>,
    /// Since when bookings follow from another system; `None` once all are in the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_since: Option<Timestamp>,
    /// What keeps bookings from being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SystemTrouble>,
    /// The last number that was given to one. None is given twice: bookings and rooms remember it.
    #[serde(default, skip_serializing_if = "SystemId::is_built_in")]
    pub last: SystemId,
    /// Not in the connections: those are compared to tell whether an open one is still the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<SystemId, LastCheck>,
}

/// A booking system does not do what it is asked, and bookings wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemTrouble {
    pub since: Timestamp,
    pub kind: SystemTroubleKind,
}

/// What is wrong, as an administrator can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemTroubleKind {
    /// The password is wrong or has ended, or a right was taken away.
    AccountRefused,
    /// The operator has taken the address out of the setting.
    AddressNotAllowed,
    /// It does not answer, or not as it should.
    Unavailable,
}

impl SystemConnections {
    /// Whether the tenant has never used another system than the built-in one.
    pub fn is_untouched(&self) -> bool {
        *self == Self::default()
    }

    /// The connection to a system; `None` for the built-in one, and for one that is not used any more.
    pub fn get(&self, id: SystemId) -> Option<&SystemConnection> {
        self.all.iter().find(|connection| connection.id == id)
    }

    /// The number of the system that is connected next.
    pub fn next_id(&self) -> SystemId {
        let known = self.all.iter().map(|connection| connection.id);
        SystemId(known.chain([self.last]).max().map_or(0, |last| last.0) + 1)
    }

    /// What evidence and pages call a system.
    pub fn name(&self, id: SystemId) -> String {
        self.get(id).map_or_else(|| "built-in".to_owned(), SystemConnection::name)
    }
}

/// The account that we use at a booking system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCredential {
    pub login: Personal,
    pub password: Personal,
}

/// Names one of our bookings at a booking system, which keeps it and gives it back: with it a repeat finds
/// what an earlier try has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatchKey {
    pub booking: BookingId,
    /// Rises when an ended booking is wanted again: the cancelled one is not revived.
    pub generation: u32,
}

impl fmt::Display for MatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.booking, self.generation)
    }
}

impl FromStr for MatchKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (booking, generation) = text.split_once('.').ok_or(InvalidId)?;
        let generation = generation.parse().map_err(|_| InvalidId)?;
        let key = Self { booking: booking.parse()?, generation };
        // One spelling for one key.
        if key.to_string() == text { Ok(key) } else { Err(InvalidId) }
    }
}

/// A booking system's own id of a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemRoomId(pub String);

/// The rooms' ids at the booking systems that their tenant has used.
pub type SystemRoomIds = BTreeMap<SystemId, SystemRoomId>;

/// A room as a booking system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRoom {
    pub id: SystemRoomId,
    pub name: String,
    /// How many people it holds, where that is known.
    pub capacity: Option<u32>,
}

/// What a booking system is asked to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRequest {
    pub key: MatchKey,
    pub room: SystemRoomId,
    pub interval: Interval,
    /// What the tenant's policy lets into the booking; see `ContentPolicy`.
    pub subject: Option<Personal>,
    pub organizer: Option<Personal>,
    /// The addresses of the people invited.
    pub attendees: Vec<Personal>,
    /// How many people are invited, the organizer included.
    pub attendee_count: u16,
}

/// How to find the bookings of one [`MatchKey`]. A system that cannot search for the key is searched by
/// `reference`, or else by room and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingQuery {
    /// Every generation up to this one is looked for.
    pub key: MatchKey,
    /// The system's own name for it, where a call has answered one.
    pub reference: Option<String>,
    pub room: SystemRoomId,
    /// Every time that it may be at.
    pub intervals: Vec<Interval>,
}

/// A live booking as a booking system shows it. One that has ended is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemBooking {
    /// The system's own name for it, by which it is changed and cancelled.
    pub reference: String,
    /// `None` where it is not one of ours.
    pub key: Option<MatchKey>,
    pub room: SystemRoomId,
    pub interval: Interval,
    pub status: SystemBookingStatus,
}

/// What a booking system says of a booking that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemBookingStatus {
    /// It has the room.
    Confirmed,
    /// Somebody there has to approve it. It holds the room as far as we are concerned.
    AwaitsApproval,
    /// It was stored, but another one has the room.
    Conflicting,
}

/// How a booking system says that a room is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictSignal {
    /// It does not: our own ledger, claimed before it is called, is the booking.
    Ledger,
    /// It refuses the call.
    Refusal,
    /// It stores the booking with the status [`SystemBookingStatus::Conflicting`].
    Status,
}

/// What a booking system can do. Nothing else about a kind of system is known outside its adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    pub conflicts: ConflictSignal,
    /// Whether two calls at once may both get one room, so that the room is read again after each write.
    pub double_books: bool,
    /// Whether it can look for a match key itself; otherwise a room's bookings are read.
    pub finds_match_key: bool,
    /// Whether a booking may have to be approved there.
    pub approves: bool,
    /// Whether it lists what has changed since some moment.
    pub lists_changes: bool,
    /// Whether it calls us when something has changed.
    pub notifies: bool,
    /// Calls a minute where the tenant has not said how many it grants us.
    pub calls_per_minute: u32,
    /// The most calls that one booking takes: look, write, look again.
    pub calls_per_booking: u32,
    /// The smallest unit of its times. Both ends of a booking are cut to it, so that neighbours stay
    /// neighbours; see [`Interval::truncated_to`].
    pub time_unit: SignedDuration,
}

/// Who we are at a booking system, and what it lets us do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionCheck {
    /// The account, as the system names it.
    pub account: String,
    /// What it may not do and would have to, each in the system's own terms.
    pub missing_rights: Vec<String>,
    /// The rooms that can be booked with it.
    pub rooms: Vec<SystemRoom>,
}

impl Interval {
    /// The interval with both ends cut to a whole `unit`, and never empty.
    #[must_use]
    pub fn truncated_to(self, unit: SignedDuration) -> Self {
        let cut = |at: Timestamp| {
            let nanos = at.as_nanosecond();
            let cut = nanos - nanos.rem_euclid(unit.as_nanos().max(1));
            Timestamp::from_nanosecond(cut).unwrap_or(at)
        };
        let (start, end) = (cut(self.start()), cut(self.end()));
        Self::new(start, end).or_else(|| Self::new(start, start + unit)).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_key_comes_back_as_it_was_and_nothing_else_is_taken_for_one() {
        let key = MatchKey { booking: BookingId(uuid::Uuid::from_u128(7)), generation: 2 };
        assert_eq!(key.to_string().parse(), Ok(key));
        for other in ["", "7", "00000000-0000-0000-0000-000000000007", "x.1"] {
            assert!(other.parse::<MatchKey>().is_err(), "{other}");
        }
        assert!(format!("{}.02", key.booking).parse::<MatchKey>().is_err());
    }

    #[test]
    fn times_are_cut_to_the_systems_unit_and_neighbours_stay_neighbours() {
        let between = |from: &str, to: &str| {
            Interval::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
        };
        let cut = |interval: Interval| interval.truncated_to(SignedDuration::from_mins(1));
        let first = between("2026-11-24T09:00:00Z", "2026-11-24T09:59:30Z");
        let second = between("2026-11-24T09:59:30Z", "2026-11-24T11:00:00Z");
        assert_eq!(cut(first), between("2026-11-24T09:00:00Z", "2026-11-24T09:59:00Z"));
        assert!(!cut(first).overlaps(&cut(second)));
        let moment = between("2026-11-24T09:00:10Z", "2026-11-24T09:00:50Z");
        assert_eq!(cut(moment), between("2026-11-24T09:00:00Z", "2026-11-24T09:01:00Z"));
    }
}
