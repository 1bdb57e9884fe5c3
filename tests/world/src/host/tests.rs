//! The host's rules, in process and in virtual time, on a handler that answers as the test says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::memory::{MemoryOutbox, QueueKind};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use roombridge::base::test_support::SeededRng;
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::queue::{Outbox, Queue};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use super::*;

const QUEUE: Queue = Queue::FetchEvent;
const JSON: [(http::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

/// What reached the handler.
type ReceivedRequests = Arc<Mutex<Vec<(Parts, Vec<u8>)>>>;

struct HostFixture {
    host: Arc<FunctionsHost>,
    outbox: Arc<MemoryOutbox>,
    clock: ManualClock,
    received: ReceivedRequests,
}

fn repository() -> FunctionApp {
    FunctionApp::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// A host over a handler that answers everything with `answer`.
fn host_fixture(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> HostFixture {
    host_fixture_with_timeout(repository().settings.function_timeout, answer)
}

/// As [`host_fixture`], with a `functionTimeout` that can be waited for.
fn host_fixture_with_timeout(
    function_timeout: Duration,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> HostFixture {
    let mut app = repository();
    app.settings.function_timeout = function_timeout;
    host_fixture_of(app, answer)
}

fn host_fixture_of(
    app: FunctionApp,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> HostFixture {
    let received = ReceivedRequests::default();
    let record = Arc::clone(&received);
    let handler = Router::new().fallback(move |request: Request| async move {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        record.lock().unwrap().push((head, body));
        answer()
    });
    host_fixture_for(app, handler, received)
}

fn host_fixture_for(app: FunctionApp, handler: Router, received: ReceivedRequests) -> HostFixture {
    let clock = ManualClock::new(at("2026-11-21T10:00:00Z"));
    let time: Arc<dyn Clock> = Arc::new(clock.clone());
    let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&time)));
    let queues = Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&time)));
    let rng = Arc::new(SeededRng::new(1));
    let host = FunctionsHost::in_process(app, handler, queues, time, rng);
    HostFixture { host, outbox, clock, received }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn done() -> Response {
    (JSON, r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#).into_response()
}

fn failed() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}").into_response()
}

impl HostFixture {
    async fn send(&self, text: &str) {
        self.outbox.send(QUEUE, text.into(), Duration::ZERO).await.unwrap();
    }

    /// The next run, which must be the only one.
    async fn run_next(&self) -> RunReport {
        let mut ran = self.host.process_all().await;
        assert_eq!(ran.len(), 1, "{ran:?}");
        ran.remove(0)
    }

    fn minutes(&self, minutes: i64) {
        self.clock.advance(SignedDuration::from_mins(minutes));
    }

    fn waiting(&self) -> usize {
        self.outbox.messages(QueueKind::Main(QUEUE)).len()
    }

    /// The body of the last call.
    fn last_call(&self) -> Value {
        serde_json::from_slice(&self.received.lock().unwrap().last().unwrap().1).unwrap()
    }

    /// The invocation id of the last call.
    fn last_id(&self) -> String {
        let received = self.received.lock().unwrap();
        let id = &received.last().unwrap().0.headers["x-azure-functions-invocationid"];
        id.to_str().unwrap().to_owned()
    }

    fn timer(&self) -> Value {
        self.last_call()["Data"]["timer"].clone()
    }
}

#[tokio::test]
async fn a_success_deletes_the_message() {
    let scene = host_fixture(done);
    scene.send("hello").await;
    let ran = scene.run_next().await;
    assert_eq!((ran.function.as_str(), ran.disposition), ("fetch-event", Disposition::Completed));
    assert_eq!(scene.waiting(), 0);
}

#[tokio::test]
async fn a_queue_call_is_like_the_captured_ones() {
    let scene = host_fixture(done);
    scene.send("hello").await;
    scene.run_next().await;
    let received = scene.received.lock().unwrap();
    let head = &received[0].0;
    assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("POST", "/fetch-event"));
    assert!(head.headers["user-agent"].to_str().unwrap().starts_with("Azure-Functions-Host/4."));
    assert_eq!(head.headers["content-type"], "application/json; charset=utf-8");
    assert!(!head.headers.contains_key("content-length"));
    let names: BTreeSet<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    let expected = [
        "content-type",
        "user-agent",
        "x-azure-functions-hostversion",
        "x-azure-functions-invocationid",
    ];
    assert_eq!(names, expected.into());
}

