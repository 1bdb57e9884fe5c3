//! Claims on the ledger: an atomic conflict check without a lock, for every booking system.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use jiff::civil::Date;

use crate::{
    base::rng::Rng,
    domain::{
        ids::{BookingId, RoomId, TenantId},
        interval::Interval,
        ledger::{Conflict, LedgerSlot},
    },
    store::{
        StoreError,
        ledger::{Ledger, LedgerDay},
        tables::MAX_CONFLICT_RETRIES,
    },
};

/// The shortest pause after a lost race, and the longest.
const CONFLICT_BACKOFF: [Duration; 2] = [Duration::from_millis(25), Duration::from_millis(200)];

/// Claims and releases intervals of rooms.
#[derive(Clone)]
pub struct LedgerClaims {
    ledger: Ledger,
    rng: Arc<dyn Rng>,
}

/// A free interval, with the days it was read from: to be claimed under their ETags.
#[derive(Debug, Clone)]
pub struct FreeInterval {
    slot: LedgerSlot,
    /// The days with the slot taken.
    days: Vec<LedgerDay>,
    /// Whether that changes any of them; otherwise the claim exists already.
    needs_write: bool,
}

impl LedgerClaims {
    /// Claims on `ledger`.
    pub fn new(ledger: Ledger, rng: Arc<dyn Rng>) -> Self {
        Self { ledger, rng }
    }

    /// Whether `slot` is free for its booking, or who else has some of it; nothing is claimed.
    pub async fn availability(
        &self,
        slot: LedgerSlot,
    ) -> Result<Result<FreeInterval, Conflict>, StoreError> {
        let LedgerSlot { holder, interval, .. } = slot;
        let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
        Ok(check_availability(days, slot))
    }

    /// Takes what was found free, on all its days or on none; returns who has some of it where
    /// another worker was faster. An ETag shows that, and then the rows are read again.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claim may stand, and a repeat finds it.
    pub async fn claim(&self, free: FreeInterval) -> Result<Option<Conflict>, StoreError> {
        let slot = free.slot;
        let mut found = Some(free);
        let attempt = || {
            let found = found.take();
            async move {
                let free = match found {
                    Some(free) => free,
                    None => match self.availability(slot).await? {
                        Ok(free) => free,
                        Err(conflict) => return Ok(Some(conflict)),
                    },
                };
                // A repetition finds its own claim.
                if free.needs_write {
                    let LedgerSlot { holder, .. } = slot;
                    self.ledger.write(holder.tenant, holder.room, &free.days).await?;
                }
                Ok(None)
            }
        };
        attempt.retry(self.backoff()).when(StoreError::is_conflict).await
    }

    /// Changes what several bookings have of one room: all of them at once, or none. A booking gives back
    /// whatever it had on these days, and takes what it claims. Those that cannot, because another booking
    /// has the time, keep what they had; each is answered with that conflict.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claims may stand, and a repeat finds them.
    pub async fn exchange(
        &self,
        (tenant, room): (TenantId, RoomId),
        changes: &[SlotChange],
    ) -> Result<BTreeMap<BookingId, Conflict>, StoreError> {
        let dates: Vec<Date> = changes.iter().flat_map(SlotChange::days).collect();
        let attempt = || async {
            let before = self.ledger.read(tenant, room, &dates).await?;
            let (mut after, conflicts) = exchange_slots(&before, changes);
            after.retain(|day| before.iter().all(|old| old.date != day.date || old.day != day.day));
            self.ledger.write(tenant, room, &after).await?;
            Ok(conflicts)
        };
        attempt.retry(self.backoff()).when(StoreError::is_conflict).await
    }

    /// Gives back every interval that `booking` has of the room on the days of `intervals`, but for the one
    /// it keeps.
    ///
    /// # Errors
    /// [`StoreError`]; a repeat finds what is left to do.
    pub async fn release(
        &self,
        (tenant, room): (TenantId, RoomId),
        booking: BookingId,
        intervals: &[Interval],
        keep: Option<Interval>,
    ) -> Result<(), StoreError> {
        // What is too long was refused, and never claimed.
        let mut dates: Vec<_> =
            intervals.iter().filter(|i| !i.is_too_long()).flat_map(Interval::days).collect();
        dates.sort_unstable();
        dates.dedup();
        // One transaction holds 100 entities; several moves together may touch more days.
        for dates in dates.chunks(50) {
            let attempt = || self.release_days((tenant, room), booking, dates, keep);
            attempt.retry(self.backoff()).when(StoreError::is_conflict).await?;
        }
        Ok(())
    }

    async fn release_days(
        &self,
        (tenant, room): (TenantId, RoomId),
        booking: BookingId,
        dates: &[Date],
        keep: Option<Interval>,
    ) -> Result<(), StoreError> {
        let mut days = self.ledger.read(tenant, room, dates).await?;
        days.retain_mut(|day| {
            let before = day.day.clone();
            day.day = before.clone().release(booking, keep);
            day.day != before
        });
        self.ledger.write(tenant, room, &days).await
    }

    /// Jitter from our own random numbers, so that a simulation can be replayed.
    fn backoff(&self) -> ExponentialBuilder {
        let [shortest, longest] = CONFLICT_BACKOFF;
        ExponentialBuilder::new()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_max_times(MAX_CONFLICT_RETRIES)
            .with_jitter()
            .with_jitter_seed(self.rng.next_u64())
    }
}

