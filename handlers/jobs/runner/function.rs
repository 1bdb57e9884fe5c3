//! The adapter between the host's calls and the jobs that take messages, written once for all
//! queues. A job implements [`QueueJob`] in its own module; a timer's job implements the host's own
//! trait, as it has no items to complete.

use async_trait::async_trait;
use futures::future::BoxFuture;
use tracing::Instrument as _;

use crate::{
    base::invocation::Invocation,
    host::{InvocationContext, InvocationError, QueueDelivery, QueueFunction},
    jobs::runner::{
        JobItem, Runner,
        job::{Job, JobResult},
    },
    messages::Message,
};

/// A function that takes messages from a queue.
#[async_trait]
pub trait QueueJob: Send + Sync {
    /// What it takes.
    type Message: Message + Send;
    /// What succeeds or fails alone: the message itself, or one of several in it.
    type Item: JobItem<Message = Self::Message>;
    /// Addresses a message to this function.
    const JOB: fn(Self::Message) -> Job;

    /// Works on one message.
    async fn run(&self, invocation: &Invocation, message: Self::Message) -> Outcomes<Self::Item>;
}

/// What became of each item of a message.
pub struct Outcomes<I> {
    items: Vec<(I, JobResult)>,
    on_completed: Box<dyn Fn(&I) + Send + Sync>,
    afterwards: Option<BoxFuture<'static, ()>>,
}

impl<I> Outcomes<I> {
    /// Calls `on_completed` with each item that was completed. What the closure holds is kept until
    /// all items are completed.
    #[must_use]
    pub fn on_completed(self, on_completed: impl Fn(&I) + Send + Sync + 'static) -> Self {
        Self { on_completed: Box::new(on_completed), ..self }
    }

    /// Waits for `work` when all items are completed: for what somebody in front of Outlook need not
    /// wait for, and what may be lost.
    #[must_use]
    pub fn afterwards(self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { afterwards: Some(Box::pin(work)), ..self }
    }
}

impl<I> From<Vec<(I, JobResult)>> for Outcomes<I> {
    fn from(items: Vec<(I, JobResult)>) -> Self {
        Self { items, on_completed: Box::new(|_| {}), afterwards: None }
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
        // What cannot be parsed fails: the host delivers it a few more times and then moves it to
        // the poison queue, where `dispatch-due` finds it.
        let message = J::Message::from_text(&delivery.text)?;
        let Some(meta) = message.meta() else {
            // A message without items asks for nothing.
            return Ok(());
        };
        let invocation = Invocation::start(message.tenant(), meta.correlation);
        let _audit_guard = self.runner.audit.guard(&invocation.calls);
        let Outcomes { items, on_completed, afterwards } = self.job.run(&invocation, message).await;
        let completed = self.complete_all(cx.function, &invocation, items, on_completed).await;
        // Somebody waits for the jobs that the items lead to, and nobody for these. They are written
        // also when completing has failed: the calls were made, and the notifications have come.
        self.runner.audit.write(&invocation.calls).await;
        if let Some(work) = afterwards {
            work.await;
        }
        completed
    }
}

impl<J: QueueJob> QueueJobFunction<J> {
    async fn complete_all(
        &self,
        function: &'static str,
        invocation: &Invocation,
        items: Vec<(J::Item, JobResult)>,
        on_completed: impl Fn(&J::Item) + Send + Sync,
    ) -> Result<(), InvocationError> {
        let tenant = invocation.tenant;
        for (item, outcome) in items {
            let span = invocation.with_correlation(item.meta().correlation).span();
            let completed = self.runner.complete::<J>(function, tenant, &item, outcome);
            completed.instrument(span).await?;
            on_completed(&item);
        }
        Ok(())
    }
}
