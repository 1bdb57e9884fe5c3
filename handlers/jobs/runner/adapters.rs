//! Between the host's calls and the functions: a message is decoded, its function run, the outcome
//! carried on. The one place that knows which function takes which message.

use async_trait::async_trait;
use axum::{Router, extract::Request, middleware};

use crate::{
    base::call_log::Trail,
    domain::ids::TenantId,
    host::{
        InvocationContext, InvocationFailed, QueueDelivery, QueueFunction, TimerFunction, TimerTick,
    },
    jobs::{
        create_booking, dispatch_due,
        fetch_event::{self, Looked},
        maintain_mailbox, maintain_tenant, purge_expired,
        runner::{
            Carrier, Item, NotCarried,
            job::{Next, StepError},
        },
        write_back,
    },
    messages::{
        BookingRequest, CalendarWrite, EventChanges, MailboxTasks, NotAMessage, TenantTask,
    },
};

impl From<NotCarried> for InvocationFailed {
    fn from(error: NotCarried) -> Self {
        Self(error.to_string())
    }
}

impl From<StepError> for InvocationFailed {
    fn from(error: StepError) -> Self {
        Self(error.to_string())
    }
}

impl From<NotAMessage> for InvocationFailed {
    /// The host repeats it a few times and then puts it aside as poison, where `dispatch-due` finds it.
    fn from(error: NotAMessage) -> Self {
        Self(error.to_string())
    }
}

/// The calls first: they were made whatever becomes of the item.
async fn finish<I: Item>(
    carrier: &Carrier,
    trail: &Trail,
    function: &'static str,
    tenant: TenantId,
    outcomes: Vec<(I, Result<Vec<Next>, StepError>)>,
) -> Result<(), InvocationFailed> {
    carrier.audit(trail).await;
    for (item, outcome) in outcomes {
        carrier.carry(function, tenant, &item, outcome).await?;
    }
    Ok(())
}

/// `routes` of a function that calls Graph while somebody waits: each request carries a [`Trail`],
/// and its calls go into the audit before the answer leaves, or with the next when it is cut off.
pub(crate) fn audited(routes: Router, carrier: Carrier) -> Router {
    routes.layer(middleware::from_fn(move |mut request: Request, next: middleware::Next| {
        let carrier = carrier.clone();
        async move {
            let trail = Trail::default();
            request.extensions_mut().insert(trail.clone());
            let _watched = carrier.watch(&trail);
            let answer = next.run(request).await;
            carrier.audit(&trail).await;
            answer
        }
    }))
}

/// `fetch-event` on its queue.
pub(crate) struct FetchEvent {
    pub(crate) deps: fetch_event::Deps,
    pub(crate) carrier: Carrier,
}

#[async_trait]
impl QueueFunction for FetchEvent {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationFailed> {
        let message = EventChanges::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, Trail::default());
        let _watched = self.carrier.watch(&trail);
        let Looked { outcomes, handling } = fetch_event::run(&self.deps, &trail, message).await;
        self.carrier.audit(&trail).await;
        for (item, outcome) in outcomes {
            self.carrier.carry(cx.function, tenant, &item, outcome).await?;
            handling.carried_on(&item);
        }
        Ok(())
    }
}

/// `create-booking` on its queue.
pub(crate) struct CreateBooking {
    pub(crate) deps: create_booking::Deps,
    pub(crate) carrier: Carrier,
}

#[async_trait]
impl QueueFunction for CreateBooking {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationFailed> {
        let message = BookingRequest::from_text(&delivery.text)?;
        let (tenant, trail) = (message.0.key.tenant, Trail::default());
        let _watched = self.carrier.watch(&trail);
        let outcome = create_booking::run(&self.deps, &trail, message).await;
        finish(&self.carrier, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `write-back` on its queue.
pub(crate) struct WriteBack {
    pub(crate) deps: write_back::Deps,
    pub(crate) carrier: Carrier,
}

#[async_trait]
impl QueueFunction for WriteBack {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationFailed> {
        let message = CalendarWrite::from_text(&delivery.text)?;
        let (tenant, trail) = (message.0.key.tenant, Trail::default());
        let _watched = self.carrier.watch(&trail);
        let outcome = write_back::run(&self.deps, &trail, message).await;
        finish(&self.carrier, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `maintain-mailbox` on its queue.
pub(crate) struct MaintainMailbox {
    pub(crate) deps: maintain_mailbox::Deps,
    pub(crate) carrier: Carrier,
}

#[async_trait]
impl QueueFunction for MaintainMailbox {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationFailed> {
        let message = MailboxTasks::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, Trail::default());
        let _watched = self.carrier.watch(&trail);
        let outcomes = maintain_mailbox::run(&self.deps, &trail, message).await;
        finish(&self.carrier, &trail, cx.function, tenant, outcomes).await
    }
}

/// `maintain-tenant` on its queue.
pub(crate) struct MaintainTenant {
    pub(crate) deps: maintain_tenant::Deps,
    pub(crate) carrier: Carrier,
}

#[async_trait]
impl QueueFunction for MaintainTenant {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationFailed> {
        let message = TenantTask::from_text(&delivery.text)?;
        let (tenant, trail) = (message.tenant, Trail::default());
        let _watched = self.carrier.watch(&trail);
        let outcome = maintain_tenant::run(&self.deps, &trail, message.clone()).await;
        finish(&self.carrier, &trail, cx.function, tenant, vec![(message, outcome)]).await
    }
}

/// `purge-expired` on its schedule.
pub(crate) struct PurgeExpired(pub(crate) purge_expired::Deps);

#[async_trait]
impl TimerFunction for PurgeExpired {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationFailed> {
        let purged = purge_expired::run(&self.0, cx.deadline).await?;
        tracing::info!(
            deleted = purged.deleted,
            passed_over = purged.passed_over,
            left = purged.left,
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
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationFailed> {
        let nudged = dispatch_due::run(&self.0, cx.deadline).await?;
        tracing::info!(
            unsettled = nudged.unsettled,
            unsettled_oldest_s = nudged.unsettled_oldest_s,
            renewals = nudged.renewals,
            looks_oldest_s = nudged.looks_oldest_s,
            left = nudged.left,
            poisoned = nudged.poisoned,
            aligned = nudged.aligned,
            "nudged"
        );
        Ok(())
    }
}
