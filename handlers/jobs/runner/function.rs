//! The adapter between the host's calls and the jobs, written once for all queues and once for all
//! timers. A job implements [`QueueJob`] or [`TimerJob`] in its own module.

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::Instrument as _;

use crate::{
    base::invocation::Invocation,
    host::{
        InvocationContext, InvocationError, QueueDelivery, QueueFunction, TimerFunction, TimerTick,
    },
    jobs::runner::{
        DispatchError, JobItem, Runner,
        job::{JobError, JobResult},
    },
    messages::{InvalidMessage, Message},
};

/// A function that takes messages from a queue.
#[async_trait]
pub trait QueueJob: Send + Sync {
    /// What it takes.
    type Message: Message + Send;
    /// What succeeds or fails alone: the message itself, or one of several in it.
    type Item: JobItem;

    /// Works on one message.
    async fn run(&self, invocation: &Invocation, message: Self::Message) -> Outcomes<Self::Item>;
}

/// A function that runs on a schedule.
#[async_trait]
pub trait TimerJob: Send + Sync {
    /// Does one run, which stops by itself at `stop_at`.
    async fn run(&self, stop_at: Timestamp) -> Result<(), JobError>;
}

/// What became of each item of a message.
pub struct Outcomes<I> {
    items: Vec<(I, JobResult)>,
    on_completed: Box<dyn Fn(&I) + Send + Sync>,
}

impl<I> Outcomes<I> {
    /// Calls `on_completed` with each item that was completed. What the closure holds is kept until
    /// all items are completed.
    #[must_use]
    pub fn on_completed(self, on_completed: impl Fn(&I) + Send + Sync + 'static) -> Self {
        Self { on_completed: Box::new(on_completed), ..self }
    }
}

impl<I> From<Vec<(I, JobResult)>> for Outcomes<I> {
    fn from(items: Vec<(I, JobResult)>) -> Self {
        Self { items, on_completed: Box::new(|_| {}) }
    }
}

/// A queue job as the host calls it.
pub struct QueueJobFunction<J> {
    pub job: J,
    pub runner: Runner,
}

#[async_trait]
impl<J: QueueJob> QueueFunction for QueueJobFunction<J> {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let message = J::Message::from_text(&delivery.text)?;
        let Some(meta) = message.meta() else {
            // A message without items asks for nothing.
            return Ok(());
        };
        let invocation = Invocation::start(message.tenant(), meta.correlation);
        let _audit_guard = self.runner.audit.guard(&invocation.calls);
        let Outcomes { items, on_completed } = self.job.run(&invocation, message).await;
        // Before the items: the calls were made whatever becomes of those.
        self.runner.audit.write(&invocation.calls).await;
        for (item, outcome) in items {
            let span = invocation.with_correlation(item.meta().correlation).span();
            let completed = self.runner.complete(cx.function, invocation.tenant, &item, outcome);
            completed.instrument(span).await?;
            on_completed(&item);
        }
        Ok(())
    }
}

/// A timer job as the host calls it.
pub struct TimerJobFunction<J>(pub J);

#[async_trait]
impl<J: TimerJob> TimerFunction for TimerJobFunction<J> {
    async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
        Ok(self.0.run(cx.deadline).await?)
    }
}

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
    /// The host delivers it a few more times and then moves it to the poison queue, where
    /// `dispatch-due` finds it.
    fn from(error: InvalidMessage) -> Self {
        Self(error.to_string())
    }
}
