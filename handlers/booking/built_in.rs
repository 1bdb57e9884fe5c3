//! The built-in booking system: the room ledger itself is the booking.
//!
//! By the time it is called the claim has been made in one atomic transaction, so to book is to
//! find the claim, and to cancel is to release it, which the caller does next.

use async_trait::async_trait;

use super::{BookingSystem, BookingSystemError};
use crate::{
    base::invocation::Invocation,
    domain::{booking::BookingOrder, ids::BookingId, keys::BookingKey},
    store::ledger::Ledger,
};

/// The built-in booking system. It calls nobody, so nothing of it is in the audit.
#[derive(Clone)]
pub struct BuiltInSystem {
    ledger: Ledger,
}

impl BuiltInSystem {
    /// A booking system on this ledger.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

#[async_trait]
impl BookingSystem for BuiltInSystem {
    async fn find(
        &self,
        _: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError> {
        let (BookingOrder { key, .. }, slot) = (order, order.slot());
        let days = self.ledger.read(key.tenant, key.room, &slot.interval.days()).await?;
        let is_claimed = days.iter().all(|day| day.day.contains(&slot));
        Ok(is_claimed.then(|| order.idempotency_key()))
    }

    async fn put(
        &self,
        _: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError> {
        // The claim that the caller has made is the booking, and the answer to it was the proof.
        Ok(Some(order.idempotency_key()))
    }

    async fn cancel(
        &self,
        _: &Invocation,
        _: &BookingKey,
        _: BookingId,
    ) -> Result<(), BookingSystemError> {
        // The caller releases the claim next, and with it the booking.
        Ok(())
    }
}
