//! The API for an add-in: the same as the page, as JSON, for a bearer token and nothing else.
//!
//! The API never reads cookies, and a token opens no page, so neither can replace the other.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    consent_text::{TEXT_VERSION, agreement},
    context::{Deps, RequestContext},
    eligibility::{Eligibility, ScopeStatus},
    error::{DenialReason, Error},
    stored_data::{consent_kind_str, state_str},
    withdraw::{WithdrawOutcome, parse_disposition},
};
use crate::{
    base::invocation::RequestInvocation,
    domain::{
        personal::Personal,
        tenant::{
            ConsentMode, TenantState,
            policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        },
    },
    identity::{
        keys::{KeysUnavailable, VerifyError},
        sign_in::{API_SCOPE, SignedInUser, TokenVerifier},
    },
    store::mailboxes::BookingDisposition,
    web::layout::{MAX_ADDRESS_CHARS, RETRY_AFTER_SECONDS, TooOften, has_content_type, read_body},
};

/// The largest body that is read, in bytes.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// The longest text version that is compared, in characters.
const MAX_VERSION_CHARS: usize = 64;

/// An answer is not for a browser to show: it may load nothing, and no page may frame it.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// What an add-in may send, which a browser remembers for 600 seconds.
const PREFLIGHT_HEADERS: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "DELETE, GET, POST, PUT"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
    (header::ACCESS_CONTROL_MAX_AGE, "600"),
];
/// What an add-in may read of an answer.
const READ_HEADERS: [(HeaderName, &str); 1] =
    [(header::ACCESS_CONTROL_EXPOSE_HEADERS, "retry-after, www-authenticate")];

/// The caller agrees. A field that is not documented is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreeRequest {
    text_version: String,
    /// The owner of the calendar, for `POST`; `PUT` is about the caller's own.
    #[serde(default, deserialize_with = "some")]
    owner: Option<String>,
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    // Only a missing field is none: `null` is as undocumented as an unknown field.
    String::deserialize(from).map(Some)
}

/// What applies to the caller, in words that never change, and the text that people agree to now.
fn eligibility_json(eligibility: &Eligibility) -> Value {
    let policy = &eligibility.tenant.policy;
    json!({
        "organisation": match eligibility.tenant.state {
            TenantState::Active => "active",
            TenantState::Suspended(_) => "suspended",
            TenantState::Disconnecting | TenantState::Deleted(_) => "leaving",
        },
        "consent_mode": match policy.consent {
            ConsentMode::OptIn => "opt_in",
            ConsentMode::Organisation => "organisation",
        },
        "subjects": match policy.content.subject {
            SubjectPolicy::Drop => "dropped",
            SubjectPolicy::Keep => "kept",
            SubjectPolicy::Replace(_) => "replaced",
        },
        "people": match policy.content.people {
            PeoplePolicy::Count => "count",
            PeoplePolicy::Organizer => "organizer",
            PeoplePolicy::Addresses => "addresses",
        },
        "private": match policy.content.private {
            PrivatePolicy::WithoutSubject => "without_subject",
            PrivatePolicy::Anonymous => "anonymous",
        },
        "delegates": eligibility.allows_delegates(),
        "scope": match &eligibility.scope {
            ScopeStatus::InScope => "within",
            ScopeStatus::OutOfScope => "out_of_scope",
            ScopeStatus::Excluded => "excluded",
            ScopeStatus::RoomMailbox => "room",
            ScopeStatus::Unknown(_) => "unknown",
        },
        "state": eligibility.state().as_ref().map_or("none", state_str),
        "consent": eligibility.consent_kind().as_ref().map(consent_kind_str),
        "text_version": TEXT_VERSION,
        "text": agreement(),
    })
}

/// Answers every request for `api`. Only the add-in's own origin may read an answer from a browser,
/// and never with cookies.
pub(super) async fn handle(
    State(deps): State<Arc<Deps>>,
    Extension(invocation): Extension<RequestInvocation>,
    request: Request,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        dispatch(&deps, request, &invocation).await.unwrap_or_else(IntoResponse::into_response);
    let own = deps.add_in_origin.as_deref().map(str::as_bytes);
    // No `*`, and never with credentials: a token is sent by the add-in itself.
    let allowed = origin.filter(|origin| own == Some(origin.as_bytes()));
    let headers = response.headers_mut();
    // Also without an origin, so that no cache gives one origin's answer to another.
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let cors = if preflight { &PREFLIGHT_HEADERS[..] } else { &READ_HEADERS[..] };
        headers.extend(
            cors.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))),
        );
    }
    response
}

