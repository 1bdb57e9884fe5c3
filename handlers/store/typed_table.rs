//! One table as its own file sees it: rows in and out as that file's wire type.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    error::StoreError,
    tables::{
        Continuation, ETag, KeyRange, Page, RowChange, RowKey, Table, TableError, TableRow, Tables,
    },
};

/// The most UTF-16 units that are put into one property. A property holds 64 KiB of UTF-16, source:
/// learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model, 2026-11.
const MAX_TEXT_UNITS: usize = 30_000;

/// The most rows that one page of a listing holds, by the same source.
const PAGE_SIZE: u16 = 1_000;

/// The most changes in one transaction, source:
/// learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions, 2026-11.
pub(super) const MAX_TRANSACTION_CHANGES: usize = 100;

/// Some rows of a listing, and where it goes on.
pub(super) type TypedPage<W> = (Vec<(W, RowKey, ETag)>, Option<Continuation>);

/// A table.
#[derive(Clone)]
pub(super) struct TypedTable {
    tables: Arc<dyn Tables>,
    table: Table,
}

impl fmt::Debug for TypedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shelf").field(&self.table).finish()
    }
}

impl TypedTable {
    /// The `table` among `table_faults`.
    pub(super) fn new(tables: Arc<dyn Tables>, table: Table) -> Self {
        Self { tables, table }
    }

    /// Reads one row.
    pub(super) async fn get<W: DeserializeOwned>(
        &self,
        key: &RowKey,
    ) -> Result<Option<(W, ETag)>, StoreError> {
        match self.tables.get(self.table, key).await? {
            None => Ok(None),
            Some((row, etag)) => Ok(Some((self.decode(row)?, etag))),
        }
    }

    /// Makes one change; answers the row's new ETag.
    pub(super) async fn write(&self, change: RowChange) -> Result<ETag, StoreError> {
        let etags = self.tables.apply(self.table, vec![change]).await?;
        etags.into_iter().next().ok_or_else(|| TableError::Refused("no ETag came".into()).into())
    }

    /// Makes all changes (of one partition) or none.
    pub(super) async fn transaction(&self, changes: Vec<RowChange>) -> Result<(), StoreError> {
        if !changes.is_empty() {
            self.tables.apply(self.table, changes).await?;
        }
        Ok(())
    }

