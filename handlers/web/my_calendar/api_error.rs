//! What the API answers when something is not done: problem details (RFC 9457) with a code that does
//! not change.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    agree::TEXT_VERSION,
    context::{DenialReason, Error},
};
use crate::{
    identity::{
        keys::{SigningKeysUnavailable, TokenRejection, VerifyError},
        sign_in::API_SCOPE,
    },
    web::layout::texts::ENGLISH,
};

/// Seconds after which a caller may ask again.
const RETRY_AFTER_SECONDS: &str = "30";

/// Why the API does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiError {
    /// There is no bearer token, or more than one.
    TokenMissing,
    /// The token proves nothing.
    TokenRefused,
    /// The token is Entra's and for us, and does not allow this.
    TokenInsufficient,
    /// The method is none of the API's.
    MethodNotAllowed,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body is larger than any of ours.
    TooLarge,
    /// The query or the body is not what is documented.
    BadRequest,
    /// It was understood, and not done.
    Failed(Error),
    /// Whether the token is good cannot be said for now.
    KeysUnavailable,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused(
                TokenRejection::Scope | TokenRejection::Client | TokenRejection::AppOnly,
            ) => Self::TokenInsufficient,
            VerifyError::Refused(reason) => {
                tracing::info!(%reason, "a token was refused");
                Self::TokenRefused
            }
            VerifyError::Unavailable(SigningKeysUnavailable) => Self::KeysUnavailable,
        }
    }
}

#[derive(Serialize)]
struct ProblemDetails {
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

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TokenMissing | Self::TokenRefused => StatusCode::UNAUTHORIZED,
            Self::TokenInsufficient => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Failed(Error::Denied(refusal)) => denial_status(*refusal),
            Self::Failed(_) | Self::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "token_missing",
            Self::TokenRefused => "token_refused",
            Self::TokenInsufficient => "token_insufficient",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "not_json",
            Self::TooLarge => "too_large",
            Self::BadRequest => "bad_request",
            Self::Failed(Error::Denied(refusal)) => refusal.code(),
            Self::Failed(_) | Self::KeysUnavailable => "unavailable",
        }
    }

    fn title(&self) -> String {
        let text = match self {
            Self::TokenMissing => "one bearer token is needed",
            Self::TokenRefused => "the token proves nothing here",
            Self::TokenInsufficient => "the token does not allow this",
            Self::MethodNotAllowed => "the address takes another method",
            Self::UnsupportedMediaType => "the body must be application/json",
            Self::TooLarge => "the body is too large",
            Self::BadRequest => "the request is not as documented",
            Self::Failed(Error::Denied(refusal)) => return refusal.to_string(),
            // What is away is our own business.
            Self::Failed(_) | Self::KeysUnavailable => "not now: repeating it is safe",
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
            Self::MethodNotAllowed
            | Self::UnsupportedMediaType
            | Self::TooLarge
            | Self::BadRequest => None,
            Self::Failed(_) | Self::KeysUnavailable => None,
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
        if let Self::Failed(trouble) = &self {
            tracing::info!(%trouble, "the API did not do what it was asked");
        }
        let old_text = self == Self::Failed(DenialReason::TextChanged.into());
        let wire = ProblemDetails {
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
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        answer
    }
}
