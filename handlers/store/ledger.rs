//! The ledger in the table `Rooms`: a partition a room, a row a UTC day, with all that is taken.
//!
//! A day is changed under its ETag, and all days of a booking in one transaction: an atomic check
//! for conflicts without a lock. A day on which nothing is taken has no row.

use std::sync::Arc;

use jiff::civil::Date;

use super::tables::{ETag, KeyRange, RowChange, RowKey, StoreError, Table, Tables, TypedTable};
use crate::domain::{
    ids::{RoomId, TenantId},
    ledger::RoomDay,
};

/// A day of a room, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDay {
    /// The UTC day.
    pub date: Date,
    pub day: RoomDay,
    /// The version that was read; `None` when the day had no row.
    pub etag: Option<ETag>,
}

/// The ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    table: TypedTable<RoomDay>,
}

impl Ledger {
    /// The ledger.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { table: TypedTable::open(tables, Table::Rooms) }
    }

    /// These days of a room, each once and in order: one get for one day, one range of rows for
    /// several.
    pub async fn read(
        &self,
        tenant: TenantId,
        room: RoomId,
        dates: &[Date],
    ) -> Result<Vec<LedgerDay>, StoreError> {
        let mut dates = dates.to_vec();
        dates.sort_unstable();
        dates.dedup();
        let rows: Vec<(RoomDay, RowKey, ETag)> = match dates.as_slice() {
            [] => Vec::new(),
            [date] => {
                let keys = row_key(tenant, room, *date);
                let found = self.table.read(&keys).await?;
                found.into_iter().map(|(row, etag)| (row, keys.clone(), etag)).collect()
            }
            [first, .., last] => {
                let span = KeyRange {
                    row_from: Some(first.to_string()),
                    // Sorts after the last day and before the next.
                    row_before: Some(format!("{last}~")),
                    ..KeyRange::single_partition(partition(tenant, room))
                };
                self.table.read_all(&span).await?
            }
        };
        let day = |date: Date| {
            let name = date.to_string();
            match rows.iter().find(|(_, keys, _)| keys.row == name) {
                None => LedgerDay { date, day: RoomDay::default(), etag: None },
                Some((day, _, etag)) => {
                    LedgerDay { date, day: day.clone(), etag: Some(etag.clone()) }
                }
            }
        };
        Ok(dates.into_iter().map(day).collect())
    }

    /// Every day of a room on which something is taken, from `first` on.
    pub async fn list_from(
        &self,
        tenant: TenantId,
        room: RoomId,
        first: Date,
    ) -> Result<Vec<RoomDay>, StoreError> {
        let days = KeyRange {
            row_from: Some(first.to_string()),
            ..KeyRange::single_partition(partition(tenant, room))
        };
        self.table.values(&days).await
    }

    /// Writes all these days of a room or none: adds those that had no row, replaces those that
    /// had, and removes those that have become empty. At most 100 days.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when one of them was changed since it was read.
    pub async fn write(
        &self,
        tenant: TenantId,
        room: RoomId,
        days: &[LedgerDay],
    ) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for LedgerDay { date, day, etag } in days {
            let keys = row_key(tenant, room, *date);
            // An empty day has no row, so that the table does not grow with every day that was ever
            // booked.
            changes.push(match (day.is_empty(), etag) {
                (true, None) => continue,
                (true, Some(read)) => RowChange::Delete(keys, Some(read.clone())),
                (false, None) => RowChange::Insert(TypedTable::encode(keys, day)?),
                (false, Some(read)) => {
                    RowChange::Replace(TypedTable::encode(keys, day)?, read.clone())
                }
            });
        }
        self.table.transaction(changes).await.map(drop)
    }
}

fn partition(tenant: TenantId, room: RoomId) -> String {
    format!("{tenant}_{room}")
}

