//! The pages: who may see them, what their forms do, and how it is told.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    Front,
    agree::Agreed,
    api::ADDRESS_MAX,
    leave::Left,
    page::{Told, show},
    visit::{Refusal, Trouble, Visit},
};
use crate::{
    base::call_log::Trail,
    domain::personal::Personal,
    identity::{
        session::Errand,
        sign_in::{CallbackQuery, Return},
        tokens::SignedIn,
    },
    store::mailboxes::Farewell,
    web::layout::{Field, FieldError, Form, Posted, Problem, Visitor, download, texts::fill},
};

/// The function, for its handlers.
pub(super) type Here = State<Arc<Front>>;
type Answer = Result<Response, Problem>;

/// Versions are dates; longer than any of ours.
const VERSION: Field = Field::line("text_version", 64);
/// A ticked box says `yes`.
const AGREE: Field = Field::line("agree", 3);
/// One of two words.
const BOOKINGS: Field = Field::line("bookings", 16);
/// A ticked box says `yes`.
const CONFIRM: Field = Field::line("confirm", 3);
const OWNER: Field = Field::line("owner", ADDRESS_MAX);

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            // A page of its own says more; this is for what cannot be shown otherwise.
            Trouble::Refused(_) => Self::NotConnected,
            Trouble::Store(error) => error.into(),
            Trouble::Queue(error) => error.into(),
            Trouble::Graph(error) => error.into(),
            Trouble::Outrun => Self::Changed,
        }
    }
}

/// The visit of whoever is signed in with a browser.
fn visit<'a>(front: &'a Front, visitor: &Visitor, trail: Trail) -> Visit<'a> {
    Visit::by(&front.deps, visitor.tenant(), visitor.person(), trail)
}

pub(super) async fn first(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    visitor: Option<Visitor>,
    RawQuery(query): RawQuery,
) -> Answer {
    let told = Told::of_query(query.as_deref().unwrap_or_default(), front.desk.texts());
    let visit = visitor.as_ref().map(|visitor| visit(&front, visitor, trail));
    show(&front, visitor.as_ref(), visit.as_ref(), told).await
}

pub(super) async fn sign_in(State(front): Here) -> Answer {
    let (address, pending) = front.sign_in.begin(Return::MyCalendar, None);
    let cookie = front.desk.sessions().seal_pending(&Errand::SignIn(pending)).await?;
    Ok(with_cookies(front.desk.leave_for(&address), [cookie]))
}

