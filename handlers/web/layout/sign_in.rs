//! Signing in at Entra and signing out: three routes that every function with pages has.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::HeaderMap;

use super::{
    context::PageContext, error::PageResult, extract::VerifiedForm, response::with_cookie,
};
use crate::identity::sign_in::{CallbackQuery, ReturnTarget, SignIn};

#[derive(Clone)]
struct SignInState {
    pages: PageContext,
    sign_in: Arc<SignIn>,
    target: ReturnTarget,
}

impl FromRef<SignInState> for PageContext {
    fn from_ref(state: &SignInState) -> Self {
        state.pages.clone()
    }
}

/// The routes for signing in to the pages of `target`, and out.
pub(crate) fn sign_in_routes(pages: PageContext, sign_in: SignIn, target: ReturnTarget) -> Router {
    Router::new()
        .route("/sign-in", get(begin))
        .route("/signed-in", get(callback))
        .route("/sign-out", post(sign_out))
        .with_state(SignInState { pages, sign_in: Arc::new(sign_in), target })
}

/// GET `sign-in`: to Entra.
async fn begin(State(state): State<SignInState>) -> PageResult {
    // The cookie ties the answer of Entra to this browser: elsewhere it signs nobody in.
    let (address, pending) = state.sign_in.begin(state.target, None);
    let cookie = state.pages.sessions.seal_pending(&pending).await?;
    Ok(with_cookie(state.pages.redirect_to(&address), cookie))
}

/// GET `signed-in`: back from Entra. The pending sign-in is used up, whatever the outcome.
async fn callback(
    State(state): State<SignInState>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = CallbackQuery::parse(query.as_deref().unwrap_or_default());
    let outcome = complete(&state, &headers, &query).await;
    let forget = state.pages.sessions.clear_pending();
    with_cookie(outcome.unwrap_or_else(IntoResponse::into_response), forget)
}

async fn complete(state: &SignInState, headers: &HeaderMap, query: &CallbackQuery) -> PageResult {
    let sessions = &state.pages.sessions;
    // A sign-in that was begun for another function's pages does not count here.
    let pending = sessions.open_pending(headers).await?;
    let signed_in = state.sign_in.finish(pending, state.target, query).await?;
    // Always a new session: one that somebody else put into this browser before is worth nothing.
    let cookie = sessions.seal(&sessions.start(signed_in)).await?;
    Ok(with_cookie(state.pages.see_other(""), cookie))
}

/// POST `sign-out`.
async fn sign_out(State(state): State<SignInState>, posted: VerifiedForm) -> PageResult {
    // No fields but the token, which is proved already.
    posted.parse(&[])?;
    Ok(with_cookie(state.pages.see_other(""), state.pages.sessions.clear()))
}
