//! How long a person waits: from a notification's POST to the room's answer, on the host of `tests/world`,
//! which polls as the real one does.
//!
//! `cargo bench --bench answer` prints the distribution over 200 meetings for each `maxPollingInterval`. Each
//! meets queues that were quiet, and caches that have expired. Time is Tokio's paused clock, so it is what
//! the polls, the stores and Graph take, and not this machine.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode};
use tokio::time::{Instant, sleep};
use world::exchange::{Invitation, Mailbox, Processing, Response, Tenant};
use world::host::{FunctionApp, FunctionsHost, MemoryQueues};
use world::test_world::{TestWorld, repository_root};

/// Any error before anything was measured.
type BenchError = Box<dyn std::error::Error + Send + Sync>;

const MEETINGS: u32 = 200;
/// `maxPollingInterval`, and how long Graph takes to answer, in milliseconds.
const CASES: [(u64, u64); 5] = [(250, 0), (500, 0), (500, 150), (1_000, 0), (2_000, 0)];
/// What a call of a table or a queue takes (assumed, in one region).
const STORAGE_ANSWER_TIME: Duration = Duration::from_millis(10);
/// What a queue operation costs, in USD (`docs/measurements.md`).
const OPERATION_PRICE: f64 = 0.004 / 1e4;
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

struct Office {
    world: TestWorld,
    host: Arc<FunctionsHost>,
    tenant: Tenant,
    anna: Mailbox,
    aurora: Mailbox,
}

impl Office {
    async fn open(longest_pause: Duration, graph: Duration) -> Result<Self, BenchError> {
        let world = TestWorld::new(1)?;
        let tenant = world.microsoft.tenant("Contoso");
        let anna = tenant.person("Anna");
        let aurora = tenant.room("Aurora", Processing::AutoUpdate);
        let fixtures = world.fixtures();
        fixtures.connect(&tenant, ContentPolicy::default()).await?;
        fixtures.agree(&anna).await?;
        fixtures.manage_room(&aurora, ResponseMode::RoombridgeDecides).await?;
        world.run_until_idle().await;
        world.table_faults.set_answer_time(STORAGE_ANSWER_TIME);
        world.queue_faults.set_answer_time(STORAGE_ANSWER_TIME);
        world.microsoft.graph.set_answer_time(tenant.id(), graph);
        let mut app = FunctionApp::read(&repository_root())?;
        app.settings.queues.max_polling_interval = longest_pause;
        let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
        let queues = MemoryQueues::new(Arc::clone(&world.memory_outbox), Arc::clone(&clock));
        let (router, rng) = (world.app.router()?, Arc::clone(&world.rng));
        let host = FunctionsHost::in_process(app, router, Arc::new(queues), clock, rng);
        Ok(Self { world, host, tenant, anna, aurora })
    }

    /// From the POST about a new meeting at `start` to the room's answer.
    async fn wait_for_answer(&self, start: Timestamp) -> Result<Duration, BenchError> {
        let invitation = Invitation::new("Numbers", start, start + SignedDuration::from_mins(30));
        let meeting = self.tenant.meet(&self.anna, invitation.room(&self.aurora))?;
        self.world.microsoft.exchange.deliver_due();
        let begun = Instant::now();
        self.world.microsoft.graph.deliver_due().await;
        while meeting.response_of(&self.aurora) != Some(Response::Accepted) {
            sleep(Duration::from_millis(1)).await;
        }
        Ok(begun.elapsed())
    }

    /// Until nothing is left to do, caches have expired and every queue has been empty for long.
    async fn quiet_down(&self, longest_pause: Duration) {
        for _ in 0..2 {
            self.world.run_until_idle().await;
            self.world.clock.advance(SignedDuration::from_mins(2));
        }
        self.world.run_until_idle().await;
        let spread = u64::try_from(longest_pause.as_micros()).unwrap_or(u64::MAX);
        sleep(longest_pause * 8 + Duration::from_micros(self.world.rng.below(spread))).await;
    }
}

/// The waits of all meetings, the shortest first.
async fn waits(longest_pause: Duration, graph: Duration) -> Result<Vec<Duration>, BenchError> {
    let office = Office::open(longest_pause, graph).await?;
    let _listening = office.host.listen();
    let first: Timestamp = "2026-11-25T00:00:00Z".parse()?;
    let mut waits = Vec::new();
    for number in 0..MEETINGS {
        office.quiet_down(longest_pause).await;
        let start = first + SignedDuration::from_mins(30) * i32::try_from(number)?;
        waits.push(office.wait_for_answer(start).await?);
    }
    waits.sort();
    Ok(waits)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
async fn print_table() -> Result<(), BenchError> {
    println!(
        "maxPollingInterval  Graph   shortest  median  9 of 10  longest   USD a month for polls"
    );
    for (interval, graph) in CASES {
        let (pause, graph) = (Duration::from_millis(interval), Duration::from_millis(graph));
        let waits = waits(pause, graph).await?;
        let at = |part: f64| {
            let place = (part * (waits.len() - 1) as f64).round() as usize;
            waits.get(place).copied().unwrap_or_default().as_secs_f64()
        };
        let price = MONTH_SECONDS / pause.as_secs_f64() * OPERATION_PRICE;
        println!(
            "{interval:>15} ms {:>4} ms {:>8.2} s {:>5.2} s {:>6.2} s {:>6.2} s {price:>15.2} an instance",
            graph.as_millis(),
            at(0.0),
            at(0.5),
            at(0.9),
            at(1.0),
        );
    }
    Ok(())
}

fn main() -> Result<(), BenchError> {
    // `cargo test --benches` and the like only see whether it is built.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(print_table())
}
