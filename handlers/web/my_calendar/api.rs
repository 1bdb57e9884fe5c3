//! The API for an add-in: the same as the pages, as JSON, for a bearer token and nothing else.
//!
//! Cookies are never looked at here, and a token opens no page, so neither can be used in the
//! other's place. The answers are not for a browser to show: they may load nothing and be framed
//! nowhere.

use std::sync::Arc;

use axum::{
    Extension,
    body::to_bytes,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::form_urlencoded;

use super::{
    AppState, agree::AgreeOutcome, api_error::ApiError, context::RequestContext,
    stored_data::PersonalDataExport, summary::EligibilitySummary, withdraw::WithdrawOutcome,
};
use crate::{
    base::call_log::CallLog, domain::personal::Personal, identity::sign_in::SignedInUser,
    store::mailboxes::BookingDisposition,
};

/// The largest body that is read, in bytes.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// The longest address of an owner, in characters: the longest that mail takes (RFC 5321, 4.5.3.1).
pub(super) const MAX_ADDRESS_CHARS: usize = 320;
/// The longest text version that is compared.
const MAX_VERSION_CHARS: usize = 64;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const ALLOWED_METHODS: &str = "DELETE, GET, POST, PUT";
/// How long a browser remembers a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

/// `PUT`: the caller agrees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreeRequest {
    text_version: String,
}

/// `POST`: the caller agrees for the owner of another calendar.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DelegateRequest {
    owner: String,
    text_version: String,
}

/// The answer to `GET`.
#[derive(Serialize)]
struct StatusBody {
    eligibility: EligibilitySummary,
    stored: PersonalDataExport,
}

/// The answer to what changes something.
#[derive(Serialize)]
struct ResultBody {
    result: &'static str,
}

/// Answers every request for `api`.
pub(super) async fn handle(
    State(state): State<Arc<AppState>>,
    Extension(calls): Extension<CallLog>,
    request: Request,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut answer = match state.dispatch(request, calls).await {
        Ok(answer) => answer,
        Err(fault) => fault.into_response(),
    };
    let own = state.add_in_origin.as_deref().map(str::as_bytes);
    let allowed = origin.filter(|origin| own == Some(origin.as_bytes()));
    set_headers(answer.headers_mut(), allowed, preflight);
    answer
}

/// Headers of every answer. Only the add-in's own origin may read it from a browser, and never with
/// cookies.
fn set_headers(headers: &mut HeaderMap, allowed: Option<HeaderValue>, preflight: bool) {
    let fixed = |text: &'static str| HeaderValue::from_static(text);
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, fixed("max-age=63072000; includeSubDomains"));
    headers.insert(header::VARY, fixed("Origin"));
    let Some(origin) = allowed else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed(ALLOWED_METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed("authorization, content-type"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, fixed(PREFLIGHT_MAX_AGE));
    } else {
        let exposed = fixed("retry-after, www-authenticate");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

impl AppState {
    async fn dispatch(&self, request: Request, calls: CallLog) -> Result<Response, ApiError> {
        let method = request.method().clone();
        if method == Method::OPTIONS {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let caller = self.authenticate(request.headers()).await?;
        let visit = RequestContext::for_caller(&self.deps, &caller, calls);
        match method {
            Method::GET => status_response(&visit).await,
            Method::PUT => {
                let wire: AgreeRequest = body(request).await?;
                let agreed =
                    visit.agree(single_line(&wire.text_version, MAX_VERSION_CHARS)?).await?;
                json(&ResultBody { result: agree_outcome_str(agreed) })
            }
            Method::DELETE => {
                let (farewell, erase) =
                    parse_withdrawal(request.uri().query().unwrap_or_default())?;
                let left = match erase {
                    true => visit.erase(farewell).await?,
                    false => visit.withdraw(farewell).await?,
                };
                json(&ResultBody { result: withdraw_outcome_str(left) })
            }
            Method::POST => {
                let wire: DelegateRequest = body(request).await?;
                let owner = Personal::new(single_line(&wire.owner, MAX_ADDRESS_CHARS)?);
                let version = single_line(&wire.text_version, MAX_VERSION_CHARS)?;
                let agreed = visit
                    .agree_as_delegate(&owner, version, &|name| self.delegate_notice(name))
                    .await?;
                json(&ResultBody { result: agree_outcome_str(agreed) })
            }
            _ => Err(ApiError::MethodNotAllowed),
        }
    }

    /// Who calls: the bearer of exactly one token, in its header and nowhere else.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<SignedInUser, ApiError> {
        let mut all = headers.get_all(header::AUTHORIZATION).into_iter();
        let (Some(one), None) = (all.next(), all.next()) else {
            return Err(ApiError::TokenMissing);
        };
        let text = one.to_str().map_err(|_| ApiError::TokenRefused)?;
        let (scheme, token) = text.split_once(' ').ok_or(ApiError::TokenMissing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError::TokenMissing);
        }
        Ok(self.token_verifier.verify_access_token(token.trim()).await?)
    }
}

