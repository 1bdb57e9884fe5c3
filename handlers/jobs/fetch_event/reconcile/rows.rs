//! The rows of the bookings: of a single appointment one by one, of a series many at once.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Reconciler, row_changed};
use crate::{
    domain::{
        appointment::{Copies, CopyContext, CopyReading, CopyRole},
        booking::Booking,
        ids::BookingId,
        keys::BookingKey,
        retry::UNSETTLED_RECHECK,
    },
    jobs::runner::job::JobError,
    store::{
        StoreError,
        bookings::{BookingChange, VersionedBooking},
        due::{DueEntry, DueSubject},
        tables::{ETag, MAX_CONFLICT_RETRIES},
    },
};

/// Over how many milliseconds those checks are spread.
const UNSETTLED_SPREAD_MS: u64 = 60_000;
/// A purge that is due within this time may have begun.
const PURGE_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// What was read for one booking.
pub(super) struct RowReading {
    pub(super) key: BookingKey,
    pub(super) context: CopyContext,
    pub(super) reading: CopyReading,
}

impl Reconciler<'_> {
    /// Writes what was read; answers the rows as they are now, and whether this changed them.
    pub(super) async fn write_bookings(
        &mut self,
        readings: Vec<RowReading>,
    ) -> Result<Vec<(Booking, bool)>, JobError> {
        let is_series = |reading: &RowReading| {
            reading.key.original_start.is_some() || self.rekeyed.contains_key(&reading.key)
        };
        let (series, single): (Vec<_>, Vec<_>) = readings.into_iter().partition(is_series);
        let mut reconciled = self.write_series(series).await?;
        for reading in single {
            let row = self.stored.bookings.remove(&reading.key).flatten();
            reconciled.extend(self.write_booking(row, &reading).await?);
        }
        Ok(reconciled)
    }

    fn after_reading(
        &self,
        before: Option<&Booking>,
        RowReading { key, context, reading }: &RowReading,
    ) -> Option<Booking> {
        let mut after = match before {
            Some(booking) => booking.clone().apply_reading(*context, reading),
            None => {
                let id = BookingId(self.deps().rng.uuid());
                Booking::from_first_reading(*key, id, *context, reading)?
            }
        };
        // The series leads to one of its dates that is an appointment of its own.
        let series = self.batch.copy_key(self.item);
        if reading.at.key != series && !after.known_copies.contains(&series) {
            after.known_copies.push(series);
        }
        Some(if self.erased { after.forget_mailbox(self.item.mailbox) } else { after })
    }

    fn next_check(&self) -> Timestamp {
        // Spread, so that the bookings of a storm are not checked all at once, and so that an
        // entry that is removed and one that is written are hardly ever the same.
        let spread = i64::try_from(self.deps().rng.below(UNSETTLED_SPREAD_MS)).unwrap_or(0);
        self.deps().clock.now() + UNSETTLED_RECHECK + SignedDuration::from_millis(spread)
    }
}

// === The rows of a series ===

impl Reconciler<'_> {
    /// All of them in as few transactions as there are hundreds; one due entry of each purpose watches
    /// them together. Where another worker has changed one, everything is read again.
    async fn write_series(
        &mut self,
        readings: Vec<RowReading>,
    ) -> Result<Vec<(Booking, bool)>, JobError> {
        let deps = self.deps();
        let mut purges = self.planned_purges();
        let mut checks: BTreeMap<DueSubject, Timestamp> = BTreeMap::new();
        let (mut entries, mut changes, mut reconciled) = (Vec::new(), Vec::new(), Vec::new());
        for row_reading in readings {
            let key = row_reading.key;
            let (before, etag) = self.stored.bookings.remove(&key).flatten().unzip();
            let from = self.rekeyed.get(&key).copied();
            let Some(mut after) = self.after_reading(before.as_ref(), &row_reading) else {
                continue;
            };
            // Another key alone is no change that anything follows from: two copies that list other dates would
            // have each other read without end.
            let changed = before.as_ref() != Some(&after);
            if changed || from.is_some() {
                let subject = DueSubject::from(key);
                if !self.is_watched(&after, from) && self.needs_job(&after, true) {
                    let at = *checks.entry(subject).or_insert_with(|| self.next_check());
                    after.unsettled_due = Some(at);
                    after.unsettled_since.get_or_insert(deps.clock.now());
                }
                let planned = purges.entry(subject).or_insert(Timestamp::MAX);
                if after.purge_due < *planned {
                    *planned = after.purge_due;
                    entries.retain(|entry: &DueEntry| entry.subject != subject);
                    entries.push(DueEntry::purge(key, after.purge_due));
                }
                changes.push(match (from, etag) {
                    (Some(from), Some(etag)) => {
                        BookingChange::Rekey { from: (from, etag), to: after.clone() }
                    }
                    (None, Some(etag)) => BookingChange::Replace(after.clone(), etag),
                    (_, None) => BookingChange::Insert(after.clone()),
                });
            }
            reconciled.push((after, changed));
        }
        // The due entries come first, as with a single row.
        entries.extend(checks.into_iter().map(|(subject, at)| DueEntry::unsettled(subject, at)));
        deps.due.upsert_all(&entries).await?;
        self.batch.booking_rows.forget();
        match deps.bookings.write_all(changes).await {
            Err(error) if error.is_conflict() => Err(row_changed()),
            written => Ok(written.map(|_| reconciled)?),
        }
    }

    /// Whether a due entry will look at the row; those of another key will not.
    fn is_watched(&self, booking: &Booking, from: Option<BookingKey>) -> bool {
        let same_entry = |from| DueSubject::from(from) == DueSubject::from(booking.key);
        let now = self.deps().clock.now();
        from.is_none_or(same_entry) && booking.unsettled_due.is_some_and(|at| at > now)
    }

    /// When the next rows of each kind are purged for which there is an entry.
    fn planned_purges(&self) -> BTreeMap<DueSubject, Timestamp> {
        let soon = self.deps().clock.now() + PURGE_MARGIN;
        let mut planned = BTreeMap::new();
        for (key, row) in &self.stored.bookings {
            let Some((booking, _)) = row.as_ref().filter(|(row, _)| row.purge_due > soon) else {
                continue;
            };
            let key = self.rekeyed.get(key).unwrap_or(key);
            let next = planned.entry(DueSubject::from(*key)).or_insert(Timestamp::MAX);
            *next = booking.purge_due.min(*next);
        }
        planned
    }
}

