//! What keeps a request from being done: what happened, and what to do next, as a page.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    frame::Frame,
    rate_limit::TooOften,
    texts::{ENGLISH, ErrorMessage, ErrorTexts},
};
use crate::{
    graph::GraphError,
    identity::{
        keys::{KeysUnavailable, VaultWriteError},
        sign_in::FlowError,
    },
    queue::QueueError,
    store::StoreError,
};

/// Seconds after which a caller may retry when a service that we need does not answer.
pub(crate) const RETRY_AFTER_SECONDS: &str = "30";

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
    TooOften(TooOften),
    /// The cookie keys cannot be read.
    KeysUnavailable,
    /// The account at a booking system could not be kept, or not be deleted.
    VaultUnavailable,
    /// Tables or queues do not answer.
    StorageUnavailable,
    /// Entra or Graph does not answer.
    MicrosoftUnavailable,
    MicrosoftDenied,
    /// Nobody was signed in.
    SignIn(FlowError),
    /// The organisation was not connected.
    Consent(FlowError),
    /// The answer from Microsoft connected the tenant before.
    ConsentReplayed,
    Internal,
}

/// What a handler returns.
pub(crate) type PageResult = Result<Response, PageError>;

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
            Self::TooOften(_) => (StatusCode::TOO_MANY_REQUESTS, &t.too_often),
            Self::KeysUnavailable => (StatusCode::SERVICE_UNAVAILABLE, &t.keys_unavailable),
            Self::VaultUnavailable => (StatusCode::SERVICE_UNAVAILABLE, &t.vault_unavailable),
            Self::StorageUnavailable => (StatusCode::SERVICE_UNAVAILABLE, &t.storage_unavailable),
            Self::MicrosoftUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, &t.microsoft_unavailable)
            }
            Self::MicrosoftDenied => (StatusCode::CONFLICT, &t.microsoft_denied),
            Self::SignIn(error) => match error {
                FlowError::Refused { .. } => (StatusCode::FORBIDDEN, &t.sign_in_refused),
                FlowError::StateMismatch => (StatusCode::FORBIDDEN, &t.sign_in_state_mismatch),
                FlowError::Expired => (StatusCode::BAD_REQUEST, &t.sign_in_expired),
                FlowError::InvalidToken(_) => (StatusCode::FORBIDDEN, &t.sign_in_unverified),
                FlowError::TenantMismatch => (StatusCode::FORBIDDEN, &t.consent_other_tenant),
                FlowError::Unavailable => {
                    (StatusCode::SERVICE_UNAVAILABLE, &t.microsoft_unavailable)
                }
            },
            Self::Consent(error) => match error {
                FlowError::Refused { .. } => (StatusCode::FORBIDDEN, &t.consent_refused),
                FlowError::StateMismatch => (StatusCode::FORBIDDEN, &t.consent_state_mismatch),
                FlowError::Expired => (StatusCode::BAD_REQUEST, &t.consent_expired),
                FlowError::TenantMismatch | FlowError::InvalidToken(_) | FlowError::Unavailable => {
                    Self::SignIn(error.clone()).describe(t)
                }
            },
            Self::ConsentReplayed => (StatusCode::CONFLICT, &t.consent_replayed),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, &t.internal),
        }
    }

    /// Entra's own code for a refusal.
    fn code(&self) -> Option<&str> {
        if let Self::SignIn(FlowError::Refused { code })
        | Self::Consent(FlowError::Refused { code }) = self
        {
            return Some(code);
        }
        None
    }

    /// Whether signing in (again) helps.
    fn offers_sign_in(&self) -> bool {
        // Not when Entra does not answer: signing in would fail in the same way.
        let failed = matches!(self, Self::SignIn(error) if *error != FlowError::Unavailable);
        let session = matches!(self, Self::NotSignedIn | Self::SessionExpired | Self::CsrfMismatch);
        // With another account, or with a role that was activated since.
        failed || session || matches!(self, Self::NotAdministrator | Self::NotInvited)
    }

    /// The page, within `frame`.
    pub(super) fn render(&self, mut frame: Frame<'_>) -> String {
        let (_, ErrorMessage { title, happened, next }) = self.describe(&frame.t.errors);
        frame.title = title;
        let (code, sign_in) = (self.code(), self.offers_sign_in());
        let page = ErrorPage { frame, happened, next, code, sign_in };
        // A page that cannot be rendered still says what happened.
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
            // Holds codes and reasons, nothing about a person.
            tracing::info!(error = ?self, "page error shown");
        }
        let (status, _) = self.describe(&ENGLISH.errors);
        let mut response = status.into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Self::TooOften(TooOften { retry_after }) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
        }
        // The page is made outside, where the function and so the links are known.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<KeysUnavailable> for PageError {
    fn from(_: KeysUnavailable) -> Self {
        Self::KeysUnavailable
    }
}

impl From<VaultWriteError> for PageError {
    fn from(_: VaultWriteError) -> Self {
        Self::VaultUnavailable
    }
}

impl From<TooOften> for PageError {
    fn from(error: TooOften) -> Self {
        Self::TooOften(error)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Unreadable { .. }) {
            return internal(&error);
        }
        if error.is_conflict() { Self::Conflict } else { Self::StorageUnavailable }
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
            GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied => {
                Self::MicrosoftDenied
            }
            GraphError::MailboxNotFound
            | GraphError::Refused { .. }
            | GraphError::Blocked(_)
            | GraphError::Unreadable => internal(&error),
        }
    }
}

/// Our own mistake: the log has what the page does not say.
pub(super) fn internal(error: &dyn std::error::Error) -> PageError {
    tracing::error!(%error, "page rendering failed");
    PageError::Internal
}

/// Of a sign-in. A consent's is made with [`PageError::Consent`].
impl From<FlowError> for PageError {
    fn from(error: FlowError) -> Self {
        if let FlowError::InvalidToken(reason) = &error {
            tracing::warn!(%reason, "id token rejected");
        }
        Self::SignIn(error)
    }
}
