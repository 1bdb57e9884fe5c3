//! Booking systems: one trait, one file an adapter.

mod built_in;
mod claims;

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::{
    base::invocation::Invocation,
    domain::{booking::BookingOrder, ids::BookingId, keys::BookingKey},
    store::StoreError,
};

pub use built_in::BuiltInSystem;
pub use claims::{Availability, ClaimResult, FreeInterval, LedgerClaims};

/// A booking to be made, changed or looked up: its [`PutBooking::idempotency_key`] is the same at
/// every repeat.
#[derive(Debug, Clone)]
pub struct PutBooking {
    /// Which appointment and room.
    pub key: BookingKey,
    /// The booking's id.
    pub id: BookingId,
    /// What is wanted.
    pub order: BookingOrder,
}

impl PutBooking {
    /// Names this booking at the booking system, so that a repeat is known as one.
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.id, self.order.generation)
    }
}

/// The booking system has the booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingReceipt {
    /// The booking system's own name for it.
    pub reference: String,
}

/// Why a booking system did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingSystemError {
    /// It cannot answer now, or no answer came: whether it took effect is unknown.
    #[error("the booking system cannot answer now")]
    Unavailable {
        /// How long it asked us to wait.
        retry_after: Option<SignedDuration>,
    },
    /// The ledger could not be read or written.
    #[error("the room ledger failed: {0}")]
    Store(#[from] StoreError),
}

/// A system that holds bookings. Before [`BookingSystem::put`] the ledger was claimed, so no other
/// writer of ours is at the same room and time.
#[async_trait]
pub trait BookingSystem: Send + Sync {
    /// Looks the booking up by its idempotency key, as it should be; a cancelled one, or one at
    /// another time, does not count.
    ///
    /// # Errors
    /// [`BookingSystemError`].
    async fn find(
        &self,
        invocation: &Invocation,
        booking: &PutBooking,
    ) -> Result<Option<BookingReceipt>, BookingSystemError>;

    /// Makes the booking, or changes the one named by `booking.order.previous`.
    ///
    /// # Errors
    /// [`BookingSystemError`]; the booking may exist all the same.
    async fn put(
        &self,
        invocation: &Invocation,
        booking: &PutBooking,
    ) -> Result<(), BookingSystemError>;

    /// Ends every booking made under `id` for this appointment and room; none is fine.
    ///
    /// # Errors
    /// [`BookingSystemError`]; the booking may be gone all the same.
    async fn cancel(
        &self,
        invocation: &Invocation,
        key: &BookingKey,
        id: BookingId,
    ) -> Result<(), BookingSystemError>;
}
