//! What the copies of one appointment say about one room, and what should be booked because of it.
//!
//! An appointment has a copy in the organizer's calendar and one in the room's. Each is read on its
//! own, late, twice, or never; [`Copies`] keeps the last word of each, and [`Copies::desired_state`] makes
//! one desired state of them, so that the order in which they were read does not matter.

mod copies;
mod fingerprint;

use serde::{Deserialize, Serialize};

use super::{
    ids::{EventId, MailboxId},
    interval::Interval,
    personal::Personal,
};

pub use copies::{Copies, CopyContext, OrganizerCopy, RoomCopy};
pub use fingerprint::change_digest;

/// The part of a meeting's content that the tenant lets into the booking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<Personal>,
    /// The addresses of the people invited, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<Personal>,
}

/// What one live copy says: the business fields and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub interval: Interval,
    /// How many people are invited, the organizer included; rooms are not people.
    pub attendee_count: u16,
    pub private: bool,
    /// Content; always empty in a room's copy.
    pub details: Details,
}

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLocation {
    /// The mailbox whose default calendar holds it.
    pub mailbox: MailboxId,
    pub event: EventId,
}

/// Whose copy was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyRole {
    Organizer,
    Room,
}

/// What one reading of one copy said about one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// The appointment takes place and holds the room.
    WithRoom(Facts),
    /// The appointment takes place without the room.
    WithoutRoom,
    Cancelled,
    /// There is no such copy any more, and the mailbox could be read.
    Gone,
    /// Whose mailbox it is has withdrawn: what it said is forgotten.
    Withdrawn,
    /// Whose mailbox it is has withdrawn and gives up the rooms it had asked for.
    Released,
}

/// What the appointment asks of the booking system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesiredState {
    Wanted(BookingSpec),
    Unwanted(EndReason),
}

/// A booking as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingSpec {
    pub facts: Facts,
    pub invitation: u32,
}

/// Why no booking should exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The organizer took the room out.
    RoomRemoved,
    /// The appointment was cancelled or deleted.
    Cancelled,
    /// The room left the appointment: its copy was declined or deleted on the room's side.
    RoomLeft,
    /// Exchange decides for this room, and its calendar does not hold the appointment (yet).
    NotAccepted,
    /// Nobody is responsible for it any more: its organizer has withdrawn and gave the room up, or there
    /// is no other copy that would hold it.
    Abandoned,
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const REFUSED: CopyContext = CopyContext { refused: true, requires_room_copy: false };

    fn facts(hour: i32) -> Facts {
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let start = start + jiff::SignedDuration::from_hours(i64::from(hour));
        let interval = Interval::new(start, start + jiff::SignedDuration::from_hours(1)).unwrap();
        Facts { interval, attendee_count: 3, private: false, details: Details::default() }
    }

    fn at(event: &str) -> CopyLocation {
        CopyLocation { mailbox: MailboxId(uuid::Uuid::nil()), event: event.parse().unwrap() }
    }

    fn wanted(copies: &Copies) -> Option<Interval> {
        match copies.desired_state(CopyContext::default()) {
            Some(DesiredState::Wanted(spec)) => Some(spec.facts.interval),
            Some(DesiredState::Unwanted(_)) | None => None,
        }
    }

    #[test]
    fn the_order_in_which_copies_are_read_does_not_matter() {
        let organizer = |c: Copies| {
            c.observe(CopyRole::Organizer, at("O"), false, Observation::WithRoom(facts(9)))
        };
        let room =
            |c: Copies| c.observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(9)));
        assert_eq!(organizer(room(Copies::default())), room(organizer(Copies::default())));
    }

    #[test]
    fn the_organizers_word_on_the_time_wins_and_the_disagreement_is_seen() {
        let copies = Copies::default()
            .observe(CopyRole::Organizer, at("O"), false, Observation::WithRoom(facts(11)))
            .observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(9)));
        assert_eq!(wanted(&copies), Some(facts(11).interval));
        assert!(copies.times_differ());
    }

    #[test]
    fn an_old_copys_end_reported_late_does_not_end_the_new_one() {
        let copies = Copies::default()
            .observe(CopyRole::Room, at("R1"), true, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Room, at("R2"), true, Observation::WithRoom(facts(10)))
            .observe(CopyRole::Room, at("R1"), true, Observation::Gone);
        assert_eq!(wanted(&copies), Some(facts(10).interval));
    }

    #[test]
    fn another_copy_in_the_rooms_calendar_is_another_asking_though_the_first_ones_end_was_missed() {
        let first = Copies::default().observe(
            CopyRole::Room,
            at("R1"),
            true,
            Observation::WithRoom(facts(9)),
        );
        let again =
            first.clone().observe(CopyRole::Room, at("R2"), true, Observation::WithRoom(facts(9)));
        assert_eq!((first.invitation, again.invitation), (0, 1));
        let same = first.observe(CopyRole::Room, at("R1"), true, Observation::WithRoom(facts(10)));
        assert_eq!(same.invitation, 0);
    }

    #[test]
    fn what_a_withdrawn_organizer_said_is_forgotten_and_the_room_keeps_its_booking() {
        let copies = Copies::default()
            .observe(CopyRole::Organizer, at("O"), false, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(11)))
            .observe(CopyRole::Organizer, at("O"), false, Observation::Withdrawn);
        assert_eq!(copies.organizer, OrganizerCopy::Unknown);
        assert_eq!(wanted(&copies), Some(facts(11).interval));
    }

    #[test]
    fn our_own_decline_does_not_end_the_wish_but_somebody_elses_does() {
        let copies = Copies::default()
            .observe(CopyRole::Organizer, at("O"), false, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Room, at("R"), true, Observation::Gone);
        assert!(matches!(copies.desired_state(REFUSED), Some(DesiredState::Wanted(_))));
        assert_eq!(
            copies.desired_state(CopyContext::default()),
            Some(DesiredState::Unwanted(EndReason::RoomLeft))
        );
    }

    #[test]
    fn where_exchange_decides_only_the_rooms_own_copy_books() {
        let waits = CopyContext { refused: false, requires_room_copy: true };
        let alone = Copies::default().observe(
            CopyRole::Organizer,
            at("O"),
            false,
            Observation::WithRoom(facts(9)),
        );
        assert_eq!(
            alone.desired_state(waits),
            Some(DesiredState::Unwanted(EndReason::NotAccepted))
        );
        let both = alone.observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(9)));
        assert!(matches!(both.desired_state(waits), Some(DesiredState::Wanted(_))));
    }

    #[test]
    fn a_room_that_exchange_still_holds_is_not_free() {
        let copies = Copies::default()
            .observe(CopyRole::Organizer, at("O"), false, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Room, at("R"), true, Observation::WithRoom(facts(9)))
            .observe(CopyRole::Organizer, at("O"), false, Observation::Gone);
        assert_eq!(wanted(&copies), Some(facts(9).interval));
    }

    #[test]
    fn asking_again_is_another_wish() {
        let first = Copies::default().observe(
            CopyRole::Room,
            at("R"),
            true,
            Observation::WithRoom(facts(9)),
        );
        let again = first
            .clone()
            .observe(CopyRole::Room, at("R"), true, Observation::Gone)
            .observe(CopyRole::Room, at("R2"), true, Observation::WithRoom(facts(9)));
        let print = |c: &Copies| match c.desired_state(REFUSED) {
            Some(DesiredState::Wanted(spec)) => spec.fingerprint(),
            Some(DesiredState::Unwanted(_)) | None => panic!("it is wanted"),
        };
        assert_ne!(print(&first), print(&again));
    }
}
