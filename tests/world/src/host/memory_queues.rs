//! The host's queues in memory: the same ones that the handler's outbox in memory sends to.

use std::sync::Arc;
use std::time::Duration;

use crate::memory::{Delivery, MemoryOutbox, QueueKind};
use async_trait::async_trait;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::queue::{MessageReceipt, Queue};

use super::queues::{HostMessage, HostQueueError, HostQueues};

/// The host's side of an outbox in memory.
#[derive(Clone)]
pub struct MemoryQueues {
    outbox: Arc<MemoryOutbox>,
    clock: Arc<dyn Clock>,
}

impl MemoryQueues {
    /// The host's side of `outbox`, whose clock is `clock`.
    pub fn new(outbox: Arc<MemoryOutbox>, clock: Arc<dyn Clock>) -> Self {
        Self { outbox, clock }
    }
}

#[async_trait]
impl HostQueues for MemoryQueues {
    async fn receive(
        &self,
        queue: &str,
        limit: u8,
        hidden: Duration,
    ) -> Result<Vec<HostMessage>, HostQueueError> {
        let kind = queue_kind(queue)?;
        let deliveries = self.outbox.receive(kind, limit, hidden);
        let next_visible = self.clock.now() + hidden;
        Ok(deliveries.into_iter().map(|delivery| host_message(delivery, next_visible)).collect())
    }

    async fn update(
        &self,
        queue: &str,
        message: &HostMessage,
        hidden: Duration,
    ) -> Result<String, HostQueueError> {
        let shown = self.outbox.requeue(queue_kind(queue)?, &receipt(message), hidden);
        if shown { Ok(message.pop_receipt.clone()) } else { Err(HostQueueError::Gone) }
    }

    async fn delete(&self, queue: &str, message: &HostMessage) -> Result<(), HostQueueError> {
        let deleted = self.outbox.delete(queue_kind(queue)?, &receipt(message));
        if deleted { Ok(()) } else { Err(HostQueueError::Gone) }
    }

    async fn move_to_poison(
        &self,
        queue: &str,
        message: &HostMessage,
    ) -> Result<(), HostQueueError> {
        let QueueKind::Main(main) = queue_kind(queue)? else { return Err(HostQueueError::Gone) };
        let moved = self.outbox.move_to_poison(main, &receipt(message));
        if moved { Ok(()) } else { Err(HostQueueError::Gone) }
    }
}

fn queue_kind(name: &str) -> Result<QueueKind, HostQueueError> {
    let of_name = |queue: Queue| match name {
        _ if name == queue.name() => Some(QueueKind::Main(queue)),
        _ if name == queue.poison_name() => Some(QueueKind::Poison(queue)),
        _ => None,
    };
    Queue::ALL.into_iter().find_map(of_name).ok_or(HostQueueError::Gone)
}

fn receipt(message: &HostMessage) -> MessageReceipt {
    MessageReceipt { message_id: message.id.clone(), pop_receipt: message.pop_receipt.clone() }
}

fn host_message(delivery: Delivery, next_visible: Timestamp) -> HostMessage {
    HostMessage {
        id: delivery.receipt.message_id,
        pop_receipt: delivery.receipt.pop_receipt,
        text: delivery.text,
        dequeue_count: delivery.dequeue_count,
        inserted: delivery.sent_at,
        expires: Some(delivery.expires_at),
        next_visible,
    }
}
