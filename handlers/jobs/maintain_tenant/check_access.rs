//! A call for the tenant was refused: is its access still there? One mailbox that is out of scope
//! says nothing about the tenant, so the tenant itself is checked, with a token made now.
//!
//! A wave of refusals brings a wave of these tasks. One check answers all tasks that were sent
//! before it; a task that was sent after it waits until five minutes have passed, and by then
//! another check has mostly answered it, too. The instant of the check is written last, so that one
//! that was cut off is not taken for an answer.

use jiff::SignedDuration;

use super::worker::TenantWorker;
use crate::{
    domain::tenant::{
        Suspension, SuspensionReason, TenantState, decision::DecisionKind, policy::Registration,
    },
    graph::{CalendarGrants, GraphError},
    jobs::runner::job::{JobError, JobResult},
    store::{tables::ETag, tenants::Tenant},
};

/// How often a tenant's access is checked at most, however much is refused.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// When to try again after losing a race for the tenant's row.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(2);

impl TenantWorker<'_> {
    pub(super) async fn check_access(&self) -> JobResult {
        let tenant = &self.tenant;
        if !tenant.state.is_active() {
            return Err(JobError::Discard("the tenant is not active"));
        }
        if let Some(at) = tenant.access_checked_at {
            if at > self.task.meta.first_seen {
                return Ok(Vec::new());
            }
            let rest = (at + CHECK_INTERVAL).duration_since(self.now());
            if rest.is_positive() {
                return Err(JobError::retry_after(rest, "access was checked moments ago"));
            }
        }
        let lost = self.access_loss().await?;
        // Read again, because it may have been reconnected, or be leaving, since the question.
        let Some((fresh, etag)) = self.deps.tenants.get_with_etag(tenant.id).await? else {
            return Err(JobError::Discard("the tenant is unknown"));
        };
        if fresh.state != tenant.state
            || fresh.registration != tenant.registration
            || fresh.connection != tenant.connection
        {
            return Err(JobError::Discard("the tenant has changed since"));
        }
        self.record_check(fresh, &etag, lost).await
    }

    /// Why access is lost; `None` when it is there.
    async fn access_loss(&self) -> Result<Option<SuspensionReason>, JobError> {
        match self.fetch_grants().await {
            Ok(grants) => Ok(match self.tenant.registration {
                // One without the other leaves half of the work: nothing could be answered, or
                // nothing be subscribed.
                Registration::OrganisationWide if !(grants.read && grants.write) => {
                    Some(SuspensionReason::CalendarPermissionMissing)
                }
                // Its calendars are granted in Exchange, mailbox by mailbox, and not in the token.
                Registration::OrganisationWide | Registration::Scoped => None,
            }),
            Err(GraphError::Disconnected) => Ok(Some(SuspensionReason::TokenRefused)),
            Err(GraphError::AccessDenied) => Ok(Some(SuspensionReason::CallRefused)),
            Err(
                error @ (GraphError::Retry { .. }
                | GraphError::MailboxNotFound
                | GraphError::Refused { .. }
                | GraphError::Blocked(_)
                | GraphError::Unreadable),
            ) => Err(error.into()),
        }
    }

    /// The grants in a token made now, once Graph has accepted it.
    async fn fetch_grants(&self) -> Result<CalendarGrants, GraphError> {
        self.graph.discard_cached_token().await?;
        self.graph.check_connection().await?;
        self.graph.calendar_grants().await
    }

    /// Records the evidence before the state that it explains.
    async fn record_check(
        &self,
        tenant: Tenant,
        etag: &ETag,
        lost: Option<SuspensionReason>,
    ) -> JobResult {
        let state = match lost {
            None => tenant.state,
            Some(reason) => {
                tracing::error!(?reason, "tenant access lost; work suspended");
                self.record_decision(None, None, DecisionKind::Suspended(reason)).await?;
                TenantState::Suspended(Suspension { since: self.task.meta.first_seen, reason })
            }
        };
        let checked = Tenant { state, access_checked_at: Some(self.now()), ..tenant };
        match self.deps.tenants.replace(&checked, etag).await {
            Ok(_) => Ok(Vec::new()),
            // Somebody has decided, or another worker has checked, at the same moment.
            Err(error) if error.is_conflict() => {
                Err(JobError::retry_after(CONFLICT_BACKOFF, "write conflict"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
