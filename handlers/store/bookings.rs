//! `Bookings`: one row an appointment and room, and the only table with meeting content. A
//! partition is an appointment (a whole series), a row an occurrence and a room. Personal text is in
//! `IcalUid`, `OrganizerCopy`, `RoomCopy` and `Desired`, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::tables::{
    Continuation, ETag, KeyRange, Row, RowChange, RowKey, StoreError, Table, TypedTable,
    typed::MAX_TRANSACTION_CHANGES,
};
use crate::domain::{
    booking::Booking,
    ids::{BookingId, RoomId, TenantId},
    keys::{BookingKey, Digest, SeriesKey},
};

/// A booking and the version of its row.
pub type VersionedBooking = (Booking, ETag);

/// One change of a series' bookings. All are made or none.
#[derive(Debug, Clone)]
pub enum BookingChange {
    Insert(Booking),
    Replace(Booking, ETag),
    /// The booking is found under another key from now on.
    Rekey {
        from: (BookingKey, ETag),
        to: Booking,
    },
}

/// How many bytes of rows are put into one transaction, which takes 4 MiB
/// (learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions, 2026-11).
const BATCH_BYTES: usize = 3 * 1024 * 1024;

/// The table `Bookings`.
pub type Bookings = TypedTable<Booking>;

impl Row for Booking {
    const TABLE: Table = Table::Bookings;

    fn key(&self) -> RowKey {
        row_key(&self.key)
    }
}

impl From<&BookingKey> for RowKey {
    fn from(key: &BookingKey) -> Self {
        row_key(key)
    }
}

impl Bookings {
    /// The booking as it is, and its version.
    pub async fn get(&self, key: &BookingKey) -> Result<Option<VersionedBooking>, StoreError> {
        self.read(&row_key(key)).await
    }

    /// The bookings with these keys, as they are. Where more than one of an appointment is asked for, all
    /// of it are read in one call, and answered.
    pub async fn get_all(
        &self,
        keys: impl IntoIterator<Item = BookingKey>,
    ) -> Result<BTreeMap<BookingKey, Option<VersionedBooking>>, StoreError> {
        let mut partitions: BTreeMap<String, BTreeSet<BookingKey>> = BTreeMap::new();
        for key in keys {
            partitions.entry(key.partition()).or_default().insert(key);
        }
        let mut found = BTreeMap::new();
        for (partition, keys) in partitions {
            if let (Some(key), 1) = (keys.first(), keys.len()) {
                found.insert(*key, self.get(key).await?);
                continue;
            }
            found.extend(keys.into_iter().map(|key| (key, None)));
            let rows = self.list_partition(partition).await?;
            found.extend(rows.into_iter().map(|row| (row.0.key, Some(row))));
        }
        Ok(found)
    }

    /// The booking with this id, which was known by `key` once; a series that is moved changes that.
    pub async fn find(
        &self,
        key: &BookingKey,
        id: BookingId,
    ) -> Result<Option<Booking>, StoreError> {
        if let Some((booking, _)) = self.get(key).await?
            && booking.id == id
        {
            return Ok(Some(booking));
        }
        let rows = self.list_partition(key.partition()).await?;
        Ok(rows.into_iter().map(|(booking, _)| booking).find(|booking| booking.id == id))
    }

    /// All bookings of a series, of every occurrence and room, each with its version.
    pub async fn list_series(&self, key: SeriesKey) -> Result<Vec<VersionedBooking>, StoreError> {
        let rows = self.list_by_appointment(key.tenant, key.series).await?;
        Ok(rows.into_iter().filter(|(booking, _)| booking.key.original_start.is_some()).collect())
    }

    /// The bookings of a series that are not over at `now`, by room; empty when there is none left.
    pub async fn list_current_series(
        &self,
        key: SeriesKey,
        now: Timestamp,
    ) -> Result<BTreeMap<RoomId, Vec<VersionedBooking>>, StoreError> {
        let mut rooms: BTreeMap<RoomId, Vec<VersionedBooking>> = BTreeMap::new();
        for row in self.list_series(key).await? {
            if row.0.purge_due > now {
                rooms.entry(row.0.key.room).or_default().push(row);
            }
        }
        Ok(rooms)
    }

