//! `notifications`: the webhook. It answers the handshake, verifies each item, enqueues ids, and
//! answers 202.
//!
//! It reads no storage: the client state carries its own proof. The whole answer takes at most two
//! seconds, including the wait for a put permit. What cannot be enqueued in that time gets a 503, and
//! Graph repeats it for four hours.

mod deps;
mod handshake;
mod large_bodies;
mod triage;

use std::{ops::ControlFlow, time::Duration};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
pub use deps::Deps;
use futures::{StreamExt as _, future::try_join_all};

use large_bodies::BodyPermit;

use crate::{
    graph::notifications::{InvalidNotificationBody, NotificationCollection, parse},
    identity::keys::KeysUnavailable,
    messages::Enqueue,
    queue::QueueError,
};

/// The largest body that is read: about 4,000 items. Graph publishes no limit (2026-04).
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// A larger body waits for one of a few places. Graph's own of 200 items are smaller.
const SMALL_BODY: usize = 256 * 1024;
/// The whole answer. Graph counts three seconds, and one slow tenant makes all wait
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The function's route, relative to `api/notifications`.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/", post(handle)).with_state(deps)
}

/// Why we reject a POST. No text names its content.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("not a change notification")]
    NotANotification,
    #[error("send the body uncompressed")]
    UnsupportedEncoding,
    #[error(
        "too large: at most {} items in {MAX_BODY} bytes",
        crate::graph::notifications::MAX_NOTIFICATIONS
    )]
    TooLarge,
    #[error("client-state keys are unavailable, send it again: {0}")]
    Keys(#[from] KeysUnavailable),
    #[error("the queue is unavailable, send it again: {0}")]
    Queue(#[from] QueueError),
    #[error("timed out, send it again")]
    Timeout,
    #[error("it arrived too slowly while many large ones did, send it again")]
    Crowded,
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotANotification => StatusCode::BAD_REQUEST,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Keys(_) | Self::Queue(_) | Self::Timeout | Self::Crowded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        tracing::warn!(http.status = status.as_u16(), reason = %self, "notification request rejected");
        (status, self.to_string()).into_response()
    }
}

impl From<InvalidNotificationBody> for WebhookError {
    fn from(refused: InvalidNotificationBody) -> Self {
        match refused {
            InvalidNotificationBody::TooMany => Self::TooLarge,
            InvalidNotificationBody::NotJson | InvalidNotificationBody::NoNotifications => {
                Self::NotANotification
            }
        }
    }
}

async fn handle(State(deps): State<Deps>, request: Request) -> Response {
    // Before everything else: the handshake may come at any time and knows no client state.
    if let Some(token) = handshake::validation_token(request.uri().query().unwrap_or_default()) {
        return handshake::echo(&token);
    }
    // What was enqueued before the time is up stays: Graph repeats the POST, and a job that comes
    // twice costs one read.
    let accepted = tokio::time::timeout(RESPONSE_TIMEOUT, accept(&deps, request)).await;
    match accepted.unwrap_or(Err(WebhookError::Timeout)) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn accept(deps: &Deps, request: Request) -> Result<(), WebhookError> {
    // Nothing is decompressed: a small body could become one of any size.
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| !plain(value)) {
        return Err(WebhookError::UnsupportedEncoding);
    }
    let (post, place) = read_post(deps, request.into_body()).await?;
    let (jobs, verified) = triage::triage(deps, post).await?;
    drop(place);
    let puts = jobs.len();
    // One failure fails all, so that Graph repeats the POST.
    try_join_all(jobs.into_iter().map(|job| enqueue(deps, job))).await?;
    tracing::info!(items.verified = verified, puts, "notification batch enqueued");
    Ok(())
}

/// Reads the body and parses it. Only a few large ones are held at a time; the others wait for their turn,
/// and small ones never do. A large one keeps its place for as long as the answer holds what was read of
/// it, if it does not trickle.
async fn read_post(
    deps: &Deps,
    body: Body,
) -> Result<(NotificationCollection, Option<BodyPermit>), WebhookError> {
    let (mut chunks, mut body) = (body.into_data_stream(), Vec::new());
    if read_beyond(SMALL_BODY, &mut chunks, &mut body).await?.is_break() {
        return Ok((parse(&body)?, None));
    }
    let rest = read_beyond(MAX_BODY, &mut chunks, &mut body);
    let read = deps.large_bodies.read_in_place(rest).await.map_err(|_| stopping())?;
    let (read, place) = read.ok_or(WebhookError::Crowded)?;
    read.map(drop)?;
    // Milliseconds, for which no small one waits behind it.
    let parsed = tokio::task::spawn_blocking(move || parse(&body)).await;
    Ok((parsed.map_err(|_| stopping())??, Some(place)))
}

/// Reads until there is more than `limit` ([`ControlFlow::Continue`]), or no more at all.
async fn read_beyond(
    limit: usize,
    chunks: &mut BodyDataStream,
    body: &mut Vec<u8>,
) -> Result<ControlFlow<()>, WebhookError> {
    while body.len() <= limit {
        let Some(chunk) = chunks.next().await else { return Ok(ControlFlow::Break(())) };
        let chunk = chunk.map_err(|_| WebhookError::NotANotification)?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(WebhookError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(ControlFlow::Continue(()))
}

/// The outbox itself tries twice; a second failure is Graph's to repeat.
async fn enqueue(deps: &Deps, job: Enqueue) -> Result<(), QueueError> {
    let _permit = deps.put_permits.acquire().await.map_err(|_| stopping())?;
    deps.outbox.enqueue(job).await
}

fn stopping() -> QueueError {
    QueueError("the process is stopping".to_owned())
}
