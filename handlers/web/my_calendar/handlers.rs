//! The pages: who may see them, what their forms do, and how it is told.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    AppState,
    agree::AgreeOutcome,
    api::MAX_ADDRESS_CHARS,
    context::{DenialReason, Error, RequestContext},
    page::{Flash, render},
    withdraw::WithdrawOutcome,
};
use crate::{
    base::call_log::CallLog,
    domain::personal::Personal,
    identity::sign_in::{CallbackQuery, PendingFlow, ReturnTarget, SignedInUser},
    store::mailboxes::BookingDisposition,
    web::layout::{
        CurrentUser, Field, FieldError, Form, PageError, VerifiedForm, download, texts::fill,
    },
};

/// The function, for its handlers.
pub(super) type SharedState = State<Arc<AppState>>;
type PageResult = Result<Response, PageError>;

/// Versions are dates; longer than any of ours.
const VERSION: Field = Field::single_line("text_version", 64);
/// A ticked box says `yes`.
const AGREE: Field = Field::single_line("agree", 3);
/// One of two words.
const BOOKINGS: Field = Field::single_line("bookings", 16);
/// A ticked box says `yes`.
const CONFIRM: Field = Field::single_line("confirm", 3);
const OWNER: Field = Field::single_line("owner", MAX_ADDRESS_CHARS);

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        match error {
            // A page of its own says more; this is for what cannot be shown otherwise.
            Error::Denied(_) => Self::NotConnected,
            Error::Store(error) => error.into(),
            Error::Queue(error) => error.into(),
            Error::Graph(error) => error.into(),
            Error::Conflict => Self::Conflict,
        }
    }
}

/// The visit of whoever is signed in with a browser.
fn request_context<'a>(
    state: &'a AppState,
    user: &CurrentUser,
    calls: CallLog,
) -> RequestContext<'a> {
    RequestContext::new(&state.deps, user.tenant(), user.person(), calls)
}

pub(super) async fn index(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    user: Option<CurrentUser>,
    RawQuery(query): RawQuery,
) -> PageResult {
    let told = Flash::from_query(query.as_deref().unwrap_or_default(), state.pages.texts());
    let visit = user.as_ref().map(|visitor| request_context(&state, visitor, calls));
    render(&state, user.as_ref(), visit.as_ref(), told).await
}

pub(super) async fn sign_in(State(state): SharedState) -> PageResult {
    let (address, pending) = state.sign_in.begin(ReturnTarget::MyCalendar, None);
    let cookie = state.pages.sessions().seal_pending(&PendingFlow::SignIn(pending)).await?;
    Ok(with_cookies(state.pages.redirect_to(&address), [cookie]))
}

pub(super) async fn signed_in(
    State(state): SharedState,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> PageResult {
    let sessions = state.pages.sessions();
    let answer = match complete_sign_in(&state, &headers, &query.unwrap_or_default()).await {
        Ok(person) => {
            let session = sessions.seal(&sessions.start(person)).await?;
            with_cookies(state.pages.see_other(""), [session])
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    // Good for one answer, whatever came of it.
    Ok(with_cookies(answer, [sessions.clear_pending()]))
}

async fn complete_sign_in(
    state: &AppState,
    headers: &HeaderMap,
    query: &str,
) -> Result<SignedInUser, PageError> {
    let pending = match state.pages.sessions().open_pending(headers).await? {
        Some(PendingFlow::SignIn(pending))
            if pending.return_target() == ReturnTarget::MyCalendar =>
        {
            Some(pending)
        }
        Some(PendingFlow::SignIn(_) | PendingFlow::Consent(_)) | None => None,
    };
    Ok(state.sign_in.finish(pending, &CallbackQuery::parse(query)).await?)
}

pub(super) async fn sign_out(State(state): SharedState, _posted: VerifiedForm) -> PageResult {
    Ok(with_cookies(state.pages.see_other(""), [state.pages.sessions().clear()]))
}

pub(super) async fn agree(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[AGREE, VERSION])?;
    let visit = request_context(&state, &posted.user, calls);
    let t = &state.pages.texts().my_calendar;
    if !form.is_checked("agree") {
        let told = Flash::with_errors(vec![FieldError::new("agree", t.agree_missing)]);
        return render(&state, Some(&posted.user), Some(&visit), told).await;
    }
    match visit.agree(form.text("text_version")).await {
        Ok(AgreeOutcome::Recorded) => Ok(state.pages.see_other("?done=agreed")),
        Ok(AgreeOutcome::AlreadyRecorded) => Ok(state.pages.see_other("?done=agreed-before")),
        Err(trouble) => denied_response(&state, &posted.user, &visit, trouble).await,
    }
}

pub(super) async fn withdraw(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[BOOKINGS])?;
    let visit = request_context(&state, &posted.user, calls);
    let Some(farewell) = parse_disposition(&form) else {
        let text = state.pages.texts().my_calendar.bookings_missing;
        let told = Flash::with_errors(vec![FieldError::new("withdraw-bookings", text)]);
        return render(&state, Some(&posted.user), Some(&visit), told).await;
    };
    let left = visit.withdraw(farewell).await;
    withdraw_response(&state, &posted.user, &visit, left, "?done=withdrew").await
}

pub(super) async fn erase(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[BOOKINGS, CONFIRM])?;
    let visit = request_context(&state, &posted.user, calls);
    let t = &state.pages.texts().my_calendar;
    let mut errors = Vec::new();
    let farewell = parse_disposition(&form);
    if farewell.is_none() {
        errors.push(FieldError::new("erase-bookings", t.bookings_missing));
    }
    if !form.is_checked("confirm") {
        errors.push(FieldError::new("confirm", t.erase_missing));
    }
    let Some(farewell) = farewell.filter(|_| errors.is_empty()) else {
        return render(&state, Some(&posted.user), Some(&visit), Flash::with_errors(errors)).await;
    };
    let left = visit.erase(farewell).await;
    withdraw_response(&state, &posted.user, &visit, left, "?done=erased").await
}