async fn dispatch(
    deps: &Deps,
    request: Request,
    invocation: &RequestInvocation,
) -> Result<Response, ApiError> {
    let method = request.method().clone();
    // Browsers send a preflight without the token.
    if method == Method::OPTIONS {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let caller = authenticate(&deps.token_verifier, request.headers()).await?;
    match method {
        Method::GET => deps.pages.rate_limiter.check_read(caller.tenant, caller.person)?,
        _ => deps.pages.rate_limiter.check_change(caller.tenant, caller.person)?,
    }
    let invocation = invocation.for_tenant(caller.tenant);
    let ctx = RequestContext { deps, invocation, person: caller.person };
    match method {
        Method::GET => {
            let eligibility = ctx.eligibility_of(ctx.person).await?;
            let stored = ctx.export().await?.to_json();
            let eligibility = eligibility_json(&eligibility);
            Ok(Json(json!({ "eligibility": eligibility, "stored": stored })).into_response())
        }
        Method::PUT => {
            let AgreeRequest { text_version, owner: None } = parse_body(request).await? else {
                return Err(ApiError::BadRequest);
            };
            let version = single_line(&text_version, MAX_VERSION_CHARS)?;
            Ok(agree_response(ctx.agree(version).await?))
        }
        Method::DELETE => {
            // In the query: many clients and proxies drop the body of a DELETE.
            let query = request.uri().query().unwrap_or_default();
            let (disposition, erase) = parse_withdrawal(query)?;
            let outcome = match erase {
                true => ctx.erase(disposition).await?,
                false => ctx.withdraw(disposition).await?,
            };
            Ok(result_response(match outcome {
                WithdrawOutcome::Recorded => "withdrawn",
                WithdrawOutcome::AlreadyRecorded => "already_withdrawn",
                WithdrawOutcome::NothingStored => "nothing_stored",
            }))
        }
        Method::POST => {
            let AgreeRequest { text_version, owner } = parse_body(request).await?;
            let owner = owner.ok_or(ApiError::BadRequest)?;
            let owner = Personal::new(single_line(&owner, MAX_ADDRESS_CHARS)?);
            let version = single_line(&text_version, MAX_VERSION_CHARS)?;
            Ok(agree_response(ctx.agree_as_delegate(&owner, version).await?))
        }
        _ => Err(ApiError::MethodNotAllowed),
    }
}

/// Who calls: the bearer of exactly one token, in its header and nowhere else.
async fn authenticate(
    verifier: &TokenVerifier,
    headers: &HeaderMap,
) -> Result<SignedInUser, ApiError> {
    // Of two headers we and a proxy might each believe another one.
    let mut all = headers.get_all(header::AUTHORIZATION).into_iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return Err(ApiError::TokenMissing);
    };
    let text = one.to_str().map_err(|_| ApiError::TokenRefused)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::TokenMissing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::TokenMissing);
    }
    Ok(verifier.verify_access_token(token.trim()).await?)
}

fn agree_response(recorded: bool) -> Response {
    result_response(if recorded { "agreed" } else { "already_agreed" })
}

/// The answer to a request that changes something.
fn result_response(result: &str) -> Response {
    Json(json!({ "result": result })).into_response()
}

async fn parse_body(request: Request) -> Result<AgreeRequest, ApiError> {
    // Only a page of the allowed origin can send this type: browsers ask for permission first.
    if !has_content_type(request.headers(), "application/json") {
        return Err(ApiError::UnsupportedMediaType);
    }
    let bytes = read_body(request.into_body(), MAX_BODY_BYTES).await.ok_or(ApiError::TooLarge)?;
    serde_json::from_slice(&bytes).map_err(|_| ApiError::BadRequest)
}

/// `text`, if it is one line of at most `max` characters.
fn single_line(text: &str, max: usize) -> Result<&str, ApiError> {
    let fits = text.chars().count() <= max && !text.chars().any(char::is_control);
    if fits { Ok(text) } else { Err(ApiError::BadRequest) }
}

/// The query of `DELETE`: what becomes of bookings, which has no default, and whether to erase.
fn parse_withdrawal(query: &str) -> Result<(BookingDisposition, bool), ApiError> {
    let (mut disposition, mut erase) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        // A value that cannot be read, and a second one, are errors: nothing is guessed.
        match name.as_ref() {
            "bookings" if disposition.is_none() => {
                disposition = Some(parse_disposition(&value).ok_or(ApiError::BadRequest)?);
            }
            "erase" if erase.is_none() => {
                erase = Some(value.parse().map_err(|_| ApiError::BadRequest)?);
            }
            _ => return Err(ApiError::BadRequest),
        }
    }
    Ok((disposition.ok_or(ApiError::BadRequest)?, erase.unwrap_or(false)))
}