#[tokio::test]
async fn a_queue_call_has_a_trace_context_where_telemetry_is_on() {
    let mut app = repository();
    app.has_telemetry = true;
    let scene = host_fixture_of(app, done);
    scene.send("hello").await;
    scene.run_next().await;
    assert!(scene.received.lock().unwrap()[0].0.headers.contains_key("traceparent"));
}

#[tokio::test]
async fn a_message_that_fails_five_times_is_poison() {
    let scene = host_fixture(failed);
    scene.send("hello").await;
    for _ in 0..4 {
        assert_eq!(scene.run_next().await.disposition, Disposition::Retried);
        assert!(scene.host.process_all().await.is_empty(), "hidden for a minute");
        scene.minutes(1);
    }
    assert_eq!(scene.run_next().await.disposition, Disposition::Abandoned);
    assert_eq!(scene.last_call()["Metadata"]["DequeueCount"], "5");
    assert_eq!(scene.waiting(), 0);
    assert_eq!(scene.outbox.messages(QueueKind::Poison(QUEUE))[0].text, "hello");
}

#[tokio::test]
async fn a_message_that_killed_five_instances_is_poison_without_running() {
    let scene = host_fixture(done);
    scene.send("hello").await;
    for _ in 0..5 {
        assert_eq!(scene.host.dequeue_all().await.len(), 1);
        assert!(scene.host.dequeue_all().await.is_empty(), "hidden for ten minutes");
        scene.minutes(10);
    }
    let ran = scene.run_next().await;
    assert_eq!((ran.result, ran.disposition), (None, Disposition::Abandoned));
    assert!(scene.received.lock().unwrap().is_empty());
    assert_eq!(scene.outbox.messages(QueueKind::Poison(QUEUE)).len(), 1);
}

