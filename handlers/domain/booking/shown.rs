//! What Outlook should show of a booking, and what it was told.

use jiff::Timestamp;

use super::{Booking, Observed, RefusalReason};
use crate::domain::{
    appointment::{Desired, Ended, RoomCopy},
    interval::Interval,
    keys::Digest,
    policy::Answering,
};

/// The outcome that the organizer's copy carries in our extended property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The room is booked.
    Booked,
    /// The room cannot be had.
    Refused(RefusalReason),
    /// The room was booked or refused before and is not wanted any more.
    Released,
}

/// An outcome written to one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Which copy, by the digest of its event id.
    pub event: Digest,
    /// What it was told.
    pub outcome: Outcome,
}

/// A room's answer to the organizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The room accepts.
    Accept,
    /// The room declines.
    Decline,
}

/// An answer given for the room, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomTold {
    /// The answer.
    pub answer: Answer,
    /// The time it was for: a moved meeting has to be answered anew.
    pub interval: Interval,
    /// Which asking it was for, see [`crate::domain::appointment::Wish::asked`].
    pub asked: u32,
}

/// What Outlook was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Our property on the organizer's copy.
    pub organizer: Option<Told>,
    /// The room's answer.
    pub room: Option<RoomTold>,
}

/// A worker's turn to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// Which worker: a random number, so that a worker knows its own after a lost answer.
    pub worker: u64,
    /// Until when it may still be at it.
    pub until: Timestamp,
}

impl Booking {
    /// Whether another worker may be telling at `now`.
    pub fn is_being_told(&self, now: Timestamp) -> bool {
        self.telling.is_some_and(|telling| telling.until > now)
    }

    /// Whether Outlook is to be told anything, and the booking system is done.
    pub fn is_to_tell(&self, answering: Option<Answering>) -> bool {
        let room = answering.and_then(|answering| self.to_answer(answering)).is_some();
        self.intent.is_none() && self.agrees() && (room || self.to_tell_organizer().is_some())
    }

    /// What the organizer's copy should be told and has not been.
    pub fn to_tell_organizer(&self) -> Option<Told> {
        let event = Digest::of_event(&self.copies.organizer_at()?.event);
        let outcome = match (&self.desired, &self.observed) {
            (Desired::Unwanted(_), Observed::Nothing | Observed::Refused(_)) => {
                // Nothing to take back where nothing was told.
                self.shown.organizer?;
                Outcome::Released
            }
            (Desired::Wanted(_), Observed::Booked(_)) => Outcome::Booked,
            (Desired::Wanted(_), Observed::Refused(no)) => Outcome::Refused(no.reason),
            (Desired::Wanted(_), Observed::Nothing)
            | (Desired::Unwanted(_), Observed::Booked(_)) => return None,
        };
        let told = Told { event, outcome };
        if self.shown.organizer == Some(told) { None } else { Some(told) }
    }

    /// What the room should answer and has not.
    pub fn to_answer(&self, answering: Answering) -> Option<RoomTold> {
        let wish = match &self.desired {
            Desired::Wanted(wish) => wish,
            Desired::Unwanted(Ended::GivenUp) => return self.to_give_up(),
            Desired::Unwanted(
                Ended::RoomRemoved | Ended::Cancelled | Ended::RoomLeft | Ended::NotAccepted,
            ) => return None,
        };
        let answer = match (&self.observed, answering) {
            (Observed::Booked(_), Answering::RoombridgeDecides) => Answer::Accept,
            (Observed::Refused(_), _) => Answer::Decline,
            (Observed::Booked(_), Answering::ExchangeDecides) | (Observed::Nothing, _) => {
                return None;
            }
        };
        match &self.copies.room {
            // The room itself is the organizer: there is nobody to answer.
            RoomCopy::Live { answerable: false, .. } => return None,
            // After our decline the copy is gone, and there is nothing left to answer.
            RoomCopy::Gone => return None,
            // The copy still asks for another time: the question we could answer is on its way.
            RoomCopy::Live { facts, .. } if facts.interval != wish.facts.interval => return None,
            RoomCopy::Live { .. } | RoomCopy::Unseen => {}
        }
        let told = RoomTold { answer, interval: wish.facts.interval, asked: wish.asked };
        if self.shown.room == Some(told) { None } else { Some(told) }
    }

    /// The room leaves an appointment that its organizer still holds and gave it up for.
    fn to_give_up(&self) -> Option<RoomTold> {
        let RoomCopy::Live { facts, answerable: true, .. } = &self.copies.room else { return None };
        let (interval, asked) = (facts.interval, self.copies.asked);
        let told = RoomTold { answer: Answer::Decline, interval, asked };
        if self.shown.room == Some(told) { None } else { Some(told) }
    }

    /// Records that the organizer's copy was told.
    pub fn told_organizer(mut self, told: Told) -> Self {
        self.shown.organizer = Some(told);
        self
    }

    /// Records that the room has answered.
    pub fn answered(mut self, told: RoomTold) -> Self {
        self.shown.room = Some(told);
        self
    }

    /// Whether desired, observed and shown agree and nobody is at work. Copies that disagree about
    /// the time are nothing to rest on: one of them is still to be read.
    pub fn is_settled(&self, answering: Answering) -> bool {
        self.intent.is_none()
            && self.agrees()
            && !self.copies.disagree()
            && self.to_tell_organizer().is_none()
            && self.to_answer(answering).is_none()
    }
}
