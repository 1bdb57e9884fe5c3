//! The built-in booking system: the room ledger itself is the booking.
//!
//! By the time it is called the claim has been made in one atomic transaction, so there is nothing to make
//! or to change, and to end a booking is to release the claim, which the caller does next.

use async_trait::async_trait;
use jiff::SignedDuration;
use uuid::Uuid;

use super::{BookingSystem, BookingSystemError};
use crate::{
    base::invocation::Invocation,
    domain::{
        booking_system::{
            BookingQuery, BookingRequest, Capabilities, ConflictSignal, ConnectionCheck, MatchKey,
            SystemBooking, SystemBookingStatus, SystemRoomId,
        },
        ids::RoomId,
        interval::Interval,
        ledger::{LedgerSlot, distinct_slots},
    },
    store::ledger::Ledger,
};

/// What the ledger can do.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    conflicts: ConflictSignal::Ledger,
    double_books: false,
    finds_match_key: false,
    approves: false,
    lists_changes: false,
    notifies: false,
    calls_per_minute: u32::MAX,
    calls_per_booking: 0,
    time_unit: SignedDuration::from_nanos(1),
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

    /// Its own id of a managed room.
    pub fn room(room: RoomId) -> SystemRoomId {
        SystemRoomId(room.to_string())
    }
}

#[async_trait]
impl BookingSystem for BuiltInSystem {
    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let mut found = Vec::new();
        for within in &query.intervals {
            found.extend(self.list(invocation, &query.room, *within).await?);
        }
        found.retain(|booking| booking.key.is_some_and(|key| key.booking == query.key.booking));
        found.sort_unstable_by_key(|booking| booking.interval);
        found.dedup();
        Ok(found)
    }

    async fn create(
        &self,
        _: &Invocation,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        Ok(booked(request.key, &request.room, request.interval))
    }

    async fn change(
        &self,
        _: &Invocation,
        _: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        Ok(booked(request.key, &request.room, request.interval))
    }

    async fn cancel(&self, _: &Invocation, _: &SystemBooking) -> Result<(), BookingSystemError> {
        Ok(())
    }

    async fn list(
        &self,
        invocation: &Invocation,
        room: &SystemRoomId,
        within: Interval,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let id = Uuid::try_parse(&room.0).map_err(|_| BookingSystemError::NotFound)?;
        let days = self.ledger.read(invocation.tenant, RoomId(id), &within.days()).await?;
        let slots = distinct_slots(days.iter().map(|day| &day.day)).into_iter();
        let overlapping = slots.filter(|slot| slot.interval.overlaps(&within));
        let listed = overlapping.map(|LedgerSlot { booking, interval, .. }| {
            // The ledger does not record generations: an earlier one has been released.
            booked(MatchKey { booking, generation: 1 }, room, interval)
        });
        Ok(listed.collect())
    }

    async fn check_connection(
        &self,
        _: &Invocation,
    ) -> Result<ConnectionCheck, BookingSystemError> {
        Ok(ConnectionCheck::default())
    }
}

fn booked(key: MatchKey, room: &SystemRoomId, interval: Interval) -> SystemBooking {
    SystemBooking {
        reference: key.to_string(),
        key: Some(key),
        room: room.clone(),
        interval,
        status: SystemBookingStatus::Confirmed,
    }
}
