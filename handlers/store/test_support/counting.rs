//! For this module's unit tests: the tables in memory, counting what is asked of them, and names
//! for the things they hold.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::memory::MemoryTables;
use crate::{
    domain::{
        ids::{MailboxId, RoomId, TenantId},
        keys::{BookingKey, Digest},
    },
    store::tables::{
        Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
    },
};

/// The tenant number `n`.
pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

/// The mailbox number `n`.
pub(crate) fn mailbox(n: u128) -> MailboxId {
    MailboxId(Uuid::from_u128(n))
}

/// The room number `n`.
pub(in crate::store) fn room(n: u128) -> RoomId {
    RoomId(Uuid::from_u128(n))
}

/// An instant of the week of 24 November 2026.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The key of the appointment number `n` in the room number 1.
pub(crate) fn key(n: u128) -> BookingKey {
    BookingKey { tenant: tenant(9), appointment: Digest(n), original_start: None, room: room(1) }
}

/// Tables in memory that count.
#[derive(Default)]
pub(in crate::store) struct CountingTables {
    tables: MemoryTables,
    pub(in crate::store) gets: AtomicUsize,
    pub(in crate::store) scans: AtomicUsize,
    pub(in crate::store) transactions: AtomicUsize,
    /// How many rows a page holds at most, whatever was asked for; 0 for no such limit.
    pub(in crate::store) page_limit: AtomicUsize,
}

impl CountingTables {
    /// The rows of a table, in key order.
    pub(in crate::store) fn rows(&self, table: Table) -> Vec<TableRow> {
        self.tables.rows(table)
    }

    /// Puts a row as it is, past every file of the store.
    pub(in crate::store) async fn insert_raw(&self, table: Table, row: TableRow) {
        self.tables.apply(table, vec![RowChange::Upsert(row)]).await.unwrap();
    }
}

#[async_trait]
impl Tables for CountingTables {
    async fn get(
        &self,
        table: Table,
        key: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.tables.get(table, key).await
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.tables.apply(table, changes).await
    }

    async fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let page = u16::try_from(self.page_limit.load(Ordering::Relaxed)).unwrap();
        let limit = if page == 0 { limit } else { limit.min(page) };
        self.tables.scan(table, range, from, limit).await
    }
}
