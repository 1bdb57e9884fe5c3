//! One table whose rows are values of one type.

use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc};

use futures::{StreamExt as _, stream, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    port::{
        Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
    },
    properties,
};

/// The most rows of one page, source:
/// learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination, 2026-11.
const PAGE_SIZE: u16 = 1_000;

/// The most changes in one transaction, source:
/// learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions, 2026-11.
pub(in crate::store) const MAX_TRANSACTION_CHANGES: usize = 100;

/// These changes as transactions, each of one partition.
pub(in crate::store) fn into_transactions(
    changes: impl IntoIterator<Item = RowChange>,
) -> Vec<Vec<RowChange>> {
    let mut partitions: BTreeMap<String, Vec<RowChange>> = BTreeMap::new();
    for change in changes {
        partitions.entry(change.key().partition.clone()).or_default().push(change);
    }
    let chunks = partitions.values().flat_map(|changes| changes.chunks(MAX_TRANSACTION_CHANGES));
    chunks.map(<[RowChange]>::to_vec).collect()
}

/// A value that says by itself which row of which table it is.
pub trait Row: Serialize + DeserializeOwned {
    /// The table it is in.
    const TABLE: Table;

    /// Its keys there.
    fn key(&self) -> RowKey;
}

/// Pages of rows, with their keys and versions.
pub(in crate::store) type RowPages<R> =
    BoxStream<'static, Result<Vec<(R, RowKey, ETag)>, StoreError>>;

/// A table whose rows are values of `R`. Clones share it.
pub struct TypedTable<R> {
    tables: Arc<dyn Tables>,
    table: Table,
    row: PhantomData<fn() -> R>,
}

impl<R> Clone for TypedTable<R> {
    fn clone(&self) -> Self {
        Self { tables: Arc::clone(&self.tables), table: self.table, row: PhantomData }
    }
}

impl<R> fmt::Debug for TypedTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedTable").field(&self.table).finish()
    }
}

impl<R: Row> TypedTable<R> {
    /// The table of these rows.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self::open(tables, R::TABLE)
    }

    /// Adds a row that must not exist yet, and returns its ETag.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when it exists.
    pub async fn insert(&self, row: &R) -> Result<ETag, StoreError> {
        self.write(RowChange::Insert(Self::encode(row.key(), row)?)).await
    }

    /// Replaces the version that was read, and returns the new one's ETag.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when the row has another version by now, or is gone.
    pub async fn replace(&self, row: &R, etag: &ETag) -> Result<ETag, StoreError> {
        self.write(RowChange::Replace(Self::encode(row.key(), row)?, etag.clone())).await
    }

    /// Writes a row whether or not it exists, and returns its ETag.
    pub async fn upsert(&self, row: &R) -> Result<ETag, StoreError> {
        self.write(RowChange::Upsert(Self::encode(row.key(), row)?)).await
    }
}

impl<R: Serialize + DeserializeOwned> TypedTable<R> {
    /// `table`, whose rows (those that are read here) are values of `R`.
    pub(in crate::store) fn open(tables: Arc<dyn Tables>, table: Table) -> Self {
        Self { tables, table, row: PhantomData }
    }

    /// Reads one row.
    pub(in crate::store) async fn read(
        &self,
        key: &RowKey,
    ) -> Result<Option<(R, ETag)>, StoreError> {
        match self.tables.get(self.table, key).await? {
            None => Ok(None),
            Some((row, etag)) => Ok(Some((self.decode(row)?, etag))),
        }
    }

