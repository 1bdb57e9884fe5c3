//! What it takes to make a booking system agree, whatever the system: look → write → look again → undo a
//! lost race.

use std::time::Duration;

use super::{BookingSystemError, OpenSystem};
use crate::{
    base::invocation::Invocation,
    domain::{
        booking_system::{
            BookingQuery, BookingRequest, ConflictSignal, MatchKey, SystemBooking,
            SystemBookingStatus,
        },
        interval::Interval,
    },
};

/// The pauses between looks at a room that several writers of ours booked at once: the others take one look and
/// one cancellation to give way.
const RACE_WAITS: [Duration; 6] = {
    let [short, long] = [Duration::from_millis(250), Duration::from_secs(1)];
    [short, short, long, long, long, Duration::ZERO]
};

/// Makes, changes and ends bookings at one booking system.
#[derive(Clone)]
pub struct BookingWriter(OpenSystem);

impl BookingWriter {
    /// A writer to `system`.
    pub fn new(system: OpenSystem) -> Self {
        Self(system)
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
        let can = &self.0.capabilities;
        if can.conflicts == ConflictSignal::Ledger {
            // The claim that the caller has made is the booking.
            return Ok(self.0.api.create(invocation, request).await?.reference);
        }
        self.0.budget.take().await?;
        let interval = request.interval.truncated_to(can.time_unit);
        let request = BookingRequest { interval, ..request.clone() };
        let booking = self.write(invocation, &request, query).await?;
        self.keep(invocation, &request, booking).await
    }

    /// Takes back what cannot stay.
    async fn keep(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
        booking: SystemBooking,
    ) -> Result<String, BookingSystemError> {
        if booking.status == SystemBookingStatus::Conflicting {
            return self.give_way(invocation, &booking).await;
        }
        if booking.room != request.room || booking.interval != request.interval {
            return Err(BookingSystemError::NotReturned);
        }
        if self.0.capabilities.double_books
            && self.has_lost(invocation, request.key, &booking).await?
        {
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
        if self.0.capabilities.conflicts == ConflictSignal::Ledger {
            // The caller releases the claim next, and with it the booking.
            return Ok(());
        }
        self.0.budget.take().await?;
        let found = self.find(invocation, query).await?;
        self.end_all(invocation, &found).await
    }

    /// Changes what is there, or makes it. What is in the way of a new booking may be the same one: an earlier
    /// try took effect after we had looked.
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
        self.end_others(invocation, &found).await?;
        if let Some(held) = held {
            match self.0.api.change(invocation, &held, request).await {
                // Somebody has ended it there since it was found.
                Err(BookingSystemError::NotFound) => {}
                changed => return changed,
            }
        }
        let made = self.0.api.create(invocation, request).await;
        let stored = match &made {
            Err(BookingSystemError::Conflict) => None,
            Ok(made) if made.status == SystemBookingStatus::Conflicting => Some(made),
            Ok(_) | Err(_) => return made,
        };
        let is_other = |one: &SystemBooking| stored.is_none_or(|it| it.reference != one.reference);
        let found = self.find(invocation, query).await?;
        let Some(late) = found.into_iter().find(is_other) else { return made };
        if let Some(stored) = stored {
            self.take_back(invocation, stored).await?;
        }
        self.0.api.change(invocation, &late, request).await
    }

    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let unit = self.0.capabilities.time_unit;
        let cut = |interval: &Interval| interval.truncated_to(unit);
        let intervals = query.intervals.iter().map(cut).collect();
        self.0.api.find(invocation, &BookingQuery { intervals, ..query.clone() }).await
    }

    /// Ends what is in the way of a booking that is wanted.
    async fn end_others(
        &self,
        invocation: &Invocation,
        others: &[SystemBooking],
    ) -> Result<(), BookingSystemError> {
        let ended = self.end_all(invocation, others).await;
        ended.map_err(BookingSystemError::of_another_booking)
    }

    async fn end_all(
        &self,
        invocation: &Invocation,
        found: &[SystemBooking],
    ) -> Result<(), BookingSystemError> {
        for booking in found {
            match self.0.api.cancel(invocation, booking).await {
                Ok(()) | Err(BookingSystemError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the booking has to give way to another one that has the room, too.
    ///
    /// Nobody but Roombridge looks, so we give way to a booking of anybody else. Of several that Roombridge
    /// made at once (two organisations may share a system) each sees those that were there before its look.
    /// All but the one with the smallest key give way. That one waits until they have; if one stays, that one
    /// had looked before we were there, and was alone.
    async fn has_lost(
        &self,
        invocation: &Invocation,
        key: MatchKey,
        booking: &SystemBooking,
    ) -> Result<bool, BookingSystemError> {
        for wait in RACE_WAITS {
            let room = self.0.api.list(invocation, &booking.room, booking.interval).await?;
            let is_it = |other: &SystemBooking| other.reference == booking.reference;
            if !room.iter().any(is_it) {
                // Nobody would find it again.
                self.take_back(invocation, booking).await?;
                return Err(BookingSystemError::NotReturned);
            }
            let holds = |other: &SystemBooking| other.status != SystemBookingStatus::Conflicting;
            let others = room.into_iter().filter(|other| !is_it(other) && holds(other));
            // The same booking once more: an earlier try took effect after we had looked. The one with the first
            // name stays, as everywhere.
            let is_twin =
                |other: &SystemBooking| other.key.is_some_and(|one| one.booking == key.booking);
            let (twins, rivals): (Vec<_>, Vec<_>) = others.partition(is_twin);
            if twins.iter().any(|twin| twin.reference < booking.reference) {
                self.take_back(invocation, booking).await?;
                return Err(BookingSystemError::NotReturned);
            }
            self.end_others(invocation, &twins).await?;
            if rivals.is_empty() {
                return Ok(false);
            }
            // `None` is smaller than any key.
            if rivals.iter().any(|rival| rival.key < Some(key)) {
                return Ok(true);
            }
            tokio::time::sleep(wait).await;
        }
        Ok(true)
    }

    /// Ends the booking that was just made.
    async fn take_back(
        &self,
        invocation: &Invocation,
        made: &SystemBooking,
    ) -> Result<(), BookingSystemError> {
        self.end_others(invocation, std::slice::from_ref(made)).await
    }

    /// Takes a booking back that another one is in the way of.
    async fn give_way(
        &self,
        invocation: &Invocation,
        booking: &SystemBooking,
    ) -> Result<String, BookingSystemError> {
        self.take_back(invocation, booking).await?;
        Err(BookingSystemError::Conflict)
    }
}
