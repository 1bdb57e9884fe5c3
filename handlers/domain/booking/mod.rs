//! A booking's life: what is desired, what the booking system has (observed), and what Outlook was
//! told (shown). It is settled when all three agree.
//!
//! Each part has one owner: `fetch-event` the desired, `create-booking` the intent and the
//! observed, `write-back` the shown. Transitions consume the booking and touch only their own part.

mod shown;
mod step;

use jiff::Timestamp;

use super::{
    appointment::{Circumstances, Copies, CopyAt, Desired, Ended, Role, RoomCopy, Seen},
    ids::{BookingId, CorrelationId, MailboxId},
    interval::Interval,
    keys::{BookingKey, Digest},
    personal::Personal,
};

pub use shown::{Answer, Outcome, RoomTold, Shown, Telling, Told};
pub use step::{Order, Step};

/// One appointment's booking of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Which appointment and room.
    pub key: BookingKey,
    /// The match id; with the generation it is the idempotency key at the booking system.
    pub id: BookingId,
    /// Rises when an ended booking is wanted again, so that the cancelled one is not revived.
    pub generation: u32,
    /// The appointment's `iCalUId`, to find the room's copy when it was never seen.
    pub ical_uid: Personal,
    /// The last word of each copy.
    pub copies: Copies,
    /// What should be.
    pub desired: Desired,
    /// What a worker has set out to do and has not finished.
    pub intent: Option<Intent>,
    /// What the booking system has.
    pub observed: Observed,
    /// What Outlook was told.
    pub shown: Shown,
    /// A worker that is telling Outlook: nobody else tells meanwhile, or the organizer would be
    /// answered twice.
    pub telling: Option<Telling>,
    /// Ties the last change to what it caused.
    pub correlation: CorrelationId,
    /// How often the appointment was changed.
    pub changes: u32,
    /// Every copy that was ever looked at for this booking: their rows go when the booking goes.
    pub pointers: Vec<CopyAt>,
    /// The instant of the due entry that watches this row until it is settled.
    pub unsettled_due: Option<Timestamp>,
    /// The instant of the due entry that purges this row: the end of the latest time it was wanted for.
    pub purge_due: Timestamp,
}

/// What the booking system has for this appointment and room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Observed {
    /// Nothing.
    #[default]
    Nothing,
    /// The room is booked.
    Booked(Held),
    /// The room cannot be had.
    Refused(Refusal),
}

/// A booking that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// When.
    pub interval: Interval,
    /// The generation it was made with.
    pub generation: u32,
    /// The booking system's own name for it.
    pub reference: String,
    /// The wish it fulfils.
    pub wish: Digest,
}

/// A no from the booking system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The asking it answers, see [`crate::domain::appointment::Wish::asking`].
    pub asking: Digest,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a room cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Somebody else has it then.
    Conflict,
    /// Longer than [`super::interval::LONGEST_DAYS`] days.
    TooLong,
}

/// Written before any effect: what a worker is about to do, so that another one can tell what may
/// have happened if the first was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Which worker wrote it: a random number, so that a worker knows its own after a lost answer.
    pub worker: u64,
    /// Until when the worker that wrote this may still be at it.
    pub lease_until: Timestamp,
    /// The interval it is about to take; `None` for a cancellation.
    pub claims: Option<Interval>,
    /// Every interval the ledger may hold for this booking besides; all that observed does not use
    /// in the end is released before the intent is cleared.
    pub stale: Vec<Interval>,
    /// The generation it works with.
    pub generation: u32,
}

/// One reading of one copy of the appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Whose copy.
    pub role: Role,
    /// Where it is.
    pub at: CopyAt,
    /// Whether the room could answer it (see [`super::appointment::RoomCopy`]).
    pub answerable: bool,
    /// What it says.
    pub seen: Seen,
    /// Ties what follows to what caused the reading.
    pub correlation: CorrelationId,
}

