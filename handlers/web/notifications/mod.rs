//! `notifications`: the webhook. Answers the handshake, proves each item, hands ids on, 202.
//!
//! No storage is read here: the client state proves itself. The whole answer takes at most two
//! seconds, its place in the process-wide queue of puts included; what cannot be handed on in that
//! time is refused with 503, and Graph comes back with it for four hours.

mod handshake;
mod ip_allow_list;
mod triage;

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

pub use ip_allow_list::IpAllowList;

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::ids::TenantId,
    graph::notifications::{InvalidNotificationBody, parse},
    identity::keys::{KeyRing, KeysUnavailable, ValidationTokenVerifier},
    messages::Enqueue,
    queue::{Outbox, QueueError},
};

/// The largest body that is read: about 4,000 items. Graph publishes no limit (2026-04).
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// The whole answer. Graph counts three seconds, and one slow tenant makes all wait
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The part of it that the keys of validation tokens are waited for.
const VERIFICATION_TIMEOUT: Duration = Duration::from_millis(500);
/// Puts in flight in this process: beyond that a storage queue only answers later.
const MAX_CONCURRENT_PUTS: usize = 64;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// The keys that prove a client state.
    pub client_state_keys: Arc<KeyRing>,
    /// The way to `fetch-event` and `maintain-mailbox`.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for correlation ids.
    pub rng: Arc<dyn Rng>,
    /// Caps the puts in flight for the whole process.
    pub put_permits: Arc<Semaphore>,
    /// What checks that Graph sealed the content.
    pub validation_tokens: Arc<ValidationTokenVerifier>,
    /// Where requests may come from.
    pub allowed_ips: IpAllowList,
}

impl Deps {
    /// The webhook's dependencies, with the process-wide cap on puts.
    pub fn new(
        keys: Arc<KeyRing>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        tokens: Arc<ValidationTokenVerifier>,
        sources: IpAllowList,
    ) -> Self {
        let puts = Arc::new(Semaphore::new(MAX_CONCURRENT_PUTS));
        Self {
            client_state_keys: keys,
            outbox,
            clock,
            rng,
            put_permits: puts,
            validation_tokens: tokens,
            allowed_ips: sources,
        }
    }
}

/// The function's route, relative to `api/notifications`.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/", post(handle)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(deps)
}

/// Why a POST is not taken. Each has its status; none of them names content.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("not from here")]
    SourceNotAllowed,
    #[error("not a change notification")]
    NotANotification,
    #[error("send the body uncompressed")]
    UnsupportedEncoding,
    #[error(
        "too large: at most {} items in {MAX_BODY} bytes",
        crate::graph::notifications::MAX_NOTIFICATIONS
    )]
    TooLarge,
    #[error("the keys cannot be had now, send it again: {0}")]
    Keys(#[from] KeysUnavailable),
    #[error("the queue did not take it, send it again: {0}")]
    Queue(#[from] QueueError),
    #[error("it took too long, send it again")]
    Timeout,
}

impl IntoResponse for WebhookError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::SourceNotAllowed => StatusCode::FORBIDDEN,
            Self::NotANotification => StatusCode::BAD_REQUEST,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Keys(_) | Self::Queue(_) | Self::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        };
        tracing::warn!(http.status = status.as_u16(), reason = %self, "a POST to the webhook was refused");
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
    if !deps.allowed_ips.allows(request.headers()) {
        return WebhookError::SourceNotAllowed.into_response();
    }
    // Before everything else: the handshake may come at any time and knows no client state.
    if let Some(token) = handshake::validation_token(request.uri().query().unwrap_or_default()) {
        return handshake::echo(&token);
    }
    let taken = tokio::time::timeout(RESPONSE_TIMEOUT, accept(&deps, request)).await;
    match taken.unwrap_or(Err(WebhookError::Timeout)) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn accept(deps: &Deps, request: Request) -> Result<(), WebhookError> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if request.headers().get(header::CONTENT_ENCODING).is_some_and(|value| !plain(value)) {
        return Err(WebhookError::UnsupportedEncoding);
    }
    let body =
        Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => WebhookError::TooLarge,
            _ => WebhookError::NotANotification,
        })?;
    let sorted = triage::triage(deps, parse(&body)?).await?;
    if sorted.foreign > 0 {
        tracing::warn!(
            items.foreign = sorted.foreign,
            items.ours = sorted.verified,
            "items that did not prove themselves"
        );
    }
    if sorted.unverified_content > 0 {
        tracing::warn!(
            items.unvouched = sorted.unverified_content,
            "sealed content that Graph did not vouch for is not used; its events are read"
        );
    }
    let puts = sorted.jobs.len();
    try_join_all(sorted.jobs.into_iter().map(|next| enqueue(deps, next))).await?;
    tracing::info!(items.ours = sorted.verified, puts, "handed on");
    Ok(())
}

/// The tenants whose content in this POST was sealed by Graph.
///
/// Where that cannot be told in time the items go on without it: a slow answer would cost every
/// tenant, and a refused POST would come back to the same trouble.
async fn verified_tenants(deps: &Deps, tokens: &[String]) -> BTreeSet<TenantId> {
    let vouched =
        tokio::time::timeout(VERIFICATION_TIMEOUT, deps.validation_tokens.verified_tenants(tokens))
            .await;
    vouched.map(|vouched| vouched.tenants).unwrap_or_default()
}

/// The outbox itself tries twice; a second failure is Graph's to repeat.
async fn enqueue(deps: &Deps, next: Enqueue) -> Result<(), QueueError> {
    let closed = |_| QueueError("the process is stopping".to_owned());
    let _place = deps.put_permits.acquire().await.map_err(closed)?;
    deps.outbox.enqueue(next).await
}
