//! What the host's queue listener needs from a queue service, whichever it is.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// One delivery of one message.
#[derive(Clone, PartialEq, Eq)]
pub struct HostMessage {
    /// The message's id.
    pub id: String,
    /// Proof of this delivery; a change of visibility brings a new one.
    pub pop_receipt: String,
    /// The text.
    pub text: String,
    /// How many times it was taken, this one included.
    pub dequeue_count: u32,
    /// When it was sent.
    pub inserted: Timestamp,
    /// When it expires; `None` for never.
    pub expires: Option<Timestamp>,
    /// When it shows again.
    pub next_visible: Timestamp,
}

/// The queue service did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostQueueError {
    /// The message is gone or was taken by somebody else meanwhile; also: there is no such queue.
    #[error("there is no such queue or delivery")]
    Gone,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A queue service as the host uses it.
#[async_trait]
pub trait HostQueues: Send + Sync {
    /// Takes up to `limit` visible messages and hides them from others for `hidden`.
    ///
    /// # Errors
    /// [`HostQueueError::Gone`] when there is no such queue.
    async fn receive(
        &self,
        queue: &str,
        limit: u8,
        hidden: Duration,
    ) -> Result<Vec<HostMessage>, HostQueueError>;

    /// Shows the message again after `hidden`; returns the new receipt.
    ///
    /// # Errors
    /// [`HostQueueError::Gone`] when the delivery is no longer the current one.
    async fn update(
        &self,
        queue: &str,
        message: &HostMessage,
        hidden: Duration,
    ) -> Result<String, HostQueueError>;

    /// Removes the message.
    ///
    /// # Errors
    /// [`HostQueueError::Gone`] when the delivery is no longer the current one.
    async fn delete(&self, queue: &str, message: &HostMessage) -> Result<(), HostQueueError>;

    /// Copies the message's text to the queue's poison queue, which is made if missing, and then
    /// removes the message. The copy has a new id and starts counting from zero.
    ///
    /// # Errors
    /// [`HostQueueError`] when either half failed.
    async fn move_to_poison(
        &self,
        queue: &str,
        message: &HostMessage,
    ) -> Result<(), HostQueueError>;
}
