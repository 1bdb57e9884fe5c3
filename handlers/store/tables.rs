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
    /// What must be looked at when.
    Due,
    /// What failed and stopped.
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
pub struct Keys {
    /// Rows with one partition key can be changed together.
    pub partition: String,
    /// Names the row within its partition.
    pub row: String,
}

impl Keys {
    /// Keys from anything that prints as text.
    pub fn new(partition: impl fmt::Display, row: impl fmt::Display) -> Self {
        Self { partition: partition.to_string(), row: row.to_string() }
    }
}

/// A row as the table holds it: its properties without keys, ETag and time stamp.
///
/// Values are strings, booleans and numbers; a number that does not fit 32 bits must be a string,
/// and a double without a fraction comes back as a whole number. Names are ASCII identifiers. How
/// much a row may hold stands in `store/limits.rs`.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// The row's keys.
    pub keys: Keys,
    /// Its properties.
    pub properties: Map<String, Value>,
}

impl fmt::Debug for Row {
    /// Names the row; its properties may be somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Add a row that must not be there yet.
    Insert(Row),
    /// Replace the row if it still has this ETag.
    Replace(Row, ETag),
    /// Put the row, whatever stood there.
    Upsert(Row),
    /// Remove the row if it still has this ETag; `None` removes any version. Removing a row that
    /// is not there is [`TableError::NotFound`].
    Delete(Keys, Option<ETag>),
}

impl Change {
    /// The keys of the row that changes.
    pub fn keys(&self) -> &Keys {
        match self {
            Self::Insert(row) | Self::Replace(row, _) | Self::Upsert(row) => &row.keys,
            Self::Delete(keys, _) => keys,
        }
    }
}

/// Rows with `from <= partition <= to` (both ends included), optionally one row-key range within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First partition key.
    pub partition_from: String,
    /// Last partition key.
    pub partition_to: String,
    /// First row key, when only some rows of the partitions are wanted.
    pub row_from: Option<String>,
    /// Row key to stop before.
    pub row_before: Option<String>,
}

impl Span {
    /// All rows of one partition.
    pub fn partition(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { partition_from: key.clone(), partition_to: key, row_from: None, row_before: None }
    }

    /// All rows from one partition key to another, both included.
    pub fn partitions(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            partition_from: from.into(),
            partition_to: to.into(),
            row_from: None,
            row_before: None,
        }
    }
}

/// Where a listing goes on. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation(pub String);

/// Some rows of a listing, in key order. A page may be empty and still go on.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<(Row, ETag)>,
    /// Set when there is more.
    pub next: Option<Continuation>,
}

/// Why a table call did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// An insert met a row that is already there.
    #[error("the row is already there")]
    AlreadyExists,
    /// A replace or delete met a row that is not there.
    #[error("the row is not there")]
    NotFound,
    /// The row has another ETag by now: read again and merge.
    #[error("the row was changed by somebody else")]
    Changed,
    /// The service cannot answer now, or no answer came; whether the change took effect is unknown.
    #[error("table storage cannot answer now: {0}")]
    Unavailable(String),
    /// The request is wrong and will stay wrong.
    #[error("table storage refused: {0}")]
    Refused(String),
}

/// Table storage: Azure's, or the simulation's in memory. Both pass `tests/it/store.rs`.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Reads one row; `None` when it is not there.
    ///
    /// # Errors
    /// [`TableError::Unavailable`] or [`TableError::Refused`].
    async fn get(&self, table: Table, keys: &Keys) -> Result<Option<(Row, ETag)>, TableError>;

    /// Applies all changes or none; they are of one partition and of different rows, 1 to 100.
    /// Answers the new ETag of each (empty for a delete).
    ///
    /// # Errors
    /// The first change's reason that failed; nothing was changed then.
    async fn apply(&self, table: Table, changes: Vec<Change>) -> Result<Vec<ETag>, TableError>;

    /// Lists rows in key order, at most `limit` (up to 1,000) a page.
    ///
    /// # Errors
    /// [`TableError::Unavailable`] or [`TableError::Refused`].
    async fn scan(
        &self,
        table: Table,
        span: &Span,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, TableError>;
}
