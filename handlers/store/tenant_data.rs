//! Everything of one tenant, by its keys alone: how a tenant that leaves is deleted, rows that
//! nobody understands included.
//!
//! Every table but `Due` has the tenant first in its partition keys, so its rows are one range. `Due`
//! is ordered by purpose (checks of mailboxes then by tenant) and time, with the tenant in every row key:
//! it is read from one end to the other, every tenant's entries, 1,000 a call. That is paid once for each
//! tenant that leaves, and what it might miss (an entry that was moved on meanwhile) is harmless: an entry
//! whose row is gone is discarded by the job that it starts.

use std::sync::Arc;

use super::tables::{Continuation, ETag, KeyRange, RowKey, StoreError, Table, Tables, TypedTable};
use crate::domain::ids::TenantId;

/// How many rows are listed at a time: the most that a page holds.
const PAGE_SIZE: u16 = 1_000;

/// The tables whose rows go when a tenant leaves, in the order in which they go: what is personal
/// first, the index by time last.
pub const TENANT_TABLES: [Table; 6] = [
    Table::Bookings,
    Table::Appointments,
    Table::Mailboxes,
    Table::Rooms,
    Table::Failures,
    Table::Due,
];

/// The rows of tenants in all tables.
#[derive(Clone)]
pub struct TenantData {
    tables: Arc<dyn Tables>,
}

impl TenantData {
    /// All tables.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { tables }
    }

    /// A page of a tenant's rows in `table`, none of `Tenants`, and where the listing continues. A
    /// page may be empty and still go on.
    pub async fn list_rows(
        &self,
        tenant: TenantId,
        table: Table,
        from: Option<Continuation>,
    ) -> Result<(Vec<(RowKey, ETag)>, Option<Continuation>), StoreError> {
        let Some(span) = key_range(tenant, table) else { return Ok((Vec::new(), None)) };
        let page = self.rows(table).scan(&span, from, PAGE_SIZE).await?;
        let of_tenant = |keys: &RowKey| match table {
            Table::Due => tenant_of_due_row(&keys.row) == Some(tenant),
            Table::Tenants
            | Table::Mailboxes
            | Table::Appointments
            | Table::Bookings
            | Table::Rooms
            | Table::Failures
            | Table::Audit
            | Table::Register => true,
        };
        let found = page.rows.into_iter().map(|(row, etag)| (row.key, etag));
        Ok((found.filter(|(key, _)| of_tenant(key)).collect(), page.next))
    }

    /// Removes rows that were found, up to 100 of a partition at once; answers how many. One that
    /// was changed since stays.
    pub async fn remove_rows(
        &self,
        table: Table,
        found: Vec<(RowKey, ETag)>,
    ) -> Result<u64, StoreError> {
        self.rows(table).delete_rows(found).await
    }

    /// Only keys and versions are read, so that a row which cannot be parsed is deleted like any other.
    fn rows(&self, table: Table) -> TypedTable<()> {
        TypedTable::open(Arc::clone(&self.tables), table)
    }
}

/// Where a tenant's rows are. A row of `Tenants` says by itself when it may go.
fn key_range(tenant: TenantId, table: Table) -> Option<KeyRange> {
    match table {
        Table::Tenants => None,
        Table::Failures => Some(KeyRange::single_partition(tenant.to_string())),
        // `~` sorts after every character of our keys.
        Table::Mailboxes
        | Table::Appointments
        | Table::Bookings
        | Table::Rooms
        | Table::Audit
        | Table::Register => {
            Some(KeyRange::partition_range(format!("{tenant}_"), format!("{tenant}_~")))
        }
        Table::Due => Some(KeyRange::partition_range("a", "~")),
    }
}

/// Whose a row of `Due` is: an instant, what kind of subject, the tenant, and more.
fn tenant_of_due_row(row: &str) -> Option<TenantId> {
    row.split('_').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::Map;

    use super::*;
    use crate::store::{
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        tables::TableRow,
        test_support::{CountingTables, at, key, mailbox, tenant},
    };

    async fn all(data: &TenantData, table: Table) -> Vec<(RowKey, ETag)> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let (found, next) = data.list_rows(tenant(9), table, from).await.unwrap();
            all.extend(found);
            from = next;
            if from.is_none() {
                return all;
            }
        }
    }

    async fn plant(fake: &CountingTables, table: Table, partition: String, row: &str) {
        fake.insert_raw(
            table,
            TableRow { key: RowKey::new(partition, row), properties: Map::new() },
        )
        .await;
    }

    #[tokio::test]
    async fn every_row_of_one_tenant_is_found_and_removed_and_no_other() {
        let fake = Arc::new(CountingTables::default());
        let data = TenantData::new(fake.clone());
        fake.page_limit.store(7, Ordering::Relaxed);
        for table in [Table::Bookings, Table::Appointments, Table::Mailboxes, Table::Rooms] {
            for n in 0..120 {
                let shard = n % 3;
                plant(&fake, table, format!("{}_{shard:02x}", tenant(9)), &format!("r{n}")).await;
            }
            for other in [tenant(8), tenant(10)] {
                plant(&fake, table, format!("{other}_00"), "r").await;
            }
            let found = all(&data, table).await;
            assert_eq!(found.len(), 120, "{table:?}");
            // One was changed meanwhile, and one was removed by somebody else.
            plant(&fake, table, format!("{}_00", tenant(9)), "r0").await;
            data.remove_rows(table, found[1..2].to_vec()).await.unwrap();
            assert_eq!(data.remove_rows(table, found).await.unwrap(), 118);
            assert_eq!(all(&data, table).await.len(), 1);
            assert_eq!(fake.rows(table).len(), 3);
        }
        plant(&fake, Table::Failures, tenant(9).to_string(), "f").await;
        plant(&fake, Table::Failures, tenant(8).to_string(), "f").await;
        assert_eq!(all(&data, Table::Failures).await.len(), 1);
        assert_eq!(all(&data, Table::Tenants).await, []);
    }

    #[tokio::test]
    async fn a_tenants_due_entries_are_found_among_everybodys() {
        let fake = Arc::new(CountingTables::default());
        let (data, due) = (TenantData::new(fake.clone()), DueEntries::new(fake.clone()));
        for purpose in DuePurpose::ALL {
            let when = at("2026-11-24T09:00:00.5Z");
            due.upsert(&DueEntry::new(purpose, when, DueSubject::Booking(key(1)))).await.unwrap();
            for of in [tenant(9), tenant(8)] {
                let subject = DueSubject::Mailbox { tenant: of, mailbox: mailbox(1) };
                due.upsert(&DueEntry::new(purpose, when, subject)).await.unwrap();
            }
        }
        fake.page_limit.store(2, Ordering::Relaxed);
        let found = all(&data, Table::Due).await;
        assert_eq!(found.len(), 6);
        assert_eq!(data.remove_rows(Table::Due, found).await.unwrap(), 6);
        assert_eq!(fake.rows(Table::Due).len(), 3);
    }
}
