//! The product's ports in memory: the outbox with its queues, and keys that never change.

mod keys;
mod outbox;

pub use keys::{FixedKeys, MemoryKeys};
pub use outbox::{Delivery, MemoryOutbox, QueueKind};
