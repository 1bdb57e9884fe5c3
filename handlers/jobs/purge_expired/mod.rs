//! `purge-expired`: deletes every row whose time has come, reading only what is due.
//!
//! A due entry says when to look, never that something may be deleted: a booking that was moved
//! later keeps its row, and its later entry was written before it moved.
//!
//! Records stay longer than bookings: failures for 30 days, calls for as long as the tenant's
//! policy says, and for as long again whatever there is about a tenant that has left. They need no
//! due entries: whole days are deleted, once a day, and the next day makes up for one that was
//! missed.

mod series;

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    base::clock::Clock,
    booking::LedgerClaims,
    domain::{
        booking::Booking, interval::Interval, keys::BookingKey, retention::FAILURE_RETENTION,
        tenant::TenantState,
    },
    host::{InvocationContext, InvocationError, TimerFunction, TimerTick},
    jobs::runner::job::JobError,
    store::{
        StoreError,
        appointments::Appointments,
        audit::Audit,
        bookings::Bookings,
        due::{DueEntries, DueEntry, DueList, DueSubject},
        failures::Failures,
        register::Register,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

/// How many bookings are deleted side by side.
const CONCURRENCY: usize = 8;
/// How many due entries are read at a time.
const PAGE_SIZE: u16 = 500;
/// The hour (UTC) in whose first quarter the records are purged: the quietest one in Europe.
const RECORDS_HOUR: i8 = 3;
/// That quarter in minutes: the timer runs once in it.
const RECORDS_MINUTES: i8 = 15;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    pub bookings: Bookings,
    pub appointments: Appointments,
    pub claims: LedgerClaims,
    pub due: DueEntries,
    pub tenants: Tenants,
    pub failures: Failures,
    pub audit: Audit,
    pub register: Register,
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
    /// Records deleted because their retention is over.
    pub records: u64,
}

#[async_trait]
impl TimerFunction for Deps {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
        let done = run(self, cx.deadline).await?;
        tracing::info!(
            deleted = done.deleted,
            skipped = done.skipped,
            remaining = done.remaining,
            records = done.records,
            "expired data purged"
        );
        Ok(())
    }
}

/// Deletes what is due until nothing is left or `stop_at` has come.
///
/// # Errors
/// [`JobError`] when the due entries cannot be read; a booking that cannot be deleted only remains.
pub async fn run(deps: &Deps, stop_at: Timestamp) -> Result<PurgeSummary, JobError> {
    let mut summary = PurgeSummary::default();
    let mut from = None;
    // One instant for the whole run: a listing continues only under the question it began with.
    let now = deps.clock.now();
    loop {
        let (entries, next) = deps.due.list_due(DueList::Purges, now, from, PAGE_SIZE).await?;
        let results = stream::iter(entries).map(|entry| async move {
            let result = purge_booking(deps, &entry, now).await;
            (entry, result)
        });
        let results: Vec<_> = results.buffer_unordered(CONCURRENCY).collect().await;
        let mut finished = Vec::new();
        for (entry, result) in results {
            match result {
                Ok(true) => summary.deleted += 1,
                Ok(false) => summary.skipped += 1,
                Err(error) => {
                    summary.remaining += 1;
                    tracing::warn!(%error, "booking purge failed; will be retried");
                    continue;
                }
            }
            finished.push(entry);
        }
        // Last of all: as long as the entry is there, the booking is not forgotten.
        deps.due.remove_all(&finished).await?;
        from = next;
        if deps.clock.now() >= stop_at {
            return Ok(summary);
        }
        if from.is_none() {
            summary.records = purge_records(deps, now, stop_at).await?;
            return Ok(summary);
        }
    }
}

// === bookings ===

/// Whether the booking was deleted; `false` when the entry watches nothing any more.
async fn purge_booking(deps: &Deps, entry: &DueEntry, now: Timestamp) -> Result<bool, StoreError> {
    let key = match entry.subject {
        DueSubject::Booking(key) => key,
        DueSubject::Series(key) => return series::purge_series(deps, key, entry.at, now).await,
        DueSubject::Mailbox { .. } => return Ok(false),
    };
    let read = match deps.bookings.get(&key).await {
        // Nothing can use it, and its time is over: it must not stay because it is broken.
        Err(StoreError::Unreadable { .. }) => {
            tracing::error!("unreadable booking row deleted by key");
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

/// The ledger and the copies first, the booking that names them last.
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
        deps.claims.release((key.tenant, key.room), booking.id, &intervals, None).await?;
    }
    for copy in &booking.known_copies {
        // Of two copies in one calendar, one may be a series, which leads to other bookings, too.
        let in_calendar = booking.known_copies.iter().filter(|other| other.mailbox == copy.mailbox);
        if key.series().is_none() && in_calendar.count() == 1 {
            deps.appointments.remove(key.tenant, *copy).await?;
        } else {
            deps.appointments.forget_booking(key, *copy).await?;
        }
    }
    deps.bookings.remove(&key, Some(etag)).await?;
    // What watches a series watches its other dates, too.
    if key.series().is_some() {
        return Ok(());
    }
    deps.due.remove_unsettled(key, booking.unsettled_due).await
}

// === records ===

/// Deletes records whose retention is over, tenant by tenant, until `stop_at`.
async fn purge_records(deps: &Deps, now: Timestamp, stop_at: Timestamp) -> Result<u64, StoreError> {
    let utc = now.to_zoned(TimeZone::UTC);
    if utc.hour() != RECORDS_HOUR || utc.minute() >= RECORDS_MINUTES {
        return Ok(0);
    }
    let failed_before = now - FAILURE_RETENTION;
    let mut removed = deps.failures.remove_before(None, failed_before).await?;
    for (tenant, etag) in deps.tenants.list().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        removed += deps.failures.remove_before(Some(tenant.id), failed_before).await?;
        let audited_before =
            now - SignedDuration::from_hours(24 * i64::from(tenant.policy.audit_days));
        removed += match tenant.state {
            TenantState::Deleted(at) if at <= audited_before => {
                purge_tenant(deps, &tenant, &etag, at, now).await?
            }
            TenantState::Active
            | TenantState::Suspended(_)
            | TenantState::Disconnecting
            | TenantState::Deleted(_) => {
                let day = audited_before.to_zoned(TimeZone::UTC).date();
                deps.audit.remove_before(tenant.id, day).await?
            }
        };
    }
    Ok(removed)
}

/// What is left of a tenant that left at `at`: its audit, its register, and last of all its row,
/// which leads here again when this is cut off. What was recorded after it left stays, because the
/// tenant may be reconnecting right now.
async fn purge_tenant(
    deps: &Deps,
    tenant: &Tenant,
    etag: &ETag,
    at: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut removed = deps.audit.remove_before(tenant.id, today).await?;
    removed += deps.register.remove_until(tenant.id, at).await?;
    match deps.tenants.remove(tenant.id, etag).await {
        Ok(()) => Ok(removed + 1),
        Err(error) if error.is_conflict() => Ok(removed),
        Err(error) => Err(error),
    }
}
