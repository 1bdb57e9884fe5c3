//! What stays of a booking that has ended until its purge: digests, and no content.
//!
//! It serves whatever may still come: a repeated or late notification is recognised, a copy of a
//! stranger is refused, the same request stays refused, and a new one is booked. What such a booking
//! would need of the words of a copy, it has read again.

use super::{Booking, ObservedState};
use crate::domain::{
    appointment::{DesiredState, EndReason},
    interval::end_of_day,
    tenant::policy::ResponseMode,
};

impl Booking {
    /// The same without content and identifiers, if it has ended and nothing is left to do.
    #[must_use]
    pub fn redact_if_over(self, response_mode: Option<ResponseMode>) -> Self {
        if !self.is_over(response_mode) {
            return self;
        }
        let desired = match self.desired {
            DesiredState::Wanted(_) | DesiredState::Redacted => DesiredState::Redacted,
            unwanted @ DesiredState::Unwanted(_) => unwanted,
        };
        Self {
            ical_uid: None,
            copies: self.copies.redact(),
            desired,
            purge_due: end_of_day(self.purge_due),
            ..self
        }
    }

    /// Whether content and identifiers were dropped.
    pub fn is_redacted(&self) -> bool {
        self.ical_uid.is_none()
    }

    /// Whether the booking has ended, the ledger holds nothing of it, and Outlook shows its end.
    fn is_over(&self, response_mode: Option<ResponseMode>) -> bool {
        let has_ended = match (&self.desired, &self.observed) {
            (_, ObservedState::Booked(_)) => false,
            // It is booked as soon as the room accepts.
            (DesiredState::Unwanted(EndReason::NotAccepted), _) => false,
            (DesiredState::Unwanted(_), ObservedState::Nothing | ObservedState::Refused(_))
            | (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Refused(_)) => true,
            (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Nothing) => false,
        };
        let is_published = match response_mode {
            Some(mode) => self.is_settled(mode),
            // Nobody answers for a room that is no longer managed.
            None => self.is_in_sync() && self.pending_outcome().is_none(),
        };
        has_ended && is_published && self.intent.is_none() && self.publish_lease.is_none()
    }

    /// Whether a copy whose words were not kept decides again, so that it has to be read.
    pub fn needs_reading(&self) -> bool {
        let is_wanted = matches!(self.desired, DesiredState::Wanted(_));
        let is_refused = matches!(self.observed, ObservedState::Refused(_)) && self.is_in_sync();
        is_wanted && !is_refused && self.copies.is_incomplete()
    }
}
