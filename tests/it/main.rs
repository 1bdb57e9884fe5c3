//! The one test binary: it starts what it needs and leaves nothing behind.

/// Ends a story where the storage emulator cannot be installed, which is said once; not with `CI=true`.
macro_rules! needs_azurite {
    () => {
        if !world::azurite::Azurite::is_available().await {
            return Ok(());
        }
    };
}

mod attacks;
mod audit;
mod backlog;
mod bad_input;
mod booking_systems;
mod browser;
mod conformance;
mod consent;
mod contoso;
mod contract;
mod counts;
mod create_booking;
mod dispatch_due;
mod drift;
mod faults;
mod fetch_event;
mod first_stories;
mod fuzz;
mod generated;
mod golden;
mod holder_checks;
mod host;
mod http_browser;
mod identity;
mod infra;
mod keys;
mod local;
mod maintain_mailbox;
mod maintain_tenant;
mod my_calendar;
mod notifications;
mod offboarding;
mod outages;
mod pipeline;
mod privacy;
mod purge_expired;
mod queue;
mod redaction;
mod retries;
mod rich_subscriptions;
mod series;
mod simulation;
mod store;
mod subscriptions;
mod table_service;
mod tidy;
mod write_back;

/// Any error.
type TestError = Box<dyn std::error::Error + Send + Sync>;
/// The result of a test, so that `?` works in it.
type TestResult = Result<(), TestError>;
