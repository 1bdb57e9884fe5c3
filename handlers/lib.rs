//! Roombridge: Microsoft 365 calendar appointments become room bookings, and are forgotten when they are over.

pub mod clock;
pub mod http;
pub mod identity;
pub mod queue;
pub mod rng;
pub mod store;
