//! What changes the world outside the booking's row: the claim, the calls, and their verification.

use super::Worker;
use crate::{
    booking::{Claimed, Free, Placed, Placing},
    domain::{
        appointment::Desired,
        booking::{Booking, Held, Observed, Order, RefusalReason},
        ledger::Conflict,
    },
    jobs::runner::job::StepError,
};

/// What an effect came to.
pub(super) enum Effect {
    /// The booking with what the booking system has now.
    Done(Box<Booking>),
    /// Somebody else was faster; nothing was claimed.
    Conflict(Box<Booking>, Conflict),
}

impl Worker<'_> {
    /// Claim → call → read back and verify.
    pub(super) async fn put(
        &self,
        booking: Booking,
        order: &Order,
        free: Free,
        taken_over: bool,
    ) -> Result<Effect, StepError> {
        let interval = order.wish.facts.interval;
        if let Claimed::No(conflict) = self.deps.claims.claim(free).await? {
            return Ok(Effect::Conflict(Box::new(booking), conflict));
        }
        let placing = Placing { key: booking.key, id: booking.id, order: order.clone() };
        // A worker before us may have got through without being able to say so.
        let known = if taken_over { self.find(&placing).await? } else { None };
        let placed = match known {
            Some(placed) => placed,
            None => {
                self.deps.system.put(self.call, &placing).await?;
                let verified = self.find(&placing).await?;
                verified.ok_or_else(|| {
                    StepError::fault("the booking system took the booking and does not have it")
                })?
            }
        };
        let held = Held {
            interval,
            generation: order.generation,
            reference: placed.reference,
            wish: order.wish.fingerprint(),
        };
        Ok(Effect::Done(Box::new(booking.observe(Observed::Booked(held)))))
    }

    async fn find(&self, placing: &Placing) -> Result<Option<Placed>, StepError> {
        Ok(self.deps.system.find(self.call, placing).await?)
    }

    /// Ends what there is; the caller releases the ledger afterwards.
    pub(super) async fn cancel(&self, booking: Booking) -> Result<Booking, StepError> {
        self.deps.system.cancel(self.call, &booking.key, booking.id).await?;
        Ok(booking.observe(Observed::Nothing))
    }

    /// The wish cannot be had, so an earlier booking of the same appointment is of no use either.
    pub(super) async fn refuse(
        &self,
        booking: Booking,
        reason: RefusalReason,
    ) -> Result<Booking, StepError> {
        if booking.held().is_some() || booking.intent.is_some() {
            self.deps.system.cancel(self.call, &booking.key, booking.id).await?;
        }
        match booking.desired.clone() {
            Desired::Wanted(wish) => Ok(booking.refuse(&wish, reason)),
            Desired::Unwanted(_) => Ok(booking.observe(Observed::Nothing)),
        }
    }
}
