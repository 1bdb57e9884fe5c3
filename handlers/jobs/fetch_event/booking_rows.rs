//! The bookings that one message leads to: its copies of one appointment lead to the same ones, which are
//! read once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::keys::BookingKey,
    store::{
        StoreError,
        bookings::{Bookings, VersionedBooking},
    },
};

/// A row or its absence, by key.
type FoundBookings = BTreeMap<BookingKey, Option<VersionedBooking>>;

/// Single bookings as they were read or written last. That another worker has changed one meanwhile is found
/// by its ETag, as if it had been read again a moment earlier.
#[derive(Default)]
pub(super) struct BookingRows {
    known: Mutex<FoundBookings>,
}

impl BookingRows {
    /// The bookings with these keys, as [`Bookings::get_all`] answers them.
    pub(super) async fn get_all(
        &self,
        bookings: &Bookings,
        keys: impl IntoIterator<Item = BookingKey>,
    ) -> Result<FoundBookings, StoreError> {
        let (mut found, mut unread) = (FoundBookings::new(), Vec::new());
        for key in keys {
            match self.lock().get(&key) {
                Some(row) => drop(found.insert(key, row.clone())),
                None => unread.push(key),
            }
        }
        let read = bookings.get_all(unread).await?;
        // Those of a series are listed, and what is in the list may change.
        let single = read.iter().filter(|(key, _)| key.original_start.is_none());
        self.lock().extend(single.map(|(key, row)| (*key, row.clone())));
        found.extend(read);
        Ok(found)
    }

    /// Notes what was written.
    pub(super) fn note(&self, row: VersionedBooking) {
        self.lock().insert(row.0.key, Some(row));
    }

    /// FoundBookings were written under other keys, or many at once.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, FoundBookings> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
