//! Roombridge: Microsoft 365 calendar appointments become room bookings, and are forgotten when they are over.

pub mod clock;
pub mod domain;
pub mod graph;
pub mod http;
pub mod identity;
pub mod messages;
pub mod queue;
pub mod retry_after;
pub mod rng;
pub mod store;
pub mod trail;
