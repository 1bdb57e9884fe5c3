//! Why a booking system did not answer as it should, in words that say what to do.

use super::excerpt;
use crate::{
    booking::BookingSystemError,
    domain::booking_system::{CheckOutcome, SystemConnection},
    web::layout::{
        PageError,
        texts::{BookingSystemTexts, fill},
    },
};

/// What went wrong at a booking system, for the administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SystemProblem {
    pub(super) outcome: CheckOutcome,
    pub(super) title: String,
    pub(super) next: String,
    /// What the system itself says.
    pub(super) words: Option<String>,
}

impl SystemProblem {
    /// # Errors
    /// When it is not the system that failed.
    pub(super) fn explain(
        t: &BookingSystemTexts,
        connection: &SystemConnection,
        error: BookingSystemError,
    ) -> Result<Self, PageError> {
        let (outcome, title, next) = match &error {
            BookingSystemError::Unauthorised => {
                (CheckOutcome::AccountRefused, t.refused, t.refused_next)
            }
            BookingSystemError::Throttled { .. } => {
                (CheckOutcome::Throttled, t.throttled, t.throttled_next)
            }
            BookingSystemError::Unavailable { .. } | BookingSystemError::OutcomeUnknown(_) => {
                (CheckOutcome::NoAnswer, t.no_answer, t.no_answer_next)
            }
            BookingSystemError::NotConnected => {
                (CheckOutcome::NotAllowed, t.not_allowed, t.not_allowed_next)
            }
            BookingSystemError::Rejected { .. } => {
                (CheckOutcome::NoAnswer, t.rejected, t.rejected_next)
            }
            BookingSystemError::Conflict
            | BookingSystemError::NotFound
            | BookingSystemError::NotReturned
            | BookingSystemError::RoomNotMapped
            | BookingSystemError::RequesterUnknown => {
                (CheckOutcome::NoAnswer, t.unexpected, t.unexpected_next)
            }
            BookingSystemError::Store(error) => return Err(error.clone().into()),
        };
        let product = [("product", connection.kind.product_name())];
        let words = if let BookingSystemError::Rejected { words } = &error {
            Some(excerpt(words.reveal()))
        } else {
            None
        };
        Ok(Self { outcome, title: fill(title, &product), next: fill(next, &product), words })
    }
}
