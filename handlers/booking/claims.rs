//! Claims on the ledger: an atomic conflict check without a lock, for every booking system.

use std::{sync::Arc, time::Duration};

use crate::{
    base::rng::Rng,
    domain::{
        interval::Interval,
        keys::BookingKey,
        ledger::{Conflict, Slot},
    },
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

/// A free interval, with the days it was read from: to be claimed under their ETags.
#[derive(Debug, Clone)]
pub struct Free {
    slot: Slot,
    /// The days with the slot taken.
    days: Vec<LedgerDay>,
    /// Whether that changes any of them; otherwise the claim stands already.
    changed: bool,
}

/// What a look at the ledger found.
#[derive(Debug, Clone)]
pub enum Looked {
    /// Nobody else is in the way.
    Free(Free),
    /// Somebody else has some of it.
    Taken(Conflict),
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

    /// Looks whether `interval` is free for `holder`, without claiming it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn look(&self, holder: BookingKey, interval: Interval) -> Result<Looked, StoreError> {
        let days = self.ledger.read(holder.tenant, holder.room, &interval.days()).await?;
        Ok(taking(days, Slot { holder, interval }))
    }

    /// Takes what was found free, on all its days or on none. Whoever was faster is met by the
    /// ETags, and then looked at anew.
    ///
    /// # Errors
    /// [`StoreError`]; after a lost answer the claim may stand, and a repeat finds it.
    pub async fn claim(&self, mut free: Free) -> Result<Claimed, StoreError> {
        let Slot { holder, interval } = free.slot;
        for tries in 0.. {
            if !free.changed {
                return Ok(Claimed::Yes);
            }
            match self.ledger.write(holder.tenant, holder.room, &free.days).await {
                Ok(()) => return Ok(Claimed::Yes),
                Err(error) if error.is_changed() && tries < TRIES => self.pause(tries).await,
                Err(error) => return Err(error),
            }
            free = match self.look(holder, interval).await? {
                Looked::Free(free) => free,
                Looked::Taken(conflict) => return Ok(Claimed::No(conflict)),
            };
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

/// What the days look like with the slot taken.
fn taking(days: Vec<LedgerDay>, slot: Slot) -> Looked {
    let mut changed = false;
    let mut taken = Vec::with_capacity(days.len());
    for LedgerDay { date, day, etag } in days {
        changed |= !day.has(&slot);
        match day.claim(slot) {
            Ok(day) => taken.push(LedgerDay { date, day, etag }),
            Err(conflict) => return Looked::Taken(conflict),
        }
    }
    Looked::Free(Free { slot, days: taken, changed })
}
