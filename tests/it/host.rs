//! The handler's router under the Functions host: over a socket, and on the emulator's queues.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use http::{Request, header};
use roombridge::base::clock::{Clock, SystemClock};
use roombridge::base::http::RetryPolicy;
use roombridge::base::rng::SystemRng;
use roombridge::host::{
    FUNCTIONS, Functions, InvocationContext, InvocationError, Limits, QueueDelivery, QueueFunction,
    TimerFunction, TimerTick, Trigger, server,
};
use roombridge::queue::azure::AzureOutbox;
use roombridge::queue::{Outbox, Queue};
use roombridge::store::tables::Table;
use tower::ServiceExt;
use world::azurite::Azurite;
use world::exchange::Response;
use world::host::{
    AzureQueues, Disposition, FunctionApp, FunctionsHost, InvocationResult, LossyTransport,
    MemoryQueues, SocketTransport,
};
use world::memory::{MemoryOutbox, QueueKind};
use world::test_world::{APP_HOST, TestWorld};

use crate::TestResult;
use crate::contoso::{Contoso, minutes, seconds};

/// Fails messages that ask for it, and records the rest.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn record(&self, line: String) -> Result<(), InvocationError> {
        if line.contains("fail") {
            return Err(InvocationError("on request".into()));
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl QueueFunction for Recorder {
    async fn invoke(
        &self,
        cx: InvocationContext,
        delivery: QueueDelivery,
    ) -> Result<(), InvocationError> {
        let QueueDelivery { text, dequeue_count, id } = delivery;
        let tries = dequeue_count.unwrap_or_default();
        self.record(format!("{} {text} {tries} {}", cx.function, id.is_some()))
    }
}

#[async_trait]
impl TimerFunction for Recorder {
    async fn invoke(&self, cx: InvocationContext, tick: TimerTick) -> Result<(), InvocationError> {
        self.record(format!("{} {}", cx.function, tick.next_run.is_some()))
    }
}

fn app() -> Result<FunctionApp, world::host::AppError> {
    FunctionApp::read(Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn handler(
    recorder: &Arc<Recorder>,
) -> Result<Router, roombridge::host::functions::FunctionTableMismatch> {
    let functions = Functions::new(Arc::new(SystemClock), Limits::default());
    let given = FUNCTIONS.iter().fold(functions, |given, function| match function.trigger {
        Trigger::Http { .. } => {
            let echo = Router::new().route("/", post(|body: String| async { body }));
            given.http(function.name, echo)
        }
        Trigger::Queue { .. } => given.queue(function.name, Arc::clone(recorder) as _),
        Trigger::Timer { .. } => given.timer(function.name, Arc::clone(recorder) as _),
    });
    given.into_router()
}

#[tokio::test]
async fn every_function_is_reached_over_a_socket() -> TestResult {
    let recorder = Arc::new(Recorder::default());
    let listener = server::bind(0).await?;
    let transport = Arc::new(SocketTransport::new(listener.local_addr()?.port()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::run(listener, handler(&recorder)?, async {
        drop(stopped.await);
    }));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&clock)));
    let queues = Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&clock)));
    let host = FunctionsHost::over_transport(app()?, transport, queues, clock, Arc::new(SystemRng));

    for queue in Queue::ALL {
        outbox.send(queue, r#"{"v1":{"n":1}}"#.into(), Duration::ZERO).await?;
        outbox.send(queue, "fail".into(), Duration::ZERO).await?;
    }
    let ran = host.process_all_concurrently().await;
    assert_eq!(
        ran.iter().filter(|ran| ran.disposition == Disposition::Completed).count(),
        Queue::ALL.len()
    );
    assert_eq!(
        ran.iter().filter(|ran| ran.disposition == Disposition::Retried).count(),
        Queue::ALL.len()
    );
    for timer in ["purge-expired", "dispatch-due"] {
        assert_eq!(host.run_timer(timer).await?.result, Some(InvocationResult::Succeeded));
    }
    let request = Request::post("/api/notifications").body(Body::from("from outside"))?;
    assert_eq!(host.http_router().oneshot(request).await?.status(), 200);

    let mut lines = recorder.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            r#"create-booking {"v1":{"n":1}} 1 true"#,
            "dispatch-due true",
            r#"fetch-event {"v1":{"n":1}} 1 true"#,
            r#"maintain-mailbox {"v1":{"n":1}} 1 true"#,
            r#"maintain-tenant {"v1":{"n":1}} 1 true"#,
            "purge-expired true",
            r#"write-back {"v1":{"n":1}} 1 true"#,
        ]
    );
    // The host keeps its connections; the server ends all the same.
    drop((stop, host));
    serving.await??;
    Ok(())
}