async fn status_response(ctx: &RequestContext<'_>) -> Result<Response, ApiError> {
    let standing = ctx.eligibility_of(ctx.person).await?;
    json(&StatusBody {
        eligibility: EligibilitySummary::of(&standing),
        stored: ctx.export().await?,
    })
}

fn agree_outcome_str(agreed: AgreeOutcome) -> &'static str {
    match agreed {
        AgreeOutcome::Recorded => "agreed",
        AgreeOutcome::AlreadyRecorded => "agreed_before",
    }
}

fn withdraw_outcome_str(left: WithdrawOutcome) -> &'static str {
    match left {
        WithdrawOutcome::Recorded => "left",
        WithdrawOutcome::AlreadyRecorded => "left_before",
        WithdrawOutcome::NothingStored => "nothing_stored",
    }
}

fn json(content: &impl Serialize) -> Result<Response, ApiError> {
    let text = serde_json::to_string(content).map_err(|_| ApiError::BadRequest)?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((kind, text).into_response())
}

/// The JSON of a request, with nothing in it that is not documented.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::UnsupportedMediaType);
    }
    let bytes =
        to_bytes(request.into_body(), MAX_BODY_BYTES).await.map_err(|_| ApiError::TooLarge)?;
    serde_json::from_slice(&bytes).map_err(|_| ApiError::BadRequest)
}

/// `text`, if it is one line of at most `max` characters.
fn single_line(text: &str, max: usize) -> Result<&str, ApiError> {
    let fits = text.chars().count() <= max && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(ApiError::BadRequest) }
}

/// What `DELETE` says: what becomes of bookings, which has no default, and whether to erase.
fn parse_withdrawal(query: &str) -> Result<(BookingDisposition, bool), ApiError> {
    let (mut farewell, mut erase) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("bookings", "released") if farewell.is_none() => {
                farewell = Some(BookingDisposition::Release)
            }
            ("bookings", "anonymous") if farewell.is_none() => {
                farewell = Some(BookingDisposition::KeepAnonymous)
            }
            ("erase", "true") if erase.is_none() => erase = Some(true),
            ("erase", "false") if erase.is_none() => erase = Some(false),
            _ => return Err(ApiError::BadRequest),
        }
    }
    Ok((farewell.ok_or(ApiError::BadRequest)?, erase.unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_says_what_becomes_of_the_bookings() {
        assert_eq!(parse_withdrawal("bookings=released"), Ok((BookingDisposition::Release, false)));
        assert_eq!(
            parse_withdrawal("erase=true&bookings=anonymous"),
            Ok((BookingDisposition::KeepAnonymous, true))
        );
        for bad in ["", "erase=true", "bookings=all", "bookings=released&bookings=released", "x=1"]
        {
            assert_eq!(parse_withdrawal(bad), Err(ApiError::BadRequest), "{bad}");
        }
    }
}
