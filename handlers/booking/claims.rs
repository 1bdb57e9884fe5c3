//! Claims on the ledger: an atomic conflict check without a lock, for every booking system.

use std::{sync::Arc, time::Duration};

use crate::{
    base::rng::Rng,
    domain::{
        interval::Interval,
        keys::BookingKey,
        ledger::{Conflict, LedgerSlot},
    },
    store::{
        StoreError,
        ledger::{Ledger, LedgerDay},
    },
};

/// How often a lost race for a day is run again before the item waits its turn in the queue.
const MAX_CONFLICT_RETRIES: u32 = 8;
/// The longest pause after a lost race; the first is an eighth of it.
const CONFLICT_BACKOFF: Duration = Duration::from_millis(400);

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

/// What a look at the ledger found.
#[derive(Debug, Clone)]
pub enum Availability {
    /// Nobody else is in the way.
    Free(FreeInterval),
    /// Somebody else has some of it.
    Taken(Conflict),
}

/// How a claim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimResult {
    /// The interval is the holder's.
    Claimed,
    /// Somebody else has some of it.
    Conflict(Conflict),
}

impl LedgerClaims {
    /// Claims on `ledger_entries`.
    pub fn new(ledger: Ledger, rng: Arc<dyn Rng>) -> Self {
        Self { ledger, rng }
    }

    /// Checks whether `interval` is free for `holder`, without claiming it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn availability(
        &self,
        holder: BookingKey,
        interval: Interval,
    ) -> Result<Availability, StoreError> {
        let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
        Ok(check_availability(days, LedgerSlot { holder, interval }))
    }

    /// Takes what was found free, on all its days or on none. An ETag
    /// shows that another worker was faster; then the rows are read again.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claim may stand, and a repeat finds it.
    pub async fn claim(&self, mut free: FreeInterval) -> Result<ClaimResult, StoreError> {
        let LedgerSlot { holder, interval } = free.slot;
        for tries in 0.. {
            if !free.needs_write {
                return Ok(ClaimResult::Claimed);
            }
            match self.ledger.write(holder.tenant, holder.room, &free.days).await {
                Ok(()) => return Ok(ClaimResult::Claimed),
                Err(error) if error.is_conflict() && tries < MAX_CONFLICT_RETRIES => {
                    self.back_off(tries).await
                }
                Err(error) => return Err(error),
            }
            free = match self.availability(holder, interval).await? {
                Availability::Free(free) => free,
                Availability::Taken(conflict) => return Ok(ClaimResult::Conflict(conflict)),
            };
        }
        Ok(ClaimResult::Claimed)
    }

    /// Gives back every interval of `holder` on the days of `intervals`, but for the one it keeps.
    ///
    /// # Errors
    /// [`StoreError`]; a repeat finds what is left to do.
    pub async fn release(
        &self,
        holder: BookingKey,
        intervals: &[Interval],
        keep: Option<Interval>,
    ) -> Result<(), StoreError> {
        let mut dates: Vec<_> =
            intervals.iter().filter(|i| !i.is_too_long()).flat_map(Interval::days).collect();
        dates.sort_unstable();
        dates.dedup();
        // One transaction holds 100 entities; several moves together may touch more days.
        for dates in dates.chunks(50) {
            self.release_days(holder, dates, keep).await?;
        }
        Ok(())
    }

    async fn release_days(
        &self,
        holder: BookingKey,
        dates: &[jiff::civil::Date],
        keep: Option<Interval>,
    ) -> Result<(), StoreError> {
        for tries in 0.. {
            let mut days = self.ledger.read(holder.tenant, holder.room, dates).await?;
            days.retain_mut(|day| {
                let before = day.day.clone();
                day.day = before.clone().release(holder, keep);
                day.day != before
            });
            if days.is_empty() {
                return Ok(());
            }
            match self.ledger.write(holder.tenant, holder.room, &days).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_conflict() && tries < MAX_CONFLICT_RETRIES => {
                    self.back_off(tries).await
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn back_off(&self, tries: u32) {
        let longest = CONFLICT_BACKOFF.as_millis() as u64 * u64::from(tries + 1)
            / u64::from(MAX_CONFLICT_RETRIES);
        tokio::time::sleep(Duration::from_millis(1 + self.rng.below(longest))).await;
    }
}

/// What the days look like with the slot taken.
fn check_availability(days: Vec<LedgerDay>, slot: LedgerSlot) -> Availability {
    let mut changed = false;
    let mut taken = Vec::with_capacity(days.len());
    for LedgerDay { date, day, etag } in days {
        changed |= !day.contains(&slot);
        match day.claim(slot) {
            Ok(day) => taken.push(LedgerDay { date, day, etag }),
            Err(conflict) => return Availability::Taken(conflict),
        }
    }
    Availability::Free(FreeInterval { slot, days: taken, needs_write: changed })
}
