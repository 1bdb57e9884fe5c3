//! What `create-booking` has to do next for one booking.

use jiff::{SignedDuration, Timestamp};

use super::{Booking, BookingRefusal, ConfirmedBooking, Intent, ObservedState, RefusalReason};
use crate::domain::{
    appointment::{BookingSpec, DesiredState},
    booking_system::{MatchKey, SystemId, SystemRoomId},
    ids::BookingId,
    interval::Interval,
    keys::BookingKey,
    ledger::LedgerSlot,
};

/// What is ordered from the booking system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingOrder {
    pub key: BookingKey,
    pub id: BookingId,
    pub spec: BookingSpec,
    /// Rises when the booking is wanted again after it was ended.
    pub generation: u32,
    /// What the booking system has so far, to be changed rather than made again.
    pub previous: Option<ConfirmedBooking>,
}

impl BookingOrder {
    /// Names this booking at the booking system, so that a repeat is known as one.
    pub fn match_key(&self) -> MatchKey {
        MatchKey { booking: self.id, generation: self.generation }
    }

    /// What it takes of the room.
    pub fn slot(&self) -> LedgerSlot {
        LedgerSlot { holder: self.key, booking: self.id, interval: self.spec.facts.interval }
    }

    /// What the booking system `system` has once it was carried out, under its own names for it and for the
    /// room.
    pub fn confirmed(
        &self,
        system: SystemId,
        room: SystemRoomId,
        reference: String,
    ) -> ConfirmedBooking {
        ConfirmedBooking {
            interval: self.spec.facts.interval,
            generation: self.generation,
            system,
            system_room: (!system.is_built_in()).then_some(room),
            reference,
            spec_fingerprint: self.spec.fingerprint(),
        }
    }
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the booking system has what is desired.
    InSync,
    /// Another worker may be busy with it until then.
    Busy(Timestamp),
    /// Make the booking, or change the one there is.
    Put(Box<BookingOrder>),
    /// It cannot be booked, whatever the ledger says.
    Refuse(RefusalReason),
    /// End the booking there is, or may be.
    Cancel,
}

impl Booking {
    /// What to do next at `now`, where bookings are made in the system `current`: one that is in another
    /// system is made there.
    pub fn next_step(&self, now: Timestamp, current: SystemId) -> Step {
        let is_there = self.confirmed().is_none_or(|held| held.system == current);
        match &self.intent {
            Some(intent) if intent.lease_until > now => return Step::Busy(intent.lease_until),
            None if self.is_in_sync() && is_there => return Step::InSync,
            // An intent whose worker is gone: what it did is unknown, so the step is taken again
            // even if the row looks right; the idempotency key makes the repeat harmless.
            Some(_) | None => {}
        }
        self.repeated_step()
    }

    /// What was done last, to be done once more: the booking system looks before it does anything.
    pub fn repeated_step(&self) -> Step {
        match &self.desired {
            DesiredState::Unwanted(_) => Step::Cancel,
            DesiredState::Redacted => match self.observed {
                ObservedState::Refused(no) => Step::Refuse(no.reason),
                ObservedState::Nothing | ObservedState::Booked(_) => Step::Cancel,
            },
            DesiredState::Wanted(spec) if spec.facts.interval.is_too_long() => {
                Step::Refuse(RefusalReason::TooLong)
            }
            DesiredState::Wanted(spec) => Step::Put(Box::new(BookingOrder {
                key: self.key,
                id: self.id,
                spec: spec.clone(),
                generation: self.generation,
                previous: self.confirmed().cloned(),
            })),
        }
    }

    /// The booking that the booking system has, if any.
    pub fn confirmed(&self) -> Option<&ConfirmedBooking> {
        if let ObservedState::Booked(held) = &self.observed { Some(held) } else { None }
    }

    /// Records what `worker` is about to do, before anything is done. What an interrupted worker may
    /// have left in the ledger is carried on as stale.
    pub fn begin_intent(
        self,
        step: &Step,
        worker: u64,
        now: Timestamp,
        lease: SignedDuration,
    ) -> Self {
        let claims = match step {
            Step::Put(order) => Some(order.spec.facts.interval),
            Step::InSync | Step::Busy(_) | Step::Refuse(_) | Step::Cancel => None,
        };
        let mut stale: Vec<Interval> =
            self.confirmed().map(|held| held.interval).into_iter().collect();
        if let Some(interrupted) = &self.intent {
            stale.extend(interrupted.claim);
            stale.extend(interrupted.stale.iter().copied());
        }
        stale.sort_unstable();
        stale.dedup();
        let (lease_until, generation) = (now + lease, self.generation);
        let intent = Intent { worker, lease_until, claim: claims, stale, generation };
        Self { intent: Some(intent), ..self }
    }

    /// Records what the booking system has now. The intent stays until the ledger is released.
    pub fn with_observed(self, observed: ObservedState) -> Self {
        Self { observed, ..self }
    }

    /// Every interval the ledger may hold for this booking and that observed does not use.
    pub fn intervals_to_release(&self) -> Vec<Interval> {
        let used = self.confirmed().map(|held| held.interval);
        let intent = self.intent.iter();
        let mut all: Vec<Interval> =
            intent.flat_map(|i| i.claim.into_iter().chain(i.stale.iter().copied())).collect();
        all.retain(|interval| Some(*interval) != used);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The worker stops without having claimed anything: the stale intervals it found stay recorded,
    /// and no other worker has to wait for its lease.
    pub fn abandon_unclaimed(self, now: Timestamp) -> Self {
        let held = self.confirmed().map(|held| held.interval);
        let intent = self.intent.clone().and_then(|intent| {
            let stale_only = intent.stale.iter().all(|interval| Some(*interval) == held);
            if stale_only { None } else { Some(Intent { lease_until: now, claim: None, ..intent }) }
        });
        Self { intent, ..self }
    }

    /// The worker stops half-way: the intent stays, because its claim may exist, but no other worker
    /// has to wait for its lease.
    pub fn release_lease(self, now: Timestamp) -> Self {
        let intent = self.intent.map(|intent| Intent { lease_until: now, ..intent });
        Self { intent, ..self }
    }

    /// The work is done, and the ledger holds nothing that observed does not use.
    pub fn clear_intent(self) -> Self {
        Self { intent: None, ..self }
    }

    /// Records that the room cannot be had. An appointment that no longer wants it has nothing.
    pub fn with_refusal(self, reason: RefusalReason) -> Self {
        let observed = match &self.desired {
            DesiredState::Wanted(spec) => {
                let request_digest = spec.request_digest();
                ObservedState::Refused(BookingRefusal { request_digest, reason })
            }
            DesiredState::Unwanted(_) => ObservedState::Nothing,
            // It is the same refusal.
            DesiredState::Redacted => self.observed.clone(),
        };
        self.with_observed(observed)
    }
}
