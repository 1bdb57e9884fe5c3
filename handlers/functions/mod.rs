//! The functions, in flow order: one file, one room. Rooms never import rooms; only queue messages
//! pass between them.
//!
//! notifications → fetch-event → create-booking → write-back → purge-expired, with maintain-mailbox
//! maintain-tenant and nudge-due beside them; consent and my-calendar show pages.

pub mod consent;
pub mod create_booking;
pub mod fetch_event;
pub mod maintain_mailbox;
pub mod maintain_tenant;
pub mod my_calendar;
pub mod notifications;
pub mod nudge_due;
pub mod purge_expired;
pub mod write_back;
