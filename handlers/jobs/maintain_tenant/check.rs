//! A call for the tenant was refused: is its access still there? One mailbox that is out of scope
//! says nothing about the tenant, so the tenant itself is asked, with a token made now.
//!
//! A wave of refusals brings a wave of these tasks. One look answers all that were asked before it;
//! what was asked after it waits until five minutes have passed and is then mostly answered, too.
//! When the look was is written last, so that one that was cut off is not taken for an answer.

use jiff::SignedDuration;

use super::TenantWorker;
use crate::{
    domain::{
        decision::DecisionKind,
        policy::Registration,
        tenancy::{Suspension, SuspensionReason, TenantState},
    },
    graph::{CalendarGrants, GraphError, TenantGraph},
    jobs::runner::job::{Enqueue, JobError},
    store::{tables::ETag, tenants::Tenant},
};

/// How often a tenant's access is looked at, whatever is refused.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

impl TenantWorker<'_> {
    pub(super) async fn check_access(&self, tenant: Tenant) -> Result<Vec<Enqueue>, JobError> {
        if !tenant.state.is_active() {
            return Err(JobError::Discard { reason: "the tenant is not active" });
        }
        let now = self.deps.clock.now();
        if let Some(at) = tenant.access_checked_at {
            if at > self.task.meta.first_seen {
                return Ok(Vec::new());
            }
            if now < at + CHECK_INTERVAL {
                let rest = (at + CHECK_INTERVAL).duration_since(now);
                return Err(JobError::retry_after(rest, "the tenant was looked at just now"));
            }
        }
        let lost = self.access_loss(&tenant).await?;
        // As it is now: it may have been connected anew, or be leaving, since the question.
        let Some((fresh, etag)) = self.deps.tenants.get_with_etag(tenant.id).await? else {
            return Err(JobError::Discard { reason: "the tenant is unknown" });
        };
        if fresh.state != tenant.state
            || fresh.registration != tenant.registration
            || fresh.connection != tenant.connection
        {
            return Err(JobError::Discard { reason: "the tenant has changed meanwhile" });
        }
        self.record_check(fresh, etag, lost).await
    }

    /// The evidence before the state that it explains.
    async fn record_check(
        &self,
        tenant: Tenant,
        etag: ETag,
        lost: Option<SuspensionReason>,
    ) -> Result<Vec<Enqueue>, JobError> {
        let state = match lost {
            None => tenant.state,
            Some(reason) => {
                tracing::error!(tenant = %tenant.id, ?reason, "access is lost; work stops");
                self.record_decision(None, None, DecisionKind::Suspended(reason)).await?;
                TenantState::Suspended(Suspension { since: self.task.meta.first_seen, reason })
            }
        };
        let checked_at = Some(self.deps.clock.now());
        match self
            .deps
            .tenants
            .replace(&Tenant { state, access_checked_at: checked_at, ..tenant }, &etag)
            .await
        {
            Ok(_) => Ok(Vec::new()),
            // Somebody else looked, or decided, at the same moment: see what they made of it.
            Err(error) if error.is_conflict() => {
                Err(JobError::retry_after(SignedDuration::from_secs(2), "others were faster"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why access is lost; `None` when it is there.
    async fn access_loss(&self, tenant: &Tenant) -> Result<Option<SuspensionReason>, JobError> {
        let graph = self.graph(tenant);
        match fetch_grants(&graph).await {
            Ok(grants) => Ok(match tenant.registration {
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
}

/// What a token made now carries, once Graph has taken it.
async fn fetch_grants(graph: &TenantGraph) -> Result<CalendarGrants, GraphError> {
    graph.discard_cached_token().await?;
    graph.check_connection().await?;
    graph.calendar_grants().await
}
