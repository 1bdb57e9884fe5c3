//! HTTP to addresses that are not ours, so that nobody can use us to reach into the network that we run in:
//! no redirect is followed, no private address is called, and no answer is read without an end.
//!
//! A name is judged by what it resolves to, each time that a connection is opened.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{Http, HttpError, client_builder, to_http_error};

/// Addresses that no host on the internet has (www.iana.org/assignments/iana-ipv4-special-registry and
/// iana-ipv6-special-registry, 2026-11), and where Azure talks to its own machines
/// (learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16, 2026-11).
const NOT_PUBLIC: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
];

/// Whether a host on the internet may have the address.
pub fn is_public(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(v6) => embedded_v4(v6).unwrap_or(address),
        IpAddr::V4(_) => address,
    };
    let mut networks = NOT_PUBLIC.iter().filter_map(|network| network.parse::<IpNet>().ok());
    networks.all(|network| !network.contains(&address))
}

/// The IPv4 address that a mapped, translated (NAT64) or 6to4 address leads to.
fn embedded_v4(address: Ipv6Addr) -> Option<IpAddr> {
    let octets = address.octets();
    let four = |from: usize| {
        let four: [u8; 4] = octets.get(from..from + 4)?.try_into().ok()?;
        Some(IpAddr::from(four))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => four(12),
        [0x2002, ..] => four(2),
        _ => None,
    }
}

/// HTTP with those rules. Clones share the client.
#[derive(Clone)]
pub struct GuardedHttp {
    client: Arc<OnceLock<reqwest::Client>>,
    private_hosts: Arc<[String]>,
    /// The longest answer, in bytes.
    max_answer: usize,
}

impl GuardedHttp {
    /// Calls public addresses, and those of `private_hosts` wherever they are. The client is built when it is
    /// first used.
    pub fn new(private_hosts: &[String], max_answer: usize) -> Self {
        Self { client: Arc::default(), private_hosts: private_hosts.into(), max_answer }
    }

    fn client(&self) -> Result<&reqwest::Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let resolver = PublicResolver { private_hosts: Arc::clone(&self.private_hosts) };
        // A proxy would resolve names itself.
        let built = client_builder().no_proxy().dns_resolver(resolver).build();
        let built = built.map_err(|_| HttpError { kind: "no HTTP client" })?;
        Ok(self.client.get_or_init(|| built))
    }

    /// An address that is written as numbers is never resolved.
    fn may_call(&self, url: &Url) -> bool {
        let is_listed = url.host_str().is_some_and(|host| is_listed(&self.private_hosts, host));
        let is_public = match url.host() {
            Some(Host::Ipv4(address)) => is_public(address.into()),
            Some(Host::Ipv6(address)) => is_public(address.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        is_listed || is_public
    }
}

#[async_trait]
impl Http for GuardedHttp {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(|e| to_http_error(&e))?;
        if !self.may_call(request.url()) {
            return Err(HttpError { kind: "could not connect" });
        }
        let mut answer = self.client()?.execute(request).await.map_err(|e| to_http_error(&e))?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| to_http_error(&e))? {
            if body.len() + chunk.len() > self.max_answer {
                return Err(HttpError { kind: "the response is too long" });
            }
            body.extend_from_slice(&chunk);
        }
        response.body(body.freeze()).map_err(|_| HttpError { kind: "unreadable response" })
    }
}

fn is_listed(hosts: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.');
    hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
}

/// The machine's own resolver, without the answers that lead into a private network.
struct PublicResolver {
    private_hosts: Arc<[String]>,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let is_listed = is_listed(&self.private_hosts, &host);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            // A name that leads to both kinds is an attack, or a mistake.
            if !is_listed && found.iter().any(|address| !is_public(address.ip())) {
                return Err(Box::from("the name leads to a private address"));
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_private_network_is_known_in_each_of_its_spellings() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "20.50.2.1", "2603:1020::1", "64:ff9b::808:808"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for network in NOT_PUBLIC {
            assert!(network.parse::<IpNet>().is_ok(), "{network}");
        }
    }

    #[tokio::test]
    async fn a_private_address_is_not_called_by_number_or_by_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let request = |host: &str| {
            let uri = format!("http://{host}:{port}/latest/meta-data");
            http::Request::get(uri).body(Bytes::new()).unwrap()
        };
        let guarded = GuardedHttp::new(&[], 1_000);
        for host in ["127.0.0.1", "[::ffff:7f00:1]", "localhost", "localhost."] {
            assert_eq!(guarded.send(request(host)).await.unwrap_err().kind, "could not connect");
        }
        let reached = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(reached.is_err(), "nobody connected");
    }

    #[tokio::test]
    async fn a_listed_host_is_called_and_an_answer_without_an_end_is_not_read() {
        let answers = axum::Router::new()
            .route("/short", axum::routing::get(|| async { "short" }))
            .route("/long", axum::routing::get(|| async { "x".repeat(2_000) }))
            .route(
                "/elsewhere",
                axum::routing::get(|| async {
                    axum::response::Redirect::temporary("http://169.254.169.254/")
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move { axum::serve(listener, answers).await });
        let guarded = GuardedHttp::new(&["localhost".to_owned()], 1_000);
        let get = |path: &str| {
            let uri = format!("http://localhost:{port}/{path}");
            guarded.send(http::Request::get(uri).body(Bytes::new()).unwrap())
        };
        assert_eq!(get("short").await.unwrap().body().as_ref(), b"short");
        assert_eq!(get("long").await.unwrap_err().kind, "the response is too long");
        assert_eq!(get("elsewhere").await.unwrap().status(), 307);
        server.abort();
    }
}
