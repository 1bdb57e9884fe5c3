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
pub use claims::{FreeInterval, LedgerClaims, SlotChange};

/// Why a booking system did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookingSystemError {
    /// It is unavailable, or no response came: whether it took effect is unknown.
    #[error("the booking system is unavailable")]
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
    /// Looks the booking up by its idempotency key, as it should be, and returns the system's own
    /// name for it; a cancelled one, or one at another time, does not count.
    async fn find(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError>;

    /// Makes the booking, or changes the one named by `order.previous`. Answers the system's own name for
    /// it, or `None` where the answer does not prove that it has the booking.
    ///
    /// # Errors
    /// [`BookingSystemError`]; the booking may exist all the same.
    async fn put(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError>;

    /// [`BookingSystem::put`], and a look where that proves nothing: `None` of a booking that was accepted
    /// and is not returned.
    ///
    /// # Errors
    /// [`BookingSystemError`]; the booking may exist all the same.
    async fn put_verified(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError> {
        match self.put(invocation, order).await? {
            Some(reference) => Ok(Some(reference)),
            None => self.find(invocation, order).await,
        }
    }

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