pub(super) async fn delegate(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[OWNER, AGREE, VERSION])?;
    let visit = request_context(&state, &posted.user, calls);
    let texts = state.pages.texts();
    let (t, owner) = (&texts.my_calendar, form.text("owner").trim());
    let mut errors = Vec::new();
    if owner.is_empty() {
        errors.push(FieldError::new("owner", t.owner_missing));
    }
    for (field, max) in form.too_long() {
        let text = fill(texts.layout.too_long, &[("max", &max.to_string())]);
        errors.push(FieldError::new(*field, text));
    }
    errors.extend(
        form.invalid_chars().iter().map(|f| FieldError::new(*f, texts.layout.invalid_chars)),
    );
    if !form.is_checked("agree") {
        errors.push(FieldError::new("delegate-agree", t.agree_missing));
    }
    if !errors.is_empty() {
        let told = Flash { owner: owner.to_owned(), ..Flash::with_errors(errors) };
        return render(&state, Some(&posted.user), Some(&visit), told).await;
    }
    let owner = Personal::new(owner);
    let version = form.text("text_version");
    match visit.agree_as_delegate(&owner, version, &|name| state.delegate_notice(name)).await {
        Ok(AgreeOutcome::Recorded) => Ok(state.pages.see_other("?done=delegate")),
        Ok(AgreeOutcome::AlreadyRecorded) => Ok(state.pages.see_other("?done=delegate-before")),
        Err(trouble) => denied_response(&state, &posted.user, &visit, trouble).await,
    }
}

pub(super) async fn download_data(
    State(state): SharedState,
    Extension(calls): Extension<CallLog>,
    user: CurrentUser,
) -> PageResult {
    let stored = request_context(&state, &user, calls).export().await?;
    let text = serde_json::to_string_pretty(&stored).map_err(|_| PageError::Internal)?;
    Ok(download("roombridge-my-data.json", "application/json", text))
}

/// What the form says becomes of bookings; there is no default.
fn parse_disposition(form: &Form) -> Option<BookingDisposition> {
    match form.text("bookings") {
        "released" => Some(BookingDisposition::Release),
        "anonymous" => Some(BookingDisposition::KeepAnonymous),
        _ => None,
    }
}

async fn withdraw_response(
    state: &AppState,
    user: &CurrentUser,
    ctx: &RequestContext<'_>,
    left: Result<WithdrawOutcome, Error>,
    done: &str,
) -> PageResult {
    match left {
        Ok(WithdrawOutcome::Recorded) => Ok(state.pages.see_other(done)),
        Ok(WithdrawOutcome::AlreadyRecorded) => Ok(state.pages.see_other("?done=left-before")),
        Ok(WithdrawOutcome::NothingStored) => Ok(state.pages.see_other("?done=nothing")),
        Err(trouble) => denied_response(state, user, ctx, trouble).await,
    }
}

/// Says on the page itself why nothing was done.
async fn denied_response(
    state: &AppState,
    user: &CurrentUser,
    ctx: &RequestContext<'_>,
    error: Error,
) -> PageResult {
    match error {
        Error::Denied(DenialReason::TenantUnknown) => Err(PageError::NotConnected),
        Error::Denied(refusal) => {
            let told = Flash::denied(refusal, state.pages.texts());
            render(state, Some(user), Some(ctx), Flash { status: StatusCode::CONFLICT, ..told })
                .await
        }
        trouble @ (Error::Store(_) | Error::Queue(_) | Error::Graph(_) | Error::Conflict) => {
            Err(trouble.into())
        }
    }
}

fn with_cookies<const N: usize>(mut answer: Response, cookies: [HeaderValue; N]) -> Response {
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}
