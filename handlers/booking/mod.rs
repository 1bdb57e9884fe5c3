//! Booking systems: one trait, one file an adapter.

mod built_in;
mod claims;

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::{
    base::call_log::Trail,
    domain::{
        booking::Order,
        ids::{BookingId, CorrelationId},
        keys::BookingKey,
    },
    store::StoreError,
};

pub use built_in::BuiltIn;
pub use claims::{Claimed, Claims, Free, Looked};

/// A booking to be made, changed or looked up: its [`Placing::idempotency_key`] is the same at
/// every repeat.
#[derive(Debug, Clone)]
pub struct Placing {
    /// Which appointment and room.
    pub key: BookingKey,
    /// The booking's id.
    pub id: BookingId,
    /// What is wanted.
    pub order: Order,
}

impl Placing {
    /// Names this booking at the booking system, so that a repeat is known as one.
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.id, self.order.generation)
    }
}

/// The booking system has the booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The booking system's own name for it.
    pub reference: String,
}

/// Why a booking system did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemError {
    /// It cannot answer now, or no answer came: whether it took effect is unknown.
    #[error("the booking system cannot answer now")]
    Unavailable {
        /// How long it asked us to wait.
        after: Option<SignedDuration>,
    },
    /// The ledger could not be read or written.
    #[error("the room ledger failed: {0}")]
    Store(#[from] StoreError),
}

/// What every call is recorded with.
#[derive(Debug, Clone)]
pub struct SystemCall {
    /// Collects the calls of this invocation.
    pub trail: Trail,
    /// Ties the call to what caused it.
    pub correlation: CorrelationId,
}

/// A system that holds bookings. Before [`BookingSystem::put`] the ledger was claimed, so no other
/// writer of ours is at the same room and time.
#[async_trait]
pub trait BookingSystem: Send + Sync {
    /// Looks the booking up by its idempotency key, as it should be; a cancelled one, or one at
    /// another time, does not count.
    ///
    /// # Errors
    /// [`SystemError`].
    async fn find(
        &self,
        call: &SystemCall,
        placing: &Placing,
    ) -> Result<Option<Placed>, SystemError>;

    /// Makes the booking, or changes the one named by `placing.order.previous`.
    ///
    /// # Errors
    /// [`SystemError`]; the booking may exist all the same.
    async fn put(&self, call: &SystemCall, placing: &Placing) -> Result<(), SystemError>;

    /// Ends every booking made under `id` for this appointment and room; none is fine.
    ///
    /// # Errors
    /// [`SystemError`]; the booking may be gone all the same.
    async fn cancel(
        &self,
        call: &SystemCall,
        key: &BookingKey,
        id: BookingId,
    ) -> Result<(), SystemError>;
}
