//! Why a booking system did not do what was asked.

use jiff::SignedDuration;

use crate::{domain::personal::Personal, store::StoreError};

/// Why a booking system did not do what was asked. The adapter decides which it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingSystemError {
    /// Another booking has the room. Nothing was done.
    #[error("the booking system has another booking of the room")]
    Conflict,
    /// The booking, or the room, is not there. Nothing was done.
    #[error("the booking system does not have it")]
    NotFound,
    /// A rule of its own is against it. Nothing was done.
    #[error("the booking system rejected it")]
    Rejected {
        /// What it says: for the organizer and the administrator, never for a log.
        words: Personal,
    },
    /// It does not know the account, or the account may not do this. Nothing was done.
    #[error("the booking system refuses the account")]
    Unauthorised,
    /// It, or our own budget for it, has had enough calls. Nothing was done.
    #[error("the booking system takes no more calls now")]
    Throttled { retry_after: Option<SignedDuration> },
    /// It says that it cannot do it now, or it could not be reached. Nothing was done.
    #[error("the booking system is unavailable")]
    Unavailable { retry_after: Option<SignedDuration> },
    /// No answer came, or none that makes sense: whether it took effect is unknown.
    #[error("the booking system did not answer ({0})")]
    OutcomeUnknown(&'static str),
    /// It accepted the booking and does not return it.
    #[error("the booking system accepted the booking but does not return it")]
    NotReturned,
    /// The tenant has no such system, or the operator does not allow its address any more.
    #[error("the booking system is not connected")]
    NotConnected,
    /// The room map does not say which of its rooms this is.
    #[error("the room is not mapped to a room of the booking system")]
    RoomNotMapped,
    /// It has to know for whom a booking is, and knows neither the organizer nor the person to fall back to.
    #[error("the booking system knows neither the organizer nor the fallback requester")]
    RequesterUnknown,
    /// The ledger could not be read or written.
    #[error("the room ledger failed: {0}")]
    Store(#[from] StoreError),
}

impl BookingSystemError {
    /// What the failure of ending another booking means for the one that is wanted: a rule against that end is
    /// none against this one.
    pub(in crate::booking) fn of_another_booking(self) -> Self {
        if let Self::Rejected { .. } = self {
            return Self::OutcomeUnknown("it rejects a cancellation");
        }
        self
    }
}
