//! The handler as it is shipped, as a process: POSTs over a socket, put over TLS into a queue that takes
//! everything; and its start. Beside both a bare process, which is this program again: one route of
//! the same web framework, with the same runtime, that parses and answers.
//!
//! Both get one worker thread, and what counts is the CPU of the process (Linux alone tells it).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use roombridge::base::clock::{Clock, SystemClock};
use roombridge::base::http::{Http as _, ReqwestHttp};
use roombridge::base::rng::{Rng, SystemRng};
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::host::server;
use roombridge::identity::keys::client_state::{SecretKey, issue};
use serde_json::json;
use world::exchange::Tenant;
use world::local::{Addresses, settings};
use world::microsoft::Microsoft;
use world::serve::{self, Serving};
use world::tls::Tls;

use crate::{BenchError, ROUNDS_PER_CASE, SIZES, bare_endpoint, body, median};

/// Starts of each process; the median counts.
const STARTS: usize = 11;
/// POSTs on their way at the same time.
const CONNECTIONS: usize = 16;
/// POSTs of one round.
const POSTS_PER_ROUND: usize = 2_000;
/// The argument with which this program is the bare process.
const BARE_ARGUMENT: &str = "--bare-on-port";
/// The key that proves a client state, as the vault has it.
const KEY: [u8; 32] = [7; 32];
/// What a queue answers to a message that it took.
const TAKEN: &str = concat!(
    r#"<?xml version="1.0" encoding="utf-8"?><QueueMessagesList><QueueMessage>"#,
    "<MessageId>5974b586-0df3-4e2d-ad0c-18e3892bfca2</MessageId>",
    "<InsertionTime>Tue, 24 Nov 2026 09:00:00 GMT</InsertionTime>",
    "<ExpirationTime>Tue, 01 Dec 2026 09:00:00 GMT</ExpirationTime>",
    "<PopReceipt>AgAAAAMAAAAAAAAA</PopReceipt>",
    "<TimeNextVisible>Tue, 24 Nov 2026 09:00:00 GMT</TimeNextVisible>",
    "</QueueMessage></QueueMessagesList>",
);

// === the bare process ===

/// The port, if this program was started as the bare process.
pub(crate) fn bare_port() -> Option<u16> {
    let mut arguments = std::env::args().skip_while(|argument| argument != BARE_ARGUMENT);
    arguments.nth(1)?.parse().ok()
}

/// One route that parses and answers.
#[tokio::main]
pub(crate) async fn serve_bare(port: u16) -> Result<(), BenchError> {
    let router = Router::new().route("/api/notifications", post(bare_endpoint));
    Ok(server::run(server::bind(port).await?, router, server::shutdown_signal()).await?)
}

// === what is around the handler ===

/// A vault, an identity and a queue; dropped, they end.
struct Surroundings {
    addresses: Addresses,
    tenant: Tenant,
    client_state: String,
    #[expect(dead_code, reason = "held for its drop, which ends the listeners")]
    listeners: Vec<Serving>,
    #[expect(dead_code, reason = "held for its drop, which deletes the certificates")]
    folder: tempfile::TempDir,
}

impl Surroundings {
    fn start() -> Result<Self, BenchError> {
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) =
            (Arc::new(SystemClock), Arc::new(SystemRng));
        let microsoft = Microsoft::new(clock, rng)?;
        let keys = json!({ "current": "k1", "keys": { "k1": BASE64_STANDARD.encode(KEY) } });
        for secret in ["client-state-keys", "cookie-keys"] {
            microsoft.vault.set(secret, &keys.to_string());
        }
        let folder = tempfile::tempdir()?;
        let tls = Tls::create(folder.path())?;
        let queue = serve::https(Router::new().fallback(take), &tls)?;
        let vault = serve::https(microsoft.vault.router(), &tls)?;
        let identity = serve::http(microsoft.identity.router())?;
        microsoft.vault.set_base(&vault.url());
        let elsewhere = queue.url();
        let addresses = Addresses {
            app: elsewhere.clone(),
            webhook: format!("{elsewhere}/api/notifications"),
            graph: format!("{elsewhere}/v1.0"),
            authority: elsewhere.clone(),
            outlook: elsewhere.clone(),
            librebooking: elsewhere.clone(),
            vault: vault.url(),
            identity: format!("{}{}", identity.url(), world::managed_identity::PATH),
            queues: queue.url(),
            tables: elsewhere,
            ca: tls.ca_file(),
            own_system: None,
        };
        let tenant = microsoft.tenant("Contoso");
        let mailbox: MailboxId = "9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11".parse()?;
        let id: TenantId = tenant.id().parse()?;
        let client_state = issue(&SecretKey::new("k1".parse()?, &KEY), id, mailbox, 7);
        let listeners = vec![queue, vault, identity];
        Ok(Self { addresses, tenant, client_state, listeners, folder })
    }
}

