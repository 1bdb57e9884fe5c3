//! A call for the tenant was refused: is its access still there? One mailbox that is out of scope
//! says nothing about the tenant, so the tenant itself is checked, with a token made now.
//!
//! Only what names the customer's side suspends a tenant: Entra's code for an application that is not
//! there, or grants that are missing in the token. What may be our own mistake or Microsoft's outage
//! waits. A suspended tenant is checked daily, so a suspension ends by itself when its reason does.
//!
//! A wave of refusals brings a wave of these tasks. One check answers all tasks that were sent
//! before it; a task that was sent after it waits until five minutes have passed, and by then
//! another check has mostly answered it, too. The instant of the check is written last, so that one
//! that was cut off is not taken for an answer.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::worker::TenantWorker;
use crate::{
    domain::tenant::{Suspension, SuspensionReason, TenantState, decision::DecisionKind},
    graph::GraphError,
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::TenantTaskKind,
    store::tenants::Tenant,
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
        self.check_and_record().await
    }

    /// Checks a suspended tenant, and has everything caught up with if its access is back.
    pub(super) async fn resume(&self) -> JobResult {
        match self.tenant.state {
            TenantState::Suspended(_) => {}
            // An earlier run was cut off after the row and before the task.
            TenantState::Active => return Ok(vec![self.catch_up()]),
            TenantState::Disconnecting | TenantState::Deleted(_) => {
                return Err(JobError::Discard("the tenant is leaving"));
            }
        }
        self.check_and_record().await
    }

    /// What was not done meanwhile is done as after connecting: nobody knows which subscriptions
    /// Graph still has.
    fn catch_up(&self) -> Enqueue {
        self.continue_later(TenantTaskKind::Connect, 0, Duration::ZERO)
    }

    /// Records what is found, and the evidence before the state that it explains.
    async fn check_and_record(&self) -> JobResult {
        let tenant = &self.tenant;
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
        let (state, jobs) = match (fresh.state, lost) {
            (TenantState::Suspended(suspension), Some(reason)) if suspension.reason == reason => {
                (fresh.state, Vec::new())
            }
            (_, Some(reason)) => {
                tracing::error!(?reason, "tenant access lost; work suspended");
                self.record_decision(None, None, DecisionKind::Suspended(reason)).await?;
                let since = self.task.meta.first_seen;
                (TenantState::Suspended(Suspension { since, reason }), Vec::new())
            }
            (TenantState::Suspended(_), None) => {
                tracing::info!("tenant access is back; work resumed");
                self.record_decision(None, None, DecisionKind::Resumed).await?;
                (TenantState::Active, vec![self.catch_up()])
            }
            (state, None) => (state, Vec::new()),
        };
        let checked = Tenant { state, access_checked_at: Some(self.now()), ..fresh };
        match self.deps.tenants.replace(&checked, &etag).await {
            Ok(_) => Ok(jobs),
            // Somebody has decided, or another worker has checked, at the same moment.
            Err(error) if error.is_conflict() => {
                Err(JobError::retry_after(CONFLICT_BACKOFF, "write conflict"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Why access is lost; `None` when it is there.
    async fn access_loss(&self) -> Result<Option<SuspensionReason>, JobError> {
        self.graph.access_loss().await.map_err(|error| {
            if error == GraphError::TokenRejected {
                // As "access lost" it would only bring the next check about.
                return JobError::Retry { after: None, cause: Arc::new(error) };
            }
            error.into()
        })
    }
}
