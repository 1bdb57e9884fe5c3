//! A call for the tenant was refused: is its access still there? One mailbox that is out of scope
//! says nothing about the tenant, so the tenant itself is asked, with a token made now.
//!
//! A wave of refusals brings a wave of these tasks. One look answers all that were asked before it;
//! what was asked after it waits until five minutes have passed and is then mostly answered, too.
//! When the look was is written last, so that one that was cut off is not taken for an answer.

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    domain::{
        decision::What,
        policy::Registration,
        tenancy::{SuspendedBecause, Suspension, TenantState},
    },
    graph::{CalendarGrants, GraphError, TenantGraph},
    jobs::runner::job::{Next, StepError},
    store::{tables::ETag, tenants::Tenant},
};

/// How often a tenant's access is looked at, whatever is refused.
const AT_MOST_EVERY: SignedDuration = SignedDuration::from_mins(5);

impl Keeper<'_> {
    pub(super) async fn check(&self, tenant: Tenant) -> Result<Vec<Next>, StepError> {
        if !tenant.state.is_active() {
            return Err(StepError::Drop { reason: "the tenant is not active" });
        }
        let now = self.deps.clock.now();
        if let Some(at) = tenant.checked_at {
            if at > self.task.passage.first_seen {
                return Ok(Vec::new());
            }
            if now < at + AT_MOST_EVERY {
                let rest = (at + AT_MOST_EVERY).duration_since(now);
                return Err(StepError::wait(rest, "the tenant was looked at just now"));
            }
        }
        let lost = self.lost(&tenant).await?;
        // As it is now: it may have been connected anew, or be leaving, since the question.
        let Some((fresh, etag)) = self.deps.tenants.read(tenant.id).await? else {
            return Err(StepError::Drop { reason: "the tenant is unknown" });
        };
        if fresh.state != tenant.state
            || fresh.registration != tenant.registration
            || fresh.connected != tenant.connected
        {
            return Err(StepError::Drop { reason: "the tenant has changed meanwhile" });
        }
        self.note(fresh, etag, lost).await
    }

    /// The evidence before the state that it explains.
    async fn note(
        &self,
        tenant: Tenant,
        etag: ETag,
        lost: Option<SuspendedBecause>,
    ) -> Result<Vec<Next>, StepError> {
        let state = match lost {
            None => tenant.state,
            Some(reason) => {
                tracing::error!(tenant = %tenant.id, ?reason, "access is lost; work stops");
                self.register(None, None, What::Suspended(reason)).await?;
                TenantState::Suspended(Suspension { since: self.task.passage.first_seen, reason })
            }
        };
        let checked_at = Some(self.deps.clock.now());
        match self.deps.tenants.replace(&Tenant { state, checked_at, ..tenant }, &etag).await {
            Ok(_) => Ok(Vec::new()),
            // Somebody else looked, or decided, at the same moment: see what they made of it.
            Err(error) if error.is_changed() => {
                Err(StepError::wait(SignedDuration::from_secs(2), "others were faster"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why access is lost; `None` when it is there.
    async fn lost(&self, tenant: &Tenant) -> Result<Option<SuspendedBecause>, StepError> {
        let graph = self.graph(tenant);
        match granted(&graph).await {
            Ok(grants) => Ok(match tenant.registration {
                // One without the other leaves half of the work: nothing could be answered, or
                // nothing be subscribed.
                Registration::OrganisationWide if !(grants.read && grants.write) => {
                    Some(SuspendedBecause::CalendarsMissing)
                }
                // Its calendars are granted in Exchange, mailbox by mailbox, and not in the token.
                Registration::OrganisationWide | Registration::Scoped => None,
            }),
            Err(GraphError::Disconnected) => Ok(Some(SuspendedBecause::TokenRefused)),
            Err(GraphError::Denied) => Ok(Some(SuspendedBecause::CallRefused)),
            Err(
                error @ (GraphError::Wait { .. }
                | GraphError::MailboxGone
                | GraphError::Refused { .. }
                | GraphError::Forbidden(_)
                | GraphError::Unreadable),
            ) => Err(error.into()),
        }
    }
}

/// What a token made now carries, once Graph has taken it.
async fn granted(graph: &TenantGraph) -> Result<CalendarGrants, GraphError> {
    graph.renew_token().await?;
    graph.is_connected().await?;
    graph.calendar_grants().await
}
