//! The one test binary: it starts what it needs and leaves nothing behind.

mod audit;
mod bad_input;
mod bringing_content;
mod brown_outs;
mod browser;
mod conformance;
mod consent;
mod contoso;
mod contract;
mod counts;
mod create_booking;
mod dispatch_due;
mod drift;
mod farewell;
mod faults;
mod fetch_event;
mod fuzz;
mod generated;
mod golden;
mod host;
mod identity;
mod infra;
mod keys;
mod local;
mod maintain_mailbox;
mod maintain_tenant;
mod my_calendar;
mod notifications;
mod pipeline;
mod privacy;
mod purge_expired;
mod queue;
mod retries;
mod simulation;
mod standstill;
mod store;
mod subscriptions;
mod table_service;
mod tidy;
mod visit;
mod write_back;

/// Whatever went wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a test answers: `?` ends it.
type Outcome = Result<(), Failure>;
