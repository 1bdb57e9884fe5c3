//! `Appointments`: one row a copy of an appointment in one mailbox. It leads from the copy to its
//! bookings and holds no content; a mailbox's rows lead to everything that is held about a person.
//!
//! A partition is a mailbox; a row is the keyed digest of the event's id there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tables::{
    ETag, KeyRange, MAX_CONFLICT_RETRIES, Row, RowKey, StoreError, Table, TypedTable,
};
use crate::domain::{
    appointment::{CopyKey, CopyLocation, CopyRef, CopyRole},
    ids::{EventId, MailboxId, TenantId},
    keys::{BookingKey, Digest},
};

/// Leads from a copy of an appointment to its bookings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentCopy {
    pub tenant: TenantId,
    pub mailbox: MailboxId,
    /// `None` once the copy has ended, or is of no interest any more: as long as it is in its calendar, it
    /// may have to be read again, and our property may have to be removed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Its digest, see [`crate::domain::keys::DigestKey::event`].
    pub event_digest: Digest,
    pub role: CopyRole,
    /// The bookings that it asks for or has asked for.
    pub bookings: Vec<BookingKey>,
    /// Of a series: what each of its occurrences said that holds a room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub occurrences: Vec<OccurrenceDigest>,
    /// What it said when it was read last, see [`crate::domain::appointment::change_digest`].
    pub change_digest: Digest,
    /// No booking needs it any more, so that nothing is missed when it disappears.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// When it ends; the end of that day (UTC) once it is of no interest any more.
    pub ends_at: Timestamp,
    /// When the mailbox made the version that was read last; older versions are ignored. `None` where
    /// Graph did not say.
    pub last_modified_at: Option<Timestamp>,
}

/// What one occurrence of a series said when it was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OccurrenceDigest {
    /// When it was to start.
    pub start: Timestamp,
    /// When it ends, wherever it was moved.
    pub end: Timestamp,
    /// See [`crate::domain::appointment::change_digest`].
    pub digest: Digest,
}

/// The table `Appointments`.
pub type Appointments = TypedTable<AppointmentCopy>;

impl Row for AppointmentCopy {
    const TABLE: Table = Table::Appointments;

    fn key(&self) -> RowKey {
        row_key(self.tenant, self.copy_key())
    }
}

impl AppointmentCopy {
    /// Names the copy.
    pub fn copy_key(&self) -> CopyKey {
        CopyKey { mailbox: self.mailbox, digest: self.event_digest }
    }
}

impl Appointments {
    /// What is known of a copy.
    pub async fn get(
        &self,
        tenant: TenantId,
        copy: CopyKey,
    ) -> Result<Option<AppointmentCopy>, StoreError> {
        Ok(self.get_with_etag(tenant, copy).await?.map(|(pointer, _)| pointer))
    }

    /// The same, and its version.
    pub async fn get_with_etag(
        &self,
        tenant: TenantId,
        copy: CopyKey,
    ) -> Result<Option<(AppointmentCopy, ETag)>, StoreError> {
        self.read(&row_key(tenant, copy)).await
    }

    /// Where a copy is, whose id the booking may have dropped; `None` when it is not known any more.
    pub async fn locate(
        &self,
        tenant: TenantId,
        copy: &CopyRef,
    ) -> Result<Option<CopyLocation>, StoreError> {
        if let Some(location) = copy.location() {
            return Ok(Some(location));
        }
        let event = self.get(tenant, copy.key).await?.and_then(|pointer| pointer.event);
        Ok(event.map(|event| CopyLocation { mailbox: copy.key.mailbox, event }))
    }

    /// Writes a pointer in place of the version that was `read`, or where none was; answers the new
    /// version.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now.
    pub async fn insert_or_replace(
        &self,
        copy: &AppointmentCopy,
        etag: Option<&ETag>,
    ) -> Result<ETag, StoreError> {
        match etag {
            Some(etag) => self.replace(copy, etag).await,
            None => self.insert(copy).await,
        }
    }

    /// Removes the pointer of a copy; none is fine.
    pub async fn remove(&self, tenant: TenantId, copy: CopyKey) -> Result<(), StoreError> {
        self.delete(row_key(tenant, copy), None).await
    }

    /// Takes a booking that is deleted out of the pointer of a copy, and removes the pointer with its last
    /// booking.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when others have changed it each time.
    pub async fn forget_booking(&self, key: BookingKey, copy: CopyKey) -> Result<(), StoreError> {
        let mut lost = Ok(());
        for _ in 0..MAX_CONFLICT_RETRIES {
            let Some((mut pointer, etag)) = self.get_with_etag(key.tenant, copy).await? else {
                return Ok(());
            };
            pointer.bookings.retain(|booking| *booking != key);
            let start = key.original_start;
            if !pointer.bookings.iter().any(|booking| booking.original_start == start) {
                pointer.occurrences.retain(|occurrence| Some(occurrence.start) != start);
            }
            lost = match pointer.bookings.is_empty() {
                true => self.remove_version(key.tenant, copy, &etag).await,
                false => self.replace(&pointer, &etag).await.map(drop),
            };
            if !lost.as_ref().is_err_and(StoreError::is_conflict) {
                return lost;
            }
        }
        lost
    }

