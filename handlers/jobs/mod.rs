//! The functions that a queue or a timer starts, in flow order: one folder each. They never import
//! each other; only queue messages pass between them.
//!
//! fetch-event → create-booking → write-back → purge-expired, with maintain-mailbox,
//! maintain-tenant and dispatch-due beside them. `runner` decodes a message, runs its function and
//! completes each item.

pub mod create_booking;
pub mod dispatch_due;
pub mod fetch_event;
pub mod maintain_mailbox;
pub mod maintain_tenant;
pub mod purge_expired;
pub mod runner;
pub mod write_back;
