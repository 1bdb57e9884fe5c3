//! What the webhook's own work costs: the router in this process against a queue that takes
//! everything, beside a bare route that reads the same JSON and answers the same; and the handler's
//! process over sockets, beside a bare process ([`door`]).
//!
//! `cargo bench` prints tables: notifications a second, CPU a notification and the share of the
//! bare route's speed that is reached; how long a POST of ten takes while others send bodies of 4 MiB;
//! CPU over sockets and of a start, and how many times the bare one's that is; then divan's statistics
//! of each case. Trust the ratios: the rates are this machine's, and one thread's.

mod body;
mod door;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use roombridge::base::clock::{Clock, SystemClock};
use roombridge::base::rng::{Rng, SystemRng};
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::identity::app_tokens::Cloud;
use roombridge::identity::app_tokens::Registrations;
use roombridge::identity::keys::KeyRing;
use roombridge::identity::keys::ValidationTokenVerifier;
use roombridge::identity::keys::client_state::{KeySet, SecretKey, issue};
use roombridge::queue::{MessageReceipt, Outbox, PoisonMessage, Queue, QueueError};
use roombridge::web::notifications::{Deps, MAX_BODY, router};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use world::entra::TokenVersion;
use world::memory::MemoryKeys;
use world::microsoft::{DAEMON_APP, LOGIN_HOST, Microsoft};

/// Any error before anything was measured.
type BenchError = Box<dyn std::error::Error + Send + Sync>;

/// Items in one POST.
const SIZES: [usize; 3] = [1, 10, 100];
/// Rounds of each case; the median counts, and the cases take turns.
const ROUNDS_PER_CASE: usize = 7;
/// How long one round lasts.
const ROUND_TIME: Duration = Duration::from_millis(150);

/// POSTs of ten whose times are taken, alone and beside each hostile body.
const TIMED_POSTS: usize = 20_000;
/// Strangers who send one hostile body after another.
const STRANGERS: usize = 2;
/// What comes over a socket at once.
const CHUNK: usize = 64 * 1024;

/// A queue that takes everything and keeps nothing.
struct NullOutbox;

#[async_trait]
impl Outbox for NullOutbox {
    async fn send_with_ttl(
        &self,
        _: Queue,
        text: String,
        _: Duration,
        _: Duration,
    ) -> Result<(), QueueError> {
        black_box(text);
        Ok(())
    }

