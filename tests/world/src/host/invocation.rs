//! One queue or timer call, and what the host makes of the answer.
//!
//! Redirects are followed; a status other than 2xx fails the call; 2xx with an empty or `null` body never
//! completes, so the function times out and the process is killed; anything else than a JSON object
//! fails (`DefaultHttpWorkerService.ProcessDefaultInvocationRequest`, host 4.1037.0, and run with it).

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use super::FunctionsHost;
use super::envelope::Sys;
use super::process::Process;
use super::transport::{HandlerTransport, TransportError};

/// The version this host claims to be.
pub(super) const HOST_VERSION: &str = "4.1037.0.0";
/// Calls wait this many times the initialization timeout for a handler that starts.
pub(super) const READY_TIMEOUT_FACTOR: u32 = 4;
const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;
/// `HttpClientHandler.MaxAutomaticRedirections`.
const MAX_REDIRECTS: usize = 50;

/// What the host made of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvocationResult {
    /// It succeeded.
    Succeeded,
    /// It failed, for this reason.
    Failed(String),
    /// It did not complete within `functionTimeout`; a handler process has been killed for it.
    TimedOut,
}

pub(super) enum Worker {
    Attached(Arc<dyn HandlerTransport>),
    Process(Process),
}

impl FunctionsHost {
    /// Calls `POST /{function}` with `body`, as the invocation `id`.
    pub(super) async fn invoke(
        &self,
        function: &str,
        id: &str,
        body: &impl Serialize,
    ) -> InvocationResult {
        let (pid, transport) = match self.ready_handler().await {
            Ok(handler) => handler,
            Err(error) => return InvocationResult::Failed(error.to_string()),
        };
        let exchange = async {
            let body = serde_json::to_vec(body).map_err(|e| e.to_string())?;
            let response = self.call(transport.as_ref(), function, id, body.into()).await?;
            check_response(response).await
        };
        match tokio::time::timeout(self.app.settings.function_timeout, exchange).await {
            Ok(Ok(())) => InvocationResult::Succeeded,
            Ok(Err(reason)) => {
                self.log.host(format!("{function} failed: {reason}"));
                InvocationResult::Failed(reason)
            }
            Err(_elapsed) => {
                self.log.host(format!("{function} timed out"));
                if let (Worker::Process(process), Some(pid)) = (&self.worker, pid) {
                    process.kill_timed_out(pid).await;
                }
                InvocationResult::TimedOut
            }
        }
    }

    /// The way to the handler once it is ready, with its process id if it is a process.
    pub(super) async fn ready_handler(
        &self,
    ) -> Result<(Option<u32>, Arc<dyn HandlerTransport>), TransportError> {
        match &self.worker {
            Worker::Attached(transport) => Ok((None, Arc::clone(transport))),
            Worker::Process(process) => {
                let timeout = self.app.settings.initialization_timeout * READY_TIMEOUT_FACTOR;
                let (pid, socket) = process.transport(timeout).await?;
                Ok((pid, socket))
            }
        }
    }

    /// Follows redirects as .NET's client does: only 307 and 308 keep the method and the body.
    async fn call(
        &self,
        transport: &dyn HandlerTransport,
        function: &str,
        id: &str,
        body: Bytes,
    ) -> Result<Response<Body>, String> {
        let (mut method, mut path, mut body) = (Method::POST, format!("/{function}"), Some(body));
        for _ in 0..=MAX_REDIRECTS {
            let request = self.request(&method, &path, id, body.clone())?;
            let response = transport.call(request).await.map_err(|e| e.to_string())?;
            let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            path = location.to_owned();
            let kept = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
            if !kept.contains(&response.status()) {
                (method, body) = (Method::GET, None);
            }
        }
        Err("too many redirects".to_owned())
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        id: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Body>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"));
        if let Some(headers) = request.headers_mut() {
            add_host_headers(headers, id);
            self.add_trace_context(headers);
        }
        let body = match body {
            // A stream has no known length, so the body is sent chunked and without Content-Length.
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
                Body::from_stream(stream::iter([Ok::<_, Infallible>(body)]))
            }
            None => Body::empty(),
        };
        request.body(body).map_err(|e| e.to_string())
    }

    /// Adds a trace context, not sampled as in captured calls; none where telemetry is off.
    pub(super) fn add_trace_context(&self, headers: &mut HeaderMap) {
        if !self.app.has_telemetry {
            return;
        }
        let (trace, span) = (self.rng.uuid().simple().to_string(), self.rng.next_u64() | 1);
        if let Ok(value) = format!("00-{trace}-{span:016x}-00").parse() {
            headers.insert("traceparent", value);
        }
    }

    pub(super) fn sys<'a>(&self, function: &'a str) -> Sys<'a> {
        Sys { function, now: self.clock.now(), guid: self.rng.uuid().to_string() }
    }
}

/// Names host and call, replacing what the caller sent.
pub(super) fn add_host_headers(headers: &mut HeaderMap, invocation_id: &str) {
    headers.insert("x-azure-functions-hostversion", header::HeaderValue::from_static(HOST_VERSION));
    if let Ok(value) = invocation_id.parse() {
        headers.insert("x-azure-functions-invocationid", value);
    }
}

async fn check_response(response: Response<Body>) -> Result<(), String> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(format!("status {}", head.status.as_u16()));
    }
    let body =
        to_bytes(body, MAX_RESPONSE_BYTES).await.map_err(|_| TransportError::Broken.to_string())?;
    let text = body.trim_ascii();
    if text.is_empty() || text == b"null" {
        return pending().await;
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !["application/json", "text/json"].iter().any(|read| kind.eq_ignore_ascii_case(read)) {
        return Err(format!("the answer is {kind:?}, not JSON"));
    }
    match serde_json::from_slice::<Map<String, Value>>(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("the answer is not a JSON object".to_owned()),
    }
}