    /// The same, as long as it is the version that was read.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now.
    pub async fn remove_version(
        &self,
        tenant: TenantId,
        copy: CopyKey,
        etag: &ETag,
    ) -> Result<(), StoreError> {
        self.delete(row_key(tenant, copy), Some(etag)).await
    }

    /// All pointers of a mailbox.
    pub async fn list(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
    ) -> Result<Vec<AppointmentCopy>, StoreError> {
        self.values(&KeyRange::single_partition(partition(tenant, mailbox))).await
    }
}

fn partition(tenant: TenantId, mailbox: MailboxId) -> String {
    format!("{tenant}_{mailbox}")
}

fn row_key(tenant: TenantId, copy: CopyKey) -> RowKey {
    RowKey::new(partition(tenant, copy.mailbox), copy.digest)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use super::*;
    use crate::{
        domain::keys::DigestKey,
        store::test_support::{CountingTables, at, key, mailbox, tenant},
    };

    fn pointer(event: &str, role: CopyRole) -> AppointmentCopy {
        let event = event.parse().unwrap();
        AppointmentCopy {
            tenant: tenant(9),
            mailbox: mailbox(1),
            event_digest: DigestKey::new(&[7; 32]).event(&event),
            event: Some(event),
            role,
            bookings: vec![
                key(1),
                BookingKey { original_start: Some(at("2026-11-24T09:00:00Z")), ..key(2) },
            ],
            occurrences: Vec::new(),
            change_digest: Digest(u128::MAX),
            ended: false,
            ends_at: at("2026-11-24T10:00:00Z"),
            last_modified_at: (role == CopyRole::Organizer)
                .then(|| at("2026-11-24T08:00:00.1234567Z")),
        }
    }

    fn opened() -> (Arc<CountingTables>, Appointments) {
        let fake = Arc::new(CountingTables::default());
        (fake.clone(), Appointments::new(fake))
    }

    #[tokio::test]
    async fn pointers_come_back_and_ids_that_differ_in_case_are_two() {
        let (fake, appointments) = opened();
        let (upper, lower) =
            (pointer("AAMkA_-=", CopyRole::Organizer), pointer("AAMka_-=", CopyRole::Room));
        for pointer in [&upper, &lower] {
            appointments.upsert(pointer).await.unwrap();
            appointments.upsert(pointer).await.unwrap();
        }
        for pointer in [&upper, &lower] {
            let found = appointments.get(tenant(9), pointer.copy_key()).await.unwrap();
            assert_eq!(found.as_ref(), Some(pointer));
        }
        let elsewhere = CopyKey { mailbox: mailbox(2), ..upper.copy_key() };
        assert_eq!(appointments.get(tenant(9), elsewhere).await.unwrap(), None);
        assert!(fake.rows(Table::Appointments).iter().all(|row| !row.key.row.contains("AAMk")));
    }

    #[tokio::test]
    async fn a_mailboxes_pointers_are_listed_over_several_pages_and_removed_twice() {
        let (fake, appointments) = opened();
        for n in 0..25 {
            appointments.upsert(&pointer(&format!("event{n}"), CopyRole::Room)).await.unwrap();
        }
        let other =
            AppointmentCopy { mailbox: mailbox(2), ..pointer("event0", CopyRole::Organizer) };
        appointments.upsert(&other).await.unwrap();
        fake.page_limit.store(10, Ordering::Relaxed);
        let all = appointments.list(tenant(9), mailbox(1)).await.unwrap();
        assert_eq!((all.len(), fake.scans.load(Ordering::Relaxed)), (25, 3));
        for pointer in all.iter().chain(&all) {
            appointments.remove(tenant(9), pointer.copy_key()).await.unwrap();
        }
        assert_eq!(appointments.list(tenant(9), mailbox(1)).await.unwrap(), []);
        assert_eq!(appointments.list(tenant(9), mailbox(2)).await.unwrap(), [other]);
    }

    #[tokio::test]
    async fn a_series_of_a_thousand_bookings_fits_a_row() {
        let (_, appointments) = opened();
        let bookings = (0..1000).map(key).collect();
        let long = AppointmentCopy { bookings, ..pointer("master", CopyRole::Organizer) };
        appointments.upsert(&long).await.unwrap();
        let found = appointments.get(tenant(9), long.copy_key()).await.unwrap();
        assert_eq!(found, Some(long));
    }
}
