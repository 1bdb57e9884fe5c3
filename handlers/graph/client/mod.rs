//! One place that sends to Graph: with a token, within its limits, and recorded.

pub(super) mod batch;
pub(super) mod concurrency;
pub(super) mod error;
pub(super) mod rate_limit;
pub(super) mod request;
pub(super) mod response;
pub(super) mod send;
