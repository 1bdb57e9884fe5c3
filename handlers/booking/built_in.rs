//! The built-in booking system: the room ledger itself is the booking.
//!
//! By the time it is called the claim has been made in one atomic transaction, so to book is to
//! find the claim, and to cancel is to release it, which the caller does next.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{BookingSystem, BookingSystemError};
use crate::{
    base::{clock::Clock, invocation::Invocation},
    domain::{api_call::ApiCall, booking::BookingOrder, ids::BookingId, keys::BookingKey},
    store::ledger::Ledger,
};

/// The built-in booking system.
#[derive(Clone)]
pub struct BuiltInSystem {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

impl BuiltInSystem {
    /// A booking system on this ledger.
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock }
    }

    fn log_call(
        &self,
        invocation: &Invocation,
        key: &BookingKey,
        (method, status): (&'static str, u16),
        at: Timestamp,
    ) {
        let duration_ms = self.clock.now().duration_since(at).as_millis();
        invocation.calls.add(ApiCall {
            sent_at: at,
            tenant: key.tenant,
            system: "built-in".into(),
            method: method.into(),
            path: "/rooms/{room}/days/{date}".into(),
            fields: "interval".to_owned(),
            status,
            duration_ms: u64::try_from(duration_ms).unwrap_or(0),
            correlation: invocation.correlation,
        });
    }

    /// Which of these orders, all of one room, have their time in the ledger.
    async fn look_up(
        &self,
        invocation: &Invocation,
        method: &'static str,
        orders: &[BookingOrder],
    ) -> Result<Vec<Option<String>>, BookingSystemError> {
        let Some(BookingOrder { key, .. }) = orders.first() else { return Ok(Vec::new()) };
        let (at, slots) = (self.clock.now(), orders.iter().map(BookingOrder::slot));
        let dates: Vec<_> = slots.flat_map(|slot| slot.interval.days()).collect();
        let read = self.ledger.read(key.tenant, key.room, &dates).await;
        let status = if read.is_ok() { 200 } else { 0 };
        self.log_call(invocation, key, (method, status), at);
        let days = read?;
        let find = |order: &BookingOrder| {
            let (slot, wanted) = (order.slot(), order.spec.facts.interval.days());
            let mut of_it = days.iter().filter(|day| wanted.contains(&day.date));
            of_it.all(|day| day.day.contains(&slot)).then(|| order.idempotency_key())
        };
        Ok(orders.iter().map(find).collect())
    }
}

#[async_trait]
impl BookingSystem for BuiltInSystem {
    async fn find(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<Option<String>, BookingSystemError> {
        let found = self.look_up(invocation, "find", std::slice::from_ref(order)).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn put(
        &self,
        invocation: &Invocation,
        order: &BookingOrder,
    ) -> Result<(), BookingSystemError> {
        // The claim that the caller has made is the booking.
        self.log_call(invocation, &order.key, ("put", 200), self.clock.now());
        Ok(())
    }

    async fn put_all(
        &self,
        invocation: &Invocation,
        orders: &[BookingOrder],
    ) -> Result<Vec<Option<String>>, BookingSystemError> {
        // The claims are the bookings, so that one look at them is all there is to do.
        self.look_up(invocation, "put", orders).await
    }

    async fn cancel(
        &self,
        invocation: &Invocation,
        key: &BookingKey,
        _: BookingId,
    ) -> Result<(), BookingSystemError> {
        // The caller releases the claim next, and with it the booking.
        self.log_call(invocation, key, ("cancel", 200), self.clock.now());
        Ok(())
    }
}
