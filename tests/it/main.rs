//! The one test binary: it starts what it needs and leaves nothing behind.

mod contract;
mod counts;
mod faults;
mod host;
mod identity;
mod local;
mod pipeline;
mod privacy;
mod queue;
mod store;
mod table_service;
mod tidy;

/// Whatever went wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a test answers: `?` ends it.
type Outcome = Result<(), Failure>;
