//! How the host's requests reach the handler: over a socket, or by calling its router in process.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::ServiceExt;

/// No answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// The connection was closed before or within the answer.
    #[error("the connection was closed")]
    Broken,
}

/// Carries a request to the handler. The request's address is a path and query.
#[async_trait]
pub trait HandlerTransport: Send + Sync {
    /// Sends `request`; any status is an answer.
    ///
    /// # Errors
    /// [`TransportError`].
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, TransportError>;
}

/// The handler's router, called in process.
#[derive(Debug, Clone)]
pub struct RouterTransport(Router);

impl RouterTransport {
    /// Calls `handler`.
    pub fn new(handler: Router) -> Self {
        Self(handler)
    }
}

#[async_trait]
impl HandlerTransport for RouterTransport {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let answer: Result<_, Infallible> = self.0.clone().oneshot(request).await;
        match answer {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

/// A way to the handler on which the first answers are lost.
#[derive(Debug)]
pub struct LossyTransport {
    handler: RouterTransport,
    lost: AtomicUsize,
    calls: AtomicUsize,
}

impl LossyTransport {
    /// Calls `handler`, and loses so many of its answers.
    pub fn new(handler: Router, lost: usize) -> Self {
        let (lost, calls) = (AtomicUsize::new(lost), AtomicUsize::default());
        Self { handler: RouterTransport::new(handler), lost, calls }
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl HandlerTransport for LossyTransport {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = self.handler.call(request).await?;
        let left = self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() { Err(TransportError::Broken) } else { Ok(answer) }
    }
}

/// A handler that listens on a loopback port: HTTP/1.1, address untouched, redirects passed on.
#[derive(Debug, Clone)]
pub struct SocketTransport {
    authority: Authority,
    client: Client<HttpConnector, Body>,
}

impl SocketTransport {
    /// Calls `http://127.0.0.1:{port}`.
    ///
    /// # Panics
    /// Never: the address is always a valid one.
    pub fn new(port: u16) -> Self {
        let authority = Authority::try_from(format!("127.0.0.1:{port}"));
        #[expect(clippy::expect_used, reason = "an address and a number make an authority")]
        let authority = authority.expect("a loopback address with a port is an authority");
        Self { authority, client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

#[async_trait]
impl HandlerTransport for SocketTransport {
    async fn call(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(
            request
                .uri()
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| TransportError::Broken)?;
        match self.client.request(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(error) if error.is_connect() => Err(TransportError::Refused),
            Err(_) => Err(TransportError::Broken),
        }
    }
}
