//! `notifications`: the webhook. Answers the handshake, proves each item, hands ids on, 202.
//!
//! No storage is read here: the client state proves itself. The whole answer takes at most two
//! seconds, its place in the process-wide queue of puts included; what cannot be handed on in that
//! time is refused with 503, and Graph comes back with it for four hours.

mod handshake;
mod sort;
mod sources;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use futures::future::try_join_all;
use tokio::sync::Semaphore;

pub use sources::Sources;

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::ids::TenantId,
    graph::notifications::{NotANotification, parse},
    identity::{
        key_ring::{KeyRing, KeysUnavailable},
        validation_tokens::ValidationTokens,
    },
    jobs::runner::job::{Next, Onward},
    queue::{MESSAGE_LIFE, Outbox, QueueError},
};

/// The largest body that is read: about 4,000 items. Graph publishes no limit (2026-04).
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// The whole answer. Graph counts three seconds, and one slow tenant makes all wait
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const BUDGET: Duration = Duration::from_secs(2);
/// The part of it that the keys of validation tokens are waited for.
const VOUCHING: Duration = Duration::from_millis(500);
/// Puts in flight in this process: beyond that a storage queue only answers later.
const PUTS_IN_FLIGHT: usize = 64;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// The keys that prove a client state.
    pub keys: Arc<KeyRing>,
    /// The way to `fetch-event` and `maintain-mailbox`.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for correlation ids.
    pub rng: Arc<dyn Rng>,
    /// Caps the puts in flight for the whole process.
    pub puts: Arc<Semaphore>,
    /// What checks that Graph sealed the content.
    pub tokens: Arc<ValidationTokens>,
    /// Where requests may come from.
    pub sources: Sources,
}

impl Deps {
    /// The webhook's dependencies, with the process-wide cap on puts.
    pub fn new(
        keys: Arc<KeyRing>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        tokens: Arc<ValidationTokens>,
        sources: Sources,
    ) -> Self {
        let puts = Arc::new(Semaphore::new(PUTS_IN_FLIGHT));
        Self { keys, outbox, clock, rng, puts, tokens, sources }
    }
}

/// The function's route, relative to `api/notifications`.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(deps)
}

/// Why a POST is not taken. Each has its status; none of them names content.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("not from here")]
    Elsewhere,
    #[error("not a change notification")]
    NotANotification,
    #[error("send the body uncompressed")]
    Encoded,
    #[error(
        "too large: at most {} items in {MAX_BODY} bytes",
        crate::graph::notifications::MAX_ITEMS
    )]
    TooLarge,
    #[error("the keys cannot be had now, send it again: {0}")]
    Keys(#[from] KeysUnavailable),
    #[error("the queue did not take it, send it again: {0}")]
    Queue(#[from] QueueError),
    #[error("it took too long, send it again")]
    TooSlow,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::NotANotification => StatusCode::BAD_REQUEST,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Keys(_) | Self::Queue(_) | Self::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::warn!(http.status = status.as_u16(), reason = %self, "a POST to the webhook was refused");
        (status, self.to_string()).into_response()
    }
}

impl From<NotANotification> for Refused {
    fn from(refused: NotANotification) -> Self {
        match refused {
            NotANotification::TooMany => Self::TooLarge,
            NotANotification::NotJson | NotANotification::NoItems => Self::NotANotification,
        }
    }
}

async fn answer(State(deps): State<Deps>, request: Request) -> Response {
    if !deps.sources.admit(request.headers()) {
        return Refused::Elsewhere.into_response();
    }
    // Before everything else: the handshake may come at any time and knows no client state.
    if let Some(token) = handshake::token(request.uri().query().unwrap_or_default()) {
        return handshake::answer(&token);
    }
    let taken = tokio::time::timeout(BUDGET, take(&deps, request)).await;
    match taken.unwrap_or(Err(Refused::TooSlow)) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn take(deps: &Deps, request: Request) -> Result<(), Refused> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| !plain(value)) {
        return Err(Refused::Encoded);
    }
    let body =
        Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::TooLarge,
            _ => Refused::NotANotification,
        })?;
    let sorted = sort::sort(deps, parse(&body)?).await?;
    if sorted.foreign > 0 {
        tracing::warn!(
            items.foreign = sorted.foreign,
            items.ours = sorted.ours,
            "items that did not prove themselves"
        );
    }
    if sorted.unvouched > 0 {
        tracing::warn!(
            items.unvouched = sorted.unvouched,
            "sealed content that Graph did not vouch for is not used; its events are read"
        );
    }
    try_join_all(sorted.next.iter().map(|next| put(deps, next))).await?;
    tracing::info!(items.ours = sorted.ours, puts = sorted.next.len(), "handed on");
    Ok(())
}

/// The tenants whose content in this POST was sealed by Graph.
///
/// Where that cannot be told in time the items go on without it: a slow answer would cost every
/// tenant, and a refused POST would come back to the same trouble.
async fn vouched(deps: &Deps, tokens: &[String]) -> BTreeSet<TenantId> {
    let vouched = tokio::time::timeout(VOUCHING, deps.tokens.vouched(tokens)).await;
    vouched.map(|vouched| vouched.tenants).unwrap_or_default()
}

/// The outbox itself tries twice; a second failure is Graph's to repeat.
async fn put(deps: &Deps, next: &Next) -> Result<(), QueueError> {
    let closed = |_| QueueError("the process is stopping".to_owned());
    let _place = deps.puts.acquire().await.map_err(closed)?;
    let life = match &next.message {
        Onward::Fetch(changes) => changes.life(),
        Onward::Book(_)
        | Onward::Write(_)
        | Onward::Maintain(_)
        | Onward::MaintainAll(_)
        | Onward::Tenant(_) => MESSAGE_LIFE,
    };
    let (queue, text) = (next.message.queue(), next.message.text());
    deps.outbox.send_for(queue, text, next.delay, life).await
}
