//! One call: whether it is the host's, its context, its time limit, and a panic caught.

use std::any::Any;
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
use super::invocation::{InvocationContext, InvocationError, Limits, QueueFunction, TimerFunction};
use crate::base::clock::Clock;

/// Largest body of a queue or timer call: 64 KiB of message, encoded twice, and once more where the
/// host merges it into the metadata.
const CALL_BODY_LIMIT: usize = 2 * 1024 * 1024;

/// What only a request that came through the platform's front end or the host's proxy carries.
const PROXY_HEADERS: [&str; 5] =
    ["forwarded", "disguised-host", "client-ip", "x-ms-invocation-id", "x-original-url"];
const PROXY_HEADER_PREFIXES: [&str; 3] = ["x-forwarded-", "x-arr-", "x-ms-client-principal"];

/// What does the work of a function that the host calls itself.
#[derive(Clone)]
pub(super) enum FunctionHandler {
    Queue(Arc<dyn QueueFunction>),
    Timer(Arc<dyn TimerFunction>),
}

/// Answers one request for `/{name}`: 404 unless the host made it, otherwise how it ended.
pub(super) async fn handle_invocation(
    name: &'static str,
    handler: &FunctionHandler,
    clock: &dyn Clock,
    limits: Limits,
    request: Request,
) -> Response {
    if request.method() != Method::POST || !is_from_host(request.headers()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let stops_after = match handler {
        FunctionHandler::Queue(_) => limits.timeout,
        FunctionHandler::Timer(_) => limits.timer_soft_timeout,
    };
    let cx = invocation_context(name, clock, stops_after, request.headers());
    let span = invocation_span(&cx);
    // A panic must not reach axum: it would close the connection, and the host would wait for an
    // answer until its own timeout, which ends the process.
    let work = AssertUnwindSafe(invoke(handler, cx, request)).catch_unwind();
    let succeeded = async {
        match tokio::time::timeout(limits.timeout, work).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(InvocationError(reason)))) => tracing::error!(%reason, "invocation failed"),
            Ok(Err(_panic)) => tracing::error!("invocation panicked"),
            Err(_elapsed) => tracing::error!("invocation timed out"),
        }
        false
    };
    envelope::response(succeeded.instrument(span).await)
}

async fn invoke(
    handler: &FunctionHandler,
    cx: InvocationContext,
    request: Request,
) -> Result<(), InvocationError> {
    let body = to_bytes(request.into_body(), CALL_BODY_LIMIT)
        .await
        .map_err(|_| InvocationError("the body is too large or incomplete".into()))?;
    match handler {
        FunctionHandler::Queue(function) => {
            function.invoke(cx, envelope::queue_delivery(&body)?).await
        }
        FunctionHandler::Timer(function) => function.invoke(cx, envelope::timer_tick(&body)?).await,
    }
}

/// Runs an HTTP function in its span and gives it its context.
pub(super) async fn handle_http(
    name: &'static str,
    clock: &dyn Clock,
    limits: Limits,
    mut request: Request,
    next: Next,
) -> Response {
    let cx = invocation_context(name, clock, limits.timeout, request.headers());
    let span = invocation_span(&cx);
    request.extensions_mut().insert(cx);
    next.run(request).instrument(span).await
}

/// Answers a request whose handler has panicked. What protects the function's own responses is not
/// reached from here.
pub(super) fn respond_to_panic(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("request panicked");
    let protected = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::INTERNAL_SERVER_ERROR, protected, r#"{"error":"internal error"}"#).into_response()
}

fn invocation_context(
    function: &'static str,
    clock: &dyn Clock,
    time_limit: Duration,
    headers: &HeaderMap,
) -> InvocationContext {
    InvocationContext {
        function,
        invocation_id: envelope::invocation_id(headers).unwrap_or_default().to_owned(),
        traceparent: envelope::traceparent(headers).map(str::to_owned),
        deadline: clock.now() + time_limit,
    }
}

fn invocation_span(cx: &InvocationContext) -> tracing::Span {
    tracing::info_span!(
        "invocation",
        function = cx.function,
        invocation_id = cx.invocation_id,
        traceparent = cx.traceparent,
        // Known once the message was read or somebody has signed in: `base::invocation`.
        tenant = tracing::field::Empty,
        correlation = tracing::field::Empty,
    )
}

/// The host names itself and the call, and nothing has passed this request on. Requests from
/// outside always carry the front end's marks; the host overwrites its own headers on them, so the
/// user agent alone would prove nothing.
fn is_from_host(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).map(http::HeaderValue::as_bytes);
    agent.is_some_and(|agent| agent.starts_with(b"Azure-Functions-Host/"))
        && envelope::invocation_id(headers).is_some()
        && !headers.keys().any(|name| {
            let name = name.as_str();
            PROXY_HEADERS.contains(&name)
                || PROXY_HEADER_PREFIXES.iter().any(|p| name.starts_with(p))
        })
}
