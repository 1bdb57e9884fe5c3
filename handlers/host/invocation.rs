//! What a function gets when the host calls it, and what it may answer.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

/// One call by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationContext {
    /// The function that was called, as its folder is named.
    pub function: &'static str,
    /// The host's id of this call; empty for an HTTP call that came without one.
    pub invocation_id: String,
    /// The W3C trace context the host sent along, if it did.
    pub traceparent: Option<String>,
    /// When the function should have finished on its own. A queue call is cut at this instant, a
    /// timer call somewhat later (see [`Limits`]).
    pub deadline: Timestamp,
}

/// One delivery of a queue message.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueDelivery {
    /// The message text as it was sent.
    pub text: String,
    /// How many times the message was taken from the queue, this one included.
    pub dequeue_count: Option<u32>,
    pub id: Option<String>,
}

impl fmt::Debug for QueueDelivery {
    /// Leaves the text out: it may be somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueDelivery")
            .field("dequeue_count", &self.dequeue_count)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// One tick of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerTick {
    /// The host was not running when the tick was due; several missed ones come as one.
    pub past_due: bool,
    /// The run before this one; `None` at the first, or when the host keeps no schedule status.
    pub last_run: Option<Timestamp>,
    /// The occurrence that is being run; `None` when the host keeps no schedule status.
    pub next_run: Option<Timestamp>,
}

/// The call failed as a whole: the host counts a try and shows a queue message again after its
/// `visibilityTimeout`. The cause is logged, so it names no person and no content.
#[derive(Debug)]
pub struct InvocationError(pub Box<dyn Error + Send + Sync>);

/// Any error may be the cause. So this type is no error itself: it would be converted into itself.
impl<E: Error + Send + Sync + 'static> From<E> for InvocationError {
    fn from(cause: E) -> Self {
        Self(Box::new(cause))
    }
}

/// Takes messages from one queue.
#[async_trait]
pub trait QueueFunction: Send + Sync {
    /// Works on one message; the host deletes it after `Ok`. May be dropped at any await.
    ///
    /// # Errors
    /// [`InvocationError`] when the message must be seen again.
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError>;
}

/// Runs on a schedule.
#[async_trait]
pub trait TimerFunction: Send + Sync {
    /// Does one run and stops itself at `cx.deadline`. May be dropped at any await.
    ///
    /// # Errors
    /// [`InvocationError`] when the run must be repeated (the host tries three times).
    async fn invoke(&self, cx: InvocationContext, tick: TimerTick) -> Result<(), InvocationError>;
}

/// How long calls may take. All of it must stay below `functionTimeout` in host.json, because at
/// that instant the host kills the whole process and with it every other call in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A queue or timer call is cut after this and answered as a failure.
    pub timeout: Duration,
    /// A timer function is asked to stop itself after this, and starts again at the next tick.
    pub timer_soft_timeout: Duration,
}

impl Limits {
    /// The smallest distance that `timeout` keeps from the host's `functionTimeout`, so that the
    /// answer still gets through on a busy machine.
    pub const MARGIN: Duration = Duration::from_secs(60);
}

impl Default for Limits {
    /// Cut after 8 minutes (`functionTimeout` is 10), timers stop themselves after 4.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(480), timer_soft_timeout: Duration::from_secs(240) }
    }
}
