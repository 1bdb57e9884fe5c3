//! What the copies of one appointment say about one room, and what should be booked because of it.
//!
//! An appointment has a copy in the organizer's calendar and one in the room's. Each is read on its
//! own, late, twice, or never; [`Copies`] keeps the last word of each, and [`Copies::desired_state`] makes
//! one desired state of them, so that the order in which they were read does not matter.

mod copies;
mod fingerprint;
mod identity;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    ids::{CorrelationId, EventId, MailboxId},
    interval::Interval,
    keys::{Digest, DigestKey},
    personal::Personal,
};

pub use copies::{Copies, CopyContext, OrganizerCopy, RoomCopy};
pub use fingerprint::{FactsDigests, change_digest};
pub use identity::{ForeignCopy, OrganizerIdentity, organizer_digest};

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
    /// What they are compared by.
    pub digests: FactsDigests,
}

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyLocation {
    /// The mailbox whose default calendar holds it.
    pub mailbox: MailboxId,
    pub event: EventId,
}

/// Names a copy, and finds its row in `Appointments`, without telling the event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CopyKey {
    pub mailbox: MailboxId,
    /// The event's id, see [`DigestKey::event`].
    pub digest: Digest,
}

/// A copy that may have to be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRef {
    #[serde(flatten)]
    pub key: CopyKey,
    /// `None` once the booking has ended; as long as the copy is in its calendar, its row in
    /// `Appointments` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
}

impl CopyRef {
    /// The copy that is there.
    pub fn new(key: &DigestKey, at: CopyLocation) -> Self {
        let CopyLocation { mailbox, event } = at;
        Self { key: CopyKey { mailbox, digest: key.event(&event) }, event: Some(event) }
    }

    /// Where it is, if that is still kept.
    pub fn location(&self) -> Option<CopyLocation> {
        let event = self.event.clone()?;
        Some(CopyLocation { mailbox: self.key.mailbox, event })
    }

    fn redact(self) -> Self {
        Self { event: None, ..self }
    }
}

/// Whose copy was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyRole {
    Organizer,
    Room,
}

/// One reading of one copy of the appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReading {
    pub role: CopyRole,
    pub at: CopyRef,
    /// Whose mailbox that is, see [`DigestKey::owner`].
    pub owner: Digest,
    /// Whether the room could answer it (see [`RoomCopy`]).
    pub answerable: bool,
    /// Whether the room's copy shows that the room has not answered it.
    pub unanswered: bool,
    /// The appointment's `iCalUId`; `None` where no event was read, or it is another appointment's by
    /// now.
    pub ical_uid: Option<Personal>,
    /// The organizer's address as this copy names it, digested; `None` where it names none.
    pub organizer: Option<Digest>,
    /// The event that was this calendar's copy and is no longer in it.
    pub supersedes: Option<Digest>,
    pub read_at: Timestamp,
    pub observation: Observation,
    /// Ties what follows to what caused the reading.
    pub correlation: CorrelationId,
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

impl Observation {
    /// Whether the copy holds the room.
    pub fn holds_room(&self) -> bool {
        matches!(self, Self::WithRoom(_))
    }

    /// Whether it was read in an event. The others are said of a calendar or of its owner, whatever
    /// events there were.
    fn is_of_event(&self) -> bool {
        match self {
            Self::WithRoom(_) | Self::WithoutRoom | Self::Cancelled => true,
            Self::Gone | Self::Withdrawn | Self::Released => false,
        }
    }
}

