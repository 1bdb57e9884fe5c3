//! Listening for the host.
//!
//! Bind first and answer `GET /` at once: the host waits 30 s for the first answer. The process
//! itself must never exit with status 0, whatever made [`run`] return, because the host does not
//! restart a handler that ended well; `main` ends with a failure status always.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

/// The environment variable with the port that the host has chosen for us.
pub const PORT_VARIABLE: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";

/// How long calls in flight may take to finish once the process was asked to stop. The host kills
/// without asking; containers and people ask first.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(25);

/// Binds the loopback address the host calls (never `localhost`, never another interface).
///
/// # Errors
/// When the port is taken or not allowed.
pub async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Serves `router` on `listener` until `shutdown` completes and the calls in flight have finished,
/// or 25 s have passed since.
///
/// HTTP/1.1; connections stay open as long as the host keeps them (it closes idle ones itself after
/// about a minute, so a time limit of ours could only cut a call that is on its way).
///
/// # Errors
/// When the listener breaks.
pub async fn run(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (asked, stop) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        drop(asked);
    };
    let listener = listener.tap_io(|connection| {
        // A short answer would otherwise wait for the acknowledgement of the one before it.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set on a connection");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    let grace_period = async {
        if stop.await.is_err() {
            tokio::time::sleep(SHUTDOWN_GRACE_PERIOD).await;
        }
    };
    tokio::select! {
        served = serving => served,
        () = grace_period => Ok(()),
    }
}

/// Completes when the process is asked to stop: SIGTERM, or Ctrl-C in a terminal.
pub async fn shutdown_signal() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "cannot listen for Ctrl-C");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = sigterm() => {}
    }
}

#[cfg(unix)]
async fn sigterm() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen for SIGTERM");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn sigterm() {
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, oneshot};

    #[tokio::test]
    async fn the_port_of_a_process_that_was_killed_is_free_at_once() {
        let listener = bind(0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(run(listener, Router::new(), std::future::pending()));
        let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        // The server closes first, so its side of the connection lingers.
        caller.read_to_string(&mut answer).await.unwrap();
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        assert!(bind(port).await.is_ok(), "the host starts the next one on the same port");
    }

    #[tokio::test]
    async fn a_call_in_flight_finishes_before_the_server_ends() {
        let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (seen, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
        let slow = move || async move {
            seen.notify_one();
            wait.notified().await;
            "done"
        };
        let listener = bind(0).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_loopback());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            assert!(stopped.await.is_ok());
        };
        let router = Router::new().route("/slow", post(slow));
        let server = tokio::spawn(run(listener, router, shutdown));

        let mut caller = TcpStream::connect(address).await.unwrap();
        caller
            .write_all(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        arrived.notified().await;
        stop.send(()).unwrap();
        go_on.notify_one();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }
}
