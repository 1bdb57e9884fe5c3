//! The built-in booking system: the room ledger itself is the booking.
//!
//! By the time it is called the claim has been made in one atomic transaction, so to book is to
//! find the claim, and to cancel is to release it, which the caller does next.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{BookingSystem, Placed, Placing, SystemCall, SystemError};
use crate::{
    base::{call_log::CallRecord, clock::Clock},
    domain::{ids::BookingId, keys::BookingKey, ledger::Slot},
    store::ledger::Ledger,
};

/// The built-in booking system.
#[derive(Clone)]
pub struct BuiltIn {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

impl BuiltIn {
    /// A booking system on this ledger.
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock }
    }

    fn record(
        &self,
        call: &SystemCall,
        key: &BookingKey,
        (method, status): (&'static str, u16),
        at: Timestamp,
    ) {
        let duration_ms = self.clock.now().duration_since(at).as_millis();
        call.trail.add(CallRecord {
            at,
            tenant: key.tenant,
            system: "built-in",
            method,
            path: "/rooms/{room}/days/{date}",
            fields: "interval".to_owned(),
            status,
            duration_ms: u64::try_from(duration_ms).unwrap_or(0),
            correlation: call.correlation,
        });
    }
}

#[async_trait]
impl BookingSystem for BuiltIn {
    async fn find(
        &self,
        call: &SystemCall,
        placing: &Placing,
    ) -> Result<Option<Placed>, SystemError> {
        let at = self.clock.now();
        let (key, interval) = (placing.key, placing.order.wish.facts.interval);
        let read = self.ledger.read(key.tenant, key.room, &interval.days()).await;
        let status = if read.is_ok() { 200 } else { 0 };
        self.record(call, &key, ("find", status), at);
        let days = read?;
        let slot = Slot { holder: key, interval };
        let booked = days.iter().all(|day| day.day.has(&slot));
        Ok(booked.then(|| Placed { reference: placing.idempotency_key() }))
    }

    async fn put(&self, call: &SystemCall, placing: &Placing) -> Result<(), SystemError> {
        self.record(call, &placing.key, ("put", 200), self.clock.now());
        Ok(())
    }

    async fn cancel(
        &self,
        call: &SystemCall,
        key: &BookingKey,
        _: BookingId,
    ) -> Result<(), SystemError> {
        self.record(call, key, ("cancel", 200), self.clock.now());
        Ok(())
    }
}
