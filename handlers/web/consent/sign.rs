//! Signing in and out.

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};

use super::{Deps, Shared};
use crate::{
    identity::{
        session::Errand,
        sign_in::{CallbackQuery, Return, SignInError},
    },
    web::layout::{Posted, Problem},
};

/// GET `sign-in`: to Entra.
pub(super) async fn leave(State(deps): State<Shared>) -> Result<Response, Problem> {
    let (address, pending) = deps.sign_in.begin(Return::Consent, None);
    let cookie = deps.desk.sessions().seal_pending(&Errand::SignIn(pending)).await?;
    Ok(with_cookie(deps.desk.leave_for(&address), cookie))
}

/// GET `signed-in`: back from Entra. Whatever the outcome, this answer is good for one time.
pub(super) async fn came_back(
    State(deps): State<Shared>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = CallbackQuery::parse(query.as_deref().unwrap_or_default());
    let outcome = finish(&deps, &headers, &answer).await;
    let forget = deps.desk.sessions().forget_pending();
    with_cookie(outcome.unwrap_or_else(IntoResponse::into_response), forget)
}

async fn finish(
    deps: &Deps,
    headers: &HeaderMap,
    answer: &CallbackQuery,
) -> Result<Response, Problem> {
    let sessions = deps.desk.sessions();
    let pending = match sessions.pending(headers).await? {
        Some(Errand::SignIn(pending)) => Some(pending),
        Some(Errand::Consent(_)) | None => None,
    };
    if pending.as_ref().is_some_and(|pending| pending.back() != Return::Consent) {
        return Err(SignInError::ForeignState.into());
    }
    let signed_in = deps.sign_in.finish(pending, answer).await?;
    let session = sessions.start(signed_in);
    let cookie = sessions.seal(&session).await?;
    Ok(with_cookie(deps.desk.see_other(""), cookie))
}

/// POST `sign-out`.
pub(super) async fn out(State(deps): State<Shared>, posted: Posted) -> Result<Response, Problem> {
    posted.form(&[])?;
    Ok(with_cookie(deps.desk.see_other(""), deps.desk.sessions().forget()))
}

/// `answer` with one more cookie.
pub(super) fn with_cookie(mut answer: Response, cookie: HeaderValue) -> Response {
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}
