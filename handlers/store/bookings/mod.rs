//! `Bookings`: one row an appointment and room, and the only table with meeting content. A
//! partition is an appointment (a whole series), a row an occurrence and a room.

mod wire;

use std::sync::Arc;

use wire::{BookingRow, Stored};

use super::{
    error::StoreError,
    shelf::Shelf,
    tables::{Change, ETag, Keys, Row, Span, Table, Tables},
};
use crate::domain::{
    booking::Booking,
    ids::TenantId,
    keys::{BookingKey, Digest},
};

/// The table `Bookings`.
#[derive(Debug, Clone)]
pub struct Bookings {
    shelf: Shelf,
}

impl Bookings {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Bookings) }
    }

    /// The booking as it is, and its version.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn get(&self, key: &BookingKey) -> Result<Option<(Booking, ETag)>, StoreError> {
        let found = self.shelf.get(&keys(key)).await?;
        Ok(found.map(|(Stored(booking), etag)| (booking, etag)))
    }

    /// All bookings of an appointment, of every occurrence and room, each with its version.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn of_appointment(
        &self,
        tenant: TenantId,
        appointment: Digest,
    ) -> Result<Vec<(Booking, ETag)>, StoreError> {
        let span = Span::partition(format!("{tenant}_{appointment}"));
        let rows = self.shelf.all(&span).await?;
        Ok(rows.into_iter().map(|(Stored(booking), _, etag)| (booking, etag)).collect())
    }

    /// Adds a booking that must not be there yet; answers its version.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when it is there already.
    pub async fn insert(&self, booking: &Booking) -> Result<ETag, StoreError> {
        self.shelf.change(Change::Insert(row(booking)?)).await
    }

    /// Replaces the version that was read; answers the new one.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when there is another version by now, or none.
    pub async fn replace(&self, booking: &Booking, read: &ETag) -> Result<ETag, StoreError> {
        self.shelf.change(Change::Replace(row(booking)?, read.clone())).await
    }

    /// Removes a booking, if it still is the version `read` (`None`: any); none is fine.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when there is another version by now.
    pub async fn remove(&self, key: &BookingKey, read: Option<&ETag>) -> Result<(), StoreError> {
        self.shelf.remove(keys(key), read).await
    }
}

fn keys(key: &BookingKey) -> Keys {
    Keys::new(key.partition(), key.row())
}

fn row(booking: &Booking) -> Result<Row, StoreError> {
    Shelf::row(keys(&booking.key), &BookingRow::from(booking.clone()))
}

#[cfg(test)]
mod tests;
