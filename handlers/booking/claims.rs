//! Claims on the ledger: an atomic conflict check without a lock, for every booking system.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};

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

    /// Whether `interval` is free for `holder`, or who else has some of it; nothing is claimed.
    pub async fn availability(
        &self,
        holder: BookingKey,
        interval: Interval,
    ) -> Result<Result<FreeInterval, Conflict>, StoreError> {
        let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
        Ok(check_availability(days, LedgerSlot { holder, interval }))
    }

    /// Takes what was found free, on all its days or on none; returns who has some of it where
    /// another worker was faster. An ETag shows that, and then the rows are read again.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claim may stand, and a repeat finds it.
    pub async fn claim(&self, free: FreeInterval) -> Result<Option<Conflict>, StoreError> {
        let LedgerSlot { holder, interval } = free.slot;
        let mut found = Some(free);
        let attempt = || {
            let found = found.take();
            async move {
                let free = match found {
                    Some(free) => free,
                    None => match self.availability(holder, interval).await? {
                        Ok(free) => free,
                        Err(conflict) => return Ok(Some(conflict)),
                    },
                };
                // A repetition finds its own claim.
                if free.needs_write {
                    self.ledger.write(holder.tenant, holder.room, &free.days).await?;
                }
                Ok(None)
            }
        };
        attempt.retry(self.backoff()).when(StoreError::is_conflict).await
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
        // What is too long was refused, and never claimed.
        let mut dates: Vec<_> =
            intervals.iter().filter(|i| !i.is_too_long()).flat_map(Interval::days).collect();
        dates.sort_unstable();
        dates.dedup();
        // One transaction holds 100 entities; several moves together may touch more days.
        for dates in dates.chunks(50) {
            let attempt = || self.release_days(holder, dates, keep);
            attempt.retry(self.backoff()).when(StoreError::is_conflict).await?;
        }
        Ok(())
    }

    async fn release_days(
        &self,
        holder: BookingKey,
        dates: &[jiff::civil::Date],
        keep: Option<Interval>,
    ) -> Result<(), StoreError> {
        let mut days = self.ledger.read(holder.tenant, holder.room, dates).await?;
        days.retain_mut(|day| {
            let before = day.day.clone();
            day.day = before.clone().release(holder, keep);
            day.day != before
        });
        self.ledger.write(holder.tenant, holder.room, &days).await
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

/// What the days look like with the slot taken.
fn check_availability(days: Vec<LedgerDay>, slot: LedgerSlot) -> Result<FreeInterval, Conflict> {
    let needs_write = days.iter().any(|day| !day.day.contains(&slot));
    let taken = days
        .into_iter()
        .map(|LedgerDay { date, day, etag }| Ok(LedgerDay { date, day: day.claim(slot)?, etag }));
    Ok(FreeInterval { slot, days: taken.collect::<Result<_, Conflict>>()?, needs_write })
}
