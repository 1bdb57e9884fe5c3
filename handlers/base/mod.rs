//! What every other module may use: time, chance, the network, telemetry, and the log of calls.

pub(crate) mod cache;
pub mod call_log;
pub mod clock;
pub mod http;
pub mod invocation;
pub(crate) mod json;
pub(crate) mod rate_limit;
pub mod retry_after;
pub mod rng;
pub mod telemetry;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