    async fn receive_poisoned(&self, _: Queue, _: u8) -> Result<Vec<PoisonMessage>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete_poisoned(&self, _: Queue, _: &MessageReceipt) -> Result<(), QueueError> {
        Ok(())
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BenchCase {
    /// Reads JSON, answers 202.
    Bare,
    /// The webhook, with ids alone.
    Basic,
    /// The webhook, with sealed content and a validation token.
    Rich,
    /// The bare route with the rich body.
    BareRich,
}

struct Bench {
    runtime: Runtime,
    webhook: Router,
    bare: Router,
    tenant: TenantId,
    client_state: String,
    token: String,
}

impl Bench {
    fn new() -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let microsoft = Microsoft::new(Arc::clone(&clock), Arc::clone(&rng))?;
        let tenant = microsoft.tenant("Contoso");
        let token =
            microsoft.entra.change_tracking_token(tenant.id(), DAEMON_APP, TokenVersion::V2);
        let authority = format!("https://{LOGIN_HOST}");
        let cloud = Cloud {
            authority: authority.parse()?,
            issuer: authority.parse()?,
            token_exchange_audience: "api://AzureADTokenExchange".to_owned(),
            graph_scope: "https://graph.microsoft.com/.default".to_owned(),
        };
        let registrations = Registrations {
            organisation_wide: DAEMON_APP.to_owned(),
            scoped: "44444444-4444-4444-4444-444444444444".to_owned(),
        };
        let http = Arc::new(microsoft.network.clone());
        let tokens = ValidationTokenVerifier::new(http, Arc::clone(&clock), cloud, &registrations);
        let key = || Ok::<_, BenchError>(SecretKey::new("k1".parse()?, &[7; 32]));
        let source = MemoryKeys::read_only(KeySet::new(key()?, []));
        let keys = Arc::new(KeyRing::new(Box::new(source), Arc::clone(&clock)));
        let tenant: TenantId = tenant.id().parse()?;
        let mailbox: MailboxId = "9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11".parse()?;
        let state = issue(&key()?, tenant, mailbox, 7);
        let deps = Deps::new(keys, Arc::new(NullOutbox), clock, rng, Arc::new(tokens));
        let bare = Router::new().route("/", post(bare_endpoint));
        let token = token.ok_or("a validation token")?;
        Ok(Self { runtime, webhook: router(deps), bare, tenant, client_state: state, token })
    }

    fn request_body(&self, kind: BenchCase, items: usize) -> Bytes {
        let token = match kind {
            BenchCase::Bare | BenchCase::Basic => None,
            BenchCase::Rich | BenchCase::BareRich => Some(self.token.as_str()),
        };
        body::notifications(&self.tenant.to_string(), &self.client_state, items, token)
    }

    /// One POST; whether it was taken.
    fn post(&self, kind: BenchCase, body: &Bytes) -> bool {
        let router = match kind {
            BenchCase::Bare | BenchCase::BareRich => &self.bare,
            BenchCase::Basic | BenchCase::Rich => &self.webhook,
        };
        let request = Request::post("/").header("content-type", "application/json");
        let Ok(request) = request.body(Body::from(body.clone())) else { return false };
        let Ok(answer) = self.runtime.block_on(router.clone().oneshot(request));
        answer.status() == StatusCode::ACCEPTED
    }

    /// POSTs for one round: seconds by the clock and of CPU, for each notification.
    fn run_round(&self, kind: BenchCase, items: usize, body: &Bytes) -> (f64, f64) {
        let (begun, busy) = (Instant::now(), thread_cpu_seconds());
        let mut posts = 0_u32;
        while begun.elapsed() < ROUND_TIME {
            if self.post(kind, body) {
                posts += 1;
            }
        }
        let items = f64::from(posts.max(1)) * items as f64;
        let took = begun.elapsed().as_secs_f64();
        let spent = thread_cpu_seconds().zip(busy).map_or(took, |(now, then)| now - then);
        (took / items, spent / items)
    }
}

/// A body of 4 MiB that costs its sender nothing.
fn hostile_body(before: &str, piece: &str, after: &str) -> Bytes {
    let times = (MAX_BODY - before.len() - after.len()) / piece.len();
    Bytes::from(format!("{before}{}{after}", piece.repeat(times)))
}

/// Sends `body` again and again, as it would come over a socket.
async fn send_hostile(webhook: Router, body: Bytes, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let body = body.clone();
        let chunks = futures::stream::unfold(0, move |at| {
            let chunk = (at < body.len()).then(|| body.slice(at..body.len().min(at + CHUNK)));
            async move {
                tokio::task::yield_now().await;
                chunk.map(|chunk| (Ok::<_, BenchError>(chunk), at + CHUNK))
            }
        });
        let Ok(request) = Request::post("/").body(Body::from_stream(chunks)) else { return };
        let Ok(answer) = webhook.clone().oneshot(request).await;
        black_box(answer);
    }
}

