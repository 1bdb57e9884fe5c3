//! The HTTP front: the platform's front end and the host's proxy in one.
//!
//! Routes and methods are those of the function.json files under the prefix, anything else is 404.
//! A request is passed on with its method, path and raw query untouched, its body streamed, without
//! hop-by-hop headers, with the host's own headers over the caller's; the answer comes back as it is
//! (`DefaultHttpProxyService` with `enableProxyingHttpRequest`, host of 2025). The front end in
//! front of it adds `X-ARR-SSL` and `DISGUISED-HOST`. The proxy writes `X-Forwarded-*` over whatever the
//! caller claimed; the address is without a port; an encoded slash in the path is encoded once more.
//! Whatever breaks on the way is sent again, up to ten times within two seconds, although the handler may
//! have had it; after that it is 500, and so is an answer that comes before the handler has read a large
//! body (run with host 4.1037, 2026-11-29). Unlike the real one it takes the whole body before it sends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body::{Frame, SizeHint};

use super::FunctionsHost;
use super::function_json::TriggerFile;
use super::invocation::add_host_headers;
use super::transport::{HandlerTransport, TransportError};

/// `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` at its default.
const BODY_LIMIT: usize = 104_857_600;
/// From this size on the proxy is surely still sending when a handler answers at once.
const EARLY_ANSWER_BYTES: usize = 300_000;
/// How much of a body is sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a request is sent, and how long the proxy waits in between: the double each time
/// (`RetryProxyHandler`).
const MAX_ATTEMPTS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

impl FunctionsHost {
    /// The app as the outside sees it. Serve it with connection info to have callers' addresses in
    /// `X-Forwarded-For`; in process `crate::network::InProcess::calling_from` names one.
    pub fn http_router(self: &Arc<Self>) -> Router {
        Router::new().fallback(proxy).with_state(Arc::clone(self))
    }

    fn has_route(&self, method: &Method, path: &str) -> bool {
        let prefix = &self.app.settings.route_prefix;
        self.app.functions.iter().any(|function| match &function.trigger {
            TriggerFile::Http { route, methods } => {
                let route =
                    if prefix.is_empty() { route.clone() } else { format!("{prefix}/{route}") };
                methods.iter().any(|known| known.eq_ignore_ascii_case(method.as_str()))
                    && route_matches(&route, path)
            }
            TriggerFile::Queue { .. } | TriggerFile::Timer { .. } => false,
        })
    }

    fn add_platform_headers(&self, headers: &mut HeaderMap, caller: Option<SocketAddr>) {
        let invocation = self.new_id();
        add_host_headers(headers, &invocation);
        if !headers.contains_key("traceparent") {
            self.add_trace_context(headers);
        }
        let caller = caller.map_or_else(|| "203.0.113.1".to_owned(), |at| at.ip().to_string());
        let host = headers.get(header::HOST).cloned();
        let host = host.unwrap_or_else(|| HeaderValue::from_static("localhost"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        headers.insert("x-arr-ssl", HeaderValue::from_static("2048|256|CN=loopback"));
        headers.insert("x-forwarded-host", host.clone());
        headers.insert("disguised-host", host);
        for (name, value) in [("x-forwarded-for", caller), ("x-ms-invocation-id", invocation)] {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
    }
}

async fn proxy(State(host): State<Arc<FunctionsHost>>, request: Request) -> Response {
    if !host.has_route(request.method(), request.uri().path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let (mut head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let Ok((_, transport)) = host.ready_handler().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let caller = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    head.extensions.clear();
    head.version = http::Version::HTTP_11;
    drop_hop_by_hop(&mut head.headers);
    host.add_platform_headers(&mut head.headers, caller);
    encode_slashes_again(&mut head.uri);
    let is_read = Arc::new(AtomicBool::new(body.is_empty()));
    let length = body.len();
    let body = WatchedBody { rest: body, is_read: Arc::clone(&is_read) };
    match send_repeatedly(transport.as_ref(), &head, &body).await {
        Ok(_) if length >= EARLY_ANSWER_BYTES && !is_read.load(Ordering::SeqCst) => {
            host.log().host("the handler answered before it had read the body".to_owned());
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Ok(mut answer) => {
            drop_hop_by_hop(answer.headers_mut());
            answer
        }
        Err(error) => {
            host.log().host(format!("a proxied request failed: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn send_repeatedly(
    transport: &dyn HandlerTransport,
    head: &http::request::Parts,
    body: &WatchedBody,
) -> Result<Response, TransportError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..MAX_ATTEMPTS {
        let request = Request::from_parts(head.clone(), Body::new(body.clone()));
        if let Ok(answer) = transport.call(request).await {
            return Ok(answer);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    transport.call(Request::from_parts(head.clone(), Body::new(body.clone()))).await
}

/// ASP.NET decodes a path but for its encoded slashes, and the proxy encodes the percent sign of those.
fn encode_slashes_again(uri: &mut Uri) {
    let path = uri.path().replace("%2F", "%252F").replace("%2f", "%252f");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path + &query).ok();
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

/// A body that says whether it was read to its end.
#[derive(Clone)]
struct WatchedBody {
    rest: Bytes,
    is_read: Arc<AtomicBool>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(next);
        if self.rest.is_empty() {
            self.is_read.store(true, Ordering::SeqCst);
        }
        Poll::Ready((next > 0).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// ASP.NET's routing, as far as our routes need it: literal segments in any case, `{name}`, and
/// `{name?}` at the end; a trailing slash does not matter.
fn route_matches(route: &str, path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/');
    for expected in route.split('/') {
        let parameter = expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let fits = match (segments.next(), parameter) {
            (Some(segment), Some(_)) => !segment.is_empty(),
            (Some(segment), None) => segment.eq_ignore_ascii_case(expected),
            (None, Some(parameter)) => parameter.ends_with('?'),
            (None, None) => false,
        };
        if !fits {
            return false;
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::route_matches;

    #[test]
    fn routes_match_as_the_host_matches_them() {
        assert!(route_matches("api/notifications", "/api/notifications"));
        assert!(route_matches("api/notifications", "/API/Notifications/"));
        assert!(!route_matches("api/notifications", "/api/notifications/x"));
        assert!(!route_matches("api/notifications", "/notifications"));
        assert!(route_matches("api/admin/{resource}/{id?}/{action?}", "/api/admin/failures"));
        assert!(route_matches(
            "api/admin/{resource}/{id?}/{action?}",
            "/api/admin/failures/7/replay"
        ));
        assert!(!route_matches("api/admin/{resource}/{id?}/{action?}", "/api/admin"));
    }
}
