//! Listeners on loopback for the world's routers, over TLS or plain, ended by their handle.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;

use crate::tls::Tls;

/// A router that listens until this is dropped.
pub struct Serving {
    address: SocketAddr,
    scheme: &'static str,
    task: JoinHandle<io::Result<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

/// Serves `router` with the run's certificate on a free loopback port. Requests carry the caller's
/// address as `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When no port can be had.
pub fn https(router: Router, tls: &Tls) -> io::Result<Serving> {
    https_on(0, router, tls)
}

/// As [`https`], on a port of the caller's choice (0 for a free one).
///
/// # Errors
/// When the port cannot be had.
pub fn https_on(port: u16, router: Router, tls: &Tls) -> io::Result<Serving> {
    let (listener, address) = listener(port)?;
    let config = RustlsConfig::from_config(tls.server_config());
    let server = axum_server::from_tcp_rustls(listener, config)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move { server.serve(service).await });
    Ok(Serving { address, scheme: "https", task })
}

/// Serves `router` without TLS on a free loopback port.
///
/// # Errors
/// When no port can be had.
pub fn http(router: Router) -> io::Result<Serving> {
    let (listener, address) = listener(0)?;
    let server = axum_server::from_tcp(listener)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move { server.serve(service).await });
    Ok(Serving { address, scheme: "http", task })
}

fn listener(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
