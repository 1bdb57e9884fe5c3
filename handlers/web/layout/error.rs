//! What keeps a request from being done: what happened, and what to do next, as a page.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    frame::Frame,
    texts::{ENGLISH, ErrorMessage, ErrorTexts},
};
use crate::{
    graph::GraphError,
    identity::{
        keys::KeysUnavailable,
        sign_in::{ConsentError, SignInError},
    },
    queue::QueueError,
    store::StoreError,
};

/// Seconds after which a browser may retry when a service that we need does not answer.
const RETRY_AFTER_SECONDS: &str = "30";

/// Why a request is not done. Returned by a handler, it becomes a page within
/// [`super::PageContext::wrap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageError {
    NotSignedIn,
    /// The session ended while its user filled in a form.
    SessionExpired,
    NotAdministrator,
    NotInvited,
    /// The tenant is not connected, or is no longer connected.
    NotConnected,
    /// The request came from another site.
    CrossSite,
    /// The form is of another session.
    CsrfMismatch,
    /// The form has fields that no page of ours has.
    MalformedForm,
    UnsupportedMediaType,
    TooLarge,
    NotFound,
    MethodNotAllowed,
    /// Somebody else changed the same row at the same time.
    Conflict,
    /// The cookie keys cannot be read.
    KeysUnavailable,
    /// Tables or queues do not answer.
    StorageUnavailable,
    /// Entra or Graph does not answer.
    MicrosoftUnavailable,
    MicrosoftDenied,
    /// Entra refused the sign-in, with this code.
    SignInRefused(String),
    /// This browser did not start the sign-in, or used it already.
    SignInStateMismatch,
    SignInExpired,
    /// What Entra sent does not prove who the user is.
    SignInUnverified,
    /// Entra refused the consent, with this code.
    ConsentRefused(String),
    /// This browser did not start the consent.
    ConsentStateMismatch,
    ConsentReplayed,
    ConsentExpired,
    ConsentOtherTenant,
    Internal,
}

