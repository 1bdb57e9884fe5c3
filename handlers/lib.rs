//! Roombridge: Microsoft 365 calendar appointments become room bookings, and are forgotten when they are over.

pub mod app;
pub mod booking;
pub mod carry;
pub mod clock;
pub mod domain;
pub mod functions;
pub mod graph;
pub mod host;
pub mod http;
pub mod identity;
pub mod messages;
pub mod queue;
pub mod retry_after;
pub mod rng;
pub mod settings;
pub mod step;
pub mod store;
pub mod telemetry;
pub mod trail;
