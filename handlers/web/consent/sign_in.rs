//! Signing in and out.

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};

use super::{Deps, SharedDeps};
use crate::{
    identity::sign_in::{CallbackQuery, PendingFlow, ReturnTarget, SignInError},
    web::layout::{PageError, VerifiedForm},
};

/// GET `sign-in`: to Entra.
pub(super) async fn begin(State(deps): State<SharedDeps>) -> Result<Response, PageError> {
    let (address, pending) = deps.sign_in.begin(ReturnTarget::Consent, None);
    let cookie = deps.pages.sessions().seal_pending(&PendingFlow::SignIn(pending)).await?;
    Ok(with_cookie(deps.pages.redirect_to(&address), cookie))
}

/// GET `signed-in`: back from Entra. Whatever the outcome, this answer is good for one time.
pub(super) async fn callback(
    State(deps): State<SharedDeps>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = CallbackQuery::parse(query.as_deref().unwrap_or_default());
    let outcome = complete_sign_in(&deps, &headers, &answer).await;
    let forget = deps.pages.sessions().clear_pending();
    with_cookie(outcome.unwrap_or_else(IntoResponse::into_response), forget)
}

async fn complete_sign_in(
    deps: &Deps,
    headers: &HeaderMap,
    answer: &CallbackQuery,
) -> Result<Response, PageError> {
    let sessions = deps.pages.sessions();
    let pending = match sessions.open_pending(headers).await? {
        Some(PendingFlow::SignIn(pending)) => Some(pending),
        Some(PendingFlow::Consent(_)) | None => None,
    };
    if pending.as_ref().is_some_and(|pending| pending.return_target() != ReturnTarget::Consent) {
        return Err(SignInError::StateMismatch.into());
    }
    let signed_in = deps.sign_in.finish(pending, answer).await?;
    let session = sessions.start(signed_in);
    let cookie = sessions.seal(&session).await?;
    Ok(with_cookie(deps.pages.see_other(""), cookie))
}

/// POST `sign-out`.
pub(super) async fn sign_out(
    State(deps): State<SharedDeps>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    posted.parse(&[])?;
    Ok(with_cookie(deps.pages.see_other(""), deps.pages.sessions().clear()))
}

/// `answer` with one more cookie.
pub(super) fn with_cookie(mut answer: Response, cookie: HeaderValue) -> Response {
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}
