//! The Functions host's rules for the handler process, tried on one that crashes on demand.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Request;
use jiff::SignedDuration;
use roombridge::base::rng::SystemRng;
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::queue::{Outbox, Queue};
use tower::ServiceExt;
use world::host::process::State;
use world::host::{
    Disposition, FunctionApp, FunctionsHost, InvocationResult, Level, MemoryQueues, StartOptions,
};
use world::memory::{MemoryOutbox, QueueKind};

type Failure = Box<dyn std::error::Error>;

struct ProcessFixture {
    host: Arc<FunctionsHost>,
    outbox: Arc<MemoryOutbox>,
    clock: ManualClock,
}

impl ProcessFixture {
    fn start(change: impl FnOnce(&mut FunctionApp, &mut StartOptions)) -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut app = FunctionApp::read(&root)?;
        let mut start = StartOptions {
            executable: Some(env!("CARGO_BIN_EXE_fake-handler").into()),
            settings: vec![("GREETING".into(), "hello".into())],
            sink: None,
        };
        change(&mut app, &mut start);
        let clock = ManualClock::new("2026-11-21T10:00:00Z".parse()?);
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&time)));
        let queues = Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&time)));
        let host = FunctionsHost::start(app, start, queues, time, Arc::new(SystemRng));
        Ok(Self { host, outbox, clock })
    }

    /// Sends `text` and has it worked on.
    async fn send_command(&self, text: &str) -> Result<(InvocationResult, Disposition), Failure> {
        self.outbox.send(Queue::FetchEvent, text.into(), Duration::ZERO).await?;
        let mut ran = self.host.process_all().await;
        let ran = ran.pop().ok_or("nothing was taken")?;
        Ok((ran.result.ok_or("nothing ran")?, ran.disposition))
    }

    async fn wait_until(&self, wanted: impl Fn(&State) -> bool) -> Result<State, Failure> {
        Ok(self.host.process().ok_or("no process")?.wait_until(wanted).await)
    }

    async fn wait_until_ready(&self) -> Result<u32, Failure> {
        match self.wait_until(|state| !matches!(state, State::Starting)).await? {
            State::Ready { pid, .. } => Ok(pid),
            State::Starting | State::Abandoned | State::Stopped => Err("not ready".into()),
        }
    }

    /// Waits for a process that is not `earlier`.
    async fn wait_for_restart(&self, earlier: u32) -> Result<u32, Failure> {
        let other = |state: &State| matches!(state, State::Ready { pid, .. } if *pid != earlier);
        self.wait_until(other).await?;
        self.wait_until_ready().await
    }
}

fn is_failed(verdict: &InvocationResult) -> bool {
    matches!(verdict, InvocationResult::Failed(_))
}

#[tokio::test]
async fn the_handler_runs_with_its_settings_and_its_lines_are_filed() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    assert_eq!(
        scene.send_command("print").await?,
        (InvocationResult::Succeeded, Disposition::Completed)
    );
    let line = scene.host.log().wait_for("out ").await;
    assert_eq!(line.level, Level::Information);
    assert!(line.text.starts_with("out \"hello\""), "{}", line.text);
    assert!(line.text.ends_with("home=false"), "nothing else of this process's environment");
    assert_eq!(scene.host.log().wait_for("a WARNing").await.level, Level::Warning);
    assert_eq!(scene.host.log().wait_for("a complaint").await.level, Level::Error);
    Ok(())
}

#[tokio::test]
async fn a_handler_that_ends_well_is_never_started_again() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    scene.wait_until_ready().await?;
    assert!(is_failed(&scene.send_command("quit").await?.0));
    scene.wait_until(|state| matches!(state, State::Abandoned)).await?;
    assert!(is_failed(&scene.send_command("print").await?.0));
    Ok(())
}