impl Booking {
    /// The booking that a first reading asks for; `None` when the reading does not hold the room.
    /// `waits_for_room` as in [`Circumstances`].
    pub fn first(
        key: BookingKey,
        id: BookingId,
        ical_uid: Personal,
        waits_for_room: bool,
        reading: Reading,
    ) -> Option<Self> {
        let Reading { role, at, answerable, seen, correlation } = reading;
        let copies = Copies::default().see(role, at.clone(), answerable, seen);
        let purge_due = copies.ends_at()?;
        let desired = copies.desired(Circumstances { refused: false, waits_for_room })?;
        Some(Self {
            key,
            id,
            generation: 1,
            ical_uid,
            copies,
            desired,
            intent: None,
            observed: Observed::Nothing,
            shown: Shown::default(),
            telling: None,
            correlation,
            changes: 0,
            pointers: vec![at],
            unsettled_due: None,
            purge_due,
        })
    }

    /// Takes in another reading. Equal to before when the reading brought nothing new.
    pub fn see(self, waits_for_room: bool, reading: Reading) -> Self {
        let Reading { role, at, answerable, seen, correlation } = reading;
        let mut copies = self.copies.clone().see(role, at.clone(), answerable, seen);
        let mut pointers = self.pointers.clone();
        // Even a copy that was gone before it could be read: its pointer is there already.
        if !pointers.contains(&at) {
            pointers.push(at);
        }
        if copies == self.copies {
            return Self { pointers, ..self };
        }
        if self.is_unexpected(&copies) {
            copies.asked += 1;
        }
        let refusal = self.refusal();
        let circumstances = Circumstances { refused: refusal.is_some(), waits_for_room };
        if let (Some(no), Some(Desired::Wanted(wish))) = (refusal, copies.desired(circumstances))
            && no.asking != wish.asking()
        {
            copies = copies.ask_anew();
        }
        // No copy is left that would hold it, only what was said before: that must not live on.
        let desired = copies.desired(circumstances).unwrap_or(Desired::Unwanted(Ended::GivenUp));
        let generation = match (&self.desired, &desired) {
            (Desired::Unwanted(_), Desired::Wanted(_)) => self.generation + 1,
            (Desired::Wanted(_), _) | (Desired::Unwanted(_), Desired::Unwanted(_)) => {
                self.generation
            }
        };
        let purge_due = copies.ends_at().unwrap_or(self.purge_due);
        let changes = self.changes + u32::from(desired != self.desired);
        Self { copies, desired, generation, purge_due, changes, pointers, correlation, ..self }
    }

    /// Forgets a mailbox that is erased: nothing leads to its copies any more. As long as a copy
    /// carries our mark, the way to it is kept.
    #[must_use]
    pub fn forget(mut self, mailbox: MailboxId) -> Self {
        if self.shown.organizer.is_none() {
            self.pointers.retain(|at| at.mailbox != mailbox);
        }
        self
    }

    /// The copy that was not read now, when the two disagree.
    pub fn other_copy(&self, read: Role) -> Option<CopyAt> {
        if !self.copies.disagree() {
            return None;
        }
        match read {
            Role::Organizer => self.copies.room_at().cloned(),
            Role::Room => self.copies.organizer_at().cloned(),
        }
    }

    /// Whether a copy came into the room's calendar after the answer to it was given up or lost: it
    /// asks anew, or it would never be answered.
    fn is_unexpected(&self, copies: &Copies) -> bool {
        let declined = self
            .shown
            .room
            .is_some_and(|told| told.answer == Answer::Decline && told.asked == copies.asked);
        declined && self.copies.room == RoomCopy::Unseen && copies.room_at().is_some()
    }

    fn refusal(&self) -> Option<Refusal> {
        match self.observed {
            Observed::Refused(refusal) => Some(refusal),
            Observed::Nothing | Observed::Booked(_) => None,
        }
    }

    /// Whether the booking system has what is desired.
    pub fn agrees(&self) -> bool {
        match (&self.desired, &self.observed) {
            (Desired::Wanted(wish), Observed::Booked(held)) => {
                held.wish == wish.fingerprint() && held.generation == self.generation
            }
            (Desired::Wanted(wish), Observed::Refused(no)) => no.asking == wish.asking(),
            (Desired::Wanted(_), Observed::Nothing)
            | (Desired::Unwanted(_), Observed::Booked(_)) => false,
            (Desired::Unwanted(_), Observed::Nothing | Observed::Refused(_)) => true,
        }
    }
}
