//! `Audit`: every call to Graph and to a booking system, never its data. A partition is a tenant, a
//! UTC day and one of 16 shards; a row is a UUIDv7, so that a partition is in order of time.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    error::StoreError,
    shelf::{MOST_CHANGES, Shelf},
    tables::{Change, Keys, Row, Span, Table, Tables},
    wire::{as_text, count},
};
use crate::{
    domain::ids::{CorrelationId, TenantId},
    rng::Rng,
    trail::CallRecord,
};

/// Over how many partitions a tenant's day is spread: 0 to f.
const SHARD_MASK: u8 = 0x0f;

/// A call as the audit has it; the fields are those of [`CallRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedCall {
    /// When it was sent.
    pub at: Timestamp,
    /// For whose tenant.
    pub tenant: TenantId,
    /// Which system.
    pub system: String,
    /// The HTTP method, or the adapter's verb.
    pub method: String,
    /// The path with every id replaced by its name.
    pub path: String,
    /// The fields asked for or written, by name; `-` for none.
    pub fields: String,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Ties the call to what caused it.
    pub correlation: CorrelationId,
}

/// The table `Audit`.
#[derive(Debug, Clone)]
pub struct Audit {
    shelf: Shelf,
}

impl Audit {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Audit) }
    }

    /// Writes the calls of one invocation: one transaction for each tenant, day and 100 calls.
    ///
    /// # Errors
    /// [`StoreError`] when some were not written, or may not have been.
    pub async fn write(&self, calls: &[CallRecord], rng: &dyn Rng) -> Result<(), StoreError> {
        let mut shard = [0];
        rng.fill(&mut shard);
        let shard = shard[0] & SHARD_MASK;
        let mut partitions: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for call in calls {
            let date = call.at.to_zoned(TimeZone::UTC).date();
            let partition = format!("{}_{date}_{shard:x}", call.tenant);
            let keys = Keys::new(&partition, id(call.at, rng));
            let row = Shelf::row(keys, &CallRow::from(call))?;
            partitions.entry(partition).or_default().push(row);
        }
        for rows in partitions.into_values() {
            for batch in rows.chunks(MOST_CHANGES) {
                let changes = batch.iter().cloned().map(Change::Insert).collect();
                self.shelf.transaction(changes).await?;
            }
        }
        Ok(())
    }

    /// All calls for a tenant on a UTC day, in order of time.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn all(&self, tenant: TenantId, date: Date) -> Result<Vec<AuditedCall>, StoreError> {
        let span = Span::partitions(format!("{tenant}_{date}_0"), format!("{tenant}_{date}_f"));
        let rows = self.shelf.all::<CallRow>(&span).await?;
        let mut calls: Vec<AuditedCall> = rows.into_iter().map(|(row, _, _)| row.into()).collect();
        calls.sort_by_key(|call| call.at);
        Ok(calls)
    }
}

/// A UUIDv7 of the instant (RFC 9562, section 5.7), its random part from `rng`.
fn id(at: Timestamp, rng: &dyn Rng) -> Uuid {
    let mut chance = [0; 10];
    rng.fill(&mut chance);
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallRow {
    at: Timestamp,
    #[serde(with = "as_text")]
    tenant: TenantId,
    system: String,
    method: String,
    path: String,
    fields: String,
    status: u16,
    #[serde(with = "count")]
    duration_ms: u64,
    #[serde(with = "as_text")]
    correlation: CorrelationId,
}

impl From<&CallRecord> for CallRow {
    fn from(call: &CallRecord) -> Self {
        Self {
            at: call.at,
            tenant: call.tenant,
            system: call.system.to_owned(),
            method: call.method.to_owned(),
            path: call.path.to_owned(),
            fields: call.fields.clone(),
            status: call.status,
            duration_ms: call.duration_ms,
            correlation: call.correlation,
        }
    }
}

impl From<CallRow> for AuditedCall {
    fn from(row: CallRow) -> Self {
        let CallRow { at, tenant, system, method, path, fields, .. } = row;
        let CallRow { status, duration_ms, correlation, .. } = row;
        Self { at, tenant, system, method, path, fields, status, duration_ms, correlation }
    }
}
