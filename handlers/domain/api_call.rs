//! One call to a system outside, as it is logged and audited: what was requested and how it went,
//! never what was returned.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{CorrelationId, TenantId};

/// The system of a request that the allow-list stopped: it was never sent.
pub const ALLOW_LIST: &str = "allow-list";

/// One call to a system outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    #[serde(rename = "at")]
    pub sent_at: Timestamp,
    pub tenant: TenantId,
    /// `graph`, or a booking system's name; [`ALLOW_LIST`] for a request that was stopped.
    pub system: Cow<'static, str>,
    /// The HTTP method, or the adapter's verb.
    pub method: Cow<'static, str>,
    /// The path with every id replaced by its name, e.g. `/users/{id}/events/{id}`.
    pub path: Cow<'static, str>,
    /// The fields requested or written, by name; `-` for none. Of a request that was stopped, the
    /// rule that it broke.
    pub fields: String,
    /// The HTTP status; 0 when there was no response.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Ties the call to what caused it.
    pub correlation: CorrelationId,
}