/// The median and the 99th percentile of a POST of ten, in microseconds.
async fn time_posts(webhook: Router, body: Bytes) -> (f64, f64) {
    let mut times = Vec::new();
    for _ in 0..TIMED_POSTS {
        let Ok(request) = Request::post("/").body(Body::from(body.clone())) else { break };
        let begun = Instant::now();
        let Ok(answer) = webhook.clone().oneshot(request).await;
        black_box(answer);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        tokio::task::yield_now().await;
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print_hostile_table(bench: &Bench) -> Result<(), BenchError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ten = bench.request_body(BenchCase::Basic, 10);
    println!("{STRANGERS} strangers send     median us of ten  p99 us of ten");
    let bodies = [
        ("nothing", None),
        ("zeros", Some(hostile_body(r#"{"value":["#, "0,", "0]}"))),
        ("members", Some(hostile_body("{", r#""a":0,"#, r#""value":[]}"#))),
        ("one text", Some(hostile_body(r#"{"value":[{"clientState":""#, "x", r#""}]}"#))),
    ];
    for (name, hostile) in bodies {
        let stop = Arc::new(AtomicBool::new(false));
        for body in hostile.into_iter().flat_map(|body| vec![body; STRANGERS]) {
            runtime.spawn(send_hostile(bench.webhook.clone(), body, Arc::clone(&stop)));
        }
        let timed = runtime.spawn(time_posts(bench.webhook.clone(), ten.clone()));
        let (median, p99) = runtime.block_on(timed)?;
        stop.store(true, Ordering::Relaxed);
        println!("{name:<20} {median:>16.0}  {p99:>13.0}");
    }
    Ok(())
}

/// The ceiling: the whole body as JSON, and 202.
async fn bare_endpoint(Json(body): Json<Value>) -> StatusCode {
    black_box(body);
    StatusCode::ACCEPTED
}

/// Seconds of CPU that this thread has had (Linux; elsewhere the clock has to do).
fn thread_cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print_table(bench: &Bench) {
    println!("webhook   items  notifications/s  CPU us/notification  share of the bare route");
    for items in SIZES {
        for (kind, ceiling) in
            [(BenchCase::Basic, BenchCase::Bare), (BenchCase::Rich, BenchCase::BareRich)]
        {
            let (body, plain) =
                (bench.request_body(kind, items), bench.request_body(ceiling, items));
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS_PER_CASE {
                ours.push(bench.run_round(kind, items, &body));
                theirs.push(bench.run_round(ceiling, items, &plain));
            }
            let of = |rounds: &[(f64, f64)]| {
                let (took, spent): (Vec<f64>, Vec<f64>) = rounds.iter().copied().unzip();
                (median(took), median(spent))
            };
            let ((took, spent), (_, bare)) = (of(&ours), of(&theirs));
            let name = format!("{kind:?}").to_lowercase();
            let (rate, micros, share) = (1.0 / took, spent * 1e6, 100.0 * bare / spent);
            println!("{name:<9} {items:>5}  {rate:>15.0}  {micros:>19.2}  {share:>22.0} %");
        }
    }
}

#[divan::bench(args = SIZES)]
fn bare(bencher: divan::Bencher<'_, '_>, items: usize) {
    run_case(bencher, BenchCase::Bare, items);
}

#[divan::bench(args = SIZES)]
fn basic(bencher: divan::Bencher<'_, '_>, items: usize) {
    run_case(bencher, BenchCase::Basic, items);
}

#[divan::bench(args = SIZES)]
fn rich(bencher: divan::Bencher<'_, '_>, items: usize) {
    run_case(bencher, BenchCase::Rich, items);
}

#[expect(clippy::expect_used, reason = "without a webhook there is nothing to measure")]
fn run_case(bencher: divan::Bencher<'_, '_>, kind: BenchCase, items: usize) {
    let bench = Bench::new().expect("the webhook can be set up");
    let body = bench.request_body(kind, items);
    assert!(bench.post(kind, &body), "it is taken");
    bencher.counter(divan::counter::ItemsCount::new(items)).bench_local(|| bench.post(kind, &body));
}

fn main() -> Result<(), BenchError> {
    if let Some(port) = door::bare_port() {
        return door::serve_bare(port);
    }
    let bench = Bench::new()?;
    for items in SIZES {
        for kind in [BenchCase::Bare, BenchCase::Basic, BenchCase::Rich, BenchCase::BareRich] {
            if !bench.post(kind, &bench.request_body(kind, items)) {
                return Err(format!("{kind:?}, {items}: not taken").into());
            }
        }
    }
    // `cargo test --benches` and the like only see whether it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        print_table(&bench);
        print_hostile_table(&bench)?;
        door::print_tables()?;
        divan::main();
    }
    Ok(())
}