#[tokio::test]
async fn the_third_crash_stops_the_host() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    for _ in 0..2 {
        let pid = scene.wait_until_ready().await?;
        assert!(is_failed(&scene.send_command("crash").await?.0));
        scene.wait_for_restart(pid).await?;
    }
    assert!(is_failed(&scene.send_command("crash").await?.0));
    scene.wait_until(|state| matches!(state, State::Stopped)).await?;
    scene.clock.advance(SignedDuration::from_hours(1));
    assert!(scene.host.process_all().await.is_empty(), "nothing is taken any more");
    assert!(scene.host.run_due_timers().await.is_empty());
    assert_eq!(scene.outbox.messages(QueueKind::Main(Queue::FetchEvent)).len(), 3);
    Ok(())
}

#[tokio::test]
async fn every_process_of_a_hosts_life_gets_the_same_port() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    let mut ports = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let state = scene.wait_until(|state| matches!(state, State::Ready { .. })).await?;
        let State::Ready { pid, port } = state else { return Err("not ready".into()) };
        ports.insert(port);
        scene.send_command("again").await?;
        scene.wait_for_restart(pid).await?;
    }
    assert_eq!(ports.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_request_to_a_dead_handler_is_an_error_after_two_seconds() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    scene.wait_until_ready().await?;
    scene.send_command("quit").await?;
    scene.wait_until(|state| matches!(state, State::Abandoned)).await?;
    let begun = tokio::time::Instant::now();
    let request = Request::post("/api/notifications").body(Body::from("body"))?;
    assert_eq!(scene.host.http_router().oneshot(request).await?.status(), 500);
    assert!(begun.elapsed() > Duration::from_millis(1_800), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn crashes_more_than_half_an_hour_apart_are_forgotten() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    for _ in 0..5 {
        let pid = scene.wait_until_ready().await?;
        scene.send_command("crash").await?;
        scene.wait_for_restart(pid).await?;
        scene.clock.advance(SignedDuration::from_mins(31));
        // What was put back for another try is not part of this.
        for taken in scene.host.dequeue_all().await {
            scene.outbox.delete(
                QueueKind::Main(Queue::FetchEvent),
                &roombridge::queue::MessageReceipt {
                    message_id: taken.message.id,
                    pop_receipt: taken.message.pop_receipt,
                },
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn status_200_restarts_without_counting() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    let mut pid = scene.wait_until_ready().await?;
    for _ in 0..4 {
        scene.send_command("again").await?;
        pid = scene.wait_for_restart(pid).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_answer_times_out_and_takes_the_process_with_it() -> Result<(), Failure> {
    let scene =
        ProcessFixture::start(|app, _| app.settings.function_timeout = Duration::from_secs(1))?;
    let pid = scene.wait_until_ready().await?;
    assert_eq!(
        scene.send_command("hang").await?,
        (InvocationResult::TimedOut, Disposition::Retried)
    );
    scene.wait_for_restart(pid).await?;
    Ok(())
}

#[tokio::test]
async fn a_handler_that_listens_nowhere_is_an_error_each_time() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|app, start| {
        app.settings.initialization_timeout = Duration::from_millis(50);
        start.settings.push(("SILENT".into(), "1".into()));
    })?;
    scene.wait_until(|state| matches!(state, State::Stopped)).await?;
    Ok(())
}

#[tokio::test]
async fn a_request_from_outside_reaches_the_process() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    let request = Request::post("/api/notifications?a=1&a=2").body(Body::from("body"))?;
    let answer = scene.host.http_router().oneshot(request).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(to_bytes(answer.into_body(), 64).await?, "body");
    Ok(())
}

#[tokio::test]
async fn the_process_dies_with_its_host() -> Result<(), Failure> {
    let scene = ProcessFixture::start(|_, _| {})?;
    let state = scene.wait_until(|state| matches!(state, State::Ready { .. })).await?;
    let State::Ready { port, .. } = state else { return Err("not ready".into()) };
    drop(scene);
    // Refused as soon as the kernel has taken the socket down; there is nothing to wait on but that.
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    Ok(())
}
