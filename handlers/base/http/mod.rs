//! Outgoing HTTP: one port, and the one place that builds the real client.

pub mod guarded;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, ExponentialRetryOptions, HttpClient, RetryOptions, Transport,
};
use bytes::Bytes;
use url::{Host, Url};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a whole call may take, response included. Below the handler's own deadline.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether `address` is on this very machine.
pub fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Sends one request and reads the whole response: [`ReqwestHttp`] over the network, or a router called
/// in process by the tests' simulation.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends `request`; any status is a response, not an error.
    ///
    /// # Errors
    /// [`HttpError`] when no response came; whether the request took effect is then unknown.
    async fn send(&self, request: http::Request<Bytes>)
    -> Result<http::Response<Bytes>, HttpError>;
}

/// No response came. The text names the kind of failure, never the address or the content.
#[derive(Debug, thiserror::Error)]
#[error("no response: {kind}")]
pub struct HttpError {
    /// What failed, in a word or two.
    pub kind: &'static str,
}

/// What the client of [`ReqwestHttp`] is built from: rustls with the machine's own roots (`SSL_CERT_FILE` is
/// honoured), no redirects, bounded times. Tests add the root of their own listeners.
#[expect(clippy::disallowed_methods, reason = "the one place that builds the HTTP client")]
pub fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("roombridge/", env!("CARGO_PKG_VERSION")))
        // A redirect would take a token to another host.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
}

/// The transport that all Azure clients share, so that they share connections too.
pub fn azure_transport(http: ReqwestHttp) -> Transport {
    Transport::new(Arc::new(http))
}

/// How long a call of an Azure service may go on, retries and their waits included.
///
/// The Azure crates alone would try nine times in a minute, and would wait as long as a
/// `Retry-After` says; a function has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a call is sent again when no response came, or one that says "later".
    pub max_retries: u32,
    /// Half of the wait before the first retry, before jitter of up to a quarter second; each
    /// further wait is twice as long.
    pub initial_delay: Duration,
    /// When to give up on a response.
    pub max_elapsed: Duration,
}

impl RetryPolicy {
    /// For the webhook: Graph wants an answer within seconds, and comes back itself.
    pub const WEBHOOK: Self = Self {
        max_retries: 1,
        initial_delay: Duration::from_millis(50),
        max_elapsed: Duration::from_millis(1500),
    };
    /// For everything that works off a queue or a timer.
    pub const WORKER: Self = Self {
        max_retries: 3,
        initial_delay: Duration::from_millis(200),
        max_elapsed: Duration::from_secs(20),
    };

    /// These bounds as the Azure crates take them, over the shared `transport`.
    pub fn client_options(self, transport: Transport) -> ClientOptions {
        let retry = if self.max_retries == 0 {
            RetryOptions::none()
        } else {
            RetryOptions::exponential(ExponentialRetryOptions {
                initial_delay: to_azure_duration(self.initial_delay),
                max_retries: self.max_retries,
                max_total_elapsed: to_azure_duration(self.max_elapsed),
                max_delay: to_azure_duration(self.max_elapsed),
            })
        };
        ClientOptions { retry, transport: Some(transport), ..ClientOptions::default() }
    }

    /// Waits for `call`, but no longer than [`RetryPolicy::max_elapsed`].
    ///
    /// # Errors
    /// [`HttpError`] when time was up; whether the call took effect is then unknown.
    pub async fn with_timeout<T>(self, call: impl Future<Output = T>) -> Result<T, HttpError> {
        let late = |_| HttpError { kind: "timed out" };
        tokio::time::timeout(self.max_elapsed, call).await.map_err(late)
    }
}

fn to_azure_duration(duration: Duration) -> azure_core::time::Duration {
    azure_core::time::Duration::try_from(duration).unwrap_or(azure_core::time::Duration::MAX)
}

/// The real network, through one client for all, the Azure crates too. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ReqwestHttp(Arc<OnceLock<reqwest::Client>>);

impl ReqwestHttp {
    /// Builds the client when it is first used: the machine's roots are read then, and not before the
    /// host has its first answer.
    pub fn lazy() -> Self {
        Self::default()
    }

    /// Sends through `client`, which should come from [`client_builder`].
    pub fn new(client: reqwest::Client) -> Self {
        Self(Arc::new(OnceLock::from(client)))
    }

    /// The client, built now if it is not yet.
    ///
    /// # Errors
    /// [`HttpError`] when TLS cannot be set up; the next call tries again.
    pub fn client(&self) -> Result<&reqwest::Client, HttpError> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let built = client_builder().build().map_err(|error| {
            tracing::error!(%error, "the HTTP client cannot be built");
            HttpError { kind: "no HTTP client" }
        })?;
        Ok(self.0.get_or_init(|| built))
    }
}

#[async_trait]
impl HttpClient for ReqwestHttp {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        let to_azure = |error| azure_core::Error::new(ErrorKind::Connection, error);
        self.client().map_err(to_azure)?.execute_request(request).await
    }
}

#[async_trait]
impl Http for ReqwestHttp {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|e| to_http_error(&e))?;
        let answer = self.client()?.execute(request).await.map_err(|e| to_http_error(&e))?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let body = answer.bytes().await.map_err(|e| to_http_error(&e))?;
        response.body(body).map_err(|_| HttpError { kind: "unreadable response" })
    }
}

fn to_http_error(error: &reqwest::Error) -> HttpError {
    // reqwest's own text names the address, which holds ids of people.
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else if error.is_builder() {
        "invalid request"
    } else {
        "connection lost"
    };
    HttpError { kind }
}
