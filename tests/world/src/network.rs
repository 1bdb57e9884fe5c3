//! A network inside the process: requests go to the router registered for their host, so that whole systems run without sockets and in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use roombridge::base::http::{Http, HttpError};
use tower::ServiceExt as _;

use crate::fault_injection::Fault;

/// The largest answer that is read, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// What answers for a host.
#[derive(Clone)]
enum Backend {
    Router(Router),
    Elsewhere { base: String, http: Arc<dyn Http> },
}

/// Routers by host name. Clones share the registry.
#[derive(Clone, Default)]
pub struct Network {
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
    /// The address that its requests come from.
    caller_address: Option<SocketAddr>,
}

#[derive(Default)]
struct Host {
    backend: Option<Backend>,
    requests: u64,
    fail_before: u32,
    fail_after: u32,
    is_down: bool,
    is_slow: bool,
    /// The request, counted from the first of all, that fails, and when.
    planned: Option<(u64, Fault)>,
}

impl Network {
    /// A network without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same network for a caller at `address`: routers learn it as they do from a listener.
    #[must_use]
    pub fn calling_from(&self, address: SocketAddr) -> Self {
        Self { hosts: Arc::clone(&self.hosts), caller_address: Some(address) }
    }

    /// Lets `router` answer for `host` (a name without port).
    pub fn register(&self, host: &str, router: Router) {
        self.change(host, |h| h.backend = Some(Backend::Router(router)));
    }

    /// Sends what is for `host` to `base` (scheme, name and port, no path) through `http`: a public
    /// https address then leads to a listener on loopback.
    pub fn forward(&self, host: &str, base: &str, http: Arc<dyn Http>) {
        let base = base.to_owned();
        self.change(host, |h| h.backend = Some(Backend::Elsewhere { base, http }));
    }

    /// The next `times` requests to `host` break before they reach it.
    pub fn fail_before(&self, host: &str, times: u32) {
        self.change(host, |h| h.fail_before = times);
    }

    /// The next `times` requests to `host` take effect there, but their answers are lost.
    pub fn fail_after(&self, host: &str, times: u32) {
        self.change(host, |h| h.fail_after = times);
    }

    /// The `nth` request to `host` from now on, counted from 1, fails.
    pub fn fail_one(&self, host: &str, nth: u64, moment: Fault) {
        self.change(host, |h| h.planned = Some((h.requests + nth, moment)));
    }

    /// Takes `host` off the network, or puts it back.
    pub fn set_down(&self, host: &str, down: bool) {
        self.change(host, |h| h.is_down = down);
    }

    /// Lets requests to `host` take long enough for others to get their turn, or not.
    pub fn set_slow(&self, host: &str, slow: bool) {
        self.change(host, |h| h.is_slow = slow);
    }

    /// How many requests were sent to `host`, failed ones included.
    pub fn requests(&self, host: &str) -> u64 {
        self.lock().get(host).map_or(0, |h| h.requests)
    }

    fn change(&self, host: &str, change: impl FnOnce(&mut Host)) {
        change(self.lock().entry(host.to_owned()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What answers for `host`, and whether its answer is to be lost.
    fn resolve(&self, host: &str) -> Result<(Backend, bool), HttpError> {
        let mut hosts = self.lock();
        let host = hosts.get_mut(host).ok_or(HttpError { kind: "could not connect" })?;
        host.requests += 1;
        let now = host.requests;
        let planned = host.planned.filter(|(nth, _)| *nth == now).map(|(_, moment)| moment);
        if host.is_down || take_one(&mut host.fail_before) || planned == Some(Fault::Before) {
            return Err(HttpError { kind: "could not connect" });
        }
        let behind = host.backend.clone().ok_or(HttpError { kind: "could not connect" })?;
        Ok((behind, take_one(&mut host.fail_after) || planned == Some(Fault::After)))
    }
}

/// Takes one from a count of failures to come; whether there was one.
fn take_one(count: &mut u32) -> bool {
    let left = *count > 0;
    *count = count.saturating_sub(1);
    left
}

#[async_trait]
impl Http for Network {
    async fn send(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        if let Some(from) = self.caller_address {
            request.extensions_mut().insert(ConnectInfo(from));
        }
        let host = request.uri().host().unwrap_or_default().to_owned();
        if self.lock().get(&host).is_some_and(|host| host.is_slow) {
            tokio::task::yield_now().await;
        }
        let (behind, lost) = self.resolve(&host)?;
        let answer = match behind {
            Backend::Router(router) => call(router, request).await,
            Backend::Elsewhere { base, http } => http.send(redirect(request, &base)?).await,
        };
        if lost { Err(HttpError { kind: "connection lost" }) } else { answer }
    }
}

async fn call(
    router: Router,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, HttpError> {
    let request = request.map(Body::from);
    let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, MAX_RESPONSE_BYTES).await;
    let body = body.map_err(|_| HttpError { kind: "connection lost" })?;
    Ok(http::Response::from_parts(parts, body))
}

/// The same request to another server; the `Host` header follows the address.
fn redirect(
    mut request: http::Request<Bytes>,
    base: &str,
) -> Result<http::Request<Bytes>, HttpError> {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let address = format!("{base}{path}").parse();
    *request.uri_mut() = address.map_err(|_| HttpError { kind: "invalid request" })?;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::routing::post;

    use super::*;

    fn request(host: &str) -> http::Request<Bytes> {
        http::Request::post(format!("https://{host}/book")).body(Bytes::new()).unwrap()
    }

    #[tokio::test]
    async fn a_host_fails_before_or_after_it_did_the_work() {
        let done = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&done);
        let work = post(move || async move { count.fetch_add(1, Ordering::SeqCst).to_string() });
        let network = Network::new();
        network.register("booking.example", Router::new().route("/book", work));
        network.fail_before("booking.example", 1);
        assert!(network.send(request("booking.example")).await.is_err());
        assert_eq!(done.load(Ordering::SeqCst), 0);
        network.fail_after("booking.example", 1);
        assert!(network.send(request("booking.example")).await.is_err());
        assert_eq!(done.load(Ordering::SeqCst), 1);
        assert_eq!(network.send(request("booking.example")).await.unwrap().body(), "1");
        assert!(network.send(request("nobody.example")).await.is_err());
    }
}
