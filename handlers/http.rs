//! Outgoing HTTP: one port, and the one place that builds the real client.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole call may take, answer included. Below the handler's own deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends one request and reads the whole answer: [`RealHttp`] over the network, or a router called
/// in process by the tests' simulation.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends `request`; any status is an answer, not an error.
    ///
    /// # Errors
    /// [`HttpError`] when no answer came; whether the request took effect is then unknown.
    async fn send(&self, request: http::Request<Bytes>)
    -> Result<http::Response<Bytes>, HttpError>;
}

/// No answer came. The text names the kind of failure, never the address or the content.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {kind}")]
pub struct HttpError {
    /// What failed, in a word or two.
    pub kind: &'static str,
}

/// The client that all outgoing calls share, the Azure crates' too.
///
/// # Errors
/// When the TLS backend cannot be set up.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    builder().build()
}

/// What [`client`] is built from: rustls with the machine's own roots (`SSL_CERT_FILE` is
/// honoured), no redirects, bounded times. Tests add the root of their own listeners.
#[expect(clippy::disallowed_methods, reason = "the one place that builds the HTTP client")]
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("roombridge/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
}

/// The real network.
#[derive(Debug, Clone)]
pub struct RealHttp(reqwest::Client);

impl RealHttp {
    /// Sends through `client`, which should come from [`client`].
    pub fn new(client: reqwest::Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Http for RealHttp {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|e| kind_of(&e))?;
        let answer = self.0.execute(request).await.map_err(|e| kind_of(&e))?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let body = answer.bytes().await.map_err(|e| kind_of(&e))?;
        response.body(body).map_err(|_| HttpError { kind: "unreadable answer" })
    }
}

fn kind_of(error: &reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else if error.is_builder() {
        "the request could not be built"
    } else {
        "the connection broke"
    };
    HttpError { kind }
}