/// What one of several bookings has of a room from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotChange {
    pub booking: BookingId,
    /// What it takes; `None` when it only gives back.
    pub claim: Option<LedgerSlot>,
    /// Everything that it may have so far.
    pub stale: Vec<Interval>,
}

impl SlotChange {
    /// The UTC days that it is about.
    pub fn days(&self) -> Vec<Date> {
        let claim = self.claim.iter().map(|slot| &slot.interval);
        let fitting = claim.chain(&self.stale).filter(|interval| !interval.is_too_long());
        fitting.flat_map(Interval::days).collect()
    }
}

/// The days as they are after those changes that can be made, and why the others cannot. One that cannot
/// keeps its time, which another of them may have counted on: so they are tried again without it.
fn exchange_slots(
    before: &[LedgerDay],
    changes: &[SlotChange],
) -> (Vec<LedgerDay>, BTreeMap<BookingId, Conflict>) {
    let mut conflicts = BTreeMap::new();
    loop {
        let (mut days, found) = (before.to_vec(), conflicts.len());
        let possible = |change: &&SlotChange| !conflicts.contains_key(&change.booking);
        let tried: Vec<&SlotChange> = changes.iter().filter(possible).collect();
        for day in &mut days {
            for change in &tried {
                day.day = std::mem::take(&mut day.day).release(change.booking, None);
            }
        }
        for slot in tried.iter().filter_map(|change| change.claim) {
            let wanted = slot.interval.days();
            for day in days.iter_mut().filter(|day| wanted.contains(&day.date)) {
                match day.day.clone().claim(slot) {
                    Ok(claimed) => day.day = claimed,
                    Err(conflict) => {
                        conflicts.entry(slot.booking).or_insert(conflict);
                    }
                }
            }
        }
        if conflicts.len() == found {
            return (days, conflicts);
        }
    }
}

/// What the days look like with the slot taken.
fn check_availability(days: Vec<LedgerDay>, slot: LedgerSlot) -> Result<FreeInterval, Conflict> {
    let needs_write = days.iter().any(|day| !day.day.contains(&slot));
    let taken = days
        .into_iter()
        .map(|LedgerDay { date, day, etag }| Ok(LedgerDay { date, day: day.claim(slot)?, etag }));
    Ok(FreeInterval { slot, days: taken.collect::<Result<_, Conflict>>()?, needs_write })
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::{
        keys::{BookingKey, Digest},
        ledger::RoomDay,
    };

    fn slot(booking: u128, hour: i64) -> LedgerSlot {
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let start = start + SignedDuration::from_hours(hour);
        let interval = Interval::new(start, start + SignedDuration::from_hours(1)).unwrap();
        let holder = BookingKey {
            tenant: TenantId(uuid::Uuid::nil()),
            appointment: Digest(booking),
            original_start: None,
            room: RoomId(uuid::Uuid::nil()),
        };
        LedgerSlot { holder, booking: BookingId(uuid::Uuid::from_u128(booking)), interval }
    }

    fn days(slots: Vec<LedgerSlot>) -> Vec<LedgerDay> {
        let date = "2026-11-24".parse().unwrap();
        vec![LedgerDay { date, day: RoomDay::new(slots), etag: None }]
    }

    fn moves(booking: u128, from: i64, to: i64) -> SlotChange {
        let (old, new) = (slot(booking, from), slot(booking, to));
        SlotChange { booking: new.booking, claim: Some(new), stale: vec![old.interval] }
    }

    fn after(before: Vec<LedgerSlot>, changes: &[SlotChange]) -> (Vec<LedgerSlot>, Vec<BookingId>) {
        let (days, conflicts) = exchange_slots(&days(before), changes);
        let mut slots = days[0].day.slots().to_vec();
        slots.sort_unstable_by_key(|slot| slot.interval);
        (slots, conflicts.into_keys().collect())
    }

    #[test]
    fn two_that_swap_their_times_and_a_chain_of_three_have_them_at_once() {
        let swap = after(vec![slot(1, 9), slot(2, 10)], &[moves(1, 9, 10), moves(2, 10, 9)]);
        assert_eq!(swap, (vec![slot(2, 9), slot(1, 10)], vec![]));
        let chain = [moves(1, 9, 10), moves(2, 10, 11), moves(3, 11, 12)];
        let moved = after(vec![slot(1, 9), slot(2, 10), slot(3, 11)], &chain);
        assert_eq!(moved, (vec![slot(1, 10), slot(2, 11), slot(3, 12)], vec![]));
    }

    #[test]
    fn one_that_cannot_move_keeps_its_time_and_so_does_who_counted_on_it() {
        let before = vec![slot(1, 9), slot(2, 10), slot(7, 11)];
        let (slots, stay) = after(before.clone(), &[moves(1, 9, 10), moves(2, 10, 11)]);
        assert_eq!(slots, before);
        assert_eq!(stay, [slot(1, 9).booking, slot(2, 9).booking]);
    }

    #[test]
    fn one_that_only_gives_back_makes_room_for_another() {
        let leaves = SlotChange { claim: None, ..moves(1, 9, 9) };
        let takes = SlotChange { stale: vec![], ..moves(2, 9, 9) };
        assert_eq!(after(vec![slot(1, 9)], &[takes, leaves]), (vec![slot(2, 9)], vec![]));
    }
}
