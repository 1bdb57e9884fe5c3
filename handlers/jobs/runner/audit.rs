//! The calls of an invocation go into the audit, also when the invocation is cut off or panics.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, extract::Request, middleware};

use crate::{
    base::{call_log::CallLog, invocation::RequestInvocation, rng::Rng},
    domain::{api_call::ApiCall, ids::CorrelationId},
    store::{audit::Audit, tables::RowKey},
};

/// Writes calls into the audit, and keeps those that could not be written. Clones share them.
#[derive(Clone)]
pub struct AuditWriter {
    audit: Audit,
    rng: Arc<dyn Rng>,
    pending: Arc<Mutex<Vec<(RowKey, ApiCall)>>>,
}

/// How many calls are kept: some minutes of a busy process. The oldest are dropped first.
const MAX_PENDING_CALLS: usize = 10_000;

impl AuditWriter {
    /// A writer that keeps nothing yet.
    pub fn new(audit: Audit, rng: Arc<dyn Rng>) -> Self {
        Self { audit, rng, pending: Arc::default() }
    }

    /// Keeps what `calls` holds when the guard is dropped.
    pub fn guard(&self, calls: &CallLog) -> AuditGuard<'_> {
        AuditGuard { writer: self, calls: calls.clone() }
    }

    /// Writes the calls of one invocation, and those that could not be written before. The work
    /// was done whether or not this succeeds, so a failure only keeps them for the next time; they
    /// are in the log in any case.
    pub async fn write(&self, calls: &CallLog) {
        let mut pending =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        // Keys are assigned once, so a repetition writes the same rows.
        pending.extend(Audit::assign_keys(calls.take(), self.rng.as_ref()));
        if pending.is_empty() {
            return;
        }
        // Also when this is cut off before the answer: a repetition is harmless.
        let mut unwritten = Unwritten { writer: self, calls: pending };
        match self.audit.write(&unwritten.calls).await {
            Ok(()) => unwritten.calls.clear(),
            Err(error) => {
                let calls = unwritten.calls.len();
                tracing::warn!(%error, calls, "audit write failed; will be retried");
            }
        }
    }

    fn keep(&self, mut calls: Vec<(RowKey, ApiCall)>) {
        let mut kept = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        calls.append(&mut kept);
        let over = calls.len().saturating_sub(MAX_PENDING_CALLS);
        if over > 0 {
            tracing::error!(calls = over, "audit buffer is full; calls are in the log only");
            // What comes in may be older or newer than what was kept.
            calls.sort_by_key(|(_, call)| call.sent_at);
            calls.drain(..over);
        }
        *kept = calls;
    }
}

/// Calls that are kept when this is dropped.
struct Unwritten<'a> {
    writer: &'a AuditWriter,
    calls: Vec<(RowKey, ApiCall)>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if !self.calls.is_empty() {
            self.writer.keep(std::mem::take(&mut self.calls));
        }
    }
}

/// Keeps the calls of an invocation that is cut off, or panics, until the next one writes them.
pub struct AuditGuard<'a> {
    writer: &'a AuditWriter,
    calls: CallLog,
}

impl Drop for AuditGuard<'_> {
    fn drop(&mut self) {
        let calls = self.calls.take();
        if !calls.is_empty() {
            self.writer.keep(Audit::assign_keys(calls, self.writer.rng.as_ref()));
        }
    }
}

/// `routes` of a function that calls Graph while somebody waits: each request carries a
/// [`RequestInvocation`], and its calls are in the audit before the response leaves, or are kept
/// for the next one when the request is cut off.
pub(crate) fn with_audit(routes: Router, writer: AuditWriter) -> Router {
    routes.layer(middleware::from_fn(move |mut request: Request, next: middleware::Next| {
        let writer = writer.clone();
        async move {
            let correlation = CorrelationId(writer.rng.uuid().as_u128());
            let invocation = RequestInvocation::start(correlation);
            let calls = invocation.calls.clone();
            request.extensions_mut().insert(invocation);
            // When the browser leaves, what comes after the response is never reached.
            let _audit_guard = writer.guard(&calls);
            let response = next.run(request).await;
            writer.write(&calls).await;
            response
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use jiff::{SignedDuration, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::test_support::SeededRng, domain::ids::TenantId, store::test_support::MemoryTables,
    };

    fn calls(seconds: std::ops::Range<usize>) -> Vec<ApiCall> {
        let call = |second: usize| ApiCall {
            sent_at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second as i64),
            tenant: TenantId(Uuid::nil()),
            correlation: CorrelationId(1),
            system: Cow::Borrowed("graph"),
            method: Cow::Borrowed("GET"),
            path: Cow::Borrowed("/users/{id}/events"),
            fields: String::new(),
            status: 200,
            duration_ms: 1,
        };
        seconds.map(call).collect()
    }

    #[test]
    fn a_full_buffer_drops_the_oldest_whichever_came_last() {
        let audit = Audit::new(Arc::new(MemoryTables::default()));
        let writer = AuditWriter::new(audit, Arc::new(SeededRng::new(1)));
        for seconds in [0..MAX_PENDING_CALLS, MAX_PENDING_CALLS..MAX_PENDING_CALLS + 5] {
            let log = CallLog::default();
            calls(seconds).into_iter().for_each(|call| log.add(call));
            drop(writer.guard(&log));
        }
        let kept = writer.pending.lock().unwrap();
        assert_eq!(kept.len(), MAX_PENDING_CALLS);
        let at = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        assert!(kept.iter().all(|(_, call)| call.sent_at >= at(5)));
    }
}
