//! The HTTP client of all adapters: the one place that sends to a booking system and keeps the call log.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::BookingSystemError;
use crate::{
    base::{clock::Clock, http::Http, invocation::Invocation, retry_after},
    domain::{api_call::ApiCall, booking_system::SystemKind},
};

/// The longest answer that is read, in bytes: a page of 10,000 reservations with the fields that we ask for
/// has half of it.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Sends to one booking system of one tenant.
#[derive(Clone)]
pub(in crate::booking) struct SystemClient {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    kind: SystemKind,
    base_url: Url,
}

/// One request.
#[derive(Debug, Clone)]
pub(in crate::booking) struct SystemRequest {
    pub(in crate::booking) method: Method,
    /// The path with every id replaced by its name, for the audit.
    pub(in crate::booking) path_template: &'static str,
    /// The path's segments below the base address, not yet escaped.
    pub(in crate::booking) path: Vec<String>,
    pub(in crate::booking) query: Vec<(&'static str, String)>,
    /// The fields that are asked for or written, by name, for the audit.
    pub(in crate::booking) fields: &'static str,
    pub(in crate::booking) headers: Vec<(HeaderName, HeaderValue)>,
    pub(in crate::booking) body: Option<Value>,
}

impl SystemRequest {
    /// One without query, headers and body.
    pub(in crate::booking) fn new(
        method: Method,
        path_template: &'static str,
        path: &[&str],
        fields: &'static str,
    ) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        let (query, headers, body) = (Vec::new(), Vec::new(), None);
        Self { method, path_template, path, query, fields, headers, body }
    }

    /// One that posts `body`.
    pub(in crate::booking) fn post(
        path_template: &'static str,
        path: &[&str],
        fields: &'static str,
        body: Value,
    ) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path_template, path, fields) }
    }
}

/// An answer, whatever its status.
pub(in crate::booking) struct SystemResponse {
    pub(in crate::booking) status: StatusCode,
    pub(in crate::booking) body: Bytes,
    retry_after: Option<SignedDuration>,
    /// Whether the request could have changed something.
    is_write: bool,
}

impl SystemClient {
    /// A client of the system at `base_url`.
    pub(in crate::booking) fn new(
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        kind: SystemKind,
        base_url: Url,
    ) -> Self {
        Self { http, clock, kind, base_url }
    }

    /// The clock, for what an adapter keeps for a time.
    pub(in crate::booking) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Sends a request and answers the response, whatever its status.
    ///
    /// # Errors
    /// [`BookingSystemError::Unavailable`] where nothing was done, and
    /// [`BookingSystemError::OutcomeUnknown`] where no answer came.
    pub(in crate::booking) async fn send(
        &self,
        invocation: &Invocation,
        request: SystemRequest,
    ) -> Result<SystemResponse, BookingSystemError> {
        let is_write = request.method != Method::GET;
        let call = ApiCall {
            sent_at: self.clock.now(),
            tenant: invocation.tenant,
            system: self.kind.audit_name().into(),
            method: request.method.to_string().into(),
            path: request.path_template.into(),
            fields: request.fields.to_owned(),
            status: 0,
            duration_ms: 0,
            correlation: invocation.correlation,
        };
        let sent = self.http.send(self.build(request)?).await;
        let now = self.clock.now();
        let took = now.duration_since(call.sent_at).as_millis();
        let status = sent.as_ref().map_or(0, |answer| answer.status().as_u16());
        // Also without an answer: the system may have done what was asked.
        let duration_ms = u64::try_from(took).unwrap_or(0);
        invocation.calls.add(ApiCall { status, duration_ms, ..call });
        let answer = sent.map_err(|error| {
            if is_write {
                BookingSystemError::OutcomeUnknown(error.kind)
            } else {
                BookingSystemError::Unavailable { retry_after: None }
            }
        })?;
        if answer.body().len() > MAX_ANSWER {
            return Err(BookingSystemError::OutcomeUnknown("the answer is too long"));
        }
        let (parts, body) = answer.into_parts();
        Ok(SystemResponse {
            status: parts.status,
            retry_after: retry_after::from_headers(&parts.headers, now),
            body,
            is_write,
        })
    }

    fn build(&self, request: SystemRequest) -> Result<Request<Bytes>, BookingSystemError> {
        let unsendable = |_| BookingSystemError::OutcomeUnknown("the request cannot be built");
        let mut url = self.base_url.clone();
        {
            let mut segments =
                url.path_segments_mut().map_err(|()| BookingSystemError::NotConnected)?;
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut built = Request::builder().method(request.method).uri(url.as_str());
        for (name, value) in request.headers {
            built = built.header(name, value);
        }
        let body = match request.body {
            Some(body) => {
                built = built.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        built.body(body).map_err(unsendable)
    }
}

impl SystemResponse {
    /// Passes whatever a system says of the request itself: a success, and those 4xx that the adapter has to
    /// read. What says "not now" and "not you" is the same for all systems.
    ///
    /// # Errors
    /// [`BookingSystemError`] for every other status; of a redirect nothing is followed.
    pub(in crate::booking) fn check(self) -> Result<Self, BookingSystemError> {
        let retry_after = self.retry_after;
        match self.status.as_u16() {
            401 | 403 => Err(BookingSystemError::Unauthorised),
            429 => Err(BookingSystemError::Throttled { retry_after }),
            503 => Err(BookingSystemError::Unavailable { retry_after }),
            200..=299 | 400..=499 if self.status != StatusCode::REQUEST_TIMEOUT => Ok(self),
            _ => Err(self.nonsense()),
        }
    }

    /// The response's JSON.
    ///
    /// # Errors
    /// [`BookingSystemError::OutcomeUnknown`] for anything else: a system that answers a page of HTML has
    /// not said what it did.
    pub(in crate::booking) fn json<T: DeserializeOwned>(&self) -> Result<T, BookingSystemError> {
        // The parser's own messages repeat values, so they are dropped.
        serde_json::from_slice(&self.body).map_err(|_| self.nonsense())
    }

    /// What to make of an answer that makes no sense.
    pub(in crate::booking) fn nonsense(&self) -> BookingSystemError {
        if self.is_write {
            BookingSystemError::OutcomeUnknown("the answer makes no sense")
        } else {
            BookingSystemError::Unavailable { retry_after: self.retry_after }
        }
    }
}
