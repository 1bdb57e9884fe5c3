//! The product's ports in memory: the outbox with its queues, and the keys.

mod keys;
mod outbox;
mod system_credentials;

pub use keys::MemoryKeys;
pub use outbox::{Delivery, MemoryOutbox, QueueKind};
pub use system_credentials::MemorySystemCredentials;