pub(super) async fn signed_in(
    State(front): Here,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Answer {
    let sessions = front.desk.sessions();
    let answer = match finish(&front, &headers, &query.unwrap_or_default()).await {
        Ok(person) => {
            let session = sessions.seal(&sessions.start(person)).await?;
            with_cookies(front.desk.see_other(""), [session])
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    };
    // Good for one answer, whatever came of it.
    Ok(with_cookies(answer, [sessions.forget_pending()]))
}

async fn finish(front: &Front, headers: &HeaderMap, query: &str) -> Result<SignedIn, Problem> {
    let pending = match front.desk.sessions().pending(headers).await? {
        Some(Errand::SignIn(pending)) if pending.back() == Return::MyCalendar => Some(pending),
        Some(Errand::SignIn(_) | Errand::Consent(_)) | None => None,
    };
    Ok(front.sign_in.finish(pending, &CallbackQuery::parse(query)).await?)
}

pub(super) async fn sign_out(State(front): Here, _posted: Posted) -> Answer {
    Ok(with_cookies(front.desk.see_other(""), [front.desk.sessions().forget()]))
}

pub(super) async fn agree(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Answer {
    let form = posted.form(&[AGREE, VERSION])?;
    let visit = visit(&front, &posted.visitor, trail);
    let t = &front.desk.texts().my_calendar;
    if !form.ticked("agree") {
        let told = Told::mistakes(vec![FieldError::new("agree", t.agree_missing)]);
        return show(&front, Some(&posted.visitor), Some(&visit), told).await;
    }
    match visit.agree(form.text("text_version")).await {
        Ok(Agreed::Now) => Ok(front.desk.see_other("?done=agreed")),
        Ok(Agreed::Before) => Ok(front.desk.see_other("?done=agreed-before")),
        Err(trouble) => refused(&front, &posted.visitor, &visit, trouble).await,
    }
}

pub(super) async fn withdraw(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Answer {
    let form = posted.form(&[BOOKINGS])?;
    let visit = visit(&front, &posted.visitor, trail);
    let Some(farewell) = farewell(&form) else {
        let text = front.desk.texts().my_calendar.bookings_missing;
        let told = Told::mistakes(vec![FieldError::new("withdraw-bookings", text)]);
        return show(&front, Some(&posted.visitor), Some(&visit), told).await;
    };
    let left = visit.withdraw(farewell).await;
    parted(&front, &posted.visitor, &visit, left, "?done=withdrew").await
}

pub(super) async fn erase(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Answer {
    let form = posted.form(&[BOOKINGS, CONFIRM])?;
    let visit = visit(&front, &posted.visitor, trail);
    let t = &front.desk.texts().my_calendar;
    let mut errors = Vec::new();
    let farewell = farewell(&form);
    if farewell.is_none() {
        errors.push(FieldError::new("erase-bookings", t.bookings_missing));
    }
    if !form.ticked("confirm") {
        errors.push(FieldError::new("confirm", t.erase_missing));
    }
    let Some(farewell) = farewell.filter(|_| errors.is_empty()) else {
        return show(&front, Some(&posted.visitor), Some(&visit), Told::mistakes(errors)).await;
    };
    let left = visit.erase(farewell).await;
    parted(&front, &posted.visitor, &visit, left, "?done=erased").await
}

pub(super) async fn delegate(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Answer {
    let form = posted.form(&[OWNER, AGREE, VERSION])?;
    let visit = visit(&front, &posted.visitor, trail);
    let texts = front.desk.texts();
    let (t, owner) = (&texts.my_calendar, form.text("owner").trim());
    let mut errors = Vec::new();
    if owner.is_empty() {
        errors.push(FieldError::new("owner", t.owner_missing));
    }
    for (field, max) in form.too_long() {
        let text = fill(texts.layout.too_long, &[("max", &max.to_string())]);
        errors.push(FieldError::new(*field, text));
    }
    errors.extend(form.hostile().iter().map(|f| FieldError::new(*f, texts.layout.hostile)));
    if !form.ticked("agree") {
        errors.push(FieldError::new("delegate-agree", t.agree_missing));
    }
    if !errors.is_empty() {
        let told = Told { owner: owner.to_owned(), ..Told::mistakes(errors) };
        return show(&front, Some(&posted.visitor), Some(&visit), told).await;
    }
    let owner = Personal::new(owner);
    let version = form.text("text_version");
    match visit.agree_for(&owner, version, &|name| front.notice(name)).await {
        Ok(Agreed::Now) => Ok(front.desk.see_other("?done=delegate")),
        Ok(Agreed::Before) => Ok(front.desk.see_other("?done=delegate-before")),
        Err(trouble) => refused(&front, &posted.visitor, &visit, trouble).await,
    }
}

pub(super) async fn data(
    State(front): Here,
    Extension(trail): Extension<Trail>,
    visitor: Visitor,
) -> Answer {
    let stored = visit(&front, &visitor, trail).stored().await?;
    let text = serde_json::to_string_pretty(&stored).map_err(|_| Problem::Internal)?;
    Ok(download("roombridge-my-data.json", "application/json", text))
}

/// What the form says becomes of bookings; there is no default.
fn farewell(form: &Form) -> Option<Farewell> {
    match form.text("bookings") {
        "released" => Some(Farewell::Released),
        "anonymous" => Some(Farewell::Anonymous),
        _ => None,
    }
}

async fn parted(
    front: &Front,
    visitor: &Visitor,
    visit: &Visit<'_>,
    left: Result<Left, Trouble>,
    done: &str,
) -> Answer {
    match left {
        Ok(Left::Now) => Ok(front.desk.see_other(done)),
        Ok(Left::Before) => Ok(front.desk.see_other("?done=left-before")),
        Ok(Left::Nothing) => Ok(front.desk.see_other("?done=nothing")),
        Err(trouble) => refused(front, visitor, visit, trouble).await,
    }
}

/// Says on the page itself why nothing was done.
async fn refused(front: &Front, visitor: &Visitor, visit: &Visit<'_>, trouble: Trouble) -> Answer {
    match trouble {
        Trouble::Refused(Refusal::TenantUnknown) => Err(Problem::NotConnected),
        Trouble::Refused(refusal) => {
            let told = Told::refused(refusal, front.desk.texts());
            show(front, Some(visitor), Some(visit), Told { status: StatusCode::CONFLICT, ..told })
                .await
        }
        trouble @ (Trouble::Store(_) | Trouble::Queue(_) | Trouble::Graph(_) | Trouble::Outrun) => {
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
