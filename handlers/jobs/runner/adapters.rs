//! Between the host's calls and the functions: a message is decoded, its function run, the outcome
//! carried on. The one place that knows which function takes which message.

use async_trait::async_trait;
use axum::{Router, extract::Request, middleware};

use crate::{
    base::call_log::CallLog,
    domain::ids::TenantId,
    host::{
        InvocationContext, InvocationError, QueueDelivery, QueueFunction, TimerFunction, TimerTick,
    },
    jobs::{
        create_booking, dispatch_due,
        fetch_event::{self, BatchResult},
        maintain_mailbox, maintain_tenant, purge_expired,
        runner::{
            DispatchError, JobItem, Runner,
            job::{Enqueue, JobError},
        },
        write_back,
    },
    messages::{
        BookingRequest, CalendarWrite, EventChanges, InvalidMessage, MailboxTasks, TenantTask,
    },
};

impl From<DispatchError> for InvocationError {
    fn from(error: DispatchError) -> Self {
        Self(error.to_string())
    }
}

impl From<JobError> for InvocationError {
    fn from(error: JobError) -> Self {
        Self(error.to_string())
    }
}

impl From<InvalidMessage> for InvocationError {
    /// The host repeats it a few times and then puts it aside as poison, where `dispatch-due` finds it.
    fn from(error: InvalidMessage) -> Self {
        Self(error.to_string())
    }
}

/// The calls first: they were made whatever becomes of the item.
async fn complete_all<I: JobItem>(
    carrier: &Runner,
    trail: &CallLog,
    function: &'static str,
    tenant: TenantId,
    outcomes: Vec<(I, Result<Vec<Enqueue>, JobError>)>,
) -> Result<(), InvocationError> {
    carrier.write_audit(trail).await;
    for (item, outcome) in outcomes {
        carrier.complete(function, tenant, &item, outcome).await?;
    }
    Ok(())
}

/// `routes` of a function that calls Graph while somebody waits: each request carries a [`CallLog`],
/// and its calls go into the audit before the answer leaves, or with the next when it is cut off.
pub(crate) fn with_audit(routes: Router, carrier: Runner) -> Router {
    routes.layer(middleware::from_fn(move |mut request: Request, next: middleware::Next| {
        let carrier = carrier.clone();
        async move {
            let trail = CallLog::default();
            request.extensions_mut().insert(trail.clone());
            let _watched = carrier.audit_guard(&trail);
            let answer = next.run(request).await;
            carrier.write_audit(&trail).await;
            answer
        }
    }))
}

/// `fetch-event` on its queue.
pub(crate) struct FetchEvent {
    pub(crate) deps: fetch_event::Deps,
    pub(crate) runner: Runner,
}

#[async_trait]
impl QueueFunction for FetchEvent {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = EventChanges::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, CallLog::default());
        let _watched = self.runner.audit_guard(&trail);
        let BatchResult { outcomes, dedup: handling } =
            fetch_event::run(&self.deps, &trail, message).await;
        self.runner.write_audit(&trail).await;
        for (item, outcome) in outcomes {
            self.runner.complete(cx.function, tenant, &item, outcome).await?;
            handling.mark_handled(&item);
        }
        Ok(())
    }
}

/// `create-booking` on its queue.
pub(crate) struct CreateBooking {
    pub(crate) deps: create_booking::Deps,
    pub(crate) runner: Runner,
}

#[async_trait]
impl QueueFunction for CreateBooking {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = BookingRequest::from_text(&delivery.text)?;
        let (tenant, trail) = (message.0.key.tenant, CallLog::default());
        let _watched = self.runner.audit_guard(&trail);
        let outcome = create_booking::run(&self.deps, &trail, message).await;
        complete_all(&self.runner, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `write-back` on its queue.
pub(crate) struct WriteBack {
    pub(crate) deps: write_back::Deps,
    pub(crate) runner: Runner,
}

#[async_trait]
impl QueueFunction for WriteBack {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = CalendarWrite::from_text(&delivery.text)?;
        let (tenant, trail) = (message.0.key.tenant, CallLog::default());
        let _watched = self.runner.audit_guard(&trail);
        let outcome = write_back::run(&self.deps, &trail, message).await;
        complete_all(&self.runner, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `maintain-mailbox` on its queue.
pub(crate) struct MaintainMailbox {
    pub(crate) deps: maintain_mailbox::Deps,
    pub(crate) runner: Runner,
}

#[async_trait]
impl QueueFunction for MaintainMailbox {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = MailboxTasks::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, CallLog::default());
        let _watched = self.runner.audit_guard(&trail);
        let outcomes = maintain_mailbox::run(&self.deps, &trail, message).await;
        complete_all(&self.runner, &trail, cx.function, tenant, outcomes).await
    }
}

/// `maintain-tenant` on its queue.
pub(crate) struct MaintainTenant {
    pub(crate) deps: maintain_tenant::Deps,
    pub(crate) runner: Runner,
}

#[async_trait]
impl QueueFunction for MaintainTenant {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = TenantTask::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, CallLog::default());
        let _watched = self.runner.audit_guard(&trail);
        let outcome = maintain_tenant::run(&self.deps, &trail, message.clone()).await;
        complete_all(&self.runner, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `purge-expired` on its schedule.
pub(crate) struct PurgeExpired(pub(crate) purge_expired::Deps);

#[async_trait]
impl TimerFunction for PurgeExpired {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
        let purged = purge_expired::run(&self.0, cx.deadline).await?;
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

/// `dispatch-due` on its schedule.
pub(crate) struct DispatchDue(pub(crate) dispatch_due::Deps);

#[async_trait]
impl TimerFunction for DispatchDue {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
        let nudged = dispatch_due::run(&self.0, cx.deadline).await?;
        tracing::info!(
            unsettled = nudged.unsettled,
            unsettled_oldest_s = nudged.unsettled_oldest_s,
            renewals = nudged.renewals,
            looks_oldest_s = nudged.renewals_oldest_s,
            left = nudged.remaining,
            poisoned = nudged.poisoned,
            aligned = nudged.reconciled,
            "nudged"
        );
        Ok(())
    }
}
