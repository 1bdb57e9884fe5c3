//! What Outlook should show of a booking, and what was published to it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Booking, ObservedState, RefusalReason};
use crate::domain::{
    appointment::{DesiredState, EndReason, OrganizerCopy, RoomCopy},
    ids::hex,
    keys::Digest,
    tenant::policy::ResponseMode,
};

/// The outcome that the organizer's copy carries in our extended property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingOutcome {
    Booked,
    /// The room cannot be had.
    Refused(RefusalReason),
    /// The room was booked or refused before and is not wanted any more.
    Released,
}

/// An outcome written to one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedOutcome {
    /// Which copy, by the digest of its event id.
    pub event_digest: Digest,
    /// The outcome.
    pub outcome: BookingOutcome,
}

/// A room's answer to the organizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeetingResponse {
    Accept,
    Decline,
}

/// An answer given for the room, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomResponse {
    pub response: MeetingResponse,
    /// The time it was for, digested: a moved meeting has to be answered again.
    pub time: Digest,
    /// Which invitation it was for, see `BookingSpec::invitation`.
    pub invitation: u32,
}

/// What was published to Outlook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Published {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<PublishedOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomResponse>,
}

/// A worker's right to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishLease {
    /// Which worker: a random number, so that a worker knows its own after a lost answer.
    #[serde(with = "hex")]
    pub worker: u64,
    /// Until when it may still be publishing.
    pub lease_until: Timestamp,
}

impl Booking {
    /// Whether another worker may be publishing at `now`.
    pub fn has_publish_lease(&self, now: Timestamp) -> bool {
        self.publish_lease.is_some_and(|lease| lease.lease_until > now)
    }

    /// Whether the organizer's copy carries our mark, or may.
    pub fn may_be_marked(&self) -> bool {
        self.published.organizer.is_some() || self.unconfirmed.is_some()
    }

    /// The same of the copy with this event digest: another claimant's copy may have the mark.
    pub fn may_be_marked_in(&self, event_digest: Digest) -> bool {
        let marks = [self.published.organizer, self.unconfirmed];
        marks.iter().flatten().any(|mark| mark.event_digest == event_digest)
    }

    /// Our mark was taken off the copy with this event digest.
    pub fn forget_mark_in(&mut self, event_digest: Digest) {
        for mark in [&mut self.published.organizer, &mut self.unconfirmed] {
            mark.take_if(|mark| mark.event_digest == event_digest);
        }
    }

    /// What is to be published.
    pub fn pending(&self, response_mode: Option<ResponseMode>) -> Published {
        Published {
            organizer: self.pending_outcome(),
            room: response_mode.and_then(|mode| self.pending_response(mode)),
        }
    }

    /// Whether a job that has failed to publish the very same will try again: a second one beside it
    /// would only double the requests. Once the due entry has sent its first job, that is the one.
    pub fn is_publish_retried(&self, response_mode: Option<ResponseMode>, now: Timestamp) -> bool {
        self.unsettled_due.is_some_and(|at| at > now)
            && self.publish_failed == Some(self.pending(response_mode))
    }

    /// Whether something has to be published to Outlook, and the booking system is done.
    pub fn needs_publishing(&self, response_mode: Option<ResponseMode>) -> bool {
        let room = response_mode.and_then(|mode| self.pending_response(mode)).is_some();
        self.intent.is_none() && self.is_in_sync() && (room || self.pending_outcome().is_some())
    }

    /// What became of it, as the organizer's copy should say; `None` while that is not known, and where
    /// there is nothing to say.
    pub fn outcome(&self) -> Option<BookingOutcome> {
        match (&self.desired, &self.observed) {
            // The organizer agreed again, and their copy asks for a room that they gave up.
            (
                DesiredState::Unwanted(EndReason::Abandoned),
                ObservedState::Nothing | ObservedState::Refused(_),
            ) => Some(BookingOutcome::Released),
            // Where there is no mark, there is nothing to take back.
            (DesiredState::Unwanted(_), ObservedState::Nothing | ObservedState::Refused(_)) => {
                self.may_be_marked().then_some(BookingOutcome::Released)
            }
            (DesiredState::Wanted(_), ObservedState::Booked(_)) => Some(BookingOutcome::Booked),
            (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Refused(no)) => {
                Some(BookingOutcome::Refused(no.reason))
            }
            (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Nothing)
            | (DesiredState::Unwanted(_) | DesiredState::Redacted, ObservedState::Booked(_)) => {
                None
            }
        }
    }

