//! `Due`: what must be processed when. The only index by time.
//!
//! For bookings a partition is a purpose, an hour and one of 16 shards; a row starts with the instant.
//! So all that is due is one range of keys, however much is stored and however long nothing was
//! dispatched.
//!
//! Checks of mailboxes leave at the pace that Graph allows their tenant. So those of a tenant are one
//! partition, in the order of time: what may not leave yet is not read, and no tenant is behind
//! another. The price is one call for each tenant that has nothing due. A partition takes 2,000 rows a
//! second, far more than a tenant may renew.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryFutureExt, TryStreamExt, stream};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::tables::{
    Continuation, KeyRange, RowChange, RowKey, StoreError, Table, TableRow, Tables, TypedTable,
    typed::into_transactions,
};
use crate::domain::{
    ids::{MailboxId, TenantId},
    keys::{BookingKey, Digest, SeriesKey},
};

/// How many transactions remove rows at the same time.
const TRANSACTIONS_AT_ONCE: usize = 16;

/// Over how many partitions an hour is spread.
const SHARDS: u16 = 16;

/// Why something must be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DuePurpose {
    /// Its time is over: it is to be deleted.
    Purge,
    /// It is not settled yet.
    Unsettled,
    /// Its subscription is to be renewed.
    Renew,
}

impl DuePurpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Purge, Self::Unsettled, Self::Renew];

    /// Its name in the partition keys. No name is another's start followed by `_`.
    fn name(self) -> &'static str {
        match self {
            Self::Purge => "purge",
            Self::Unsettled => "unsettled",
            Self::Renew => "renew",
        }
    }
}

/// What must be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DueSubject {
    Booking(BookingKey),
    /// All bookings of a series have one entry of a purpose together.
    Series(SeriesKey),
    Mailbox {
        tenant: TenantId,
        mailbox: MailboxId,
    },
}

impl From<BookingKey> for DueSubject {
    /// The dates of a series are watched together.
    fn from(booking: BookingKey) -> Self {
        booking.series().map_or(Self::Booking(booking), Self::Series)
    }
}

impl From<SeriesKey> for DueSubject {
    fn from(series: SeriesKey) -> Self {
        Self::Series(series)
    }
}

impl DueSubject {
    /// Whose it is.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Booking(key) => key.tenant,
            Self::Series(key) => key.tenant,
            Self::Mailbox { tenant, .. } => *tenant,
        }
    }
}

/// Which entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueList {
    Purges,
    Unsettled,
    RenewalsOf(TenantId),
}

impl DueList {
    fn purpose(self) -> DuePurpose {
        match self {
            Self::Purges => DuePurpose::Purge,
            Self::Unsettled => DuePurpose::Unsettled,
            Self::RenewalsOf(_) => DuePurpose::Renew,
        }
    }

    /// All that is due at `now`, that instant included, and nothing else.
    fn key_range(self, now: Timestamp) -> KeyRange {
        let name = self.purpose().name();
        let partitions = match self {
            Self::Purges | Self::Unsettled => KeyRange::partition_range(
                format!("{name}_"),
                format!("{name}_{}_f", format_hour(now)),
            ),
            Self::RenewalsOf(tenant) => KeyRange::single_partition(format!("{name}_{tenant}")),
        };
        // A row key holds milliseconds, and `row_before` excludes its bound.
        let next = now.checked_add(jiff::SignedDuration::from_millis(1)).unwrap_or(now);
        KeyRange { row_before: Some(format_instant(next)), ..partitions }
    }
}

/// Something that must be processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueEntry {
    pub purpose: DuePurpose,
    /// When, to the millisecond: what is finer is cut off.
    pub at: Timestamp,
    pub subject: DueSubject,
    /// How often it was moved on without being settled; not part of its key.
    pub attempt: u8,
}

impl DueEntry {
    /// The first entry for `subject`.
    pub fn new(purpose: DuePurpose, at: Timestamp, subject: DueSubject) -> Self {
        Self { purpose, at, subject, attempt: 0 }
    }

    /// The entry that deletes a booking, or the bookings of its series that are over.
    pub fn purge(subject: impl Into<DueSubject>, at: Timestamp) -> Self {
        Self::new(DuePurpose::Purge, at, subject.into())
    }

