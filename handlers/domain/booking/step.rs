//! What `create-booking` has to do next for one booking.

use jiff::{SignedDuration, Timestamp};

use super::{Booking, Held, Intent, Observed, Refusal, RefusalReason};
use crate::domain::{
    appointment::{Desired, Wish},
    interval::Interval,
};

/// What is ordered from the booking system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The wish to fulfil.
    pub wish: Wish,
    /// With the booking's id this is the idempotency key.
    pub generation: u32,
    /// What the booking system has so far, to be changed rather than made anew.
    pub previous: Option<Held>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the booking system has what is desired.
    Agreed,
    /// Another worker may still be at it until then.
    ComeBack(Timestamp),
    /// Make the booking, or change the one there is.
    Put(Order),
    /// It cannot be booked, whatever the ledger says.
    Refuse(RefusalReason),
    /// End the booking there is, or may be.
    Cancel,
}

impl Booking {
    /// What to do next at `now`.
    pub fn next_step(&self, now: Timestamp) -> Step {
        match &self.intent {
            Some(intent) if intent.lease_until > now => return Step::ComeBack(intent.lease_until),
            None if self.agrees() => return Step::Agreed,
            // An intent whose worker is gone: what it did is unknown, so the step is taken again
            // even if the row looks right; the idempotency key makes the repeat harmless.
            Some(_) | None => {}
        }
        match &self.desired {
            Desired::Unwanted(_) => Step::Cancel,
            Desired::Wanted(wish) if wish.facts.interval.is_too_long() => {
                Step::Refuse(RefusalReason::TooLong)
            }
            Desired::Wanted(wish) => Step::Put(Order {
                wish: wish.clone(),
                generation: self.generation,
                previous: self.held().cloned(),
            }),
        }
    }

    /// The booking that the booking system has, if any.
    pub fn held(&self) -> Option<&Held> {
        match &self.observed {
            Observed::Booked(held) => Some(held),
            Observed::Nothing | Observed::Refused(_) => None,
        }
    }

    /// Records what `worker` is about to do, before anything is done. What an interrupted worker may
    /// have left in the ledger is carried on as stale.
    pub fn set_out(self, step: &Step, worker: u64, now: Timestamp, lease: SignedDuration) -> Self {
        let claims = match step {
            Step::Put(order) => Some(order.wish.facts.interval),
            Step::Agreed | Step::ComeBack(_) | Step::Refuse(_) | Step::Cancel => None,
        };
        let mut stale: Vec<Interval> = self.held().map(|held| held.interval).into_iter().collect();
        if let Some(interrupted) = &self.intent {
            stale.extend(interrupted.claims);
            stale.extend(interrupted.stale.iter().copied());
        }
        stale.sort_unstable();
        stale.dedup();
        let (lease_until, generation) = (now + lease, self.generation);
        let intent = Intent { worker, lease_until, claims, stale, generation };
        Self { intent: Some(intent), ..self }
    }

    /// Records what the booking system has now. The intent stays until the ledger is tidy.
    pub fn observe(self, observed: Observed) -> Self {
        Self { observed, ..self }
    }

    /// Every interval the ledger may hold for this booking and that observed does not use.
    pub fn to_release(&self) -> Vec<Interval> {
        let used = self.held().map(|held| held.interval);
        let intent = self.intent.iter();
        let mut all: Vec<Interval> =
            intent.flat_map(|i| i.claims.into_iter().chain(i.stale.iter().copied())).collect();
        all.retain(|interval| Some(*interval) != used);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The worker leaves without having claimed anything: what it found stale stays known, and
    /// nobody has to wait for its lease.
    pub fn stand_back(self, now: Timestamp) -> Self {
        let held = self.held().map(|held| held.interval);
        let intent = self.intent.clone().and_then(|intent| {
            let stale_only = intent.stale.iter().all(|interval| Some(*interval) == held);
            if stale_only {
                None
            } else {
                Some(Intent { lease_until: now, claims: None, ..intent })
            }
        });
        Self { intent, ..self }
    }

    /// The worker leaves in the middle: what it claimed stays unknown, but nobody has to wait for
    /// its lease.
    pub fn let_go(self, now: Timestamp) -> Self {
        let intent = self.intent.map(|intent| Intent { lease_until: now, ..intent });
        Self { intent, ..self }
    }

    /// The work is done and the ledger is tidy.
    pub fn finish(self) -> Self {
        Self { intent: None, ..self }
    }

    /// The booking system's no to `wish`.
    pub fn refuse(self, wish: &Wish, reason: RefusalReason) -> Self {
        self.observe(Observed::Refused(Refusal { asking: wish.asking(), reason }))
    }
}