    /// The outcome that the organizer's copy should carry and does not.
    pub fn pending_outcome(&self) -> Option<PublishedOutcome> {
        let event_digest = self.event_to_mark()?;
        let outcome = self.outcome()?;
        let outcome = PublishedOutcome { event_digest, outcome };
        let is_published = self.published.organizer == Some(outcome) && self.unconfirmed.is_none();
        (!is_published).then_some(outcome)
    }

    /// The event that says what became of the booking. A date that was called off has none any more, but the
    /// series that counted it has, or may have.
    fn event_to_mark(&self) -> Option<Digest> {
        let copy = self.copies.organizer_copy().map(|copy| copy.key.digest);
        let is_over =
            matches!(self.copies.organizer, OrganizerCopy::Cancelled | OrganizerCopy::Gone);
        let mark = self.unconfirmed.or(self.published.organizer);
        let series = mark.filter(|_| is_over && self.key.original_start.is_some());
        copy.or_else(|| series.map(|mark| mark.event_digest))
    }

    /// Whether the room has accepted what is asked of it now.
    pub fn is_accepted(&self) -> bool {
        let DesiredState::Wanted(spec) = &self.desired else { return false };
        let (time, invitation) = (spec.facts.digests.time, spec.invitation);
        let accepted = RoomResponse { response: MeetingResponse::Accept, time, invitation };
        self.published.room == Some(accepted)
    }

    /// What the room should answer and has not.
    pub fn pending_response(&self, response_mode: ResponseMode) -> Option<RoomResponse> {
        let spec = match &self.desired {
            DesiredState::Wanted(spec) => spec,
            DesiredState::Unwanted(EndReason::Abandoned) => return self.pending_release_response(),
            DesiredState::Unwanted(
                EndReason::RoomRemoved
                | EndReason::Cancelled
                | EndReason::RoomLeft
                | EndReason::NotAccepted,
            )
            | DesiredState::Redacted => return None,
        };
        let response = match (&self.observed, response_mode) {
            (ObservedState::Booked(_), ResponseMode::RoombridgeDecides) => MeetingResponse::Accept,
            (ObservedState::Refused(_), _) => MeetingResponse::Decline,
            (ObservedState::Booked(_), ResponseMode::ExchangeDecides)
            | (ObservedState::Nothing, _) => return None,
        };
        match &self.copies.room {
            // The room itself is the organizer: there is nobody to answer.
            RoomCopy::Live { answerable: false, .. } => return None,
            // After our decline the copy is gone, and there is nothing left to answer.
            RoomCopy::Gone => return None,
            // It is read again first.
            RoomCopy::Redacted(_) => return None,
            // The copy still asks for another time: the question we could answer is on its way.
            RoomCopy::Live { facts, .. } if facts.interval != spec.facts.interval => return None,
            RoomCopy::Live { .. } | RoomCopy::Unknown => {}
        }
        let (time, invitation) = (spec.facts.digests.time, spec.invitation);
        self.unless_published(RoomResponse { response, time, invitation })
    }

    /// The room leaves an appointment that its organizer still holds and gave it up for.
    fn pending_release_response(&self) -> Option<RoomResponse> {
        let time = match &self.copies.room {
            RoomCopy::Live { facts, answerable: true, .. } => facts.digests.time,
            // The room's calendar is not followed, and it still says that the room has accepted.
            RoomCopy::Unknown => self.released?,
            RoomCopy::Live { answerable: false, .. } | RoomCopy::Redacted(_) | RoomCopy::Gone => {
                return None;
            }
        };
        let invitation = self.copies.invitation;
        let response = MeetingResponse::Decline;
        self.unless_published(RoomResponse { response, time, invitation })
    }

    fn unless_published(&self, response: RoomResponse) -> Option<RoomResponse> {
        (self.published.room != Some(response)).then_some(response)
    }

    /// Whether desired, observed and published agree and no worker is busy. While the copies disagree
    /// about the time, or the words of one are needed again, it is not settled: one is still to be read.
    pub fn is_settled(&self, response_mode: ResponseMode) -> bool {
        self.intent.is_none()
            && self.is_in_sync()
            && !self.copies.times_differ()
            && !self.needs_reading()
            && self.pending_outcome().is_none()
            && self.pending_response(response_mode).is_none()
    }
}
