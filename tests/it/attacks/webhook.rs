//! Bodies that cost a stranger little and should cost us little, too.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::Request;
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::domain::tenant::policy::ContentPolicy;
use roombridge::graph::notifications::parse;
use roombridge::host::server;
use roombridge::identity::keys::client_state::{self, SecretKey};
use roombridge::queue::Queue;
use roombridge::web::notifications::MAX_BODY;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt as _;
use uuid::Uuid;
use world::memory::QueueKind;

use crate::contoso::{Contoso, hours, minutes};
use crate::fetch_event::rich::rich_contoso;
use crate::{TestError, TestResult};

/// As it comes over a socket.
const CHUNK: usize = 64 * 1024;

/// `piece` between `before` and `after`, as often as 4 MiB hold.
fn filled(before: &str, piece: &str, after: &str) -> Bytes {
    let times = (MAX_BODY - before.len() - after.len()) / piece.len();
    Bytes::from(format!("{before}{}{after}", piece.repeat(times)))
}

fn numbered(before: &str, piece: impl Fn(usize) -> String, after: &str) -> Bytes {
    let mut body = before.to_owned();
    for n in 0.. {
        let piece = piece(n);
        if body.len() + piece.len() + after.len() > MAX_BODY {
            break;
        }
        body.push_str(&piece);
    }
    Bytes::from(body + after)
}

fn post(body: Body) -> Result<Request<Body>, TestError> {
    let request = Request::post("/api/notifications").header("content-type", "application/json");
    Ok(request.body(body)?)
}