    /// Removes a row, if it still has `pointer_etag`. One that is not there is as good as removed.
    pub(super) async fn remove(&self, key: RowKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        match self.write(RowChange::Delete(key, etag.cloned())).await {
            Ok(_) | Err(StoreError::Table(TableError::NotFound)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Removes these versions of rows, up to 100 of a partition at once; answers how many. A row
    /// that is gone is not counted, and one that was changed since it was read stays.
    pub(super) async fn remove_rows(&self, rows: Vec<(RowKey, ETag)>) -> Result<u64, StoreError> {
        let mut partitions: BTreeMap<String, Vec<(RowKey, ETag)>> = BTreeMap::new();
        for (keys, etag) in rows {
            partitions.entry(keys.partition.clone()).or_default().push((keys, etag));
        }
        let mut removed = 0;
        for rows in partitions.into_values() {
            for batch in rows.chunks(MAX_TRANSACTION_CHANGES) {
                removed += self.remove_batch(batch).await?;
            }
        }
        Ok(removed)
    }

    async fn remove_batch(&self, batch: &[(RowKey, ETag)]) -> Result<u64, StoreError> {
        let delete =
            |(keys, etag): &(RowKey, ETag)| RowChange::Delete(keys.clone(), Some(etag.clone()));
        match self.transaction(batch.iter().map(delete).collect()).await {
            Ok(()) => return Ok(batch.len() as u64),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        // One of them was changed or gone, so none was removed: each for itself then.
        let mut removed = 0;
        for row in batch {
            match self.transaction(vec![delete(row)]).await {
                Ok(()) => removed += 1,
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// One page of rows, not read yet.
    pub(super) async fn scan(
        &self,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        Ok(self.tables.scan(self.table, range, from, limit).await?)
    }

    /// All rows of `span`, however many pages they are.
    pub(super) async fn list<W: DeserializeOwned>(
        &self,
        range: &KeyRange,
    ) -> Result<Vec<(W, RowKey, ETag)>, StoreError> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let (rows, next) = self.list_page(range, from).await?;
            all.extend(rows);
            from = next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Up to 1,000 rows of `span`, and where the next ones begin.
    pub(super) async fn list_page<W: DeserializeOwned>(
        &self,
        range: &KeyRange,
        from: Option<Continuation>,
    ) -> Result<TypedPage<W>, StoreError> {
        let page = self.scan(range, from, PAGE_SIZE).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for (row, etag) in page.rows {
            let keys = row.key.clone();
            rows.push((self.decode(row)?, keys, etag));
        }
        Ok((rows, page.next))
    }

    /// The row with these keys that holds `response`.
    pub(super) fn encode<W: Serialize>(key: RowKey, wire: &W) -> Result<TableRow, StoreError> {
        match serde_json::to_value(wire) {
            Ok(Value::Object(properties)) => {
                Ok(TableRow { key, properties: split_long_texts(properties) })
            }
            // Cannot be: every wire type is a struct of plain fields.
            Ok(_) | Err(_) => Err(TableError::Refused("no properties to write".into()).into()),
        }
    }

    /// What `row` holds.
    pub(super) fn decode<W: DeserializeOwned>(&self, row: TableRow) -> Result<W, StoreError> {
        let TableRow { key: keys, properties } = row;
        // What exactly was wrong would repeat content, so it is not told.
        serde_json::from_value(Value::Object(join_split_texts(properties)))
            .map_err(|_| self.unreadable(keys))
    }

    /// Says that the row with these keys cannot be understood.
    pub(super) fn unreadable(&self, key: RowKey) -> StoreError {
        StoreError::Unreadable { table: self.table, key }
    }
}

/// Spreads texts that are too long for one property over `Name`, `Name_2`, `Name_3` ...
fn split_long_texts(properties: Map<String, Value>) -> Map<String, Value> {
    let mut fitting = Map::new();
    for (name, value) in properties {
        let Some(long) = value.as_str().filter(|text| text.len() > MAX_TEXT_UNITS) else {
            fitting.insert(name, value);
            continue;
        };
        for (piece, number) in pieces(long).into_iter().zip(1..) {
            let name = if number == 1 { name.clone() } else { format!("{name}_{number}") };
            fitting.insert(name, Value::String(piece));
        }
    }
    fitting
}

/// The text in pieces that each fit a property.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut units) = (Vec::new(), String::new(), 0);
    for letter in text.chars() {
        if units + letter.len_utf16() > MAX_TEXT_UNITS {
            pieces.push(std::mem::take(&mut piece));
            units = 0;
        }
        piece.push(letter);
        units += letter.len_utf16();
    }
    pieces.push(piece);
    pieces
}

/// Undoes [`split_long_texts`]. No property's own name ends in an underscore and a number.
fn join_split_texts(mut properties: Map<String, Value>) -> Map<String, Value> {
    let firsts: Vec<String> =
        properties.keys().filter_map(|name| name.strip_suffix("_2").map(str::to_owned)).collect();
    for first in firsts {
        for number in 2.. {
            let Some(Value::String(piece)) = properties.remove(&format!("{first}_{number}")) else {
                break;
            };
            if let Some(Value::String(text)) = properties.get_mut(&first) {
                text.push_str(&piece);
            }
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_spread_over_properties_that_fit_and_comes_back_whole() {
        let text = "ä😀x".repeat(20_000);
        let mut before = Map::new();
        before.insert("Copies".into(), text.into());
        before.insert("Title".into(), "short".into());
        let row = split_long_texts(before.clone());
        assert_eq!(row.len(), 4);
        for value in row.values() {
            assert!(value.as_str().unwrap().encode_utf16().count() <= MAX_TEXT_UNITS);
        }
        assert_eq!(join_split_texts(row), before);
    }
}
