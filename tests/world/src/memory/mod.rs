//! The product's ports in memory: the outbox with its queues, and the keys.

mod keys;
mod outbox;

pub use keys::MemoryKeys;
pub use outbox::{Delivery, MemoryOutbox, QueueKind};