#[test]
fn no_body_takes_more_than_four_times_its_size() -> TestResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let contoso = runtime.block_on(Contoso::open())?;
    let router = contoso.world.app.router()?;
    let member = |n| format!(r#""{n}":{n},"#);
    let item = |n| format!(r#"{{"{n}":{{}},"clientState":"{}"}},"#, "x".repeat(900));
    for (body, status) in [
        (filled(r#"{"value":["#, "0,", "0]}"), 413),
        (filled(r#"{"value":["#, "{},", "{}]}"), 413),
        (filled(r#"{"value":["#, "[],", "[]]}"), 413),
        (filled("[", "0,", "0]"), 400),
        (filled(r#"{"a":"#, "[", ""), 400),
        (filled(r#"{"value":["#, r#"{"resourceData":"#, ""), 400),
        (filled("{", r#""value":[{}],"#, r#""value":[]}"#), 202),
        (filled(r#"{"value":[],"validationTokens":["#, r#""a","#, r#""a"]}"#), 202),
        (filled(r#"{"value":[{"clientState":""#, r"\u0041", r#""}]}"#), 202),
        (numbered("{", member, r#""value":[]}"#), 202),
        (numbered(r#"{"value":[{"#, member, r#""value":[]}]}"#), 202),
        (numbered(r#"{"value":["#, item, "{}]}"), 202),
    ] {
        let shown = String::from_utf8_lossy(&body[..60]).into_owned();
        let size = u64::try_from(body.len())?;
        let chunk = |at| Ok::<_, TestError>(body.slice(at..body.len().min(at + CHUNK)));
        let chunks: Vec<_> = (0..body.len()).step_by(CHUNK).map(chunk).collect();
        let request = post(Body::from_stream(stream::iter(chunks)))?;
        let mut answer = None;
        let used = allocation_counter::measure(|| {
            answer = Some(runtime.block_on(router.clone().oneshot(request)));
        });
        assert_eq!(answer.ok_or("an answer")??.status(), status, "{shown}");
        // A large body is parsed by another thread, whose bytes are counted here.
        let parsed = allocation_counter::measure(|| drop(parse(&body)));
        let most = used.bytes_max + parsed.bytes_max;
        assert!(most <= 4 * size, "{shown}: {most} of {size}");
    }
    Ok(())
}

/// A body that begins large and never ends; shared with the process for as long as that holds it.
fn endless() -> (Body, Arc<()>) {
    let held = Arc::new(());
    let with_body = Arc::clone(&held);
    let chunks =
        stream::repeat(Bytes::from_static(&[b' '; CHUNK])).take(32).map(Ok::<_, TestError>);
    let end = stream::once(async move {
        let _with_body = with_body;
        std::future::pending().await
    });
    (Body::from_stream(chunks.chain(end)), held)
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_hold_little_and_keep_no_other_one_waiting() -> TestResult {
    let contoso = Contoso::open().await?;
    let router = contoso.world.app.router()?;
    let mut held = Vec::new();
    let hostile = tokio::spawn({
        let router = router.clone();
        let mut posts = Vec::new();
        for _ in 0..100 {
            let (body, with_process) = endless();
            posts.push(router.clone().oneshot(post(body)?));
            held.push(with_process);
        }
        futures::future::join_all(posts)
    });
    // paused clock: the webhook gives a body that does not end two seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let count = || held.iter().filter(|body| Arc::strong_count(body) > 1).count();
    assert_eq!(count(), 8, "each new one takes the place of the oldest");
    let small = Bytes::from_static(br#"{"value":[]}"#);
    let large = filled(r#"{"value":[],"a":""#, "x", r#""}"#);
    for legitimate in [small, large] {
        let answer = router.clone().oneshot(post(Body::from(legitimate))?);
        let answer = tokio::time::timeout(Duration::from_millis(100), answer);
        assert_eq!(answer.await??.status(), 202);
    }
    // paused clock: what is left of a refused body is thrown away for three quarters of a second.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(count(), 7, "the large one had the place of one that never ends");
    for answer in hostile.await? {
        assert_eq!(answer?.status(), 503);
    }
    Ok(())
}

fn notification(client_state: &str, tenant: &str) -> Value {
    json!({
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "clientState": client_state,
        "tenantId": tenant,
        "changeType": "updated",
        "resource": "Users/x/Events/AAMk",
        "resourceData": { "id": "AAMk" },
    })
}

#[tokio::test]
async fn thousands_of_made_up_tenants_cost_no_call() -> TestResult {
    let contoso = Contoso::open().await?;
    // Under the name of our key.
    let forged = SecretKey::new("k1".parse()?, &[8; 32]);
    let mailbox: MailboxId = contoso.anna.id().parse()?;
    let items: Vec<Value> = (1..=3_000)
        .map(|n| {
            let tenant = TenantId(Uuid::from_u128(n));
            let state = client_state::issue(&forged, tenant, mailbox, 1);
            notification(&state, &tenant.to_string())
        })
        .collect();
    let world = &contoso.world;
    world.table_faults.reset();
    world.queue_faults.reset();
    world.microsoft.graph.clear_requests();
    let asked = world.microsoft.entra.key_requests();
    assert_eq!(contoso.post(json!({ "value": items }).to_string()).await?, 202);
    assert_eq!((world.table_faults.count(), world.queue_faults.count()), (0, 0));
    assert_eq!(world.microsoft.graph.requests(), []);
    assert_eq!(world.microsoft.entra.key_requests(), asked);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_validation_token_that_was_kept_vouches_for_its_tenant_alone_and_for_a_day() -> TestResult
{
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let kept = Arc::new(Mutex::new(Value::Null));
    let copy = Arc::clone(&kept);
    world.microsoft.graph.tamper_next_post(move |body| {
        *copy.lock().unwrap_or_else(PoisonError::into_inner) = body.clone();
    });
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let post = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let brings_content = async |post: &Value| {
        assert_eq!(contoso.post(post.to_string()).await?, 202);
        let sent = world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
        let brings_content = sent.iter().any(|message| message.text.contains("encrypted_content"));
        contoso.run_for(minutes(5)).await;
        Ok::<_, TestError>((sent.is_empty(), brings_content))
    };
    assert_eq!(brings_content(&post).await?, (false, true), "as Graph itself may repeat it");
    let mut elsewhere = post.clone();
    let fabrikam = TenantId(Uuid::from_u128(9));
    let key = SecretKey::new("k1".parse()?, &[7; 32]);
    let state = client_state::issue(&key, fabrikam, anna.id().parse()?, 1);
    for item in elsewhere["value"].as_array_mut().into_iter().flatten() {
        (item["clientState"], item["tenantId"]) = (json!(state), json!(fabrikam.to_string()));
    }
    assert_eq!(brings_content(&elsewhere).await?, (false, false), "another tenant's content");
    contoso.run_for(hours(25)).await;
    assert_eq!(brings_content(&post).await?, (false, false), "an old token");
    Ok(())
}

/// The status of the answer to a request with these lines of headers.
async fn answer_to(port: u16, lines: &str) -> Result<String, TestError> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET /api/notifications HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
    // It may answer and hang up before it has all.
    drop(socket.write_all(request.as_bytes()).await);
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[9..]).into_owned())
}

#[tokio::test]
async fn more_headers_than_anybody_needs_are_refused_before_they_are_held() -> TestResult {
    let contoso = Contoso::open().await?;
    let listener = server::bind(0).await?;
    let port = listener.local_addr()?.port();
    let serving = tokio::spawn(server::run(listener, contoso.world.app.router()?, pending()));
    assert_eq!(answer_to(port, "").await?, "405");
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(answer_to(port, &many).await?, "431");
    let long = format!("x: {}\r\n", "x".repeat(512 * 1024));
    assert_eq!(answer_to(port, &long).await?, "431");
    serving.abort();
    Ok(())
}
