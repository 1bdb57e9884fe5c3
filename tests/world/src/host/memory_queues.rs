//! The host's queues in memory: the same ones that the handler's outbox in memory sends to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::queue::memory::{Delivery, MemoryOutbox, Shelf};
use roombridge::queue::{Queue, Receipt};

use super::queues::{HostQueues, QueueFault, Received};

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
    ) -> Result<Vec<Received>, QueueFault> {
        let shelf = shelf(queue)?;
        let deliveries = self.outbox.receive(shelf, limit, hidden);
        let next_visible = self.clock.now() + hidden;
        Ok(deliveries.into_iter().map(|delivery| received(delivery, next_visible)).collect())
    }

    async fn update(
        &self,
        queue: &str,
        message: &Received,
        hidden: Duration,
    ) -> Result<String, QueueFault> {
        let shown = self.outbox.requeue(shelf(queue)?, &receipt(message), hidden);
        if shown { Ok(message.pop_receipt.clone()) } else { Err(QueueFault::Gone) }
    }

    async fn delete(&self, queue: &str, message: &Received) -> Result<(), QueueFault> {
        let deleted = self.outbox.delete(shelf(queue)?, &receipt(message));
        if deleted { Ok(()) } else { Err(QueueFault::Gone) }
    }

    async fn give_up(&self, queue: &str, message: &Received) -> Result<(), QueueFault> {
        let Shelf::Main(main) = shelf(queue)? else { return Err(QueueFault::Gone) };
        let moved = self.outbox.give_up(main, &receipt(message));
        if moved { Ok(()) } else { Err(QueueFault::Gone) }
    }
}

fn shelf(name: &str) -> Result<Shelf, QueueFault> {
    let of_name = |queue: Queue| match name {
        _ if name == queue.name() => Some(Shelf::Main(queue)),
        _ if name == queue.poison_name() => Some(Shelf::Poison(queue)),
        _ => None,
    };
    Queue::ALL.into_iter().find_map(of_name).ok_or(QueueFault::Gone)
}

fn receipt(message: &Received) -> Receipt {
    Receipt { id: message.id.clone(), pop: message.pop_receipt.clone() }
}

fn received(delivery: Delivery, next_visible: Timestamp) -> Received {
    Received {
        id: delivery.receipt.id,
        pop_receipt: delivery.receipt.pop,
        text: delivery.text,
        dequeue_count: delivery.dequeue_count,
        inserted: delivery.sent_at,
        expires: Some(delivery.expires_at),
        next_visible,
    }
}
