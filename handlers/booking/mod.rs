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

    /// Makes the booking, or changes the one named by `order.previous`.
    ///
    /// # Errors
    /// [`BookingSystemError`]; the booking may exist all the same.
    async fn put(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<(), BookingSystemError>;

    /// Makes or changes several bookings of one room, and looks each up: the system's own name for it, or
    /// `None` of one that it accepted and does not return.
    ///
    /// # Errors
    /// [`BookingSystemError`]; any of them may exist all the same.
    async fn put_all(
        &self,
        invocation: &Invocation,
        orders: &[BookingOrder],
    ) -> Result<Vec<Option<String>>, BookingSystemError> {
        let mut references = Vec::with_capacity(orders.len());
        for order in orders {
            self.put(invocation, order).await?;
            references.push(self.find(invocation, order).await?);
        }
        Ok(references)
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
