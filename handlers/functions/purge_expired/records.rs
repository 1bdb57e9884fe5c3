//! The records that stay longer than the bookings: failures for 30 days, calls for a year.
//!
//! They need no due entries: whole days go, once a day, and what one day missed the next one finds.

use jiff::{Timestamp, tz::TimeZone};

use super::Deps;
use crate::{
    domain::retention::{AUDIT, FAILURES},
    store::StoreError,
};

/// The hour (UTC) in whose first quarter the records are looked at: the quietest one in Europe.
const HOUR: i8 = 3;
/// That quarter in minutes: the timer runs once in it.
const QUARTER: i8 = 15;

/// Deletes what is older than its retention, tenant by tenant, until `stop_at`.
pub(super) async fn purge(
    deps: &Deps,
    now: Timestamp,
    stop_at: Timestamp,
) -> Result<u64, StoreError> {
    let utc = now.to_zoned(TimeZone::UTC);
    if utc.hour() != HOUR || utc.minute() >= QUARTER {
        return Ok(0);
    }
    let failed_before = now - FAILURES;
    let called_before = (now - AUDIT).to_zoned(TimeZone::UTC).date();
    let mut removed = deps.failures.remove_before(None, failed_before).await?;
    for tenant in deps.tenants.ids().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        removed += deps.failures.remove_before(Some(tenant), failed_before).await?;
        removed += deps.audit.remove_before(tenant, called_before).await?;
    }
    Ok(removed)
}