/// What the appointment asks of the booking system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DesiredState {
    Wanted(BookingSpec),
    Unwanted(EndReason),
    /// The room is wanted and was refused; what was wanted is not kept. The refusal has the digest of
    /// what it answers.
    Redacted,
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
    /// The room's calendar does not hold the appointment (yet): Exchange decides for this room, or the
    /// invitation was never sent.
    NotAccepted,
    /// Nobody is responsible for it any more: its organizer has withdrawn and gave the room up, or there
    /// is no other copy that would hold it.
    Abandoned,
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: CopyContext = CopyContext {
        refused: true,
        room_followed: false,
        requires_room_copy: false,
        never_sent: false,
        released: None,
        response_mode: None,
    };
    const FOLLOWED: CopyContext = CopyContext { refused: false, room_followed: true, ..REFUSED };

    fn facts(hour: i32) -> Facts {
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let start = start + jiff::SignedDuration::from_hours(i64::from(hour));
        let interval = Interval::new(start, start + jiff::SignedDuration::from_hours(1)).unwrap();
        Facts::new(&key(), Digest(1), interval, 3, false, Details::default())
    }

    fn key() -> DigestKey {
        DigestKey::new(&[7; 32])
    }

    fn at(mailbox: u128, event: &str) -> CopyRef {
        let (mailbox, event) = (MailboxId(uuid::Uuid::from_u128(mailbox)), event.parse().unwrap());
        CopyRef::new(&key(), CopyLocation { mailbox, event })
    }

    fn reading(role: CopyRole, event: &str, observation: Observation) -> CopyReading {
        CopyReading {
            role,
            at: at(0, event),
            owner: key().owner(Digest(1), at(0, event).key.mailbox),
            answerable: role == CopyRole::Room,
            unanswered: false,
            ical_uid: None,
            organizer: None,
            supersedes: None,
            read_at: Timestamp::UNIX_EPOCH,
            observation,
            correlation: CorrelationId(1),
        }
    }

    fn organizer(event: &str, observation: Observation) -> CopyReading {
        reading(CopyRole::Organizer, event, observation)
    }

    fn room(event: &str, observation: Observation) -> CopyReading {
        reading(CopyRole::Room, event, observation)
    }

    /// What is read once `old` is no longer in the room's calendar.
    fn superseding(old: &str, reading: CopyReading) -> CopyReading {
        CopyReading { supersedes: Some(at(0, old).key.digest), ..reading }
    }

    fn in_mailbox(n: u128, reading: CopyReading) -> CopyReading {
        let event = reading.at.event.as_ref().unwrap().as_str().to_owned();
        let at = at(n, &event);
        CopyReading { owner: key().owner(Digest(1), at.key.mailbox), at, ..reading }
    }

    fn naming(organizer: u128, reading: CopyReading) -> CopyReading {
        CopyReading { organizer: Some(Digest(organizer)), ..reading }
    }

    fn with_room(hour: i32) -> Observation {
        Observation::WithRoom(facts(hour))
    }

    fn wanted(copies: &Copies) -> Option<Interval> {
        match copies.desired_state(CopyContext::default()) {
            Some(DesiredState::Wanted(spec)) => Some(spec.facts.interval),
            Some(DesiredState::Unwanted(_) | DesiredState::Redacted) | None => None,
        }
    }

    #[test]
    fn the_order_in_which_copies_are_read_does_not_matter() {
        let [one, other] = [organizer("O", with_room(9)), room("R", with_room(9))];
        let read = |first, second| Copies::default().observe(first).observe(second);
        assert_eq!(read(&one, &other), read(&other, &one));
    }

    #[test]
    fn the_organizers_word_on_the_time_wins_and_the_disagreement_is_seen() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(11)))
            .observe(&room("R", with_room(9)));
        assert_eq!(wanted(&copies), Some(facts(11).interval));
        assert!(copies.times_differ());
    }

    #[test]
    fn an_old_copys_end_reported_late_does_not_end_the_new_one() {
        let copies = Copies::default()
            .observe(&room("R1", with_room(9)))
            .observe(&superseding("R1", room("R2", with_room(10))))
            .observe(&room("R1", Observation::Gone));
        assert_eq!(wanted(&copies), Some(facts(10).interval));
    }

    #[test]
    fn another_copy_in_the_rooms_calendar_is_another_asking_though_the_first_ones_end_was_missed() {
        let first = Copies::default().observe(&room("R1", with_room(9)));
        let again = first.clone().observe(&superseding("R1", room("R2", with_room(9))));
        assert_eq!((first.invitation, again.invitation), (0, 1));
        let same = first.observe(&room("R1", with_room(10)));
        assert_eq!(same.invitation, 0);
    }

    #[test]
    fn what_a_withdrawn_organizer_said_is_forgotten_and_the_room_keeps_its_booking() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(9)))
            .observe(&room("R", with_room(11)))
            .observe(&organizer("O", Observation::Withdrawn));
        assert_eq!(copies.organizer, OrganizerCopy::Unknown);
        assert_eq!(wanted(&copies), Some(facts(11).interval));
    }

    #[test]
    fn our_own_decline_does_not_end_the_request_but_somebody_elses_does() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(9)))
            .observe(&room("R", with_room(9)))
            .observe(&room("R", Observation::Gone));
        assert!(matches!(copies.desired_state(REFUSED), Some(DesiredState::Wanted(_))));
        assert_eq!(
            copies.desired_state(CopyContext::default()),
            Some(DesiredState::Unwanted(EndReason::RoomLeft))
        );
    }

    #[test]
    fn where_exchange_decides_only_the_rooms_own_copy_books() {
        let waits = CopyContext { requires_room_copy: true, ..FOLLOWED };
        let alone = Copies::default().observe(&organizer("O", with_room(9)));
        assert_eq!(
            alone.desired_state(waits),
            Some(DesiredState::Unwanted(EndReason::NotAccepted))
        );
        let both = alone.observe(&room("R", with_room(9)));
        assert!(matches!(both.desired_state(waits), Some(DesiredState::Wanted(_))));
    }

    #[test]
    fn a_room_that_exchange_still_holds_is_not_free() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(9)))
            .observe(&room("R", with_room(9)))
            .observe(&organizer("O", Observation::Gone));
        assert_eq!(wanted(&copies), Some(facts(9).interval));
    }

    #[test]
    fn a_second_mailbox_never_becomes_the_organizers() {
        let annas = in_mailbox(1, organizer("O", with_room(9)));
        for ending in [None, Some(Observation::Cancelled), Some(Observation::Gone)] {
            let mut copies = Copies::default().observe(&annas);
            if let Some(observation) = ending {
                copies = copies.observe(&CopyReading { observation, ..annas.clone() });
            }
            for observation in [
                with_room(11),
                Observation::WithoutRoom,
                Observation::Cancelled,
                Observation::Withdrawn,
                Observation::Released,
            ] {
                let foreign = in_mailbox(2, organizer("X", observation));
                assert_eq!(copies.check(&foreign), Err(ForeignCopy::Organizer));
                assert_eq!(copies.clone().observe(&foreign), copies);
            }
        }
    }

    #[test]
    fn the_rooms_copy_says_who_the_organizer_is_also_after_another_was_read() {
        let forged = naming(2, in_mailbox(2, organizer("X", with_room(11))));
        let annas = naming(1, in_mailbox(1, organizer("O", with_room(9))));
        let invited = naming(1, room("R", with_room(9)));
        let copies = Copies::default().observe(&forged).observe(&invited);
        assert_eq!(copies.organizer, OrganizerCopy::Unknown);
        assert_eq!(copies.check(&forged), Err(ForeignCopy::Organizer));
        assert_eq!(copies.check(&annas), Ok(()));
        assert_eq!(wanted(&copies.observe(&annas)), Some(facts(9).interval));
    }

    #[test]
    fn a_second_event_in_the_rooms_calendar_does_not_replace_the_living_one() {
        let copies = Copies::default().observe(&room("R1", with_room(9)));
        let second = room("R2", with_room(11));
        assert_eq!(copies.check(&second), Err(ForeignCopy::Second));
        assert_eq!(copies.clone().observe(&second), copies);
        let gone = copies.observe(&room("R1", Observation::Gone));
        assert_eq!(wanted(&gone.observe(&second)), Some(facts(11).interval));
    }

    #[test]
    fn a_room_whose_own_calendar_is_followed_is_held_as_long_as_that_calendar_holds_it() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(9)))
            .observe(&room("R", with_room(9)))
            .observe(&organizer("O", Observation::WithoutRoom));
        assert!(matches!(copies.desired_state(FOLLOWED), Some(DesiredState::Wanted(_))));
        assert_eq!(wanted(&copies), None, "where only the organizer's calendar is followed");
        let left = copies.observe(&room("R", Observation::Gone));
        let removed = DesiredState::Unwanted(EndReason::RoomRemoved);
        assert_eq!(left.desired_state(FOLLOWED), Some(removed));
    }

    #[test]
    fn a_meeting_that_was_never_sent_does_not_hold_a_followed_room() {
        let draft = Copies::default().observe(&organizer("O", with_room(9)));
        assert!(matches!(draft.desired_state(FOLLOWED), Some(DesiredState::Wanted(_))));
        let searched = CopyContext { never_sent: true, ..FOLLOWED };
        let unwanted = DesiredState::Unwanted(EndReason::NotAccepted);
        assert_eq!(draft.desired_state(searched), Some(unwanted));
        let sent = draft.observe(&room("R", with_room(9)));
        assert!(matches!(sent.desired_state(searched), Some(DesiredState::Wanted(_))));
    }

    #[test]
    fn a_copy_that_does_not_name_whom_the_room_names_proves_nothing() {
        let invited = naming(1, room("R", with_room(9)));
        let nameless = in_mailbox(2, organizer("X", Observation::Cancelled));
        let copies = Copies::default().observe(&invited);
        assert_eq!(copies.check(&nameless), Err(ForeignCopy::Organizer));
        let bound = Copies::default().observe(&in_mailbox(2, organizer("X", with_room(11))));
        assert_eq!(bound.observe(&invited).organizer, OrganizerCopy::Unknown);
    }

    #[test]
    fn a_second_event_in_the_organizers_calendar_does_not_replace_the_living_one() {
        let copies = Copies::default().observe(&organizer("O1", with_room(9)));
        let second = organizer("O2", with_room(11));
        assert_eq!(copies.check(&second), Err(ForeignCopy::Second));
        let replaced = copies.observe(&superseding("O1", second));
        assert_eq!(wanted(&replaced), Some(facts(11).interval));
    }

    #[test]
    fn nobody_else_invites_the_room_once_both_copies_agreed_on_the_organizer() {
        let copies = Copies::default()
            .observe(&naming(1, in_mailbox(1, organizer("O", with_room(9)))))
            .observe(&naming(1, room("R", with_room(9))))
            .observe(&room("R", Observation::Gone));
        let forged = naming(2, room("R2", with_room(11)));
        assert_eq!(copies.check(&forged), Err(ForeignCopy::Invitation));
        assert_eq!(copies.check(&naming(1, forged)), Ok(()));
    }

    #[test]
    fn a_followed_room_is_held_until_its_own_calendar_shows_a_cancellation() {
        let copies = Copies::default()
            .observe(&organizer("O", with_room(9)))
            .observe(&room("R", with_room(9)))
            .observe(&organizer("O", Observation::Cancelled));
        assert!(copies.room_remains());
        assert!(matches!(copies.desired_state(FOLLOWED), Some(DesiredState::Wanted(_))));
        let cancelled = DesiredState::Unwanted(EndReason::Cancelled);
        assert_eq!(copies.desired_state(CopyContext::default()), Some(cancelled.clone()));
        let informed = copies.observe(&room("R", Observation::Cancelled));
        assert_eq!(informed.desired_state(FOLLOWED), Some(cancelled));
    }

    #[test]
    fn asking_again_is_another_request() {
        let first = Copies::default().observe(&room("R", with_room(9)));
        let again =
            first.clone().observe(&room("R", Observation::Gone)).observe(&room("R2", with_room(9)));
        let print = |c: &Copies| match c.desired_state(REFUSED) {
            Some(DesiredState::Wanted(spec)) => spec.fingerprint(),
            Some(DesiredState::Unwanted(_) | DesiredState::Redacted) | None => {
                panic!("it is wanted")
            }
        };
        assert_ne!(print(&first), print(&again));
    }
}
