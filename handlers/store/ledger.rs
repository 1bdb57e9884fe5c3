//! The ledger in the table `Rooms`: a partition a room, a row a UTC day, with all that is taken.
//!
//! A day is changed under its ETag, and all days of a booking in one transaction: an atomic check
//! for conflicts without a lock. A day on which nothing is taken has no row.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    shelf::Shelf,
    tables::{Change, ETag, Keys, Span, Table, Tables},
    wire::{AsText, JsonText, stretch},
};
use crate::domain::{
    ids::{RoomId, TenantId},
    interval::Interval,
    keys::{BookingKey, Digest},
    ledger::{Day, Slot},
};

/// A day of a room, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDay {
    /// The UTC day.
    pub date: Date,
    /// What is taken.
    pub day: Day,
    /// The version that was read; `None` when the day had no row.
    pub etag: Option<ETag>,
}

/// The ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    shelf: Shelf,
}

impl Ledger {
    /// The ledger.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Rooms) }
    }

    /// These days of a room, each once and in order: one get for one day, one range of rows for
    /// several.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn read(
        &self,
        tenant: TenantId,
        room: RoomId,
        dates: &[Date],
    ) -> Result<Vec<LedgerDay>, StoreError> {
        let mut dates = dates.to_vec();
        dates.sort_unstable();
        dates.dedup();
        let rows: Vec<(DayRow, Keys, ETag)> = match dates.as_slice() {
            [] => Vec::new(),
            [date] => {
                let keys = keys(tenant, room, *date);
                let found = self.shelf.get(&keys).await?;
                found.into_iter().map(|(row, etag)| (row, keys.clone(), etag)).collect()
            }
            [first, .., last] => {
                let span = Span {
                    row_from: Some(first.to_string()),
                    // Sorts after the last day and before the next.
                    row_before: Some(format!("{last}~")),
                    ..Span::partition(partition(tenant, room))
                };
                self.shelf.all(&span).await?
            }
        };
        let day = |date: Date| {
            let name = date.to_string();
            match rows.iter().find(|(_, keys, _)| keys.row == name) {
                None => LedgerDay { date, day: Day::default(), etag: None },
                Some((row, _, etag)) => {
                    LedgerDay { date, day: row.day(tenant, room), etag: Some(etag.clone()) }
                }
            }
        };
        Ok(dates.into_iter().map(day).collect())
    }

    /// Writes all these days of a room or none: adds those that had no row, replaces those that
    /// had, and removes those that have become empty. At most 100 days.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when one of them was changed since it was read.
    pub async fn write(
        &self,
        tenant: TenantId,
        room: RoomId,
        days: &[LedgerDay],
    ) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for LedgerDay { date, day, etag } in days {
            let keys = keys(tenant, room, *date);
            changes.push(match (day.is_empty(), etag) {
                (true, None) => continue,
                (true, Some(read)) => Change::Delete(keys, Some(read.clone())),
                (false, None) => Change::Insert(Shelf::row(keys, &DayRow::of(day))?),
                (false, Some(read)) => {
                    Change::Replace(Shelf::row(keys, &DayRow::of(day))?, read.clone())
                }
            });
        }
        self.shelf.transaction(changes).await
    }
}

fn partition(tenant: TenantId, room: RoomId) -> String {
    format!("{tenant}_{room}")
}

fn keys(tenant: TenantId, room: RoomId, date: Date) -> Keys {
    Keys::new(partition(tenant, room), date)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DayRow {
    taken: JsonText<Vec<SlotWire>>,
}

/// Tenant and room are in the partition key.
#[derive(Serialize, Deserialize)]
struct SlotWire {
    appointment: AsText<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_start: Option<Timestamp>,
    #[serde(with = "stretch")]
    interval: Interval,
}

impl DayRow {
    fn of(day: &Day) -> Self {
        let slot = |slot: &Slot| SlotWire {
            appointment: AsText(slot.holder.appointment),
            original_start: slot.holder.original_start,
            interval: slot.interval,
        };
        Self { taken: JsonText(day.slots().iter().map(slot).collect()) }
    }

    fn day(&self, tenant: TenantId, room: RoomId) -> Day {
        let slot = |wire: &SlotWire| {
            let SlotWire { appointment: AsText(appointment), original_start, interval } = *wire;
            Slot { holder: BookingKey { tenant, appointment, original_start, room }, interval }
        };
        Day::new(self.taken.0.iter().map(slot).collect())
    }
}
