//! What changes the world outside the booking's row: the claim, the calls, and their verification.

use super::BookingWorker;
use crate::{
    booking::{BookingReceipt, ClaimResult, FreeInterval, PutBooking},
    domain::{
        appointment::DesiredState,
        booking::{Booking, BookingOrder, ConfirmedBooking, ObservedState, RefusalReason},
        ledger::Conflict,
    },
    jobs::runner::job::JobError,
};

/// What an effect came to.
pub(super) enum Effect {
    /// The booking with what the booking system has now.
    Done(Box<Booking>),
    /// Somebody else was faster; nothing was claimed.
    Conflict(Box<Booking>, Conflict),
}

impl BookingWorker<'_> {
    /// Claim → call → read back and verify.
    pub(super) async fn put(
        &self,
        booking: Booking,
        order: &BookingOrder,
        free: FreeInterval,
        taken_over: bool,
    ) -> Result<Effect, JobError> {
        let interval = order.spec.facts.interval;
        if let ClaimResult::Conflict(conflict) = self.deps.claims.claim(free).await? {
            return Ok(Effect::Conflict(Box::new(booking), conflict));
        }
        let placing = PutBooking { key: booking.key, id: booking.id, order: order.clone() };
        // A worker before us may have got through without being able to say so.
        let known = if taken_over { self.find(&placing).await? } else { None };
        let placed = match known {
            Some(placed) => placed,
            None => {
                self.deps.system.put(self.call, &placing).await?;
                let verified = self.find(&placing).await?;
                verified.ok_or_else(|| {
                    JobError::fail("the booking system took the booking and does not have it")
                })?
            }
        };
        let held = ConfirmedBooking {
            interval,
            generation: order.generation,
            reference: placed.reference,
            spec_fingerprint: order.spec.fingerprint(),
        };
        Ok(Effect::Done(Box::new(booking.with_observed(ObservedState::Booked(held)))))
    }

    async fn find(&self, placing: &PutBooking) -> Result<Option<BookingReceipt>, JobError> {
        Ok(self.deps.system.find(self.call, placing).await?)
    }

    /// Ends what there is; the caller releases the ledger afterwards.
    pub(super) async fn cancel(&self, booking: Booking) -> Result<Booking, JobError> {
        self.deps.system.cancel(self.call, &booking.key, booking.id).await?;
        Ok(booking.with_observed(ObservedState::Nothing))
    }

    /// The wish cannot be had, so an earlier booking of the same appointment is of no use either.
    pub(super) async fn refuse(
        &self,
        booking: Booking,
        reason: RefusalReason,
    ) -> Result<Booking, JobError> {
        if booking.confirmed().is_some() || booking.intent.is_some() {
            self.deps.system.cancel(self.call, &booking.key, booking.id).await?;
        }
        match booking.desired.clone() {
            DesiredState::Wanted(wish) => Ok(booking.with_refusal(&wish, reason)),
            DesiredState::Unwanted(_) => Ok(booking.with_observed(ObservedState::Nothing)),
        }
    }
}
