//! Tables for this module's unit tests: as strict as the service about keys and ETags, and they
//! count what is asked of them.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::tables::{Change, Continuation, ETag, Keys, Page, Row, Span, Table, TableError, Tables};
use crate::domain::{
    ids::{MailboxId, RoomId, TenantId},
    keys::{BookingKey, Digest},
};

/// The tenant number `n`.
pub(super) fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

/// The mailbox number `n`.
pub(super) fn mailbox(n: u128) -> MailboxId {
    MailboxId(Uuid::from_u128(n))
}

/// The room number `n`.
pub(super) fn room(n: u128) -> RoomId {
    RoomId(Uuid::from_u128(n))
}

/// An instant of the week of 24 November 2026.
pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The key of the appointment number `n` in the room number 1.
pub(super) fn key(n: u128) -> BookingKey {
    BookingKey { tenant: tenant(9), appointment: Digest(n), original_start: None, room: room(1) }
}

type Rows = BTreeMap<(Table, Keys), (Row, u64)>;

/// Tables in memory.
#[derive(Default)]
pub(super) struct Fake {
    rows: Mutex<(Rows, u64)>,
    pub(super) gets: AtomicUsize,
    pub(super) scans: AtomicUsize,
    pub(super) transactions: AtomicUsize,
    /// How many rows a page holds at most, whatever was asked for; 0 for no such limit.
    pub(super) page: AtomicUsize,
}

impl Fake {
    /// The rows of a table, in key order.
    pub(super) fn rows(&self, table: Table) -> Vec<Row> {
        let rows = self.rows.lock().unwrap();
        rows.0.iter().filter(|((t, _), _)| *t == table).map(|(_, (row, _))| row.clone()).collect()
    }

    /// Puts a row as it is, past every file of the store.
    pub(super) fn plant(&self, table: Table, row: Row) {
        self.rows.lock().unwrap().0.insert((table, row.keys.clone()), (row, 0));
    }
}

fn check(row: &Row) {
    for (name, value) in &row.properties {
        match value {
            serde_json::Value::String(text) => assert!(text.encode_utf16().count() <= 32_768),
            serde_json::Value::Bool(_) => {}
            serde_json::Value::Number(n) => {
                assert!(n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()), "{name}");
            }
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => panic!("{name} is no property"),
        }
    }
}

#[async_trait]
impl Tables for Fake {
    async fn get(&self, table: Table, keys: &Keys) -> Result<Option<(Row, ETag)>, TableError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let rows = self.rows.lock().unwrap();
        let found = rows.0.get(&(table, keys.clone()));
        Ok(found.map(|(row, version)| (row.clone(), ETag(version.to_string()))))
    }

    async fn apply(&self, table: Table, changes: Vec<Change>) -> Result<Vec<ETag>, TableError> {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let mut guard = self.rows.lock().unwrap();
        let (mut rows, mut version) = guard.clone();
        assert!((1..=100).contains(&changes.len()), "{} changes", changes.len());
        let partition = changes[0].keys().partition.clone();
        let (mut etags, mut touched) = (Vec::new(), Vec::new());
        for change in changes {
            let keys = change.keys().clone();
            let bad = |c: char| matches!(c, '/' | '\\' | '#' | '?') || c.is_control();
            assert!(!keys.partition.contains(bad) && !keys.row.contains(bad), "{keys:?}");
            assert_eq!(keys.partition, partition);
            assert!(!touched.contains(&keys.row), "a row twice");
            touched.push(keys.row.clone());
            let at = (table, keys);
            let known = rows.get(&at).map(|(_, version)| ETag(version.to_string()));
            version += 1;
            let etag = ETag(version.to_string());
            match (change, known) {
                (Change::Insert(_), Some(_)) => return Err(TableError::AlreadyExists),
                (Change::Replace(..) | Change::Delete(..), None) => {
                    return Err(TableError::NotFound);
                }
                (Change::Replace(_, etag) | Change::Delete(_, Some(etag)), Some(known))
                    if etag != known =>
                {
                    return Err(TableError::Changed);
                }
                (Change::Insert(row) | Change::Replace(row, _) | Change::Upsert(row), _) => {
                    check(&row);
                    rows.insert(at, (row, version));
                    etags.push(etag);
                }
                (Change::Delete(..), Some(_)) => {
                    rows.remove(&at);
                    etags.push(ETag(String::new()));
                }
            }
        }
        *guard = (rows, version);
        Ok(etags)
    }

    async fn scan(
        &self,
        table: Table,
        span: &Span,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, TableError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        let most = match self.page.load(Ordering::Relaxed) {
            0 => usize::from(limit),
            page => page.min(usize::from(limit)),
        };
        let start = match from {
            None => Bound::Included((table, Keys::new(&span.partition_from, ""))),
            Some(Continuation(text)) => {
                let (partition, row) = text.split_once('\n').unwrap();
                Bound::Excluded((table, Keys::new(partition, row)))
            }
        };
        let rows = self.rows.lock().unwrap();
        let mut page = Page::default();
        for ((t, keys), (row, version)) in rows.0.range((start, Bound::Unbounded)) {
            if *t != table || keys.partition > span.partition_to {
                break;
            }
            let early = span.row_from.as_ref().is_some_and(|first| keys.row < *first);
            let late = span.row_before.as_ref().is_some_and(|end| keys.row >= *end);
            if early || late {
                continue;
            }
            if page.rows.len() == most {
                let (last, _) = page.rows.last().unwrap();
                let place = format!("{}\n{}", last.keys.partition, last.keys.row);
                page.next = Some(Continuation(place));
                break;
            }
            page.rows.push((row.clone(), ETag(version.to_string())));
        }
        Ok(page)
    }
}
