//! `purge-expired`: deletes every row whose time has come, reading only what is due.
//!
//! A due entry says when to look, never that something may be deleted: a booking that was moved
//! later keeps its row, and its later entry was written before it moved.

mod records;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jiff::Timestamp;

use crate::{
    base::clock::Clock,
    booking::LedgerClaims,
    domain::{booking::Booking, interval::Interval, keys::BookingKey},
    jobs::runner::{TimerJob, job::JobError},
    store::{
        StoreError,
        appointments::Appointments,
        audit::Audit,
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        failures::Failures,
        register::Register,
        tables::ETag,
        tenants::Tenants,
    },
};

/// How many bookings are deleted at once: enough to keep the table busy, few enough to be polite.
const CONCURRENCY: usize = 8;
/// How many due entries are read at a time.
const PAGE_SIZE: u16 = 500;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// What is over.
    pub bookings: Bookings,
    /// The pointers to it.
    pub appointments: Appointments,
    /// Its times in the ledger.
    pub claims: LedgerClaims,
    /// What is due.
    pub due: DueEntries,
    /// Whose records there are.
    pub tenants: Tenants,
    /// Records of failures.
    pub failures: Failures,
    /// Records of calls.
    pub audit: Audit,
    /// Records of decisions.
    pub register: Register,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeSummary {
    /// Bookings deleted with all that belongs to them.
    pub deleted: u32,
    /// Entries whose booking is gone or was moved later.
    pub skipped: u32,
    /// Bookings that could not be deleted now; their entries stay.
    pub remaining: u32,
    /// Records of failures and calls that were old enough to go.
    pub records: u64,
}

#[async_trait]
impl TimerJob for Deps {
    async fn run(&self, stop_at: Timestamp) -> Result<(), JobError> {
        let purged = run(self, stop_at).await?;
        tracing::info!(
            deleted = purged.deleted,
            passed_over = purged.skipped,
            left = purged.remaining,
            records = purged.records,
            "purged"
        );
        Ok(())
    }
}

/// Deletes what is due until nothing is left or `stop_at` has come.
///
/// # Errors
/// [`JobError`] when the due entries cannot be read; a booking that cannot be deleted is only left.
pub async fn run(deps: &Deps, stop_at: Timestamp) -> Result<PurgeSummary, JobError> {
    let mut purged = PurgeSummary::default();
    let mut from = None;
    // One instant for the whole run: a listing goes on only under the question it began with.
    let now = deps.clock.now();
    loop {
        let (entries, next) = deps.due.list_due(DuePurpose::Purge, now, from, PAGE_SIZE).await?;
        let results = stream::iter(entries).map(|entry| async move {
            let result = purge_booking(deps, &entry, now).await;
            (entry, result)
        });
        let results: Vec<_> = results.buffer_unordered(CONCURRENCY).collect().await;
        let mut finished = Vec::new();
        for (entry, result) in results {
            match result {
                Ok(true) => purged.deleted += 1,
                Ok(false) => purged.skipped += 1,
                Err(error) => {
                    purged.remaining += 1;
                    tracing::warn!(%error, "a booking could not be purged now");
                    continue;
                }
            }
            finished.push(entry);
        }
        // Last of all: as long as the entry is there, the booking is not forgotten.
        deps.due.remove_all(&finished).await?;
        from = next;
        if deps.clock.now() >= stop_at {
            return Ok(purged);
        }
        if from.is_none() {
            purged.records = records::purge(deps, now, stop_at).await?;
            return Ok(purged);
        }
    }
}

/// Whether the booking was deleted; `false` when the entry watches nothing any more.
async fn purge_booking(deps: &Deps, entry: &DueEntry, now: Timestamp) -> Result<bool, StoreError> {
    let DueSubject::Booking(key) = entry.subject else { return Ok(false) };
    let read = match deps.bookings.get(&key).await {
        // Nobody can use it, and its time is over: it must not stay because it is broken.
        Err(StoreError::Unreadable { .. }) => {
            tracing::error!("a booking that cannot be understood is purged by its keys");
            deps.bookings.remove(&key, None).await?;
            return Ok(true);
        }
        read => read?,
    };
    let Some((booking, etag)) = read else { return Ok(false) };
    if booking.purge_due > now {
        return Ok(false);
    }
    delete_booking(deps, key, &booking, &etag).await?;
    Ok(true)
}

/// The ledger and the pointers first, the booking that names them last.
async fn delete_booking(
    deps: &Deps,
    key: BookingKey,
    booking: &Booking,
    etag: &ETag,
) -> Result<(), StoreError> {
    let mut intervals: Vec<Interval> =
        booking.confirmed().map(|held| held.interval).into_iter().collect();
    intervals.extend(booking.intervals_to_release());
    if !intervals.is_empty() {
        deps.claims.release(key, &intervals, None).await?;
    }
    for pointer in &booking.known_copies {
        deps.appointments.remove(key.tenant, pointer.mailbox, &pointer.event).await?;
    }
    deps.bookings.remove(&key, Some(etag)).await?;
    if let Some(at) = booking.unsettled_due {
        let subject = DueSubject::Booking(key);
        deps.due.remove(&DueEntry::new(DuePurpose::Unsettled, at, subject)).await?;
    }
    Ok(())
}
