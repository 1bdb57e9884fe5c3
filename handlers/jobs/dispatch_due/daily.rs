//! Once a day, each tenant whose scope changes without a word is brought in line with its directory.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Deps;
use crate::{
    domain::{ids::CorrelationId, tenancy::TenantState},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{JobMeta, TenantTask, TenantTaskKind},
    store::tenants::Tenant,
};

/// The hour (UTC) in whose first minutes every tenant is looked at: a quiet one in Europe, and not the
/// one of `purge-expired`. Nobody tells us who joins or leaves a scope group or the organisation, and
/// a task of a tenant that was lost has no other watcher. A run that is missed, or that fails before
/// it comes to this, is made up for by the next day's: so a change counts after two days at the latest.
const QUIET_HOUR: i8 = 2;
/// Those minutes: the timer runs once in them.
const QUIET_MINUTES: i8 = 5;
/// Over how many seconds the tenants are spread, so that they do not all ask at once.
const SPREAD: u64 = 60 * 60;

/// A pass changes only what is not in line, so one too many is harmless; and both are dated to the
/// same instant, so what they decide is the same entry of the register.
pub(super) async fn enqueue_daily_tasks(
    deps: &Deps,
    began: Timestamp,
    stop_at: Timestamp,
) -> Result<u64, JobError> {
    let Some(asked) = quiet_hour(began) else { return Ok(0) };
    let mut sent = 0;
    for (tenant, _) in deps.tenants.list().await? {
        if deps.clock.now() >= stop_at {
            break;
        }
        let Some(work) = daily_task(&tenant) else { continue };
        let passage = JobMeta::new(CorrelationId(deps.rng.uuid().as_u128()), asked);
        let task = Job::MaintainTenant(TenantTask { tenant: tenant.id, kind: work, meta: passage });
        let delay = Duration::from_secs(deps.rng.below(SPREAD));
        deps.outbox.enqueue(Enqueue::later(task, delay)).await?;
        sent += 1;
    }
    Ok(sent)
}

/// When the quiet hour began, in its first minutes.
fn quiet_hour(now: Timestamp) -> Option<Timestamp> {
    let utc = now.to_zoned(TimeZone::UTC);
    let quiet = utc.hour() == QUIET_HOUR && utc.minute() < QUIET_MINUTES;
    let since = SignedDuration::from_mins(utc.minute().into())
        + SignedDuration::from_secs(utc.second().into())
        + SignedDuration::from_nanos(utc.subsec_nanosecond().into());
    quiet.then(|| now - since)
}

/// What is looked at in a tenant every day.
fn daily_task(tenant: &Tenant) -> Option<TenantTaskKind> {
    match tenant.state {
        TenantState::Active => Some(TenantTaskKind::ReconcilePolicy { from: None }),
        TenantState::Disconnecting => Some(TenantTaskKind::Leave),
        TenantState::Suspended(_) | TenantState::Deleted(_) => None,
    }
}