fn row_key(tenant: TenantId, room: RoomId, date: Date) -> RowKey {
    RowKey::new(partition(tenant, room), date)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use jiff::civil::date;

    use super::*;
    use crate::domain::{ids::BookingId, interval::Interval, keys::BookingKey, ledger::LedgerSlot};
    use crate::store::test_support::{CountingTables, at, key, room, tenant};

    const TUESDAY: Date = date(2026, 11, 24);
    const WEDNESDAY: Date = date(2026, 11, 25);

    fn slot(n: u128, from: &str, to: &str) -> LedgerSlot {
        let start = (n == 2).then(|| at("2026-11-24T22:00:00Z"));
        let holder = BookingKey { original_start: start, ..key(n) };
        let booking = BookingId(uuid::Uuid::from_u128(n));
        LedgerSlot { holder, booking, interval: Interval::new(at(from), at(to)).unwrap() }
    }

    fn overnight(n: u128) -> LedgerSlot {
        slot(n, "2026-11-24T22:00:00Z", "2026-11-25T02:00:00Z")
    }

    fn opened() -> (Arc<CountingTables>, Ledger) {
        let fake = Arc::new(CountingTables::default());
        (fake.clone(), Ledger::new(fake))
    }

    async fn read(ledger: &Ledger, dates: &[Date]) -> Vec<LedgerDay> {
        ledger.read(tenant(9), room(1), dates).await.unwrap()
    }

    fn claimed(days: Vec<LedgerDay>, slot: LedgerSlot) -> Vec<LedgerDay> {
        days.into_iter().map(|d| LedgerDay { day: d.day.claim(slot).unwrap(), ..d }).collect()
    }

    fn released(days: Vec<LedgerDay>, slot: LedgerSlot) -> Vec<LedgerDay> {
        let free = |d: LedgerDay| LedgerDay { day: d.day.release(slot.booking, None), ..d };
        days.into_iter().map(free).collect()
    }

    #[tokio::test]
    async fn a_booking_over_midnight_takes_both_days_in_one_transaction() {
        let (fake, ledger) = opened();
        let dates = overnight(2).interval.days();
        let empty = read(&ledger, &dates).await;
        assert!(empty.iter().all(|d| d.day.is_empty() && d.etag.is_none()));
        let days = claimed(empty, overnight(2));
        ledger.write(tenant(9), room(1), &days).await.unwrap();
        assert_eq!(fake.transactions.load(Ordering::Relaxed), 1);

        let read = read(&ledger, &[WEDNESDAY, TUESDAY, TUESDAY]).await;
        assert_eq!(read.iter().map(|d| d.date).collect::<Vec<_>>(), [TUESDAY, WEDNESDAY]);
        for day in &read {
            assert_eq!(day.day.slots(), [overnight(2)]);
            assert!(day.etag.is_some());
        }
        let scans = fake.scans.load(Ordering::Relaxed);
        assert_eq!((scans, fake.gets.load(Ordering::Relaxed)), (2, 0));
    }

    #[tokio::test]
    async fn a_single_day_is_one_get_and_neighbours_are_not_answered() {
        let (fake, ledger) = opened();
        let days = claimed(read(&ledger, &[TUESDAY, WEDNESDAY]).await, overnight(1));
        ledger.write(tenant(9), room(1), &days).await.unwrap();
        let far = date(2026, 12, 24);
        let dates: Vec<_> =
            read(&ledger, &[TUESDAY, far]).await.into_iter().map(|d| d.date).collect();
        assert_eq!(dates, [TUESDAY, far]);
        let tuesday = read(&ledger, &[TUESDAY]).await;
        assert_eq!(tuesday[0].day.slots(), [overnight(1)]);
        assert_eq!(fake.gets.load(Ordering::Relaxed), 1);
        let other_room = ledger.read(tenant(9), room(2), &[TUESDAY]).await.unwrap();
        assert!(other_room[0].day.is_empty());
        assert_eq!(ledger.read(tenant(9), room(1), &[]).await.unwrap(), []);
    }

    #[tokio::test]
    async fn of_two_who_claim_the_same_night_one_reads_again_and_nothing_of_it_is_left() {
        let (fake, ledger) = opened();
        let mine = claimed(read(&ledger, &[TUESDAY, WEDNESDAY]).await, overnight(1));
        let morning = slot(3, "2026-11-25T01:00:00Z", "2026-11-25T03:00:00Z");
        let theirs = claimed(read(&ledger, &[WEDNESDAY]).await, morning);
        ledger.write(tenant(9), room(1), &theirs).await.unwrap();
        let lost = ledger.write(tenant(9), room(1), &mine).await.unwrap_err();
        assert!(lost.is_conflict());
        assert_eq!(fake.rows(Table::Rooms).len(), 1);

        // The same with days that have rows already.
        let (a, b) = (read(&ledger, &[WEDNESDAY]).await, read(&ledger, &[WEDNESDAY]).await);
        let evening = slot(4, "2026-11-25T18:00:00Z", "2026-11-25T19:00:00Z");
        ledger.write(tenant(9), room(1), &released(a, morning)).await.unwrap();
        let lost = ledger.write(tenant(9), room(1), &claimed(b, evening)).await.unwrap_err();
        assert!(lost.is_conflict());
    }

    #[tokio::test]
    async fn a_day_on_which_nothing_is_taken_any_more_has_no_row() {
        let (fake, ledger) = opened();
        let evening = slot(5, "2026-11-25T18:00:00Z", "2026-11-25T19:00:00Z");
        let days = claimed(read(&ledger, &[TUESDAY, WEDNESDAY]).await, overnight(1));
        ledger.write(tenant(9), room(1), &days).await.unwrap();
        let wednesday = claimed(read(&ledger, &[WEDNESDAY]).await, evening);
        ledger.write(tenant(9), room(1), &wednesday).await.unwrap();

        let days = released(read(&ledger, &[TUESDAY, WEDNESDAY]).await, overnight(1));
        ledger.write(tenant(9), room(1), &days).await.unwrap();
        let rows: Vec<_> = fake.rows(Table::Rooms).into_iter().map(|r| r.key.row).collect();
        assert_eq!(rows, ["2026-11-25"]);

        let before = fake.transactions.load(Ordering::Relaxed);
        let nothing = read(&ledger, &[TUESDAY]).await;
        ledger.write(tenant(9), room(1), &nothing).await.unwrap();
        assert_eq!(fake.transactions.load(Ordering::Relaxed), before);
    }

    #[tokio::test]
    async fn the_longest_booking_fits_one_transaction() {
        let (fake, ledger) = opened();
        let quarter = slot(1, "2026-10-01T12:00:00Z", "2026-12-30T12:00:00Z");
        assert!(!quarter.interval.is_too_long());
        let days = claimed(read(&ledger, &quarter.interval.days()).await, quarter);
        ledger.write(tenant(9), room(1), &days).await.unwrap();
        assert_eq!(fake.rows(Table::Rooms).len(), 91);
    }
}