// === One booking's row ===

impl Reconciler<'_> {
    /// Writes what was read into one booking's row; answers the row as it is now, and whether this
    /// changed it, or `None` when there is no row and none is needed. The loop is not
    /// [`crate::store::tables::TypedTable::update`]: the caller already knows that a row is missing,
    /// and after a conflict the two readings are compared.
    async fn write_booking(
        &self,
        mut row: Option<(Booking, ETag)>,
        reading: &RowReading,
    ) -> Result<Option<(Booking, bool)>, JobError> {
        for conflicts in 0.. {
            let (before, etag) = row.unzip();
            let after = self.after_reading(before.as_ref(), reading);
            let Some(booking) = after else { return Ok(None) };
            if before.as_ref() == Some(&booking) {
                return Ok(Some((booking, false)));
            }
            match self.save_booking(before.as_ref(), booking.clone(), etag).await {
                Ok(written) => {
                    self.batch.booking_rows.note(written);
                    return Ok(Some((booking, true)));
                }
                Err(error) => {
                    self.batch.booking_rows.forget();
                    if !error.is_conflict() || conflicts >= MAX_CONFLICT_RETRIES {
                        return Err(error.into());
                    }
                }
            }
            let RowReading { key, reading, .. } = reading;
            row = self.deps().bookings.get(key).await?;
            if let Some((booking, _)) = &row {
                booking.check(reading)?;
            }
            let copies = row.as_ref().map(|(booking, _)| &booking.copies);
            let copies_before = before.as_ref().map(|booking| &booking.copies);
            let published = row.as_ref().map(|(booking, _)| booking.published.room);
            if reading.unanswered
                && published != before.as_ref().map(|booking| booking.published.room)
            {
                // The room has answered since the copy was read.
                return Err(row_changed());
            }
            // Another worker has read this very copy, and not what we have read. Which of the two
            // readings is the newer one only Graph can tell.
            if !same_copy_state(reading.role, copies, copies_before)
                && !same_copy_state(reading.role, copies, Some(&booking.copies))
            {
                return Err(row_changed());
            }
        }
        Ok(None)
    }

    /// The due entries come first: an entry without a row costs one check, but a row without an entry
    /// is never checked again.
    async fn save_booking(
        &self,
        before: Option<&Booking>,
        mut after: Booking,
        etag: Option<ETag>,
    ) -> Result<VersionedBooking, StoreError> {
        let deps = self.deps();
        let now = deps.clock.now();
        if !self.is_watched(&after, None) && self.needs_job(&after, true) {
            let at = self.next_check();
            deps.due.upsert(&DueEntry::unsettled(after.key, at)).await?;
            after.unsettled_due = Some(at);
            after.unsettled_since.get_or_insert(now);
        }
        let purged_at = before.map(|before| before.purge_due);
        if purged_at != Some(after.purge_due) {
            deps.due.upsert(&DueEntry::purge(after.key, after.purge_due)).await?;
        }
        let etag = match etag {
            Some(etag) => deps.bookings.replace(&after, &etag).await?,
            None => deps.bookings.insert(&after).await?,
        };
        // Of a booking that has ended the exact time is not kept.
        if let Some(at) = purged_at.filter(|at| after.is_redacted() && *at != after.purge_due) {
            deps.due.remove(&DueEntry::purge(after.key, at)).await?;
        }
        Ok((after, etag))
    }
}

/// Whether both rows know the same of one copy; a missing row knows nothing of it.
fn same_copy_state(role: CopyRole, one: Option<&Copies>, other: Option<&Copies>) -> bool {
    let unknown = Copies::default();
    let (one, other) = (one.unwrap_or(&unknown), other.unwrap_or(&unknown));
    match role {
        CopyRole::Organizer => one.organizer == other.organizer,
        CopyRole::Room => one.room == other.room,
    }
}
