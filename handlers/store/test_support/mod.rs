//! Table storage in memory, for tests: no build without `test-support` holds it.

#[cfg(test)]
mod counting;
mod memory;

pub use memory::MemoryTables;

#[cfg(test)]
pub(super) use counting::{CountingTables, room};
#[cfg(test)]
pub(crate) use counting::{at, key, mailbox, tenant};