    /// Makes one change; returns the row's new ETag.
    pub(in crate::store) async fn write(&self, change: RowChange) -> Result<ETag, StoreError> {
        let etags = self.tables.apply(self.table, vec![change]).await?;
        etags
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::Refused("the response has no ETag".into()))
    }

    /// Makes all changes (of one partition) or none; returns each row's new ETag.
    pub(in crate::store) async fn transaction(
        &self,
        changes: Vec<RowChange>,
    ) -> Result<Vec<ETag>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.tables.apply(self.table, changes).await
    }

    /// Removes a row, if it still has `etag`. A row that does not exist is as good as removed.
    pub(in crate::store) async fn delete(
        &self,
        key: RowKey,
        etag: Option<&ETag>,
    ) -> Result<(), StoreError> {
        match self.write(RowChange::Delete(key, etag.cloned())).await {
            // The first try of a delete whose response was lost may have succeeded.
            Ok(_) | Err(StoreError::NotFound) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Removes these versions of rows, up to 100 of a partition in one transaction, and returns how
    /// many. A row that is gone is not counted, and one that was changed since it was read stays.
    pub(in crate::store) async fn delete_rows(
        &self,
        rows: Vec<(RowKey, ETag)>,
    ) -> Result<u64, StoreError> {
        let deletes = rows.into_iter().map(|(key, etag)| RowChange::Delete(key, Some(etag)));
        let mut removed = 0;
        for batch in into_transactions(deletes) {
            removed += self.delete_batch(batch).await?;
        }
        Ok(removed)
    }

    /// Makes those of these deletes that can be made, and returns how many.
    pub(in crate::store) async fn delete_batch(
        &self,
        batch: Vec<RowChange>,
    ) -> Result<u64, StoreError> {
        match self.transaction(batch.clone()).await {
            Ok(_) => return Ok(batch.len() as u64),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        // One row was changed or gone, so the transaction removed none: one by one then.
        let mut removed = 0;
        for delete in batch {
            match self.transaction(vec![delete]).await {
                Ok(_) => removed += 1,
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// One page of rows, not parsed.
    pub(in crate::store) async fn scan(
        &self,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        self.tables.scan(self.table, range, from, limit).await
    }

    /// The keys of all rows of `range`, also of those that cannot be parsed.
    pub(in crate::store) async fn list_keys(
        &self,
        range: &KeyRange,
    ) -> Result<Vec<RowKey>, StoreError> {
        Ok(self.scan_all(range).await?.into_iter().map(|(row, _)| row.key).collect())
    }

    /// All rows of `range`, over all its pages.
    pub(in crate::store) async fn read_all(
        &self,
        range: &KeyRange,
    ) -> Result<Vec<(R, RowKey, ETag)>, StoreError> {
        self.decode_all(self.scan_all(range).await?)
    }

    async fn scan_all(&self, range: &KeyRange) -> Result<Vec<(TableRow, ETag)>, StoreError> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self.scan(range, from, PAGE_SIZE).await?;
            all.extend(page.rows);
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// The rows of `range`, page by page: a range of any length needs the memory of one page.
    pub(in crate::store) fn pages(&self, range: KeyRange) -> RowPages<R>
    where
        R: Send + 'static,
    {
        let table = self.clone();
        let pages = stream::try_unfold(Some(None), move |next| {
            let (table, range) = (table.clone(), range.clone());
            async move {
                let Some(from) = next else { return Ok(None) };
                let (rows, more) = table.read_page(&range, from).await?;
                Ok(Some((rows, more.map(Some))))
            }
        });
        pages.boxed()
    }

    /// All rows of `range` without their keys and versions.
    pub(in crate::store) async fn values(&self, range: &KeyRange) -> Result<Vec<R>, StoreError> {
        Ok(self.read_all(range).await?.into_iter().map(|(row, _, _)| row).collect())
    }

    /// Up to 1,000 rows of `range`, and where the next ones begin.
    pub(in crate::store) async fn read_page(
        &self,
        range: &KeyRange,
        from: Option<Continuation>,
    ) -> Result<(Vec<(R, RowKey, ETag)>, Option<Continuation>), StoreError> {
        let page = self.scan(range, from, PAGE_SIZE).await?;
        Ok((self.decode_all(page.rows)?, page.next))
    }

    fn decode_all(
        &self,
        rows: Vec<(TableRow, ETag)>,
    ) -> Result<Vec<(R, RowKey, ETag)>, StoreError> {
        let decode = |(row, etag): (TableRow, ETag)| {
            let key = row.key.clone();
            Ok((self.decode(row)?, key, etag))
        };
        rows.into_iter().map(decode).collect()
    }

    /// The row with these keys that holds `row`.
    pub(in crate::store) fn encode(key: RowKey, row: &R) -> Result<TableRow, StoreError> {
        match properties::encode(row) {
            Ok(properties) => Ok(TableRow { key, properties }),
            // Cannot happen: every row is a struct of plain fields.
            Err(_) => Err(StoreError::Refused("no properties to write".into())),
        }
    }

    /// What `row` holds.
    pub(in crate::store) fn decode(&self, row: TableRow) -> Result<R, StoreError> {
        // The parser's message could repeat content, so it is dropped.
        properties::decode(row.properties).map_err(|_| self.unreadable(row.key))
    }

    /// The error for a row that cannot be parsed.
    pub(in crate::store) fn unreadable(&self, key: RowKey) -> StoreError {
        StoreError::Unreadable { table: self.table, key }
    }
}
