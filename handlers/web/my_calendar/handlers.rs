//! The handlers of the page: what its forms do, and what the page says afterwards.

use std::sync::Arc;

use axum::extract::{RawQuery, State};

use super::{
    context::Deps,
    page::{Flash, UserPage, anonymous_page},
    withdraw::{WithdrawOutcome, parse_disposition},
};
use crate::{
    domain::personal::Personal,
    web::layout::{
        CurrentUser, Field, FieldError, MAX_ADDRESS_CHARS, PageResult, VerifiedForm, download,
    },
};

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
    State(deps): State<Arc<Deps>>,
    user: Option<CurrentUser>,
    RawQuery(query): RawQuery,
) -> PageResult {
    let flash = Flash::from_query(query.as_deref().unwrap_or_default(), deps.pages.texts());
    match &user {
        None => anonymous_page(&deps, flash),
        Some(user) => UserPage::new(&deps, user).show(flash).await,
    }
}

/// POST `agree`.
pub(super) async fn agree(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[AGREE, VERSION])?;
    let page = UserPage::new(&deps, &posted.user);
    if !form.is_checked("agree") {
        let errors = vec![FieldError::new("agree", page.t().agree_missing)];
        return page.show(Flash::with_errors(errors)).await;
    }
    let agreed = page.ctx.agree(form.text("text_version")).await;
    page.finish(agreed.map(|recorded| if recorded { "agreed" } else { "already-agreed" })).await
}

/// POST `withdraw`.
pub(super) async fn withdraw(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[BOOKINGS])?;
    let page = UserPage::new(&deps, &posted.user);
    let Some(disposition) = parse_disposition(form.text("bookings")) else {
        let errors = vec![FieldError::new("withdraw-bookings", page.t().bookings_missing)];
        return page.show(Flash::with_errors(errors)).await;
    };
    let outcome = page.ctx.withdraw(disposition).await;
    page.finish(outcome.map(|outcome| done(&outcome, "withdrawn"))).await
}

/// POST `erase`.
pub(super) async fn erase(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[BOOKINGS, CONFIRM])?;
    let page = UserPage::new(&deps, &posted.user);
    // All errors at once, so that the form is corrected in one go.
    let mut errors = Vec::new();
    let disposition = parse_disposition(form.text("bookings"));
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
    page.finish(outcome.map(|outcome| done(&outcome, "erased"))).await
}

/// POST `delegate`.
pub(super) async fn delegate(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[OWNER, AGREE, VERSION])?;
    let page = UserPage::new(&deps, &posted.user);
    let owner = form.text("owner").trim();
    let mut errors = Vec::new();
    if owner.is_empty() {
        errors.push(FieldError::new("owner", page.t().owner_missing));
    }
    errors.extend(form.input_errors(deps.pages.texts()));
    if !form.is_checked("agree") {
        errors.push(FieldError::new("delegate-agree", page.t().agree_missing));
    }
    if !errors.is_empty() {
        return page.show(Flash { owner: owner.to_owned(), ..Flash::with_errors(errors) }).await;
    }
    let (owner, version) = (Personal::new(owner), form.text("text_version"));
    let agreed = page.ctx.agree_as_delegate(&owner, version).await;
    let done = |recorded| if recorded { "delegate-agreed" } else { "already-followed" };
    page.finish(agreed.map(done)).await
}

/// GET `data.json`.
pub(super) async fn download_data(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    let stored = UserPage::new(&deps, &user).ctx.export().await?;
    let text = format!("{:#}", stored.to_json());
    Ok(download("roombridge-my-data.json", "application/json", text))
}

/// The word for a page that shows how a withdrawal ended: `recorded` if it is new.
fn done(outcome: &WithdrawOutcome, recorded: &'static str) -> &'static str {
    match outcome {
        WithdrawOutcome::Recorded => recorded,
        WithdrawOutcome::AlreadyRecorded => "already-withdrawn",
        WithdrawOutcome::NothingStored => "nothing-stored",
    }
}
