//! Claims on the ledger: an atomic conflict check without a lock, for every booking system.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        interval::Interval,
        keys::BookingKey,
        ledger::{Conflict, Slot},
    },
    rng::Rng,
    store::{
        StoreError,
        ledger::{Ledger, LedgerDay},
    },
};

/// How often a lost race for a day is run again before the item waits its turn in the queue.
const TRIES: u32 = 8;
/// The longest pause after a lost race; the first is an eighth of it.
const PAUSE: Duration = Duration::from_millis(400);

/// Claims and releases intervals of rooms.
#[derive(Clone)]
pub struct Claims {
    ledger: Ledger,
    rng: Arc<dyn Rng>,
}

/// How a claim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The interval is the holder's.
    Yes,
    /// Somebody else has some of it.
    No(Conflict),
}

impl Claims {
    /// Claims on `ledger`.
    pub fn new(ledger: Ledger, rng: Arc<dyn Rng>) -> Self {
        Self { ledger, rng }
    }

    /// Who is in the way of `interval`, without claiming it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rival(&self, holder: BookingKey, interval: Interval) -> Result<Claimed, StoreError> {
        let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
        Ok(match claim(days, Slot { holder, interval }) {
            Ok(_) => Claimed::Yes,
            Err(conflict) => Claimed::No(conflict),
        })
    }

    /// Takes `interval` for `holder` on all its days, or on none.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claim may stand, and a repeat finds it.
    pub async fn claim(&self, holder: BookingKey, interval: Interval) -> Result<Claimed, StoreError> {
        let slot = Slot { holder, interval };
        for tries in 0.. {
            let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
            let (days, changed) = match claim(days, slot) {
                Ok(outcome) => outcome,
                Err(conflict) => return Ok(Claimed::No(conflict)),
            };
            if !changed {
                return Ok(Claimed::Yes);
            }
            match self.ledger.write(holder.tenant, holder.room, &days).await {
                Ok(()) => return Ok(Claimed::Yes),
                Err(error) if error.is_changed() && tries < TRIES => self.pause(tries).await,
                Err(error) => return Err(error),
            }
        }
        Ok(Claimed::Yes)
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
                Err(error) if error.is_changed() && tries < TRIES => self.pause(tries).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn pause(&self, tries: u32) {
        let longest = PAUSE.as_millis() as u64 * u64::from(tries + 1) / u64::from(TRIES);
        tokio::time::sleep(Duration::from_millis(1 + self.rng.below(longest))).await;
    }
}

/// The days with the slot taken, and whether that changes any of them.
fn claim(days: Vec<LedgerDay>, slot: Slot) -> Result<(Vec<LedgerDay>, bool), Conflict> {
    let mut changed = false;
    let mut taken = Vec::with_capacity(days.len());
    for day in days {
        changed |= !day.day.has(&slot);
        taken.push(LedgerDay { day: day.day.claim(slot)?, ..day });
    }
    Ok((taken, changed))
}
