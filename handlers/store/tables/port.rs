//! The port below every table: rows with keys and ETags, and the three verbs the store needs.

use std::fmt;

use async_trait::async_trait;
use serde_json::{Map, Value};

/// The tables, each named once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// One row a tenant: state and policy.
    Tenants,
    /// One row a mailbox: consent, subscription, nonces.
    Mailboxes,
    /// One row a copy of an appointment: where its booking is.
    Appointments,
    /// One row an appointment and room: the only table with meeting content.
    Bookings,
    /// The room map, and the ledger: one row a room and UTC day.
    Rooms,
    Due,
    Failures,
    /// Every Graph and booking-system call, never its data.
    Audit,
    /// What people decided: who agreed, when, to which text, and every changed policy.
    Register,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 9] = [
        Self::Tenants,
        Self::Mailboxes,
        Self::Appointments,
        Self::Bookings,
        Self::Rooms,
        Self::Due,
        Self::Failures,
        Self::Audit,
        Self::Register,
    ];

    /// The table's name in the storage account.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenants => "Tenants",
            Self::Mailboxes => "Mailboxes",
            Self::Appointments => "Appointments",
            Self::Bookings => "Bookings",
            Self::Rooms => "Rooms",
            Self::Due => "Due",
            Self::Failures => "Failures",
            Self::Audit => "Audit",
            Self::Register => "Register",
        }
    }
}

/// Says which version of a row was read. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(pub String);

/// A row's two keys. Neither may hold `/`, `\`, `#`, `?` or control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Rows with one partition key can be changed together.
    pub partition: String,
    pub row: String,
}

impl RowKey {
    /// Keys from anything that prints as text.
    pub fn new(partition: impl fmt::Display, row: impl fmt::Display) -> Self {
        Self { partition: partition.to_string(), row: row.to_string() }
    }
}

/// A row as the table holds it: its properties without keys, ETag and time stamp.
///
/// Values are strings, booleans and numbers; a number that does not fit 32 bits must be a string,
/// and a double without a fraction comes back as a whole number. Names are ASCII identifiers. How
/// much a row may hold is in `store/tables/limits.rs`.
#[derive(Clone, PartialEq)]
pub struct TableRow {
    pub key: RowKey,
    pub properties: Map<String, Value>,
}

impl fmt::Debug for TableRow {
    /// Names the row; its properties may be somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRow").field("key", &self.key).finish_non_exhaustive()
    }
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowChange {
    /// Add a row that must not be there yet.
    Insert(TableRow),
    /// Replace the row if it still has this ETag.
    Replace(TableRow, ETag),
    /// Put the row, whatever stood there.
    Upsert(TableRow),
    /// Remove the row if it still has this ETag; `None` removes any version. Removing a row that
    /// is not there is [`StoreError::NotFound`].
    Delete(RowKey, Option<ETag>),
}

impl RowChange {
    /// The keys of the row that changes.
    pub fn key(&self) -> &RowKey {
        match self {
            Self::Insert(row) | Self::Replace(row, _) | Self::Upsert(row) => &row.key,
            Self::Delete(keys, _) => keys,
        }
    }
}

/// Rows with `from <= partition <= to` (both ends included), optionally one row-key range within.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    pub partition_from: String,
    pub partition_to: String,
    /// First row key, when only some rows of the partitions are wanted.
    pub row_from: Option<String>,
    pub row_before: Option<String>,
}

impl KeyRange {
    /// All rows of one partition.
    pub fn single_partition(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { partition_from: key.clone(), partition_to: key, ..Self::default() }
    }

    /// All rows from one partition key to another, both included.
    pub fn partition_range(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { partition_from: from.into(), partition_to: to.into(), ..Self::default() }
    }
}

/// Where a listing continues. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(pub String);

/// Some rows of a listing, in key order. A page may be empty and still go on.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub rows: Vec<(TableRow, ETag)>,
    pub next: Option<Continuation>,
}

/// Why the store did not do what was asked. It never holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// An insert met a row that exists.
    #[error("the row already exists")]
    AlreadyExists,
    /// A replace or delete met no row.
    #[error("the row does not exist")]
    NotFound,
    /// The row was changed since it was read.
    #[error("the row's ETag has changed")]
    ETagMismatch,
    /// The service is unavailable, or no response came; whether the change took effect is unknown.
    #[error("table storage is unavailable: {0}")]
    Unavailable(String),
    /// The request is wrong and will stay wrong.
    #[error("table storage rejected the request: {0}")]
    Refused(String),
    /// A row that we wrote ourselves cannot be parsed.
    #[error("row in {} cannot be parsed: {} / {}", .table.name(), .key.partition, .key.row)]
    Unreadable { table: Table, key: RowKey },
}

impl StoreError {
    /// Whether another writer was faster: the row has another version, exists already, or is gone.
    /// Read again and merge; it never means that a room is taken.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::ETagMismatch | Self::AlreadyExists | Self::NotFound => true,
            Self::Unavailable(_) | Self::Refused(_) | Self::Unreadable { .. } => false,
        }
    }
}

/// Table storage: Azure's, or the simulation's in memory. Both pass `tests/it/store.rs`.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Reads one row; `None` when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Refused`].
    async fn get(&self, table: Table, key: &RowKey)
    -> Result<Option<(TableRow, ETag)>, StoreError>;

    /// Applies all changes or none; they are of one partition and of different rows, 1 to 100.
    /// Answers the new ETag of each (empty for a delete).
    ///
    /// # Errors
    /// The first change's reason that failed; nothing was changed then.
    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError>;

    /// Lists rows in key order, at most `limit` (up to 1,000) a page.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Refused`].
    async fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_race_is_read_again() {
        let unreadable =
            StoreError::Unreadable { table: Table::Bookings, key: RowKey::new("p", "r") };
        for (error, changed) in [
            (StoreError::ETagMismatch, true),
            (StoreError::AlreadyExists, true),
            (StoreError::NotFound, true),
            (StoreError::Unavailable("503".into()), false),
            (StoreError::Refused("400".into()), false),
            (unreadable, false),
        ] {
            assert_eq!(error.is_conflict(), changed, "{error}");
        }
    }
}
