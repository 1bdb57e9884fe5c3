//! Problems: what stands in somebody's way, what happened, and what to do next.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    frame::Frame,
    texts::{ErrorMessage, ErrorTexts},
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

/// Seconds after which a browser may ask again when something of ours is away.
const RETRY_AFTER_SECONDS: &str = "30";

/// Something stands in the way. Answered by a handler, it becomes a page within
/// [`super::PageContext::around`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageError {
    /// Nobody is signed in.
    NotSignedIn,
    /// Somebody was signed in while filling in a form, and is not any more.
    SessionExpired,
    /// It is for administrators.
    NotAdministrator,
    /// The tenant is not invited.
    NotInvited,
    /// The tenant is not connected, or not any more.
    NotConnected,
    /// The request came from another site.
    CrossSite,
    /// The form is of another session.
    CsrfMismatch,
    /// The form has fields that no page of ours has.
    MalformedForm,
    /// The form is not a form.
    UnsupportedMediaType,
    /// The form is larger than any of ours.
    TooLarge,
    /// There is no such page.
    NotFound,
    /// The page does not take this method.
    MethodNotAllowed,
    /// Somebody else changed the same at the same time.
    Conflict,
    /// The cookie keys are away.
    KeysUnavailable,
    /// Tables or queues are away.
    StorageUnavailable,
    /// Entra or Graph is away.
    MicrosoftUnavailable,
    /// The tenant refuses us.
    MicrosoftDenied,
    /// Signing in was refused, with Entra's code.
    SignInRefused(String),
    /// The sign-in was not started by this browser, or used before.
    SignInStateMismatch,
    /// The sign-in took too long.
    SignInExpired,
    /// What Entra sent does not prove who it is.
    SignInUnverified,
    /// The consent was refused, with Entra's code.
    ConsentRefused(String),
    /// The consent was not started by this browser.
    ConsentStateMismatch,
    /// The consent was used before.
    ConsentReplayed,
    /// The consent took too long.
    ConsentExpired,
    /// Another organisation consented.
    ConsentOtherTenant,
    /// It is our own fault.
    Internal,
}

impl PageError {
    /// The status that the page is sent with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn | Self::SessionExpired => StatusCode::UNAUTHORIZED,
            Self::NotAdministrator | Self::NotInvited | Self::CrossSite | Self::CsrfMismatch => {
                StatusCode::FORBIDDEN
            }
            Self::SignInRefused(_) | Self::SignInStateMismatch | Self::SignInUnverified => {
                StatusCode::FORBIDDEN
            }
            Self::ConsentRefused(_) | Self::ConsentStateMismatch | Self::ConsentOtherTenant => {
                StatusCode::FORBIDDEN
            }
            Self::MalformedForm | Self::SignInExpired | Self::ConsentExpired => {
                StatusCode::BAD_REQUEST
            }
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotConnected | Self::Conflict | Self::ConsentReplayed | Self::MicrosoftDenied => {
                StatusCode::CONFLICT
            }
            Self::KeysUnavailable | Self::StorageUnavailable | Self::MicrosoftUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn text<'a>(&self, t: &'a ErrorTexts) -> &'a ErrorMessage {
        match self {
            Self::NotSignedIn => &t.not_signed_in,
            Self::SessionExpired => &t.session_expired,
            Self::NotAdministrator => &t.not_administrator,
            Self::NotInvited => &t.not_invited,
            Self::NotConnected => &t.not_connected,
            Self::CrossSite => &t.cross_site,
            Self::CsrfMismatch => &t.csrf_mismatch,
            Self::MalformedForm | Self::UnsupportedMediaType => &t.malformed_form,
            Self::TooLarge => &t.too_large,
            Self::NotFound => &t.not_found,
            Self::MethodNotAllowed => &t.method_not_allowed,
            Self::Conflict => &t.conflict,
            Self::KeysUnavailable => &t.keys_unavailable,
            Self::StorageUnavailable => &t.storage_unavailable,
            Self::MicrosoftUnavailable => &t.microsoft_unavailable,
            Self::MicrosoftDenied => &t.microsoft_denied,
            Self::SignInRefused(_) => &t.sign_in_refused,
            Self::SignInStateMismatch => &t.sign_in_state_mismatch,
            Self::SignInExpired => &t.sign_in_expired,
            Self::SignInUnverified => &t.sign_in_unverified,
            Self::ConsentRefused(_) => &t.consent_refused,
            Self::ConsentStateMismatch => &t.consent_state_mismatch,
            Self::ConsentReplayed => &t.consent_replayed,
            Self::ConsentExpired => &t.consent_expired,
            Self::ConsentOtherTenant => &t.consent_other_tenant,
            Self::Internal => &t.internal,
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
        let ErrorMessage { title, happened, next } = self.text(&frame.t.errors);
        frame.title = title;
        let page =
            ErrorPage { happened, next, code: self.code(), sign_in: self.offers_sign_in(), frame };
        page.render().unwrap_or_else(|_| (*happened).to_owned())
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
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
            tracing::error!("a page could not be made");
        } else {
            tracing::info!(problem = ?self, "a page says what stands in the way");
        }
        let mut answer = self.status().into_response();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        answer.extensions_mut().insert(self);
        answer
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
            changed if changed.is_conflict() => Self::Conflict,
            StoreError::Table(_) => Self::StorageUnavailable,
            StoreError::Unreadable { .. } => {
                tracing::error!(%error, "a page could not be made");
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
                tracing::error!(%error, "a page could not be made");
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
                tracing::warn!(%reason, "an id token was refused");
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