/// Why the API does not do what it was asked. The answer is problem details (RFC 9457) with a code
/// that never changes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ApiError {
    /// There is no bearer token, or more than one.
    #[error("one bearer token is needed")]
    TokenMissing,
    #[error("the token is invalid")]
    TokenRefused,
    /// The token is Entra's and for us, but does not allow this.
    #[error("the token does not allow this")]
    TokenInsufficient,
    #[error("the address does not take this method")]
    MethodNotAllowed,
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    #[error("the body is too large")]
    TooLarge,
    #[error("the request is not as documented")]
    BadRequest,
    #[error(transparent)]
    Denied(DenialReason),
    #[error("too many requests in a short time")]
    TooOften(TooOften),
    /// The request was not completed, or we cannot verify a token now. Which of our services does not
    /// answer is our own business.
    #[error("temporarily unavailable; retrying is safe")]
    Unavailable,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        tracing::info!(%error, "API request failed");
        match error {
            Error::Denied(reason) => Self::Denied(reason),
            Error::Store(_) | Error::Queue(_) | Error::Graph(_) | Error::Conflict => {
                Self::Unavailable
            }
        }
    }
}

impl From<TooOften> for ApiError {
    fn from(error: TooOften) -> Self {
        Self::TooOften(error)
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Scope | VerifyError::Client | VerifyError::AppOnly => {
                Self::TokenInsufficient
            }
            VerifyError::Unavailable(KeysUnavailable) => Self::Unavailable,
            VerifyError::Malformed
            | VerifyError::Algorithm
            | VerifyError::UnknownKey
            | VerifyError::Signature
            | VerifyError::Audience
            | VerifyError::Version
            | VerifyError::Issuer
            | VerifyError::Person
            | VerifyError::Expired
            | VerifyError::NotYetValid
            | VerifyError::Nonce => {
                tracing::info!(reason = %error, "a token was refused");
                Self::TokenRefused
            }
        }
    }
}

impl ApiError {
    /// The status and the code.
    fn describe(&self) -> (StatusCode, Value) {
        let (status, code) = match self {
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "token_missing"),
            Self::TokenRefused => (StatusCode::UNAUTHORIZED, "token_refused"),
            Self::TokenInsufficient => (StatusCode::FORBIDDEN, "token_insufficient"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Denied(reason) => return (denial_status(*reason), json!(reason)),
            Self::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        (status, json!(code))
    }

    /// What the bearer token lacks (RFC 6750, 3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::TokenMissing => Some("Bearer".to_owned()),
            Self::TokenRefused => Some(r#"Bearer error="invalid_token""#.to_owned()),
            Self::TokenInsufficient => {
                Some(format!(r#"Bearer error="insufficient_scope", scope="{API_SCOPE}""#))
            }
            Self::MethodNotAllowed
            | Self::UnsupportedMediaType
            | Self::TooLarge
            | Self::BadRequest
            | Self::Denied(_)
            | Self::TooOften(_)
            | Self::Unavailable => None,
        }
    }
}

fn denial_status(reason: DenialReason) -> StatusCode {
    match reason {
        DenialReason::TenantUnknown
        | DenialReason::OutOfScope
        | DenialReason::Excluded
        | DenialReason::RoomMailbox
        | DenialReason::DelegatesOff
        | DenialReason::NotDelegate => StatusCode::FORBIDDEN,
        DenialReason::OwnerUnknown => StatusCode::NOT_FOUND,
        DenialReason::TenantSuspended
        | DenialReason::TenantLeaving
        | DenialReason::TextChanged
        | DenialReason::OwnCalendar
        | DenialReason::DelegationUnreadable
        | DenialReason::OwnerNotNotified
        | DenialReason::OwnerWithdrew => StatusCode::CONFLICT,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.describe();
        let mut details = json!({
            "type": "about:blank",
            "title": self.to_string(),
            "status": status.as_u16(),
            "code": code,
        });
        // So that an add-in can show the new text without asking again.
        if self == Self::Denied(DenialReason::TextChanged) {
            details["text_version"] = TEXT_VERSION.into();
            details["text"] = agreement().into();
        }
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, kind, details.to_string()).into_response();
        // Programs tell by it whether a new token helps.
        let challenge = self.challenge().and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Self::TooOften(TooOften { retry_after }) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
        }
        response
    }
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