    /// The entry that watches a booking, or its whole series, until it is settled.
    pub fn unsettled(subject: impl Into<DueSubject>, at: Timestamp) -> Self {
        Self::new(DuePurpose::Unsettled, at, subject.into())
    }
}

/// The table `Due`.
#[derive(Debug, Clone)]
pub struct DueEntries {
    table: TypedTable<EntryRow>,
}

impl DueEntries {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { table: TypedTable::open(tables, Table::Due) }
    }

    /// Writes an entry; one that is there already is as good.
    pub async fn upsert(&self, entry: &DueEntry) -> Result<(), StoreError> {
        self.table.write(upsert(row_key(entry), entry)?).await?;
        Ok(())
    }

    /// Removes an entry; one that is not there is fine.
    pub async fn remove(&self, entry: &DueEntry) -> Result<(), StoreError> {
        self.table.delete(row_key(entry), None).await
    }

    /// Removes the entries that watch a booking, or a series, at these instants: nothing is left to watch.
    pub async fn remove_unsettled(
        &self,
        subject: impl Into<DueSubject>,
        at: impl IntoIterator<Item = Timestamp>,
    ) -> Result<(), StoreError> {
        let subject = subject.into();
        let entries: Vec<DueEntry> =
            at.into_iter().map(|at| DueEntry::unsettled(subject, at)).collect();
        self.remove_all(&entries).await
    }

    /// Entries that are due at `now` (that instant included), at most `limit` (up to 1,000), and
    /// where to go on: a tenant's in the order of time, others the earliest hours first. Nothing that
    /// is not due is read. A row that cannot be parsed is logged and left, so that nothing waits
    /// behind it.
    pub async fn list_due(
        &self,
        list: DueList,
        now: Timestamp,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<(Vec<DueEntry>, Option<Continuation>), StoreError> {
        let page = self.table.scan(&list.key_range(now), from, limit).await?;
        let entries = page.rows.into_iter().filter_map(|(row, _)| {
            let keys = row.key.clone();
            let entry = self.decode_entry(list.purpose(), row);
            if entry.is_err() {
                tracing::error!(
                    partition_key = keys.partition,
                    row_key = keys.row,
                    "due entry cannot be read; skipped"
                );
            }
            entry.ok()
        });
        Ok((entries.collect(), page.next))
    }

    /// Writes entries, up to 100 of a partition at once; those that are there already are as good.
    pub async fn upsert_all(&self, entries: &[DueEntry]) -> Result<(), StoreError> {
        // A transaction may not hold a row twice.
        let entries: BTreeMap<RowKey, &DueEntry> =
            entries.iter().map(|entry| (row_key(entry), entry)).collect();
        let upserts = entries.into_iter().map(|(key, entry)| upsert(key, entry));
        let writes = into_transactions(upserts.collect::<Result<Vec<_>, _>>()?).into_iter();
        let writes = writes.map(|batch| self.table.transaction(batch).map_ok(drop));
        stream::iter(writes).buffer_unordered(TRANSACTIONS_AT_ONCE).try_collect().await
    }

    /// Removes entries, up to 100 of a partition at once; those that are not there are fine.
    pub async fn remove_all(&self, entries: &[DueEntry]) -> Result<(), StoreError> {
        // A transaction may not hold a row twice.
        let keys: BTreeSet<RowKey> = entries.iter().map(row_key).collect();
        let deletes = keys.into_iter().map(|key| RowChange::Delete(key, None));
        let removals = into_transactions(deletes).into_iter();
        let removals = removals.map(|batch| self.table.delete_batch(batch).map_ok(drop));
        stream::iter(removals).buffer_unordered(TRANSACTIONS_AT_ONCE).try_collect().await
    }

    fn decode_entry(&self, purpose: DuePurpose, row: TableRow) -> Result<DueEntry, StoreError> {
        let keys = row.key.clone();
        let at = keys.row.split_once('_').and_then(|(at, _)| at.parse().ok());
        let at: Timestamp = at.ok_or_else(|| self.table.unreadable(keys))?;
        let EntryRow { subject, attempt } = self.table.decode(row)?;
        Ok(DueEntry { purpose, at, subject, attempt })
    }
}