impl PageError {
    /// The status that the page is sent with, and what it says.
    fn describe<'a>(&self, t: &'a ErrorTexts) -> (StatusCode, &'a ErrorMessage) {
        match self {
            Self::NotSignedIn => (StatusCode::UNAUTHORIZED, &t.not_signed_in),
            Self::SessionExpired => (StatusCode::UNAUTHORIZED, &t.session_expired),
            Self::NotAdministrator => (StatusCode::FORBIDDEN, &t.not_administrator),
            Self::NotInvited => (StatusCode::FORBIDDEN, &t.not_invited),
            Self::NotConnected => (StatusCode::CONFLICT, &t.not_connected),
            Self::CrossSite => (StatusCode::FORBIDDEN, &t.cross_site),
            Self::CsrfMismatch => (StatusCode::FORBIDDEN, &t.csrf_mismatch),
            Self::MalformedForm => (StatusCode::BAD_REQUEST, &t.malformed_form),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, &t.malformed_form),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, &t.too_large),
            Self::NotFound => (StatusCode::NOT_FOUND, &t.not_found),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, &t.method_not_allowed),
            Self::Conflict => (StatusCode::CONFLICT, &t.conflict),
            Self::KeysUnavailable => (StatusCode::SERVICE_UNAVAILABLE, &t.keys_unavailable),
            Self::StorageUnavailable => (StatusCode::SERVICE_UNAVAILABLE, &t.storage_unavailable),
            Self::MicrosoftUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, &t.microsoft_unavailable)
            }
            Self::MicrosoftDenied => (StatusCode::CONFLICT, &t.microsoft_denied),
            Self::SignInRefused(_) => (StatusCode::FORBIDDEN, &t.sign_in_refused),
            Self::SignInStateMismatch => (StatusCode::FORBIDDEN, &t.sign_in_state_mismatch),
            Self::SignInExpired => (StatusCode::BAD_REQUEST, &t.sign_in_expired),
            Self::SignInUnverified => (StatusCode::FORBIDDEN, &t.sign_in_unverified),
            Self::ConsentRefused(_) => (StatusCode::FORBIDDEN, &t.consent_refused),
            Self::ConsentStateMismatch => (StatusCode::FORBIDDEN, &t.consent_state_mismatch),
            Self::ConsentReplayed => (StatusCode::CONFLICT, &t.consent_replayed),
            Self::ConsentExpired => (StatusCode::BAD_REQUEST, &t.consent_expired),
            Self::ConsentOtherTenant => (StatusCode::FORBIDDEN, &t.consent_other_tenant),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, &t.internal),
        }
    }

    fn code(&self) -> Option<&str> {
        if let Self::SignInRefused(code) | Self::ConsentRefused(code) = self {
            return Some(code);
        }
        None
    }

    /// Whether signing in (again) helps.
    fn offers_sign_in(&self) -> bool {
        let session = matches!(self, Self::NotSignedIn | Self::SessionExpired | Self::CsrfMismatch);
        let refused = matches!(self, Self::SignInRefused(_) | Self::NotAdministrator);
        let failed = matches!(
            self,
            Self::SignInStateMismatch | Self::SignInExpired | Self::SignInUnverified
        );
        session || refused || failed || *self == Self::NotInvited
    }

    /// The page, within `frame`.
    pub(super) fn render(&self, mut frame: Frame<'_>) -> String {
        let (_, ErrorMessage { title, happened, next }) = self.describe(&frame.t.errors);
        frame.title = title;
        let page =
            ErrorPage { happened, next, code: self.code(), sign_in: self.offers_sign_in(), frame };
        page.render().unwrap_or_else(|_| (*happened).to_owned())
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    happened: &'a str,
    next: &'a str,
    code: Option<&'a str>,
    sign_in: bool,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if self == Self::Internal {
            tracing::error!("page rendering failed");
        } else {
            tracing::info!(error = ?self, "page error shown");
        }
        let (status, _) = self.describe(&ENGLISH.errors);
        let mut response = status.into_response();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<KeysUnavailable> for PageError {
    fn from(KeysUnavailable: KeysUnavailable) -> Self {
        Self::KeysUnavailable
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlreadyExists | StoreError::NotFound | StoreError::ETagMismatch => {
                Self::Conflict
            }
            StoreError::Unavailable(_) | StoreError::Refused(_) => Self::StorageUnavailable,
            StoreError::Unreadable { .. } => {
                tracing::error!(%error, "page rendering failed");
                Self::Internal
            }
        }
    }
}

impl From<QueueError> for PageError {
    fn from(_: QueueError) -> Self {
        Self::StorageUnavailable
    }
}

impl From<GraphError> for PageError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Retry { .. } => Self::MicrosoftUnavailable,
            GraphError::Disconnected | GraphError::AccessDenied => Self::MicrosoftDenied,
            GraphError::MailboxNotFound
            | GraphError::Refused { .. }
            | GraphError::Blocked(_)
            | GraphError::Unreadable => {
                tracing::error!(%error, "page rendering failed");
                Self::Internal
            }
        }
    }
}

impl From<SignInError> for PageError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused { code } => Self::SignInRefused(code),
            SignInError::StateMismatch => Self::SignInStateMismatch,
            SignInError::Expired => Self::SignInExpired,
            SignInError::InvalidToken(reason) => {
                tracing::warn!(%reason, "id token rejected");
                Self::SignInUnverified
            }
            SignInError::Unavailable => Self::MicrosoftUnavailable,
        }
    }
}

impl From<ConsentError> for PageError {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Refused { code } => Self::ConsentRefused(code),
            ConsentError::StateMismatch => Self::ConsentStateMismatch,
            ConsentError::Expired => Self::ConsentExpired,
            ConsentError::TenantMismatch => Self::ConsentOtherTenant,
        }
    }
}