    /// All bookings of an appointment, of every occurrence and room.
    pub async fn list_by_appointment(
        &self,
        tenant: TenantId,
        appointment: Digest,
    ) -> Result<Vec<VersionedBooking>, StoreError> {
        self.list_partition(format!("{tenant}_{appointment}")).await
    }

    /// Up to 1,000 of a tenant's bookings, always in the same order, and where the next ones begin.
    pub async fn list_page(
        &self,
        tenant: TenantId,
        from: Option<Continuation>,
    ) -> Result<(Vec<Booking>, Option<Continuation>), StoreError> {
        // `~` sorts after every character of our keys.
        let all = KeyRange::partition_range(format!("{tenant}_"), format!("{tenant}_~"));
        let (rows, next) = self.read_page(&all, from).await?;
        Ok((rows.into_iter().map(|(booking, _, _)| booking).collect(), next))
    }

    /// A 256th of a tenant's bookings: those of the appointments whose digest begins with `shard`. A series is
    /// in one shard as a whole.
    pub async fn list_shard(
        &self,
        tenant: TenantId,
        shard: u8,
    ) -> Result<Vec<Booking>, StoreError> {
        let from = format!("{tenant}_{shard:02x}");
        // Sorts after every hexadecimal digit.
        let before = format!("{from}~");
        self.values(&KeyRange::partition_range(from, before)).await
    }

    async fn list_partition(&self, partition: String) -> Result<Vec<VersionedBooking>, StoreError> {
        let rows = self.read_all(&KeyRange::single_partition(partition)).await?;
        Ok(rows.into_iter().map(|(booking, _, etag)| (booking, etag)).collect())
    }

    /// Makes these changes of one appointment's bookings, many in one transaction; returns the bookings as
    /// they are now.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when a row has another version by now. What was written before that
    /// stays.
    pub async fn write_all(
        &self,
        changes: Vec<BookingChange>,
    ) -> Result<Vec<VersionedBooking>, StoreError> {
        let mut written = Vec::with_capacity(changes.len());
        let (mut batch, mut bookings, mut bytes) = (Vec::new(), Vec::new(), 0);
        for change in changes {
            let (booking, rows) = Self::row_changes(change)?;
            let size: usize = rows.iter().map(row_bytes).sum();
            let is_other =
                |row: &RowChange| rows.iter().any(|own| own.key().partition != row.key().partition);
            let is_full = batch.len() + rows.len() > MAX_TRANSACTION_CHANGES
                || bytes + size > BATCH_BYTES
                || batch.first().is_some_and(is_other);
            if is_full {
                written.extend(self.write_batch(&mut batch, &mut bookings).await?);
                bytes = 0;
            }
            bytes += size;
            batch.extend(rows);
            bookings.push(booking);
        }
        written.extend(self.write_batch(&mut batch, &mut bookings).await?);
        Ok(written)
    }

    async fn write_batch(
        &self,
        batch: &mut Vec<RowChange>,
        bookings: &mut Vec<Booking>,
    ) -> Result<Vec<VersionedBooking>, StoreError> {
        let changes = std::mem::take(batch);
        let is_kept: Vec<bool> =
            changes.iter().map(|change| !matches!(change, RowChange::Delete(..))).collect();
        let etags = self.transaction(changes).await?;
        let etags = etags.into_iter().zip(is_kept).filter_map(|(etag, kept)| kept.then_some(etag));
        Ok(std::mem::take(bookings).into_iter().zip(etags).collect())
    }

    fn row_changes(change: BookingChange) -> Result<(Booking, Vec<RowChange>), StoreError> {
        Ok(match change {
            BookingChange::Insert(booking) => {
                let row = Self::encode(booking.key(), &booking)?;
                (booking, vec![RowChange::Insert(row)])
            }
            BookingChange::Replace(booking, etag) => {
                let row = Self::encode(booking.key(), &booking)?;
                (booking, vec![RowChange::Replace(row, etag)])
            }
            // The two rows change together.
            BookingChange::Rekey { from: (key, etag), to } => {
                let insert = RowChange::Insert(Self::encode(to.key(), &to)?);
                (to, vec![RowChange::Delete(row_key(&key), Some(etag)), insert])
            }
        })
    }

