//! What the API answers when something is not done: problem details (RFC 9457) with a code that does
//! not change.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    agree::TEXT_VERSION,
    visit::{Refusal, Trouble},
};
use crate::{
    identity::{
        signing_keys::Unavailable,
        tokens::{API_SCOPE, CheckError, Reason},
    },
    web::layout::texts::ENGLISH,
};

/// Seconds after which a caller may ask again.
const AGAIN: &str = "30";

/// Why the API does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no bearer token, or more than one.
    TokenMissing,
    /// The token proves nothing.
    TokenRefused,
    /// The token is Entra's and for us, and does not allow this.
    TokenInsufficient,
    /// The method is none of the API's.
    Method,
    /// The body is not `application/json`.
    NotJson,
    /// The body is larger than any of ours.
    TooLarge,
    /// The query or the body is not what is documented.
    BadRequest,
    /// It was understood, and not done.
    Trouble(Trouble),
    /// Whether the token is good cannot be said for now.
    KeysAway,
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<CheckError> for Fault {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(Reason::Scope | Reason::Client | Reason::AppOnly) => {
                Self::TokenInsufficient
            }
            CheckError::Refused(reason) => {
                tracing::info!(%reason, "a token was refused");
                Self::TokenRefused
            }
            CheckError::Unavailable(Unavailable) => Self::KeysAway,
        }
    }
}

#[derive(Serialize)]
struct ProblemWire {
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'static str>,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::TokenMissing | Self::TokenRefused => StatusCode::UNAUTHORIZED,
            Self::TokenInsufficient => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Trouble(Trouble::Refused(refusal)) => status_of(*refusal),
            Self::Trouble(_) | Self::KeysAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenRefused => "token_refused",
            Self::TokenInsufficient => "token_insufficient",
            Self::Method => "method_not_allowed",
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::BadRequest => "bad_request",
            Self::Trouble(Trouble::Refused(refusal)) => refusal.code(),
            Self::Trouble(_) | Self::KeysAway => "unavailable",
        }
    }

    fn title(&self) -> String {
        let text = match self {
            Self::TokenMissing => "one bearer token is needed",
            Self::TokenRefused => "the token proves nothing here",
            Self::TokenInsufficient => "the token does not allow this",
            Self::Method => "the address takes another method",
            Self::NotJson => "the body must be application/json",
            Self::TooLarge => "the body is too large",
            Self::BadRequest => "the request is not as documented",
            Self::Trouble(Trouble::Refused(refusal)) => return refusal.to_string(),
            // What is away is our own business.
            Self::Trouble(_) | Self::KeysAway => "not now: repeating it is safe",
        };
        text.to_owned()
    }

    /// What a bearer token lacks (RFC 6750, 3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::TokenMissing => Some("Bearer".to_owned()),
            Self::TokenRefused => Some(r#"Bearer error="invalid_token""#.to_owned()),
            Self::TokenInsufficient => {
                Some(format!(r#"Bearer error="insufficient_scope", scope="{API_SCOPE}""#))
            }
            Self::Method | Self::NotJson | Self::TooLarge | Self::BadRequest => None,
            Self::Trouble(_) | Self::KeysAway => None,
        }
    }
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::TenantUnknown
        | Refusal::OutOfScope
        | Refusal::Excluded
        | Refusal::Room
        | Refusal::DelegatesOff
        | Refusal::NotDelegate => StatusCode::FORBIDDEN,
        Refusal::OwnerUnknown => StatusCode::NOT_FOUND,
        Refusal::TenantSuspended
        | Refusal::TenantLeaving
        | Refusal::OldText
        | Refusal::OwnCalendar
        | Refusal::ProofUnreadable
        | Refusal::OwnerNotTold
        | Refusal::OwnerWithdrew => StatusCode::CONFLICT,
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        if let Self::Trouble(trouble) = &self {
            tracing::info!(%trouble, "the API did not do what it was asked");
        }
        let old_text = self == Self::Trouble(Refusal::OldText.into());
        let wire = ProblemWire {
            kind: "about:blank",
            title: self.title(),
            status: self.status().as_u16(),
            code: self.code(),
            text_version: old_text.then_some(TEXT_VERSION),
            text: old_text.then_some(ENGLISH.my_calendar.agreement),
        };
        let body = serde_json::to_string(&wire).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut answer = (self.status(), kind, body).into_response();
        let challenge = self.challenge().and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(challenge) = challenge {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN));
        }
        answer
    }
}
