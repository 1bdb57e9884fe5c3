//! Bodies that cost a stranger little and should cost us little, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::Request;
use roombridge::graph::notifications::parse;
use roombridge::web::notifications::MAX_BODY;
use tower::ServiceExt as _;

use crate::contoso::Contoso;
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

/// A body that begins large and never ends; how much of it was read.
fn endless() -> (Body, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let chunks = stream::repeat(Bytes::from_static(&[b' '; CHUNK])).take(32).map(move |chunk| {
        counted.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, TestError>(chunk)
    });
    (Body::from_stream(chunks.chain(stream::pending())), read)
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_hold_little_and_keep_no_small_one_waiting() -> TestResult {
    let contoso = Contoso::open().await?;
    let router = contoso.world.app.router()?;
    let mut held = Vec::new();
    let hostile = tokio::spawn({
        let router = router.clone();
        let mut posts = Vec::new();
        for _ in 0..100 {
            let (body, read) = endless();
            posts.push(router.clone().oneshot(post(body)?));
            held.push(read);
        }
        futures::future::join_all(posts)
    });
    // paused clock: the webhook gives a body that does not end two seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let large = held.iter().filter(|read| read.load(Ordering::Relaxed) > 512 * 1024).count();
    assert_eq!(large, 8, "the others wait, and what they send waits with them");
    let answer = router.oneshot(post(Body::from(r#"{"value":[]}"#))?).await?;
    assert_eq!(answer.status(), 202);
    for answer in hostile.await? {
        assert_eq!(answer?.status(), 503);
    }
    Ok(())
}
