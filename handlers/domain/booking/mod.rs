//! A booking's life: what is desired, what the booking system has (observed), and what was published
//! to Outlook. It is settled when all three agree.
//!
//! Each part has one owner: `fetch-event` the desired, `create-booking` the intent and the
//! observed, `write-back` the published. Transitions consume the booking and touch only their own part.

mod published;
mod redaction;
pub mod series;
mod step;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    appointment::{
        Copies, CopyContext, CopyKey, CopyReading, CopyRef, CopyRole, DesiredState, EndReason,
        ForeignCopy, Observation, OrganizerCopy, RoomCopy,
    },
    booking_system::{SystemId, SystemRoomId},
    ids::{BookingId, CorrelationId, MailboxId, hex},
    interval::Interval,
    keys::{BookingKey, Digest},
    personal::Personal,
};

pub use published::{
    BookingOutcome, MeetingResponse, PublishLease, Published, PublishedOutcome, RoomResponse,
};
pub use step::{BookingOrder, Step};

/// One appointment's booking of one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    #[serde(flatten)]
    pub key: BookingKey,
    /// The match id; with the generation it is the idempotency key at the booking system.
    #[serde(rename = "booking")]
    pub id: BookingId,
    /// Rises when an ended booking is wanted again, so that the cancelled one is not revived.
    pub generation: u32,
    /// The appointment's `iCalUId`, to find the room's copy when it was never seen, and to ask a calendar
    /// whether a copy that Graph does not serve is gone. `None` once the booking has ended.
    pub ical_uid: Option<Personal>,
    #[serde(flatten)]
    pub copies: Copies,
    pub desired: DesiredState,
    /// The time (its digest) for which the organizer gave the room up by withdrawing. It is not booked again, though
    /// the organizer agrees again, before the room is invited again: our answer to the invitation is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Digest>,
    /// What a worker is doing and has not finished.
    pub intent: Option<Intent>,
    pub observed: ObservedState,
    pub published: Published,
    /// An outcome that the organizer's copy may carry, though that is not recorded: its write is under way
    /// or got no answer, or the worker that sent it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<PublishedOutcome>,
    /// Held by the worker that publishes to Outlook: a second one would answer the organizer twice.
    pub publish_lease: Option<PublishLease>,
    /// What Graph refused when a job tried to publish it last. That job tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish_failed: Option<Published>,
    /// Ties the last change to what it caused.
    pub correlation: CorrelationId,
    pub change_count: u32,
    /// Every copy that was ever read for this booking: their rows are deleted with the booking.
    pub known_copies: Vec<CopyKey>,
    /// The instant of the due entry that watches this row until it is settled.
    pub unsettled_due: Option<Timestamp>,
    /// Since when it has been unsettled, however often it changed: what waits has waited since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled_since: Option<Timestamp>,
    /// The instant of the due entry that purges this row: the end of the latest time it was wanted for;
    /// of that day (UTC) once the booking has ended.
    pub purge_due: Timestamp,
}

/// What the booking system has for this appointment and room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ObservedState {
    #[default]
    Nothing,
    Booked(ConfirmedBooking),
    /// The room cannot be had.
    Refused(BookingRefusal),
}

/// A booking that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmedBooking {
    pub interval: Interval,
    pub generation: u32,
    /// Which of the tenant's booking systems has it.
    #[serde(default, skip_serializing_if = "SystemId::is_built_in")]
    pub system: SystemId,
    /// What that system calls the room; the built-in one calls it by its own id. It outlives the room map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_room: Option<SystemRoomId>,
    /// The booking system's own name for it.
    pub reference: String,
    pub spec_fingerprint: Digest,
}

/// A no from the booking system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingRefusal {
    /// The request that it answers, see `BookingSpec::request_digest`.
    pub request_digest: Digest,
    pub reason: RefusalReason,
}

/// Why a room cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    Conflict,
    /// Longer than [`super::interval::MAX_BOOKING_DAYS`] days.
    TooLong,
    /// Too many dates of its series conflict, see [`super::tenant::policy::SeriesConflicts`].
    SeriesConflicts,
    /// A rule of the booking system is against it.
    Rejected,
}

/// Written before any effect: what a worker is about to do, so that another one can tell what may
/// have happened if the first was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Which worker wrote it: a random number, so that a worker knows its own after a lost answer.
    #[serde(with = "hex")]
    pub worker: u64,
    /// Until when the worker that wrote this may be busy with it.
    pub lease_until: Timestamp,
    /// The interval it is about to take; `None` for a cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Interval>,
    /// Every other interval that the ledger may hold for this booking. Those that observed does not use
    /// are released before the intent is cleared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Interval>,
    pub generation: u32,
}

/// The most copies of one appointment that one booking follows; people re-create a meeting a few times.
const MAX_KNOWN_COPIES: usize = 50;

