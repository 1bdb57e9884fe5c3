//! The comparison of every calendar with its bookings, which an administrator starts: one at a time.

use jiff::SignedDuration;

use crate::{
    messages::{ReconcileCursor, TenantTaskKind},
    store::{tables::ETag, tenants::Tenant},
    web::{
        consent::deps::Deps,
        layout::{CurrentUser, PageError},
    },
};

/// After this a comparison that has not ended may be started again: its task was lost. A million calendars,
/// five a second, take 56 hours.
const COMPARISON_TIMEOUT: SignedDuration = SignedDuration::from_hours(72);

/// Has every calendar compared with its bookings, and returns whether it is begun: not while it is being
/// done, nor without access. It ends when the last calendars' tasks are on the queue, which are done
/// within the next minutes.
pub(in crate::web::consent) async fn start_comparison(
    deps: &Deps,
    user: &CurrentUser,
    tenant: Tenant,
    etag: &ETag,
) -> Result<bool, PageError> {
    let now = deps.clock.now();
    let is_running = tenant
        .comparing_since
        .is_some_and(|since| now.duration_since(since).abs() < COMPARISON_TIMEOUT);
    if is_running || !tenant.state.is_active() {
        return Ok(false);
    }
    let comparing = Tenant { comparing_since: Some(now), ..tenant };
    let etag = deps.tenants.replace(&comparing, etag).await?;
    let from = Some(ReconcileCursor { resync: true, ..ReconcileCursor::default() });
    let kind = TenantTaskKind::ReconcilePolicy { from };
    if let Err(error) = deps.enqueue_tenant_task(user, kind).await {
        // Nothing runs, so the next try may start it.
        let idle = Tenant { comparing_since: None, ..comparing };
        deps.tenants.replace(&idle, &etag).await?;
        return Err(error);
    }
    Ok(true)
}
