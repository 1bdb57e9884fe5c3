//! The records that stay longer than the bookings: failures for 30 days, calls for as long as the
//! tenant's policy says, and for as long again whatever there is about a tenant that has left.
//!
//! They need no due entries: whole days go, once a day, and what one day missed the next one finds.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Deps;
use crate::{
    domain::{retention::FAILURE_RETENTION, tenancy::TenantState},
    store::{StoreError, tables::ETag, tenants::Tenant},
};

/// The hour (UTC) in whose first quarter the records are looked at: the quietest one in Europe.
const PURGE_HOUR: i8 = 3;
/// That quarter in minutes: the timer runs once in it.
const WINDOW_MINUTES: i8 = 15;

/// Deletes what is older than its retention, tenant by tenant, until `stop_at`.
pub(super) async fn purge(
    deps: &Deps,
    now: Timestamp,
    stop_at: Timestamp,
) -> Result<u64, StoreError> {
    let utc = now.to_zoned(TimeZone::UTC);
    if utc.hour() != PURGE_HOUR || utc.minute() >= WINDOW_MINUTES {
        return Ok(0);
    }
    let failed_before = now - FAILURE_RETENTION;
    let mut removed = deps.failures.remove_before(None, failed_before).await?;
    for (tenant, etag) in deps.tenants.list().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        removed += deps.failures.remove_before(Some(tenant.id), failed_before).await?;
        removed += match tenant.state {
            TenantState::Deleted(at) if at + audit_retention(&tenant) <= now => {
                delete_left_tenant(deps, &tenant, &etag, at, now).await?
            }
            TenantState::Active
            | TenantState::Suspended(_)
            | TenantState::Disconnecting
            | TenantState::Deleted(_) => {
                let called_before = (now - audit_retention(&tenant)).to_zoned(TimeZone::UTC).date();
                deps.audit.remove_before(tenant.id, called_before).await?
            }
        };
    }
    Ok(removed)
}

/// How long the calls for a tenant are kept.
fn audit_retention(tenant: &Tenant) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(tenant.policy.audit_days))
}

/// What is left of a tenant that left `at`: its audit, its register, and last of all its row, which
/// is what leads here again when this is cut off. What came after it left stays: it may have come
/// back this very moment.
async fn delete_left_tenant(
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
