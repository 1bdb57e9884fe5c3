//! A handler that does what a test asks: the process rules of the Functions host are tried on it.
//!
//! Any `POST` is obeyed by the first word it holds: `print` writes a line to each stream, `hang`
//! answers 200 with nothing, `crash` exits with status 7, `again` with 200, `quit` with 0. The
//! setting `SILENT` makes it listen nowhere.

use std::io::Write;
use std::net::Ipv4Addr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os("SILENT").is_some() {
        return std::future::pending().await;
    }
    let port = std::env::var_os("FUNCTIONS_CUSTOMHANDLER_PORT").ok_or("no port")?;
    let port: u16 = port.to_str().ok_or("no port")?.parse()?;
    let router = Router::new()
        .route("/", get(|| async { "ready" }))
        .route("/{function}", post(run_command))
        .route("/api/{function}", post(|body: String| async { body }));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn run_command(body: String) -> Response {
    let asked_to = |word: &str| body.contains(word);
    if asked_to("crash") {
        exit(7)
    } else if asked_to("again") {
        exit(200)
    } else if asked_to("quit") {
        exit(0)
    } else if asked_to("hang") {
        return ().into_response();
    } else if asked_to("print") {
        print();
    }
    ([(CONTENT_TYPE, "application/json")], r#"{"Outputs":{}}"#).into_response()
}

fn print() {
    let settings = std::env::var_os("GREETING").unwrap_or_default();
    let root = std::env::var_os("FUNCTIONS_APP_ROOT_PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").is_some();
    let lines = [
        writeln!(std::io::stdout(), "out {settings:?} {root:?} home={home}"),
        writeln!(std::io::stderr(), "a WARNing"),
        writeln!(std::io::stderr(), "a complaint"),
    ];
    if lines.iter().any(Result::is_err) {
        exit(1)
    }
}

#[expect(clippy::disallowed_methods, reason = "ending with a given status is what it is for")]
fn exit(status: i32) -> ! {
    std::process::exit(status)
}