#[tokio::test]
async fn only_a_json_object_is_a_success() {
    fn of_kind(kind: &'static str) -> Response {
        ([(header::CONTENT_TYPE, kind)], "{}").into_response()
    }
    let answers: [(fn() -> Response, bool); 8] = [
        (|| (JSON, r#"{"key1":1}"#).into_response(), true),
        (|| of_kind("text/json; charset=utf-8"), true),
        (|| of_kind("application/problem+json"), false),
        (|| of_kind("text/plain"), false),
        (|| (JSON, "[]").into_response(), false),
        (|| (JSON, "{").into_response(), false),
        (|| "{}".into_response(), false),
        (|| (StatusCode::NOT_FOUND, JSON, "{}").into_response(), false),
    ];
    for (place, (answer, success)) in answers.into_iter().enumerate() {
        let scene = host_fixture(answer);
        scene.send("hello").await;
        let ran = scene.run_next().await;
        assert_eq!(ran.result == Some(InvocationResult::Succeeded), success, "{place}");
        assert_eq!(
            ran.disposition,
            if success { Disposition::Completed } else { Disposition::Retried },
            "{place}"
        );
    }
}

#[tokio::test]
async fn redirects_of_a_queue_call_are_followed() {
    let received = ReceivedRequests::default();
    for (status, expected) in [(307, "POST /there"), (308, "POST /there"), (302, "GET /there")] {
        let record = Arc::clone(&received);
        let handler = Router::new().fallback(move |request: Request| async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let away = head.uri.path() == "/fetch-event";
            record.lock().unwrap().push((head, body));
            if away {
                let status = StatusCode::from_u16(status).unwrap();
                (status, [(header::LOCATION, "/there")]).into_response()
            } else {
                done()
            }
        });
        let scene = host_fixture_for(repository(), handler, Arc::clone(&received));
        scene.send("hello").await;
        assert_eq!(scene.run_next().await.disposition, Disposition::Completed);
        let received = std::mem::take(&mut *received.lock().unwrap());
        let (head, body) = &received[1];
        assert_eq!(format!("{} {}", head.method, head.uri.path()), expected);
        assert_eq!(*body == received[0].1, status != 302);
    }
}

#[tokio::test]
async fn a_success_without_a_body_never_completes() {
    let answers: [fn() -> Response; 3] = [
        || StatusCode::OK.into_response(),
        || StatusCode::ACCEPTED.into_response(),
        || (JSON, "null").into_response(),
    ];
    for answer in answers {
        let scene = host_fixture_with_timeout(Duration::from_millis(20), answer);
        scene.send("hello").await;
        let ran = scene.run_next().await;
        assert_eq!(
            (ran.result, ran.disposition),
            (Some(InvocationResult::TimedOut), Disposition::Retried)
        );
    }
}

#[tokio::test]
async fn the_order_of_messages_is_drawn_and_repeats_with_its_seed() {
    let order = async || {
        let scene = host_fixture(done);
        for number in 0..20 {
            scene.send(&number.to_string()).await;
        }
        assert_eq!(scene.host.process_all_concurrently().await.len(), 20);
        let received = scene.received.lock().unwrap();
        let text =
            |body: &Vec<u8>| serde_json::from_slice::<Value>(body).unwrap()["Data"].to_string();
        received.iter().map(|(_, body)| text(body)).collect::<Vec<_>>()
    };
    let first = order().await;
    assert_eq!(first, order().await);
    assert!(!first.is_sorted_by_key(String::len) || !first.is_sorted());
}

#[tokio::test]
async fn at_most_a_batch_and_the_threshold_run_at_once() {
    let (count, mut counted) = watch::channel(0_usize);
    let (most, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (peak, door) = (Arc::clone(&most), Arc::clone(&gate));
    let count = Arc::new(count);
    let handler = Router::new().fallback(move || async move {
        count.send_modify(|running| *running += 1);
        peak.fetch_max(*count.borrow(), Ordering::SeqCst);
        door.acquire().await.unwrap().forget();
        count.send_modify(|running| *running -= 1);
        done()
    });
    let scene = host_fixture_for(repository(), handler, ReceivedRequests::default());
    for _ in 0..150 {
        scene.send("hello").await;
    }
    let _listening = scene.host.listen();
    counted.wait_for(|running| *running == 64).await.unwrap();
    gate.add_permits(150);
    while scene.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 64);
}

#[tokio::test]
async fn the_first_run_of_a_timer_has_year_one_as_its_last() {
    let scene = host_fixture(done);
    assert!(scene.host.run_due_timers().await.is_empty());
    assert_eq!(scene.host.next_run("purge-expired"), Some(at("2026-11-21T10:15:00Z")));
    scene.clock.set(at("2026-11-21T10:00:30Z"));
    let ran = scene.host.run_due_timers().await;
    assert_eq!((ran.len(), ran[0].function.as_str()), (1, "dispatch-due"));
    let timer = scene.timer();
    assert_eq!(timer["ScheduleStatus"]["Last"], "0001-01-01T00:00:00+00:00");
    assert_eq!(timer["ScheduleStatus"]["Next"], "2026-11-21T10:00:30+00:00");
    assert_eq!(timer["IsPastDue"], false);
    assert!(scene.host.run_due_timers().await.is_empty(), "once an occurrence");
}

#[tokio::test]
async fn missed_runs_are_caught_up_by_exactly_one() {
    let scene = host_fixture(done);
    scene.clock.set(at("2026-11-21T10:44:00Z"));
    let ran: Vec<String> =
        scene.host.run_due_timers().await.into_iter().map(|ran| ran.function).collect();
    assert_eq!(ran, ["dispatch-due", "purge-expired"]);
    assert_eq!(scene.timer()["IsPastDue"], true);
    assert!(scene.host.run_due_timers().await.is_empty());
    assert_eq!(scene.host.next_run("dispatch-due"), Some(at("2026-11-21T10:45:30Z")));
    scene.clock.set(at("2026-11-21T10:45:30Z"));
    scene.host.run_due_timers().await;
    let last = &scene.received.lock().unwrap()[2].1;
    let last = String::from_utf8(last.clone()).unwrap();
    assert!(last.contains(r#""Last":"2026-11-21T10:44:00+00:00""#), "{last}");
}

#[tokio::test]
async fn a_failed_run_is_repeated_three_times_half_a_minute_apart() {
    let scene = host_fixture(failed);
    scene.clock.set(at("2026-11-21T10:00:30Z"));
    let mut ids = BTreeSet::new();
    for retry in 0..4 {
        let ran = scene.host.run_due_timers().await;
        assert_eq!(
            ran[0].disposition,
            if retry < 3 { Disposition::Retried } else { Disposition::Abandoned }
        );
        let context = scene.last_call()["Metadata"]["RetryContext"].clone();
        assert_eq!(context["RetryCount"], retry);
        let exception = &context["Exception"];
        assert_eq!(exception["MethodName"].as_str().is_some(), retry > 0, "{exception}");
        ids.insert(scene.last_id());
        assert!(scene.host.run_due_timers().await.is_empty());
        scene.clock.advance(SignedDuration::from_secs(30));
    }
    assert!(scene.host.run_due_timers().await.is_empty());
    assert_eq!(ids.len(), 1, "the tries are one invocation");
    assert_eq!(scene.host.next_run("dispatch-due"), Some(at("2026-11-21T10:05:30Z")));
}

#[tokio::test]
async fn a_timer_run_by_hand_leaves_its_schedule_alone() {
    let scene = host_fixture(done);
    let ran = scene.host.run_timer("purge-expired").await.unwrap();
    assert_eq!(ran.result, Some(InvocationResult::Succeeded));
    assert_eq!(scene.host.next_run("purge-expired"), Some(at("2026-11-21T10:15:00Z")));
    assert!(scene.host.run_timer("fetch-event").await.is_err());
}

#[tokio::test]
async fn a_request_from_outside_is_passed_on_as_it_came() {
    let answer = || {
        let headers = [("connection", "close, x-hop"), ("x-hop", "1"), ("location", "/away")];
        (StatusCode::FOUND, headers, "moved").into_response()
    };
    let scene = host_fixture(answer);
    let request = Request::post("/api/notifications?validationToken=a%20b+c&x=1&x=2")
        .header("host", "roombridge.example")
        .header("connection", "keep-alive, x-private")
        .header("x-private", "1")
        .header("te", "trailers")
        .header("user-agent", "Azure-Functions-Host/4.0")
        .header("x-azure-functions-invocationid", "forged")
        .header("traceparent", "00-caller")
        .body(Body::from("as it is"))
        .unwrap();
    let answer = scene.host.http_router().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 302, "redirects are the caller's");
    assert!(answer.headers().get("x-hop").is_none());
    let received = scene.received.lock().unwrap();
    let (head, body) = &received[0];
    assert_eq!(head.uri.to_string(), "/api/notifications?validationToken=a%20b+c&x=1&x=2");
    assert_eq!(body, b"as it is");
    assert_eq!(head.headers["host"], "roombridge.example");
    assert_eq!(head.headers["traceparent"], "00-caller");
    assert_ne!(head.headers["x-azure-functions-invocationid"], "forged");
    assert_eq!(head.headers["x-azure-functions-invocationid"], head.headers["x-ms-invocation-id"]);
    assert_eq!(head.headers["x-forwarded-proto"], "https");
    for gone in ["connection", "x-private", "te"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn the_proxy_writes_the_callers_address_over_whatever_the_caller_claims() {
    use roombridge::base::http::Http as _;
    let scene = host_fixture(done);
    let network = crate::network::Network::new();
    network.register("app.example", scene.host.http_router());
    let graph = network.calling_from("20.190.0.7:443".parse().unwrap());
    let attacker = network.calling_from("[2001:db8::1]:4711".parse().unwrap());
    let request = |claims: &[&str]| {
        let mut request = http::Request::post("https://app.example/api/notifications");
        for claim in claims {
            request = request.header("x-forwarded-for", *claim);
        }
        request.body(bytes::Bytes::new()).unwrap()
    };
    graph.send(request(&[])).await.unwrap();
    attacker.send(request(&["20.190.0.7:443"])).await.unwrap();
    attacker.send(request(&["20.190.0.7:443", "1.2.3.4, 5.6.7.8"])).await.unwrap();
    network.send(request(&[])).await.unwrap();
    let received = scene.received.lock().unwrap();
    let forwarded = received.iter().map(|(head, _)| {
        assert_eq!(head.headers.get_all("x-forwarded-for").iter().count(), 1);
        head.headers["x-forwarded-for"].to_str().unwrap().to_owned()
    });
    let expected = ["20.190.0.7", "2001:db8::1", "2001:db8::1", "203.0.113.1"];
    assert_eq!(forwarded.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_encoded_slash_in_a_path_arrives_encoded_twice() {
    let scene = host_fixture(done);
    let request = Request::get("/api/my-calendar/a%2Fb?next=%2Fx").body(Body::empty()).unwrap();
    assert_eq!(scene.host.http_router().oneshot(request).await.unwrap().status(), 200);
    let received = scene.received.lock().unwrap();
    assert_eq!(received[0].0.uri.to_string(), "/api/my-calendar/a%252Fb?next=%2Fx");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_is_sent_up_to_ten_times_within_two_seconds() {
    for (lost, status, calls) in [(1, 200, 2), (9, 200, 10), (10, 500, 10)] {
        let echo = Router::new().fallback(|body: String| async { body });
        let way = Arc::new(LossyTransport::new(echo, lost));
        let scene = host_fixture(done);
        let queues = Arc::clone(&scene.host.queues);
        let (clock, rng) = (Arc::clone(&scene.host.clock), Arc::clone(&scene.host.rng));
        let host = FunctionsHost::over_transport(repository(), way.clone(), queues, clock, rng);
        let begun = tokio::time::Instant::now();
        let request = Request::post("/api/notifications").body(Body::from("whole")).unwrap();
        let answer = host.http_router().oneshot(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), way.calls()), (status, calls));
        let body = to_bytes(answer.into_body(), 100).await.unwrap();
        assert_eq!(body, if lost < 10 { "whole" } else { "" });
        assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stops_cuts_long_work_and_leaves_its_message_hidden() {
    for (seconds, finished) in [(8, true), (60, false)] {
        let handler = Router::new().fallback(move || async move {
            // paused clock: the host cuts the work by it.
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            done()
        });
        let scene = host_fixture_for(repository(), handler, ReceivedRequests::default());
        scene.send("hello").await;
        let listening = scene.host.listen();
        // paused clock: the host polls on it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = tokio::time::Instant::now();
        listening.drain().await;
        assert!(begun.elapsed() <= Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(scene.waiting(), usize::from(!finished));
        scene.minutes(9);
        assert!(scene.host.dequeue_all().await.is_empty());
        scene.minutes(1);
        assert_eq!(scene.host.dequeue_all().await.len(), usize::from(!finished));
    }
}

#[tokio::test]
async fn a_path_without_a_function_is_not_found() {
    let scene = host_fixture(done);
    let outside = [
        ("GET", "/api/notifications"),
        ("POST", "/notifications"),
        ("POST", "/fetch-event"),
        ("POST", "/api/fetch-event"),
        ("POST", "/api/notifications/../fetch-event"),
        ("GET", "/"),
        ("POST", "/admin/functions/purge-expired"),
    ];
    for (method, path) in outside {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = scene.host.http_router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
    }
    assert!(scene.received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_beyond_the_platforms_limit_is_refused() {
    let scene = host_fixture(done);
    let request = Request::post("/api/notifications")
        .header("content-length", "104857601")
        .body(Body::empty())
        .unwrap();
    assert_eq!(scene.host.http_router().oneshot(request).await.unwrap().status(), 500);
}

#[tokio::test]
async fn an_answer_to_a_large_body_that_was_not_read_is_an_error() {
    let handler = Router::new().fallback(|| async { "early" });
    let early = host_fixture_for(repository(), handler, ReceivedRequests::default()).host;
    for (bytes, expected) in [(1_000, 200), (400_000, 500)] {
        let request = Request::post("/api/notifications")
            .header("content-length", bytes)
            .body(Body::from(vec![b'x'; bytes]))
            .unwrap();
        let answer = early.http_router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{bytes}");
    }
}

#[tokio::test]
async fn the_app_is_served_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let tls = crate::tls::Tls::create(directory.path()).unwrap();
    let scene = host_fixture(|| "handshake".into_response());
    let serving = crate::serve::https(scene.host.http_router(), &tls).unwrap();
    let url = format!("{}/api/notifications", serving.url());
    let answer = tls.client().unwrap().post(url).body("x").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "handshake");
    let received = scene.received.lock().unwrap();
    assert!(received[0].0.headers["x-forwarded-for"].to_str().unwrap().starts_with("127.0.0.1"));
}
