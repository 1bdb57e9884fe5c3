//! Tables in memory, with the service's rules.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;

use crate::store::tables::limits;
use crate::store::tables::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};

/// Every table's rows in key order, each with its ETag.
type Rows = BTreeMap<Table, BTreeMap<RowKey, (TableRow, ETag)>>;

/// [`Tables`] in memory. Every verb is atomic.
#[derive(Default)]
pub struct MemoryTables {
    rows: Mutex<Rows>,
    version: AtomicU64,
}

impl MemoryTables {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// All rows of a table in key order: for a simulation to check what must always hold.
    pub fn rows(&self, table: Table) -> Vec<TableRow> {
        self.lock().entry(table).or_default().values().map(|(row, _)| row.clone()).collect()
    }

    /// How many rows a table has.
    pub fn count(&self, table: Table) -> usize {
        self.lock().entry(table).or_default().len()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `change` may be made to what is stored.
fn check_precondition(
    stored: Option<&(TableRow, ETag)>,
    change: &RowChange,
) -> Result<(), StoreError> {
    match (change, stored) {
        (RowChange::Insert(_), Some(_)) => Err(StoreError::AlreadyExists),
        (RowChange::Replace(..) | RowChange::Delete(..), None) => Err(StoreError::NotFound),
        (RowChange::Replace(_, held) | RowChange::Delete(_, Some(held)), Some((_, etag)))
            if held != etag =>
        {
            Err(StoreError::ETagMismatch)
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Tables for MemoryTables {
    async fn get(
        &self,
        table: Table,
        key: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        limits::check_keys(key)?;
        Ok(self.lock().entry(table).or_default().get(key).cloned())
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        limits::check_changes(&changes)?;
        let mut all = self.lock();
        let rows = all.entry(table).or_default();
        for change in &changes {
            check_precondition(rows.get(change.key()), change)?;
        }
        let mut etags = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                RowChange::Insert(row) | RowChange::Replace(row, _) | RowChange::Upsert(row) => {
                    let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
                    let etag = ETag(format!("W/\"{version}\""));
                    etags.push(etag.clone());
                    rows.insert(row.key.clone(), (row, etag));
                }
                RowChange::Delete(keys, _) => {
                    rows.remove(&keys);
                    etags.push(ETag(String::new()));
                }
            }
        }
        Ok(etags)
    }

    /// As the service may, it says that there is more whenever a page is full and another row
    /// follows within the partitions asked for, though none of those may be wanted.
    async fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let first = match from {
            Some(from) => decode_continuation(&from)?,
            None => RowKey::new(&range.partition_from, ""),
        };
        let limit = usize::from(limit.clamp(1, 1000));
        let mut all = self.lock();
        let rows = all.entry(table).or_default();
        let mut page = Page::default();
        let from_first = rows.range((Bound::Included(first), Bound::Unbounded));
        for (keys, stored) in
            from_first.take_while(|(keys, _)| keys.partition <= range.partition_to)
        {
            if page.rows.len() == limit {
                page.next = Some(encode_continuation(keys));
                break;
            }
            if is_in_range(range, &keys.row) {
                page.rows.push(stored.clone());
            } else if range.partition_from == range.partition_to && is_past(range, &keys.row) {
                break;
            }
        }
        Ok(page)
    }
}

fn is_in_range(span: &KeyRange, row: &str) -> bool {
    let after = span.row_from.as_deref().is_none_or(|from| row >= from);
    after && !is_past(span, row)
}

fn is_past(span: &KeyRange, row: &str) -> bool {
    span.row_before.as_deref().is_some_and(|before| row >= before)
}

fn encode_continuation(next: &RowKey) -> Continuation {
    Continuation(serde_json::json!([next.partition, next.row]).to_string())
}

fn decode_continuation(from: &Continuation) -> Result<RowKey, StoreError> {
    let (partition, row) = serde_json::from_str(&from.0)
        .map_err(|_| StoreError::Refused("not a continuation token of this store".to_owned()))?;
    Ok(RowKey { partition, row })
}
