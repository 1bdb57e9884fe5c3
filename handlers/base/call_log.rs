//! The calls of one invocation to Graph and to a booking system, for the audit.
//!
//! It holds what was asked and how the call ended, never what the response said.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::api_call::ApiCall;

/// Collects the calls of one invocation. Clones share the list.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<ApiCall>>>);

impl CallLog {
    /// Adds a call, and logs it, so that it is known even if the process is killed before the
    /// audit is written.
    pub fn add(&self, record: ApiCall) {
        tracing::info!(
            call.system = &*record.system,
            call.method = &*record.method,
            call.path = &*record.path,
            call.fields = record.fields,
            call.status = record.status,
            call.duration_ms = record.duration_ms,
            // Its own, as a batch holds requests of several items.
            call.correlation = %record.correlation,
            "API called"
        );
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Takes all calls out.
    pub fn take(&self) -> Vec<ApiCall> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
