//! The bookings that one message leads to: its copies of one appointment lead to the same ones, which are
//! read once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    domain::{appointment::CopyKey, keys::BookingKey},
    store::{
        StoreError,
        bookings::{Bookings, VersionedBooking},
    },
};

/// A row or its absence, by key.
type FoundBookings = BTreeMap<BookingKey, Option<VersionedBooking>>;

/// Single bookings as they were read or written last. That another worker has changed one meanwhile is found
/// by its ETag, as if it had been read again a moment earlier; a row that was not there has none.
#[derive(Default)]
pub(super) struct BookingRows {
    known: Mutex<BTreeMap<BookingKey, VersionedBooking>>,
}

impl BookingRows {
    /// The bookings with these keys, as [`Bookings::get_all`] answers them. Where the pointer of a copy
    /// (`led_by`) leads to them, a row that does not know that copy is older than the pointer, and is read.
    pub(super) async fn get_all(
        &self,
        bookings: &Bookings,
        keys: impl IntoIterator<Item = BookingKey>,
        led_by: Option<CopyKey>,
    ) -> Result<FoundBookings, StoreError> {
        let (mut found, mut unread) = (FoundBookings::new(), Vec::new());
        for key in keys {
            let known = self.lock().get(&key).cloned();
            let is_newer = |(row, _): &VersionedBooking| {
                led_by.is_none_or(|copy| row.known_copies.contains(&copy))
            };
            match known.filter(is_newer) {
                Some(row) => drop(found.insert(key, Some(row))),
                None => unread.push(key),
            }
        }
        let read = bookings.get_all(unread).await?;
        // Those of a series are listed, and what is in the list may change.
        let single = read.iter().filter(|(key, _)| key.original_start.is_none());
        self.lock().extend(single.filter_map(|(key, row)| Some((*key, row.clone()?))));
        found.extend(read);
        Ok(found)
    }

    /// Notes what was written.
    pub(super) fn note(&self, row: VersionedBooking) {
        self.lock().insert(row.0.key, row);
    }

    /// What the rows are is uncertain, or they have other keys now.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<BookingKey, VersionedBooking>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
