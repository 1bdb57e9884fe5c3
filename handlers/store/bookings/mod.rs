//! `Bookings`: one row an appointment and room, and the only table with meeting content. A
//! partition is an appointment (a whole series), a row an occurrence and a room.

mod wire;

use std::sync::Arc;

use wire::{BookingRow, StoredBooking};

use super::{
    error::StoreError,
    tables::{ETag, KeyRange, RowChange, RowKey, Table, TableRow, Tables},
    typed_table::TypedTable,
};
use crate::domain::{
    booking::Booking,
    ids::TenantId,
    keys::{BookingKey, Digest},
};

/// The table `Bookings`.
#[derive(Debug, Clone)]
pub struct Bookings {
    table: TypedTable,
}

impl Bookings {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { table: TypedTable::new(tables, Table::Bookings) }
    }

    /// The booking as it is, and its version.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn get(&self, key: &BookingKey) -> Result<Option<(Booking, ETag)>, StoreError> {
        let found = self.table.get(&row_key(key)).await?;
        Ok(found.map(|(StoredBooking(booking), etag)| (booking, etag)))
    }

    /// All bookings of an appointment, of every occurrence and room, each with its version.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn list_by_appointment(
        &self,
        tenant: TenantId,
        appointment: Digest,
    ) -> Result<Vec<(Booking, ETag)>, StoreError> {
        let span = KeyRange::single_partition(format!("{tenant}_{appointment}"));
        let rows = self.table.list(&span).await?;
        Ok(rows.into_iter().map(|(StoredBooking(booking), _, etag)| (booking, etag)).collect())
    }

    /// Adds a booking that must not be there yet; answers its version.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when it is there already.
    pub async fn insert(&self, booking: &Booking) -> Result<ETag, StoreError> {
        self.table.write(RowChange::Insert(row(booking)?)).await
    }

    /// Replaces the version that was read; answers the new one.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now, or none.
    pub async fn replace(&self, booking: &Booking, etag: &ETag) -> Result<ETag, StoreError> {
        self.table.write(RowChange::Replace(row(booking)?, etag.clone())).await
    }

    /// Removes a booking, if it still is the version `read` (`None`: any); none is fine.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now.
    pub async fn remove(&self, key: &BookingKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.table.remove(row_key(key), etag).await
    }
}

fn row_key(key: &BookingKey) -> RowKey {
    RowKey::new(key.partition(), key.row())
}

fn row(booking: &Booking) -> Result<TableRow, StoreError> {
    TypedTable::encode(row_key(&booking.key), &BookingRow::from(booking.clone()))
}

#[cfg(test)]
mod tests;
