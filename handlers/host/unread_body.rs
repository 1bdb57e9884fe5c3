//! No answer leaves before the request's body has arrived.
//!
//! The host's proxy is still sending when a handler answers early, and takes the connection that closes
//! then for a failure: the caller gets 500 after two seconds, whatever the answer was (seen with host
//! 4.1037: sometimes from 300 kB, nearly always from 4 MB).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use futures::StreamExt as _;
use http_body::{Frame, SizeHint};

/// What is read of a body that nobody wants: the host itself lets no more through
/// (`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT`, 2025).
const MAX_BYTES: usize = 100 * 1024 * 1024;
/// How long that may take. Graph waits three seconds for the whole answer.
const MAX_TIME: Duration = Duration::from_millis(750);

/// Runs the rest of the router and then reads what it left of the body. What does not come in time makes
/// the connection close after the answer.
pub(super) async fn read_to_end(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(head, body)).await;
    }
    let unread = Unread::default();
    let body = Body::new(LentBody { body: Some(body), unread: unread.clone() });
    let mut response = next.run(Request::from_parts(head, body)).await;
    if let Some(rest) = unread.take()
        && !discard(rest).await
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether everything came, or the caller has gone.
async fn discard(body: Body) -> bool {
    let read = async {
        let (mut chunks, mut bytes) = (body.into_data_stream(), 0);
        while let Some(Ok(chunk)) = chunks.next().await {
            bytes += chunk.len();
            if bytes > MAX_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(MAX_TIME, read).await.unwrap_or(false)
}

/// Where a body comes back to.
#[derive(Clone, Default)]
struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn give_back(&self, body: Body) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }
}

/// A body that comes back when it is dropped before its end.
struct LentBody {
    body: Option<Body>,
    unread: Unread,
}

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.unread.give_back(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{Router, middleware, routing::post};
    use futures::stream;
    use http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    /// Sends `chunks` to a route that does not look at them; returns the answer and how many were read.
    async fn answer_to(
        chunks: impl futures::Stream<Item = Bytes> + Send + 'static,
    ) -> (Response, usize) {
        let read = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&read);
        let chunks = chunks.map(move |chunk| {
            *counted.lock().unwrap() += chunk.len();
            Ok::<_, Infallible>(chunk)
        });
        let router = Router::new()
            .route("/", post(|| async { StatusCode::PAYLOAD_TOO_LARGE }))
            .layer(middleware::from_fn(read_to_end));
        let request = Request::post("/").body(Body::from_stream(chunks)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let read = *read.lock().unwrap();
        (response, read)
    }

    fn kilobytes(count: usize) -> impl futures::Stream<Item = Bytes> {
        stream::iter((0..count).map(|_| Bytes::from_static(&[0; 1024])))
    }

    #[tokio::test]
    async fn the_answer_leaves_when_the_body_has_arrived() {
        let (answer, read) = answer_to(kilobytes(8 * 1024)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read, 8 * 1024 * 1024);
        assert!(!answer.headers().contains_key(header::CONNECTION));
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut_off() {
        let (answer, read) = answer_to(kilobytes(200 * 1024)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(read <= MAX_BYTES + 1024, "{read}");
        assert_eq!(answer.headers()[header::CONNECTION], "close");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_not_waited_for() {
        let (answer, _) = answer_to(kilobytes(1).chain(stream::pending())).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.headers()[header::CONNECTION], "close");
    }
}
