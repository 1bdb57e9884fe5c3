//! What it takes to make a booking system agree, whatever the system: look → write → look again → undo a
//! lost race.

use std::sync::Arc;

use super::{BookingSystem, BookingSystemError, OpenSystem, budget::BookingBudget};
use crate::{
    base::invocation::Invocation,
    domain::{
        booking_system::{
            BookingQuery, BookingRequest, Capabilities, ConflictSignal, SystemBooking,
            SystemBookingStatus,
        },
        interval::Interval,
    },
};

/// Makes, changes and ends bookings at one booking system.
#[derive(Clone)]
pub struct BookingWriter {
    api: Arc<dyn BookingSystem>,
    can: Capabilities,
    budget: BookingBudget,
}

impl BookingWriter {
    /// A writer to `system`.
    pub fn new(system: OpenSystem) -> Self {
        Self { api: system.api, can: system.capabilities, budget: system.budget }
    }

    /// Makes the system have exactly one booking under the key, as `request` says; answers the system's own
    /// name for it. `query` leads to whatever an earlier try may have left there.
    ///
    /// # Errors
    /// After [`BookingSystemError::Conflict`] and [`BookingSystemError::Rejected`] the system has nothing
    /// under this key, or what it had before; after any other error that is unknown.
    pub async fn put(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
        query: &BookingQuery,
    ) -> Result<String, BookingSystemError> {
        let can = &self.can;
        if can.conflicts == ConflictSignal::Ledger {
            // The claim that the caller has made is the booking.
            return Ok(self.api.create(invocation, request).await?.reference);
        }
        self.budget.take()?;
        let interval = request.interval.truncated_to(can.time_unit);
        let request = BookingRequest { interval, ..request.clone() };
        let booking = self.write(invocation, &request, query).await?;
        if booking.status == SystemBookingStatus::Conflicting {
            return self.give_way(invocation, &booking).await;
        }
        if booking.room != request.room || booking.interval != interval {
            return Err(BookingSystemError::NotReturned);
        }
        if can.double_books && self.has_lost(invocation, &booking).await? {
            return self.give_way(invocation, &booking).await;
        }
        Ok(booking.reference)
    }

    /// Ends every booking that `query` leads to; none is fine.
    ///
    /// # Errors
    /// [`BookingSystemError`]; a repeat ends what is left.
    pub async fn cancel(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<(), BookingSystemError> {
        if self.can.conflicts == ConflictSignal::Ledger {
            // The caller releases the claim next, and with it the booking.
            return Ok(());
        }
        self.budget.take()?;
        let found = self.find(invocation, query).await?;
        self.end_all(invocation, &found).await
    }

    /// Changes what is there, or makes it.
    async fn write(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
        query: &BookingQuery,
    ) -> Result<SystemBooking, BookingSystemError> {
        let mut found = self.find(invocation, query).await?;
        // Two are there only after a lost answer. The one with the first name stays, for every worker that looks.
        found.sort_unstable_by(|a, b| a.reference.cmp(&b.reference));
        let held = (!found.is_empty()).then(|| found.remove(0));
        self.end_all(invocation, &found).await?;
        if let Some(held) = held {
            match self.api.change(invocation, &held, request).await {
                // Somebody has ended it there since it was found.
                Err(BookingSystemError::NotFound) => {}
                changed => return changed,
            }
        }
        self.api.create(invocation, request).await
    }

    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let unit = self.can.time_unit;
        let cut = |interval: &Interval| interval.truncated_to(unit);
        let intervals = query.intervals.iter().map(cut).collect();
        self.api.find(invocation, &BookingQuery { intervals, ..query.clone() }).await
    }

    async fn end_all(
        &self,
        invocation: &Invocation,
        found: &[SystemBooking],
    ) -> Result<(), BookingSystemError> {
        for booking in found {
            match self.api.cancel(invocation, booking).await {
                Ok(()) | Err(BookingSystemError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether another booking has the room, too, and stays. Of two that were made by Roombridge the one
    /// with the smaller key stays: both look, and both see the same. Anybody else does not look.
    async fn has_lost(
        &self,
        invocation: &Invocation,
        booking: &SystemBooking,
    ) -> Result<bool, BookingSystemError> {
        let day = self.api.list(invocation, &booking.room, booking.interval).await?;
        let is_ours = |other: &SystemBooking| other.reference == booking.reference;
        if !day.iter().any(is_ours) {
            return Err(BookingSystemError::NotReturned);
        }
        Ok(day.iter().filter(|other| !is_ours(other)).any(|other| match (other.key, booking.key) {
            (Some(theirs), Some(ours)) => theirs < ours,
            (None, _) | (Some(_), None) => other.status != SystemBookingStatus::Conflicting,
        }))
    }

    /// Takes a booking back that another one is in the way of.
    async fn give_way(
        &self,
        invocation: &Invocation,
        booking: &SystemBooking,
    ) -> Result<String, BookingSystemError> {
        self.end_all(invocation, std::slice::from_ref(booking)).await?;
        Err(BookingSystemError::Conflict)
    }
}