impl Booking {
    /// The booking that a first reading asks for; `None` when the reading does not hold the room.
    /// `context` says how the room is followed; what the booking itself knows is filled in.
    pub fn from_first_reading(
        key: BookingKey,
        id: BookingId,
        context: CopyContext,
        reading: &CopyReading,
    ) -> Option<Self> {
        let copies = Copies::default().observe(reading);
        let purge_due = copies.ends_at()?;
        let desired = copies.desired_state(CopyContext { refused: false, ..context })?;
        Some(Self {
            key,
            id,
            generation: 1,
            ical_uid: reading.ical_uid.clone(),
            copies,
            desired,
            released: None,
            intent: None,
            observed: ObservedState::Nothing,
            published: Published::default(),
            unconfirmed: None,
            publish_lease: None,
            publish_failed: None,
            correlation: reading.correlation,
            change_count: 0,
            known_copies: vec![reading.at.key],
            unsettled_due: None,
            unsettled_since: None,
            purge_due,
        })
    }

    /// Whether the copy that was read speaks for the appointment.
    ///
    /// # Errors
    /// [`ForeignCopy`]; [`Booking::apply_reading`] ignores such a reading.
    pub fn check(&self, reading: &CopyReading) -> Result<(), ForeignCopy> {
        self.copies.check(reading)?;
        let is_known = self.known_copies.contains(&reading.at.key);
        if !is_known && self.known_copies.len() >= MAX_KNOWN_COPIES {
            return Err(ForeignCopy::TooMany);
        }
        Ok(())
    }

    /// Takes in another reading. Equal to before when the reading brought nothing new.
    pub fn apply_reading(self, context: CopyContext, reading: &CopyReading) -> Self {
        if self.check(reading).is_err() {
            return self;
        }
        let at = reading.at.key;
        let mut copies = self.observe(context, reading);
        let mut known_copies = self.known_copies.clone();
        // Even a copy that was gone before it could be read: its row in `Appointments` exists already,
        // and the purge finds it by this list alone.
        if !known_copies.contains(&at) {
            known_copies.push(at);
        }
        if copies == self.copies && !context.never_sent && !self.was_given_up() {
            return Self { known_copies, ..self };
        }
        if self.is_new_invitation(&copies) {
            copies.invitation += 1;
        }
        let refusal = self.refusal();
        let released = self.released.filter(|_| copies.invitation == self.copies.invitation);
        let context = CopyContext { refused: refusal.is_some(), released, ..context };
        if let (Some(refused), Some(DesiredState::Wanted(spec))) =
            (refusal, copies.desired_state(context))
            && refused.request_digest != spec.request_digest()
        {
            copies = copies.expect_new_room_copy();
        }
        let desired = self.desired_by(&copies, context);
        let released = match (&self.desired, &desired) {
            (DesiredState::Wanted(spec), DesiredState::Unwanted(EndReason::Abandoned))
                if copies.organizer == OrganizerCopy::Released =>
            {
                Some(spec.facts.digests.time)
            }
            (_, DesiredState::Wanted(_)) => None,
            (_, DesiredState::Unwanted(_) | DesiredState::Redacted) => released,
        };
        let generation = match (&self.desired, &desired) {
            (DesiredState::Unwanted(_), DesiredState::Wanted(_)) => self.generation + 1,
            (DesiredState::Wanted(_) | DesiredState::Redacted, _)
            | (DesiredState::Unwanted(_), DesiredState::Unwanted(_) | DesiredState::Redacted) => {
                self.generation
            }
        };
        let next = Self {
            purge_due: copies.ends_at().unwrap_or(self.purge_due),
            ical_uid: reading.ical_uid.clone().or(self.ical_uid.clone()),
            copies,
            desired,
            released,
            generation,
            known_copies,
            ..self.clone()
        };
        let next = next.redact_if_over(context.response_mode);
        if next == (Self { known_copies: next.known_copies.clone(), ..self.clone() }) {
            return next;
        }
        let change_count = self.change_count + u32::from(next.desired != self.desired);
        Self { change_count, correlation: reading.correlation, ..next }
    }

    fn observe(&self, context: CopyContext, reading: &CopyReading) -> Copies {
        let known = self.copies.clone();
        // The end of a room's copy was read while its calendar was followed, and says nothing any more.
        let known = if context.room_followed { known } else { known.expect_new_room_copy() };
        let mut copies = known.observe(reading);
        if self.is_asked_again(reading) {
            copies.invitation += 1;
            copies.stays_tentative = true;
        }
        copies
    }

    fn desired_by(&self, copies: &Copies, context: CopyContext) -> DesiredState {
        match copies.desired_state(context) {
            // Nothing that was read now says what is wanted: the other copy has to be read again.
            Some(DesiredState::Redacted) => self.desired.clone(),
            Some(desired) => desired,
            // No copy holds the room any more. Without this the booking would stay as it was for ever.
            None => DesiredState::Unwanted(EndReason::Abandoned),
        }
    }

