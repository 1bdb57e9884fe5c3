//! The trail of one invocation: every call to Graph and to a booking system, for the audit.
//!
//! It holds what was asked and how it went, never what was answered.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::ids::{CorrelationId, TenantId};

/// The system of a request that the allow-list stopped: it was never sent.
pub const ALLOW_LIST: &str = "allow-list";

/// One call to a system outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// For whose tenant.
    pub tenant: TenantId,
    /// Which system: `graph`, or a booking system's name; [`ALLOW_LIST`] for a request that was stopped.
    pub system: &'static str,
    /// The HTTP method, or the adapter's verb.
    pub method: &'static str,
    /// The path with every id replaced by its name, e.g. `/users/{id}/events/{id}`.
    pub path: &'static str,
    /// The fields asked for or written, by name; `-` for none. Of a request that was stopped, the
    /// rule that it broke.
    pub fields: String,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Ties the call to what caused it.
    pub correlation: CorrelationId,
}

/// Collects the calls of one invocation. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<ApiCall>>>);

impl CallLog {
    /// Adds a call, and logs it, so that it is known even if the process is killed before the
    /// audit is written.
    pub fn add(&self, record: ApiCall) {
        tracing::info!(
            call.system = record.system,
            call.method = record.method,
            call.path = record.path,
            call.fields = record.fields,
            call.status = record.status,
            call.duration_ms = record.duration_ms,
            // Its own, as a batch holds requests of several items.
            call.correlation = %record.correlation,
            "called"
        );
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Takes all calls out.
    pub fn take(&self) -> Vec<ApiCall> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
