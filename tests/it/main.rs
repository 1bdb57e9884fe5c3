//! The one test binary: it starts what it needs and leaves nothing behind.

mod contract;
mod host;
mod identity;
mod queue;
mod store;
mod table_service;

/// What a test answers: `?` ends it with whatever went wrong.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
