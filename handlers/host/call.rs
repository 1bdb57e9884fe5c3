//! One call: whether it is the host's, its context, its time limit, and a panic caught.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, Method, StatusCode, header};
use tracing::Instrument;

use super::envelope;
use super::invocation::{
    InvocationContext, InvocationFailed, Limits, QueueFunction, TimerFunction,
};
use super::outcome::Outcome;
use crate::base::clock::Clock;

/// Largest body of a queue or timer call: 64 KiB of message, encoded twice, and once more where the
/// host merges it into the metadata.
const CALL_BODY_LIMIT: usize = 2 * 1024 * 1024;

/// What only a request that came through the platform's front end or the host's proxy carries.
const PROXY_MARKS: [&str; 5] =
    ["forwarded", "disguised-host", "client-ip", "x-ms-invocation-id", "x-original-url"];
const PROXY_MARK_PREFIXES: [&str; 3] = ["x-forwarded-", "x-arr-", "x-ms-client-principal"];

/// What does the work of a function that the host calls itself.
pub(super) enum Work {
    Queue(Arc<dyn QueueFunction>),
    Timer(Arc<dyn TimerFunction>),
}

/// A function that the host calls itself, ready to be called.
pub(super) struct Served {
    pub(super) name: &'static str,
    pub(super) work: Work,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
}

impl Served {
    /// Answers one request for `/{name}`: 404 unless the host made it, otherwise how it ended.
    pub(super) async fn call(&self, request: Request) -> Response {
        if request.method() != Method::POST || !made_by_the_host(request.headers()) {
            return StatusCode::NOT_FOUND.into_response();
        }
        let stops_after = match self.work {
            Work::Queue(_) => self.limits.cut_after,
            Work::Timer(_) => self.limits.timer_stops_after,
        };
        let cx = context(self.name, self.clock.as_ref(), stops_after, request.headers());
        let span = span_of(&cx);
        self.run(cx, request).instrument(span).await.into_response()
    }

    async fn run(&self, cx: InvocationContext, request: Request) -> Outcome {
        let work = AssertUnwindSafe(self.work(cx, request)).catch_unwind();
        match tokio::time::timeout(self.limits.cut_after, work).await {
            Ok(Ok(Ok(()))) => return Outcome::Done,
            Ok(Ok(Err(InvocationFailed(reason)))) => tracing::error!(reason, "invocation failed"),
            Ok(Err(_panic)) => tracing::error!("invocation panicked"),
            Err(_elapsed) => tracing::error!("invocation cut at its deadline"),
        }
        Outcome::Failed
    }

    async fn work(&self, cx: InvocationContext, request: Request) -> Result<(), InvocationFailed> {
        let body = to_bytes(request.into_body(), CALL_BODY_LIMIT)
            .await
            .map_err(|_| InvocationFailed("the body is too large or broke off".to_owned()))?;
        let unreadable = |e: envelope::NotAnInvocation| InvocationFailed(e.to_string());
        match &self.work {
            Work::Queue(function) => {
                let delivery = envelope::queue_delivery(&body).map_err(unreadable)?;
                function.invoke(cx, delivery).await
            }
            Work::Timer(function) => {
                let tick = envelope::timer_tick(&body).map_err(unreadable)?;
                function.invoke(cx, tick).await
            }
        }
    }
}

/// Runs an HTTP function: gives it its context and answers 500 when it panics.
pub(super) async fn proxied(
    name: &'static str,
    clock: &dyn Clock,
    limits: Limits,
    mut request: Request,
    next: Next,
) -> Response {
    let cx = context(name, clock, limits.cut_after, request.headers());
    let span = span_of(&cx);
    request.extensions_mut().insert(cx);
    async {
        AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_panic| {
            tracing::error!("request panicked");
            let body = r#"{"error":"internal error"}"#;
            // Whatever protects the answers of the function itself is not reached from here.
            let protected = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::X_FRAME_OPTIONS, "DENY"),
                (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (StatusCode::INTERNAL_SERVER_ERROR, protected, body).into_response()
        })
    }
    .instrument(span)
    .await
}

fn context(
    function: &'static str,
    clock: &dyn Clock,
    stops_after: Duration,
    headers: &HeaderMap,
) -> InvocationContext {
    InvocationContext {
        function,
        invocation_id: envelope::invocation_id(headers).unwrap_or_default().to_owned(),
        traceparent: envelope::traceparent(headers).map(str::to_owned),
        deadline: clock.now() + stops_after,
    }
}

fn span_of(cx: &InvocationContext) -> tracing::Span {
    tracing::info_span!(
        "invocation",
        function = cx.function,
        invocation_id = cx.invocation_id,
        traceparent = cx.traceparent,
    )
}

/// The host names itself and the call, and nothing has passed this request on. Requests from
/// outside always carry the front end's marks; the host overwrites its own headers on them, so the
/// user agent alone would prove nothing.
fn made_by_the_host(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).map(http::HeaderValue::as_bytes);
    agent.is_some_and(|agent| agent.starts_with(b"Azure-Functions-Host/"))
        && envelope::invocation_id(headers).is_some()
        && !headers.keys().any(|name| {
            let name = name.as_str();
            PROXY_MARKS.contains(&name) || PROXY_MARK_PREFIXES.iter().any(|p| name.starts_with(p))
        })
}