async fn take(
    message: Bytes,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], &'static str) {
    drop(message);
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/xml")], TAKEN)
}

// === a process that is measured ===

/// Dropped, it ends.
struct Process {
    child: Child,
    port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Process {
    fn handler(around: &Surroundings) -> Result<Self, BenchError> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_handler"));
        command.envs(settings(&around.addresses, &[&around.tenant]));
        Self::start(command)
    }

    fn bare() -> Result<Self, BenchError> {
        Self::start(Command::new(std::env::current_exe()?))
    }

    fn start(mut command: Command) -> Result<Self, BenchError> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        command.args([BARE_ARGUMENT, &port.to_string()]);
        command.env(server::PORT_VARIABLE, port.to_string()).env("TOKIO_WORKER_THREADS", "1");
        // A library's errors would take backtraces, which no deployment asks for.
        command.env_remove("RUST_BACKTRACE");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, port })
    }

    /// Asks as the host does, until there is an answer.
    fn wait_for_answer(&mut self) -> Result<(), BenchError> {
        while self.child.try_wait()?.is_none() {
            if let Ok(mut connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                connection.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
                if connection.read(&mut [0; 64])? > 0 {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Err("the process ended before it answered".into())
    }

    /// Seconds of CPU that its threads have had.
    fn cpu_seconds(&self) -> Result<f64, BenchError> {
        let mut nanoseconds = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
        }
        Ok(nanoseconds / 1e9)
    }

    /// CPU a notification in one round of POSTs.
    async fn run_round(
        &self,
        http: &ReqwestHttp,
        items: usize,
        body: &Bytes,
    ) -> Result<f64, BenchError> {
        let before = self.cpu_seconds()?;
        let posts = (0..CONNECTIONS).map(|_| async {
            for _ in 0..POSTS_PER_ROUND / CONNECTIONS {
                let to = format!("http://127.0.0.1:{}/api/notifications", self.port);
                let request = http::Request::post(to).header("content-type", "application/json");
                let answer = http.send(request.body(body.clone())?).await?;
                if answer.status() != StatusCode::ACCEPTED {
                    return Err(format!("not taken: {}", answer.status()).into());
                }
            }
            Ok::<_, BenchError>(())
        });
        futures::future::try_join_all(posts).await?;
        Ok((self.cpu_seconds()? - before) / (POSTS_PER_ROUND * items) as f64)
    }
}

// === tables ===

/// Prints CPU a notification and CPU of a start, and how many times the bare process's that is.
#[tokio::main]
pub(crate) async fn print_tables() -> Result<(), BenchError> {
    let around = Surroundings::start()?;
    print_posts(&around).await?;
    print_start(&around)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
async fn print_posts(around: &Surroundings) -> Result<(), BenchError> {
    let http = ReqwestHttp::lazy();
    let (mut ours, mut bare) = (Process::handler(around)?, Process::bare()?);
    ours.wait_for_answer()?;
    bare.wait_for_answer()?;
    println!("\nover a socket, items  CPU us/notification  bare  times the bare process");
    for items in SIZES {
        let body = body::notifications(around.tenant.id(), &around.client_state, items, None);
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        // The first round warms up connections and tokens.
        for round in 0..=ROUNDS_PER_CASE {
            let taken = (
                ours.run_round(&http, items, &body).await?,
                bare.run_round(&http, items, &body).await?,
            );
            if round > 0 {
                mine.push(taken.0);
                theirs.push(taken.1);
            }
        }
        let (mine, theirs) = (median(mine) * 1e6, median(theirs) * 1e6);
        println!("{items:>20}  {mine:>19.2}  {theirs:>4.2}  {:>22.2}", mine / theirs);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print_start(around: &Surroundings) -> Result<(), BenchError> {
    let start = |mut process: Process, begun: Instant| -> Result<(f64, f64), BenchError> {
        process.wait_for_answer()?;
        Ok((begun.elapsed().as_secs_f64(), process.cpu_seconds()?))
    };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begun = Instant::now();
        ours.push(start(Process::handler(around)?, begun)?);
        let begun = Instant::now();
        bare.push(start(Process::bare()?, begun)?);
    }
    let of = |starts: Vec<(f64, f64)>| {
        let (took, spent): (Vec<f64>, Vec<f64>) = starts.into_iter().unzip();
        (median(took) * 1e3, median(spent) * 1e3)
    };
    let ((took, spent), (bare_took, bare_spent)) = (of(ours), of(bare));
    println!("\nstart to first answer  ms  CPU ms");
    println!("the handler    {took:>9.1}  {spent:>6.1}");
    println!("a bare process {bare_took:>9.1}  {bare_spent:>6.1}");
    println!("times          {:>9.2}  {:>6.2}\n", took / bare_took, spent / bare_spent);
    Ok(())
}
