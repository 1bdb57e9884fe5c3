//! The handlers of the page: what its forms do, and what the page says afterwards.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
};

use super::{
    agree::AgreeOutcome,
    context::AppState,
    error::Error,
    page::{Flash, PageResult, UserPage, anonymous_page},
    withdraw::WithdrawOutcome,
};
use crate::{
    base::invocation::RequestInvocation,
    domain::personal::Personal,
    store::mailboxes::BookingDisposition,
    web::layout::{
        CurrentUser, Field, FieldError, Form, MAX_ADDRESS_CHARS, VerifiedForm, download,
    },
};

type SharedState = State<Arc<AppState>>;

/// A version is a date; this is longer than any of ours.
const VERSION: Field = Field::single_line("text_version", 64);
/// A ticked box says `yes`.
const AGREE: Field = Field::single_line("agree", 3);
/// `released` or `anonymous`.
const BOOKINGS: Field = Field::single_line("bookings", 16);
/// A ticked box says `yes`.
const CONFIRM: Field = Field::single_line("confirm", 3);
const OWNER: Field = Field::single_line("owner", MAX_ADDRESS_CHARS);

/// GET: the page, for anybody.
pub(super) async fn index(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    user: Option<CurrentUser>,
    RawQuery(query): RawQuery,
) -> PageResult {
    let flash = Flash::from_query(query.as_deref().unwrap_or_default(), state.pages.texts());
    match &user {
        None => anonymous_page(&state, flash),
        Some(user) => UserPage::new(&state, user, &request).show(flash).await,
    }
}

/// POST `agree`.
pub(super) async fn agree(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[AGREE, VERSION])?;
    let page = UserPage::new(&state, &posted.user, &request);
    if !form.is_checked("agree") {
        let errors = vec![FieldError::new("agree", page.t().agree_missing)];
        return page.show(Flash::with_errors(errors)).await;
    }
    match page.ctx.agree(form.text("text_version")).await {
        Ok(AgreeOutcome::Recorded) => page.done("agreed"),
        Ok(AgreeOutcome::AlreadyRecorded) => page.done("already-agreed"),
        Err(error) => page.show_error(error).await,
    }
}

/// POST `withdraw`.
pub(super) async fn withdraw(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[BOOKINGS])?;
    let page = UserPage::new(&state, &posted.user, &request);
    let Some(disposition) = parse_disposition(&form) else {
        let errors = vec![FieldError::new("withdraw-bookings", page.t().bookings_missing)];
        return page.show(Flash::with_errors(errors)).await;
    };
    let outcome = page.ctx.withdraw(disposition).await;
    withdraw_response(&page, outcome, "withdrawn").await
}

/// POST `erase`.
pub(super) async fn erase(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[BOOKINGS, CONFIRM])?;
    let page = UserPage::new(&state, &posted.user, &request);
    let mut errors = Vec::new();
    let disposition = parse_disposition(&form);
    if disposition.is_none() {
        errors.push(FieldError::new("erase-bookings", page.t().bookings_missing));
    }
    if !form.is_checked("confirm") {
        errors.push(FieldError::new("confirm", page.t().erase_missing));
    }
    let Some(disposition) = disposition.filter(|_| errors.is_empty()) else {
        return page.show(Flash::with_errors(errors)).await;
    };
    let outcome = page.ctx.erase(disposition).await;
    withdraw_response(&page, outcome, "erased").await
}

/// POST `delegate`.
pub(super) async fn delegate(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> PageResult {
    let form = posted.parse(&[OWNER, AGREE, VERSION])?;
    let page = UserPage::new(&state, &posted.user, &request);
    let owner = form.text("owner").trim();
    let mut errors = Vec::new();
    if owner.is_empty() {
        errors.push(FieldError::new("owner", page.t().owner_missing));
    }
    errors.extend(form.input_errors(state.pages.texts()));
    if !form.is_checked("agree") {
        errors.push(FieldError::new("delegate-agree", page.t().agree_missing));
    }
    if !errors.is_empty() {
        let mut flash = Flash::with_errors(errors);
        flash.owner = owner.to_owned();
        return page.show(flash).await;
    }
    let (owner, version) = (Personal::new(owner), form.text("text_version"));
    let notice = |name: &Personal| state.delegate_notice(name);
    match page.ctx.agree_as_delegate(&owner, version, &notice).await {
        Ok(AgreeOutcome::Recorded) => page.done("delegate-agreed"),
        Ok(AgreeOutcome::AlreadyRecorded) => page.done("already-followed"),
        Err(error) => page.show_error(error).await,
    }
}

/// GET `data.json`.
pub(super) async fn download_data(
    State(state): SharedState,
    Extension(request): Extension<RequestInvocation>,
    user: CurrentUser,
) -> PageResult {
    let stored = UserPage::new(&state, &user, &request).ctx.export().await?;
    let text = format!("{:#}", stored.to_json());
    Ok(download("roombridge-my-data.json", "application/json", text))
}

/// What becomes of bookings. There is no default: the person must choose.
fn parse_disposition(form: &Form) -> Option<BookingDisposition> {
    match form.text("bookings") {
        "released" => Some(BookingDisposition::Release),
        "anonymous" => Some(BookingDisposition::KeepAnonymous),
        _ => None,
    }
}

async fn withdraw_response(
    page: &UserPage<'_>,
    outcome: Result<WithdrawOutcome, Error>,
    done: &str,
) -> PageResult {
    match outcome {
        Ok(WithdrawOutcome::Recorded) => page.done(done),
        Ok(WithdrawOutcome::AlreadyRecorded) => page.done("already-withdrawn"),
        Ok(WithdrawOutcome::NothingStored) => page.done("nothing-stored"),
        Err(error) => page.show_error(error).await,
    }
}