/// An instant with as many characters as every other, so that text order is order in time.
fn format_instant(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn format_hour(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H").to_string()
}

fn row_key(entry: &DueEntry) -> RowKey {
    let subject = match entry.subject {
        DueSubject::Booking(key) => format!("booking_{}_{}", key.partition(), key.row()),
        DueSubject::Series(key) => format!("series_{}", key.partition()),
        DueSubject::Mailbox { tenant, mailbox } => format!("mailbox_{tenant}_{mailbox}"),
    };
    let name = entry.purpose.name();
    let partition = match entry.purpose {
        DuePurpose::Renew => format!("{name}_{}", entry.subject.tenant()),
        DuePurpose::Purge | DuePurpose::Unsettled => {
            let shard = Digest::of(&[b"due", subject.as_bytes()]).shard(SHARDS);
            format!("{name}_{}_{shard:x}", format_hour(entry.at))
        }
    };
    RowKey::new(partition, format_args!("{}_{subject}", format_instant(entry.at)))
}

fn upsert(key: RowKey, entry: &DueEntry) -> Result<RowChange, StoreError> {
    let row = EntryRow { subject: entry.subject, attempt: entry.attempt };
    Ok(RowChange::Upsert(TypedTable::encode(key, &row)?))
}

/// What an entry's key does not say.
#[derive(Clone, Serialize, Deserialize)]
struct EntryRow {
    subject: DueSubject,
    #[serde(default)]
    attempt: u8,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::store::test_support::{CountingTables, at, key, mailbox, tenant};

    fn entry(purpose: DuePurpose, when: &str, n: u128) -> DueEntry {
        DueEntry::new(purpose, at(when), DueSubject::Booking(key(n)))
    }

    fn opened() -> (Arc<CountingTables>, DueEntries) {
        let fake = Arc::new(CountingTables::default());
        (fake.clone(), DueEntries::new(fake))
    }

    async fn due(due: &DueEntries, list: DueList, now: &str, limit: u16) -> Vec<DueEntry> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let (entries, next) = due.list_due(list, at(now), from, limit).await.unwrap();
            all.extend(entries);
            from = next;
            if from.is_none() {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn what_is_due_comes_hour_by_hour_and_nothing_else_is_read() {
        let (_, table) = opened();
        let past = [
            entry(DuePurpose::Purge, "2025-12-31T23:59:59.999Z", 1),
            entry(DuePurpose::Purge, "2026-11-24T08:59:00Z", 2),
            entry(DuePurpose::Purge, "2026-11-24T09:30:00Z", 3),
        ];
        let others = [
            entry(DuePurpose::Purge, "2026-11-24T09:30:00.001Z", 4),
            entry(DuePurpose::Purge, "2026-11-24T10:00:00Z", 5),
            entry(DuePurpose::Unsettled, "2026-11-24T08:00:00Z", 6),
            entry(DuePurpose::Renew, "2026-11-24T08:00:00Z", 7),
        ];
        for entry in others.iter().chain(past.iter().rev()) {
            table.upsert(entry).await.unwrap();
        }
        assert_eq!(due(&table, DueList::Purges, "2026-11-24T09:30:00Z", 1000).await, past);
        assert_eq!(
            due(&table, DueList::RenewalsOf(tenant(9)), "2026-11-24T09:30:00Z", 1000).await,
            others[3..]
        );
    }

    #[tokio::test]
    async fn within_an_hour_the_shards_hold_back_nothing_that_is_due() {
        let (fake, table) = opened();
        for n in 0..60 {
            let when = format!("2026-11-24T09:{n:02}:00Z");
            table.upsert(&entry(DuePurpose::Unsettled, &when, n)).await.unwrap();
        }
        let mut entries = due(&table, DueList::Unsettled, "2026-11-24T09:29:59.999Z", 7).await;
        entries.sort_unstable_by_key(|entry| entry.at);
        let subjects: Vec<_> = entries.iter().map(|entry| entry.subject).collect();
        assert_eq!(subjects, (0..30).map(|n| DueSubject::Booking(key(n))).collect::<Vec<_>>());
        assert!(fake.scans.load(Ordering::Relaxed) >= 5);
    }

    #[tokio::test]
    async fn an_entry_put_and_removed_with_the_same_instant_meets_itself() {
        let (fake, table) = opened();
        let mailbox = DueSubject::Mailbox { tenant: tenant(9), mailbox: mailbox(1) };
        for subject in [DueSubject::Booking(key(1)), mailbox] {
            let fine = DueEntry {
                at: at("2026-11-24T09:00:00.123999999Z"),
                ..DueEntry::new(DuePurpose::Renew, Timestamp::UNIX_EPOCH, subject)
            };
            table.upsert(&fine).await.unwrap();
            table.upsert(&fine).await.unwrap();
            let found =
                due(&table, DueList::RenewalsOf(tenant(9)), "2026-11-24T09:00:00.123999999Z", 10)
                    .await;
            assert_eq!(found, [DueEntry { at: at("2026-11-24T09:00:00.123Z"), ..fine }]);
            table.remove(&found[0]).await.unwrap();
            assert!(fake.rows(Table::Due).is_empty());
            table.upsert(&fine).await.unwrap();
            table.remove(&fine).await.unwrap();
            table.remove(&fine).await.unwrap();
            assert!(fake.rows(Table::Due).is_empty());
        }
    }

    #[tokio::test]
    async fn a_tenants_renewals_are_listed_in_the_order_of_time_and_no_others_are_read() {
        let (fake, table) = opened();
        let of = |owner: u128, minute: i64| {
            let subject =
                DueSubject::Mailbox { tenant: tenant(owner), mailbox: mailbox(minute as u128) };
            let when = at("2026-11-24T08:30:00Z") + jiff::SignedDuration::from_mins(minute);
            DueEntry::new(DuePurpose::Renew, when, subject)
        };
        let many: Vec<DueEntry> = (0..250).map(|minute| of(9, minute)).collect();
        table.upsert_all(&[&many[..], &many[..3], &[of(8, 0), of(10, 0)]].concat()).await.unwrap();
        assert_eq!(fake.transactions.load(Ordering::Relaxed), 5);

        let (entries, next) =
            table.list_due(DueList::RenewalsOf(tenant(9)), many[120].at, None, 100).await.unwrap();
        assert_eq!(entries, many[..100]);
        let (entries, next) =
            table.list_due(DueList::RenewalsOf(tenant(9)), many[120].at, next, 100).await.unwrap();
        assert_eq!((&entries[..], next), (&many[100..=120], None));
    }

    #[tokio::test]
    async fn many_are_removed_a_hundred_of_a_partition_at_once_gone_ones_included() {
        let (fake, table) = opened();
        let one = entry(DuePurpose::Purge, "2026-11-24T09:00:00Z", 1);
        // One subject, so one shard; its instants differ.
        let many: Vec<_> = (0..250)
            .map(|n| DueEntry { at: one.at + jiff::SignedDuration::from_secs(n), ..one })
            .collect();
        for entry in &many {
            table.upsert(entry).await.unwrap();
        }
        let before = fake.transactions.load(Ordering::Relaxed);
        let twice = [&many[..], &many[..3]].concat();
        table.remove_all(&twice).await.unwrap();
        assert_eq!(fake.transactions.load(Ordering::Relaxed) - before, 3);
        assert!(fake.rows(Table::Due).is_empty());

        table.upsert(&many[7]).await.unwrap();
        table.remove_all(&many[..10]).await.unwrap();
        assert!(fake.rows(Table::Due).is_empty());
        table.remove_all(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_waits_behind_a_row_of_another_age() {
        let (fake, table) = opened();
        let (old, new) = (
            entry(DuePurpose::Purge, "2026-11-24T08:00:00Z", 1),
            entry(DuePurpose::Purge, "2026-11-24T09:00:00Z", 2),
        );
        table.upsert(&new).await.unwrap();
        fake.insert_raw(
            Table::Due,
            TableRow { key: row_key(&old), properties: serde_json::Map::new() },
        )
        .await;
        assert_eq!(due(&table, DueList::Purges, "2026-11-24T10:00:00Z", 10).await, [new]);
    }
}
