//! What was asked of Graph, and which of this project's own rules were broken by it.

use super::Graph;
use super::request::{Call, Reply, Route};
use crate::fault_injection::Timeline;

/// One request, without any content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The path with `{id}` in place of ids, e.g. `/users/{id}/events/{id}`; the path itself when unknown.
    pub template: String,
    /// The tenant of the token.
    pub tenant: Option<String>,
    /// The application of the token.
    pub app: Option<String>,
    /// The mailbox in the path.
    pub mailbox: Option<String>,
    /// The fields of `$select`.
    pub select: Vec<String>,
    /// `$expand`, as sent.
    pub expand: Option<String>,
    /// `$filter`, as sent.
    pub filter: Option<String>,
    /// The `Prefer` values.
    pub prefer: Vec<String>,
    /// The `client-request-id` header.
    pub correlation: Option<String>,
    /// The status of the answer; 0 when the connection was closed.
    pub status: u16,
    /// Whether it came inside a batch (the batch itself has an entry of its own).
    pub in_batch: bool,
}

/// A rule of this project that a request broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule, with the offending field.
    pub rule: String,
    /// The method.
    pub method: String,
    /// The path with `{id}` in place of ids.
    pub template: String,
}

#[derive(Default)]
pub(super) struct Journal {
    requests: Vec<RecordedRequest>,
    violations: Vec<Violation>,
    timeline: Option<Timeline>,
}

impl Graph {
    /// Every request so far, oldest first; a batch's inner ones before the batch.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.lock().journal.requests.clone()
    }

    /// Writes every request to come into `timeline`, too, but for those inside batches.
    pub fn record_into(&self, timeline: &Timeline) {
        self.lock().journal.timeline = Some(timeline.clone());
    }

    /// How many requests of that method and template came, inside batches or by themselves.
    pub fn count(&self, method: &str, template: &str) -> usize {
        let state = self.lock();
        let all = state.journal.requests.iter();
        all.filter(|s| s.method == method && s.template == template).count()
    }

    /// How many requests came that were no reads, inside batches or by themselves.
    pub fn count_writes(&self) -> usize {
        let state = self.lock();
        let is_write = |s: &&RecordedRequest| s.method != "GET" && s.template != "/$batch";
        state.journal.requests.iter().filter(is_write).count()
    }

    /// How many HTTP requests came: inner requests of batches are not counted.
    pub fn http_requests(&self) -> usize {
        self.lock().journal.requests.iter().filter(|s| !s.in_batch).count()
    }

    /// Forgets the requests so far (not the violations).
    pub fn clear_requests(&self) {
        self.lock().journal.requests.clear();
    }

    /// Every breach of this project's rules so far; a good test ends with none.
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().journal.violations.clone()
    }

    pub(super) fn record_violation(&self, call: &Call, route: &Route, rule: impl Into<String>) {
        let violation = Violation {
            rule: rule.into(),
            method: call.method.to_string(),
            template: route.template().to_owned(),
        };
        self.lock().journal.violations.push(violation);
    }

    pub(super) fn record_request(
        &self,
        call: &Call,
        route: Option<&Route>,
        caller: Option<&crate::entra::Caller>,
        reply: &Reply,
    ) {
        let select = call.option("$select").unwrap_or_default();
        let request = RecordedRequest {
            method: call.method.to_string(),
            template: route.map_or_else(|| call.path.join("/"), |r| r.template().to_owned()),
            tenant: caller.map(|c| c.tenant.clone()),
            app: caller.map(|c| c.app.clone()),
            mailbox: route.and_then(Route::mailbox).map(str::to_owned),
            select: select.split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect(),
            expand: call.option("$expand").map(str::to_owned),
            filter: call.option("$filter").map(str::to_owned),
            prefer: call.prefer(),
            correlation: call.header("client-request-id").map(str::to_owned),
            status: if reply.broken { 0 } else { reply.status.as_u16() },
            in_batch: call.in_batch,
        };
        let mut state = self.lock();
        if let Some(timeline) = &state.journal.timeline
            && !request.in_batch
        {
            timeline.push(format!("{} {}", request.method, request.template));
        }
        state.journal.requests.push(request);
    }
}