    /// Whether the room's copy awaits an answer that it was given: the organizer asked again, for the
    /// same time, and nothing else shows it.
    pub fn is_asked_again(&self, reading: &CopyReading) -> bool {
        let Observation::WithRoom(facts) = &reading.observation else { return false };
        let has_accepted = self.published.room.is_some_and(|published| {
            published.response == MeetingResponse::Accept
                && published.invitation == self.copies.invitation
                && published.time == facts.digests.time
        });
        let is_known = self.copies.room_copy().is_some_and(|known| known.key == reading.at.key);
        reading.unanswered && is_known && has_accepted && !self.copies.stays_tentative
    }

    /// Forgets a mailbox that is erased: nothing leads to its copies any more, and who organizes the
    /// appointment is known by a keyed digest alone. As long as a copy carries our mark, the way to it
    /// is kept.
    #[must_use]
    pub fn forget_mailbox(mut self, mailbox: MailboxId) -> Self {
        let mut known = std::mem::take(&mut self.known_copies);
        known.retain(|at| at.mailbox != mailbox || self.may_be_marked_in(at.digest));
        self.known_copies = known;
        self
    }

    /// Whether the two copies disagree, so that one was read too early, or the words of one are missing.
    pub fn is_contradictory(&self) -> bool {
        self.copies.times_differ() || self.copies.room_remains() || self.needs_reading()
    }

    /// The copy that was not read now, when the two disagree.
    pub fn copy_to_reread(&self, read: CopyRole) -> Option<&CopyRef> {
        if !self.is_contradictory() {
            return None;
        }
        match read {
            CopyRole::Organizer => self.copies.room_copy(),
            CopyRole::Room => self.copies.organizer_copy(),
        }
    }

    /// Since when the room has been asked for though its calendar has never shown an invitation; see
    /// [`CopyContext::never_sent`]. Also while it is given up for that reason.
    pub fn uninvited_since(&self) -> Option<Timestamp> {
        let is_wanted = matches!(self.desired, DesiredState::Wanted(_)) || self.was_given_up();
        self.copies.uninvited_since().filter(|_| is_wanted && !self.was_invited())
    }

    /// Whether the room is not held because its calendar does not show the appointment.
    fn was_given_up(&self) -> bool {
        self.desired == DesiredState::Unwanted(EndReason::NotAccepted)
    }

    /// Whether the room's calendar has ever had a copy.
    fn was_invited(&self) -> bool {
        self.known_copies.iter().any(|at| at.mailbox == self.key.room.mailbox())
    }

    /// Whether a copy came into the room's calendar after the answer to it was given up or lost: it
    /// asks again, or it would never be answered.
    fn is_new_invitation(&self, copies: &Copies) -> bool {
        let declined = self.published.room.is_some_and(|published| {
            published.response == MeetingResponse::Decline
                && published.invitation == copies.invitation
        });
        declined && self.copies.room == RoomCopy::Unknown && copies.room_copy().is_some()
    }

    /// When it is wanted.
    pub fn wanted_interval(&self) -> Option<Interval> {
        match &self.desired {
            DesiredState::Wanted(spec) => Some(spec.facts.interval),
            DesiredState::Unwanted(_) | DesiredState::Redacted => None,
        }
    }

    /// When it is wanted, or else when the room's copy says that it is.
    pub fn shown_interval(&self) -> Option<Interval> {
        let shown = match &self.copies.room {
            RoomCopy::Live { facts, .. } => Some(facts.interval),
            RoomCopy::Unknown | RoomCopy::Redacted(_) | RoomCopy::Gone => None,
        };
        self.wanted_interval().or(shown)
    }

    fn refusal(&self) -> Option<BookingRefusal> {
        if let ObservedState::Refused(refusal) = self.observed { Some(refusal) } else { None }
    }

    /// Whether the booking system has what is desired.
    pub fn is_in_sync(&self) -> bool {
        match (&self.desired, &self.observed) {
            (DesiredState::Wanted(spec), ObservedState::Booked(held)) => {
                held.spec_fingerprint == spec.fingerprint() && held.generation == self.generation
            }
            (DesiredState::Wanted(spec), ObservedState::Refused(no)) => {
                no.request_digest == spec.request_digest()
            }
            (DesiredState::Wanted(_), ObservedState::Nothing)
            | (DesiredState::Unwanted(_), ObservedState::Booked(_)) => false,
            (DesiredState::Unwanted(_), ObservedState::Nothing | ObservedState::Refused(_))
            | (DesiredState::Redacted, ObservedState::Nothing | ObservedState::Refused(_)) => true,
            (DesiredState::Redacted, ObservedState::Booked(_)) => false,
        }
    }
}