#[tokio::test]
async fn messages_of_the_emulator_are_deleted_shown_again_or_given_up() -> TestResult {
    needs_azurite!();
    let storage = Azurite::shared().await?.connect()?;
    let (credential, transport) = (&storage.credential, &storage.transport);
    let url = &storage.account.queue_url;
    let outbox = AzureOutbox::new(url, credential, transport, RetryPolicy::WORKER)?;
    outbox.create_all().await?;
    let queues = AzureQueues::new(url.parse()?, Arc::clone(credential), transport.clone())?;
    let recorder = Arc::new(Recorder::default());
    let mut app = app()?;
    app.settings.queues.max_dequeue_count = 2;
    app.settings.queues.visibility_timeout = Duration::ZERO;
    let host = FunctionsHost::in_process(
        app,
        handler(&recorder)?,
        Arc::new(queues),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    );

    outbox.send(Queue::FetchEvent, r#"{"v1":"<&>"}"#.into(), Duration::ZERO).await?;
    outbox.send(Queue::WriteBack, "fail".into(), Duration::ZERO).await?;
    let mut fates: Vec<Disposition> =
        host.process_all().await.into_iter().map(|ran| ran.disposition).collect();
    fates.sort();
    assert_eq!(fates, [Disposition::Completed, Disposition::Retried]);
    let ran = host.process_all().await;
    assert_eq!(ran.iter().map(|ran| ran.disposition).collect::<Vec<_>>(), [Disposition::Abandoned]);
    assert!(host.process_all().await.is_empty());
    assert_eq!(recorder.lines(), [r#"fetch-event {"v1":"<&>"} 1 true"#]);
    let poisoned = outbox.receive_poisoned(Queue::WriteBack, 32).await?;
    assert_eq!(
        poisoned.iter().map(|poisoned| poisoned.text.as_str()).collect::<Vec<_>>(),
        ["fail"]
    );
    Ok(())
}

#[tokio::test]
async fn a_listening_host_works_off_its_queues_by_itself() -> TestResult {
    let recorder = Arc::new(Recorder::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&clock)));
    let queues = Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&clock)));
    let rng = Arc::new(SystemRng);
    let host = FunctionsHost::in_process(app()?, handler(&recorder)?, queues, clock, rng);
    for queue in Queue::ALL {
        outbox.send(queue, "tick".into(), Duration::ZERO).await?;
    }
    let listening = host.listen();
    while Queue::ALL.iter().any(|queue| !outbox.messages(QueueKind::Main(*queue)).is_empty()) {
        tokio::task::yield_now().await;
    }
    drop(listening);
    let queue_lines = recorder.lines().into_iter().filter(|line| line.contains("tick"));
    assert_eq!(queue_lines.count(), Queue::ALL.len());
    Ok(())
}

/// Calls that a real host made (4.1037, 2026-11-29), each with its headers.
const CAPTURED: &str = include_str!("../fixtures/host/captured-calls.jsonl");

