//! A request as Graph reads it, and an answer in Graph's shape.

use axum::body::Body;
use axum::response::{IntoResponse, Response as HttpResponse};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(super) use super::route::Route;

/// One request, from the wire or from inside a batch.
pub(super) struct Call {
    pub(super) method: Method,
    /// Decoded segments below `/v1.0`.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) in_batch: bool,
}

impl Call {
    /// Reads a path with its query, as it is below `/v1.0`.
    pub(super) fn new(method: Method, target: &str, headers: HeaderMap, body: Bytes) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
        let path = path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { method, path, query, headers, body, in_batch: false }
    }

    /// The value of a query option; their names compare without case.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter();
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// All preferences: several headers, or several in one, separated by commas.
    pub(super) fn prefer(&self) -> Vec<String> {
        let lines = self.headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
        let parts = lines.flat_map(|line| line.split(',').collect::<Vec<_>>());
        parts.map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
    }

    /// The value of one preference, without quotes.
    pub(super) fn preference(&self, name: &str) -> Option<String> {
        self.prefer().iter().find_map(|p| {
            let (key, value) = p.split_once('=')?;
            let wanted = key.trim().eq_ignore_ascii_case(name);
            wanted.then(|| value.trim().trim_matches('"').to_owned())
        })
    }

    /// Whether ids in the answer are to be immutable (concepts/outlook-immutable-id.md).
    pub(super) fn immutable_ids(&self) -> bool {
        self.preference("IdType").is_some_and(|v| v.eq_ignore_ascii_case("ImmutableId"))
    }

    pub(super) fn json(&self) -> Result<Value, Reply> {
        let text = "Unable to read JSON request payload.";
        serde_json::from_slice(&self.body).map_err(|_| Reply::bad_request(text))
    }
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What is sent instead of a body of Graph's.
    raw: Option<&'static str>,
    /// The connection breaks instead of an answer.
    pub(super) broken: bool,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: None, raw: None, broken: false }
    }

    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::new(status, json!({ "error": { "code": code, "message": message } }))
    }

    /// An answer that is none of Graph's.
    pub(super) fn raw(status: u16, body: &'static str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        // Within a batch it is a text.
        let body_in_batch = Some(Value::String(body.to_owned()));
        Self { body: body_in_batch, raw: Some(body), ..Self::empty(status) }
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn broken() -> Self {
        Self { broken: true, ..Self::empty(StatusCode::SERVICE_UNAVAILABLE) }
    }

    /// Asks the caller to come back after `seconds`.
    pub(super) fn retry_after(mut self, seconds: i64) -> Self {
        self.headers.push(("retry-after", seconds.to_string()));
        self
    }

    /// Adds what every error of Graph carries.
    pub(super) fn with_inner_error(mut self, request_id: &str, date: &str) -> Self {
        if let Some(error) = self.body.as_mut().and_then(|b| b.get_mut("error")) {
            error["innerError"] =
                json!({ "request-id": request_id, "client-request-id": request_id, "date": date });
        }
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        let body = if self.broken {
            let gone = std::io::Error::other("the connection was closed");
            Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(gone) }))
        } else if let Some(raw) = self.raw {
            Body::from(raw)
        } else if let Some(body) = &self.body {
            response = response.header("content-type", "application/json");
            Body::from(body.to_string())
        } else {
            Body::empty()
        };
        response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}
