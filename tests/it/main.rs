//! The one test binary: it starts what it needs and leaves nothing behind.

mod contract;
mod host;
mod identity;
mod pipeline;
mod queue;
mod simulation;
mod store;
mod table_service;

/// Whatever went wrong.
type Failure = Box<dyn std::error::Error + Send + Sync>;
/// What a test answers: `?` ends it.
type Outcome = Result<(), Failure>;