#[derive(serde::Deserialize)]
struct CapturedCall {
    case: String,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

#[tokio::test]
async fn what_a_real_host_was_seen_to_send_is_answered() -> TestResult {
    let world = TestWorld::new(1)?;
    let router = world.app.router()?;
    let mut answers = Vec::new();
    for line in CAPTURED.lines() {
        let call: CapturedCall = serde_json::from_str(line)?;
        let mut request = Request::builder().method(call.method.as_str()).uri(&call.url);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let answer = router.clone().oneshot(request.body(Body::from(call.body))?).await?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
        let body = axum::body::to_bytes(answer.into_body(), 1_000_000).await?;
        // Anything else than a JSON object makes the host wait for its timeout, or is a failure.
        if ["queue: ", "timer: "].iter().any(|kind| call.case.starts_with(kind)) {
            assert!(kind.is_some_and(|kind| kind == "application/json"), "{}", call.case);
            let body: serde_json::Value = serde_json::from_slice(&body)?;
            assert!(body.is_object(), "{}: {body}", call.case);
        }
        let word = call.case.split([':', ',', ' ']).next().unwrap_or_default();
        answers.push(format!("{word} {} {status}", call.url));
    }
    let expected = [
        "readiness / 200",
        "validation /api/notifications?validationToken=a%20b%2Bc&x=1&x=2 200",
        // Graph's own items are in neither; the forged headers change nothing.
        "notification /api/notifications 202",
        "notification /api/notifications 202",
        // Browsers are sent to the address in small letters, where no page is.
        "page /api/my-calendar/a%252Fb?next=%2Fx 308",
        "api /api/my-calendar/api 401",
        "page /api/my-calendar/ 308",
        // No message of ours: the host counts the tries and puts them aside.
        "queue /fetch-event 500",
        "queue /create-booking 500",
        "queue /write-back 500",
        "timer /dispatch-due 200",
        "timer /dispatch-due 200",
        "timer /dispatch-due 200",
        "timer /dispatch-due 200",
        "timer /purge-expired 200",
    ];
    assert_eq!(answers, expected);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_notification_that_the_host_sends_twice_books_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let way = Arc::new(LossyTransport::new(world.app.router()?, 1));
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let queues = MemoryQueues::new(Arc::clone(&world.memory_outbox), Arc::clone(&clock));
    let rng = Arc::clone(&world.rng);
    let front = FunctionsHost::over_transport(app()?, way, Arc::new(queues), clock, rng);
    world.microsoft.network.register(APP_HOST, front.http_router());

    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let delivered = world.microsoft.graph.deliver_due().await;
    assert_eq!(contoso.queue_len(Queue::FetchEvent), delivered.posts.len() + 1);
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    assert_eq!(contoso.graph_requests("POST", "/users/{id}/events/{id}/accept").len(), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_run_that_failed_is_repeated_half_a_minute_later() -> TestResult {
    let contoso = Contoso::open().await?;
    let world = &contoso.world;
    world.clock.set("2026-11-23T08:05:30Z".parse()?);
    world.table_faults.set_down(true);
    let ran = world.host.run_due_timers().await;
    assert_eq!(ran.iter().map(|run| run.disposition).collect::<Vec<_>>(), [Disposition::Retried]);
    world.table_faults.set_down(false);
    world.clock.advance(seconds(30));
    // The call brings the whole exception of the run before, and the id is the same.
    let ran = world.host.run_due_timers().await;
    assert_eq!(ran.iter().map(|run| run.disposition).collect::<Vec<_>>(), [Disposition::Completed]);
    contoso.assert_healthy().await
}

#[tokio::test(start_paused = true)]
async fn work_that_a_stopping_host_cuts_is_done_ten_minutes_later() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, tenant, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    world.microsoft.graph.deliver_due().await;
    world.microsoft.graph.set_answer_time(tenant.id(), Duration::from_secs(60));
    let listening = world.host.listen();
    // paused clock: the host polls on it.
    tokio::time::sleep(Duration::from_secs(1)).await;
    listening.drain().await;
    world.microsoft.graph.set_answer_time(tenant.id(), Duration::ZERO);

    contoso.run_for(minutes(9)).await;
    assert_eq!(contoso.booking(&meeting, aurora).await?, None, "its message is hidden");
    contoso.run_for(minutes(3)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_encoded_slash_leads_to_no_page() -> TestResult {
    let world = TestWorld::new(1)?;
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty())?;
        Ok::<_, crate::TestError>(world.host.http_router().oneshot(request).await?)
    };
    let answer = get("/api/my-calendar/a%2Fb").await?;
    assert_eq!(answer.headers()[header::LOCATION], "/api/my-calendar/a%252fb");
    // Encoded again at each turn it would be sent on for ever.
    assert_eq!(get("/api/my-calendar/a%252fb").await?.status(), 404);
    Ok(())
}