    /// Removes a row that cannot be read, by its own key.
    pub async fn remove_row(&self, key: RowKey) -> Result<(), StoreError> {
        self.delete(key, None).await
    }

    /// Whether there is none at all.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let (all, mut from) = (KeyRange::partition_range(" ", "~"), None);
        loop {
            let page = self.scan(&all, from, 1).await?;
            if !page.rows.is_empty() {
                return Ok(false);
            }
            // A page may be empty and not be the last.
            from = page.next;
            if from.is_none() {
                return Ok(true);
            }
        }
    }

    /// Removes a booking, if it still is the version `etag` (`None`: any); none is fine.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now.
    pub async fn remove(&self, key: &BookingKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.delete(row_key(key), etag).await
    }
}

/// The most bytes that a change takes: text is stored as UTF-16.
fn row_bytes(change: &RowChange) -> usize {
    match change {
        RowChange::Insert(row) | RowChange::Replace(row, _) | RowChange::Upsert(row) => row
            .properties
            .iter()
            .map(|(name, value)| 2 * (name.len() + value.to_string().len()))
            .sum(),
        RowChange::Delete(..) => 0,
    }
}

fn row_key(key: &BookingKey) -> RowKey {
    RowKey::new(key.partition(), key.row())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        domain::{
            appointment::{
                BookingSpec, Copies, CopyLocation, CopyRef, DesiredState, Details, EndReason,
                Facts, OrganizerCopy, RoomCopy,
            },
            booking::{
                BookingOutcome, BookingRefusal, ConfirmedBooking, Intent, MeetingResponse,
                ObservedState, Published, PublishedOutcome, RefusalReason, RoomResponse,
            },
            booking_system::SystemId,
            ids::{BookingId, CorrelationId},
            interval::Interval,
            keys::DigestKey,
            personal::Personal,
        },
        store::test_support::{CountingTables, at, key, mailbox, tenant},
    };

    fn hour(from: &str) -> Interval {
        let start = at(from);
        Interval::new(start, start + jiff::SignedDuration::from_hours(1)).unwrap()
    }

    fn nine() -> Interval {
        hour("2026-11-24T09:00:00.000000001Z")
    }

    fn facts(details: Details) -> Facts {
        Facts::new(&secret(), Digest(1), nine(), u16::MAX, true, details)
    }

    fn details() -> Details {
        Details {
            subject: Some(Personal::new("Merger \"Ümlaut\" 😀")),
            organizer: Some(Personal::new("ada@contoso.example")),
            attendees: vec![Personal::new("bob@contoso.example"), Personal::new("")],
        }
    }

    fn secret() -> DigestKey {
        DigestKey::new(&[7; 32])
    }

    fn copy(event: &str) -> CopyRef {
        let at = CopyLocation { mailbox: mailbox(4), event: event.parse().unwrap() };
        CopyRef::new(&secret(), at)
    }

    fn plain() -> Booking {
        Booking {
            key: key(1),
            id: BookingId(uuid::Uuid::from_u128(5)),
            generation: 1,
            ical_uid: Some(Personal::new("040000008200E00074C5B7101A82E008")),
            copies: Copies::default(),
            desired: DesiredState::Unwanted(EndReason::Cancelled),
            released: None,
            intent: None,
            observed: ObservedState::Nothing,
            published: Published::default(),
            correlation: CorrelationId(1),
            change_count: 0,
            known_copies: vec![],
            unconfirmed: None,
            publish_lease: None,
            publish_failed: None,
            unsettled_due: None,
            unsettled_since: None,
            purge_due: at("2026-11-24T10:00:00Z"),
        }
    }

    fn of_the_appointment() -> Vec<Booking> {
        let mut all = Vec::new();
        for facts in [facts(details()), facts(Details::default())] {
            for organizer in [
                OrganizerCopy::Unknown,
                OrganizerCopy::Live(copy("O_-="), facts.clone()),
                OrganizerCopy::WithoutRoom(copy("O")),
                OrganizerCopy::Cancelled,
                OrganizerCopy::Gone,
                OrganizerCopy::Released,
            ] {
                let copies = Copies { organizer, ..Copies::default() };
                all.push(Booking { copies, ..plain() });
            }
            for answerable in [true, false] {
                let room = RoomCopy::Live { at: copy("R"), facts: facts.clone(), answerable };
                let copies = Copies { room, invitation: u32::MAX, ..Copies::default() };
                all.push(Booking { copies, ..plain() });
            }
            let spec = BookingSpec { facts, invitation: u32::MAX };
            all.push(Booking { desired: DesiredState::Wanted(spec), ..plain() });
        }
        let copies = Copies { room: RoomCopy::Gone, ..Copies::default() };
        all.push(Booking { copies, ..plain() });
        for ended in [
            EndReason::RoomRemoved,
            EndReason::Cancelled,
            EndReason::RoomLeft,
            EndReason::NotAccepted,
            EndReason::Abandoned,
        ] {
            all.push(Booking { desired: DesiredState::Unwanted(ended), ..plain() });
        }
        all
    }

    fn of_the_work() -> Vec<Booking> {
        let mut all = Vec::new();
        for (claims, stale) in
            [(None, vec![]), (Some(nine()), vec![nine(), hour("2026-11-25T09:00:00Z")])]
        {
            let lease_until = at("2026-11-24T09:02:00Z");
            let intent = Intent {
                worker: u64::MAX,
                lease_until,
                claim: claims,
                stale,
                generation: u32::MAX,
            };
            all.push(Booking { intent: Some(intent), ..plain() });
        }
        let held = ConfirmedBooking {
            interval: nine(),
            generation: u32::MAX,
            system: SystemId(7),
            system_room: None,
            reference: "R-2026/1".into(),
            spec_fingerprint: key(7).appointment,
        };
        all.push(Booking { observed: ObservedState::Booked(held), ..plain() });
        let event = key(8).appointment;
        let mut outcomes = vec![BookingOutcome::Booked, BookingOutcome::Released];
        for reason in [RefusalReason::Conflict, RefusalReason::TooLong] {
            let observed = ObservedState::Refused(BookingRefusal {
                request_digest: key(7).appointment,
                reason,
            });
            all.push(Booking { observed, ..plain() });
            outcomes.push(BookingOutcome::Refused(reason));
        }
        for outcome in outcomes {
            let shown = Published {
                organizer: Some(PublishedOutcome { event_digest: event, outcome }),
                room: None,
            };
            all.push(Booking { published: shown, ..plain() });
        }
        for answer in [MeetingResponse::Accept, MeetingResponse::Decline] {
            let room = Some(RoomResponse { response: answer, time: event, invitation: u32::MAX });
            all.push(Booking { published: Published { organizer: None, room }, ..plain() });
        }
        all
    }

    fn of_the_row() -> Vec<Booking> {
        let start = Some(at("2026-11-24T09:00:00Z"));
        vec![
            plain(),
            Booking { key: BookingKey { original_start: start, ..key(u128::MAX) }, ..plain() },
            Booking { generation: u32::MAX, change_count: u32::MAX, ..plain() },
            Booking {
                publish_lease: Some(crate::domain::booking::PublishLease {
                    worker: u64::MAX - 1,
                    lease_until: at("2026-11-24T09:00:01Z"),
                }),
                ..plain()
            },
            Booking { unsettled_due: Some(at("2026-11-24T09:00:00.123456789Z")), ..plain() },
            Booking { known_copies: vec![copy("O").key, copy("R_-=").key], ..plain() },
            Booking { correlation: CorrelationId(u128::MAX), ..plain() },
        ]
    }

    #[tokio::test]
    async fn every_variant_comes_back_as_it_was() {
        for booking in [of_the_appointment(), of_the_work(), of_the_row()].concat() {
            let bookings = Bookings::new(Arc::new(CountingTables::default()));
            let etag = bookings.insert(&booking).await.unwrap();
            let (found, read) = bookings.get(&booking.key).await.unwrap().unwrap();
            assert_eq!(found, booking);
            assert_eq!(read, etag);
        }
    }

    #[tokio::test]
    async fn an_operator_can_read_the_row_and_finds_content_only_where_it_belongs() {
        let fake = Arc::new(CountingTables::default());
        let organizer = OrganizerCopy::Live(copy("O"), facts(details()));
        let desired = DesiredState::Wanted(BookingSpec { facts: facts(details()), invitation: 0 });
        let copies = Copies { organizer, ..Copies::default() };
        let booking = Booking { copies, desired, ..plain() };
        Bookings::new(fake.clone()).insert(&booking).await.unwrap();
        let row = fake.rows(Table::Bookings).remove(0);
        let names: Vec<&str> = row.properties.keys().map(String::as_str).collect();
        for name in ["Desired", "Observed", "Published", "Generation", "PurgeDue", "Room"] {
            assert!(names.contains(&name), "{names:?}");
        }
        for (name, value) in &row.properties {
            let personal = ["contoso", "Merger"].iter().any(|w| value.to_string().contains(w));
            assert_eq!(personal, ["Desired", "OrganizerCopy"].contains(&name.as_str()), "{name}");
        }
        assert!(!format!("{row:?}").contains("Merger"));
    }

    #[tokio::test]
    async fn a_meeting_of_two_thousand_fits_a_row() {
        let bookings = Bookings::new(Arc::new(CountingTables::default()));
        let person =
            |n: u32| Personal::new(format!("somebody.with.a.long.name.{n}@contoso.example"));
        let attendees = (0..2000).map(person).collect();
        let facts = facts(Details { attendees, ..details() });
        let organizer = OrganizerCopy::Live(copy("O"), facts.clone());
        let copies = Copies { organizer, ..Copies::default() };
        let booking = Booking {
            copies,
            desired: DesiredState::Wanted(BookingSpec { facts, invitation: 0 }),
            ..plain()
        };
        let etag = bookings.insert(&booking).await.unwrap();
        assert_eq!(
            bookings.get(&booking.key).await.unwrap(),
            Some((booking.clone(), etag.clone()))
        );
        bookings.replace(&plain(), &etag).await.unwrap();
        assert_eq!(bookings.get(&booking.key).await.unwrap().unwrap().0, plain());
    }

    #[tokio::test]
    async fn of_two_who_change_a_booking_one_reads_again() {
        let bookings = Bookings::new(Arc::new(CountingTables::default()));
        let read = bookings.insert(&plain()).await.unwrap();
        assert!(bookings.insert(&plain()).await.unwrap_err().is_conflict());
        let changed = Booking { change_count: 1, ..plain() };
        let newer = bookings.replace(&changed, &read).await.unwrap();
        assert!(bookings.replace(&plain(), &read).await.unwrap_err().is_conflict());
        assert!(bookings.remove(&key(1), Some(&read)).await.unwrap_err().is_conflict());
        bookings.remove(&key(1), Some(&newer)).await.unwrap();
        bookings.remove(&key(1), Some(&newer)).await.unwrap();
        bookings.remove(&key(1), None).await.unwrap();
        assert_eq!(bookings.get(&key(1)).await.unwrap(), None);
        assert!(bookings.replace(&changed, &newer).await.unwrap_err().is_conflict());
    }

    #[tokio::test]
    async fn a_series_is_listed_whole_and_alone() {
        let bookings = Bookings::new(Arc::new(CountingTables::default()));
        for day in ["2026-11-24T09:00:00Z", "2026-12-01T09:00:00Z"] {
            let key = BookingKey { original_start: Some(at(day)), ..key(1) };
            bookings.insert(&Booking { key, ..plain() }).await.unwrap();
        }
        bookings.insert(&Booking { key: key(2), ..plain() }).await.unwrap();
        let series = SeriesKey { tenant: tenant(9), series: key(1).appointment };
        assert_eq!(bookings.list_series(series).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_row_of_another_age_is_an_error_that_does_not_repeat_it() {
        let fake = Arc::new(CountingTables::default());
        let bookings = Bookings::new(fake.clone());
        bookings.insert(&plain()).await.unwrap();
        let mut row = fake.rows(Table::Bookings).remove(0);
        row.properties.insert("Desired".into(), r#"{"Hoped":"Merger"}"#.into());
        fake.insert_raw(Table::Bookings, row).await;
        let error = bookings.get(&key(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { table: Table::Bookings, .. }));
        assert!(!format!("{error} {error:?}").contains("Merger"));
    }
}
