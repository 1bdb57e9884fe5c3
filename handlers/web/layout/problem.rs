//! Problems: what stands in somebody's way, what happened, and what to do next.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{
    frame::Frame,
    texts::{Problems, Told},
};
use crate::{
    graph::GraphError,
    identity::{admin_consent::ConsentError, key_ring::KeysUnavailable, sign_in::SignInError},
    queue::QueueError,
    store::StoreError,
};

/// Seconds after which a browser may ask again when something of ours is away.
const AGAIN: &str = "30";

/// Something stands in the way. Answered by a handler, it becomes a page within
/// [`super::Desk::around`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Nobody is signed in.
    NotSignedIn,
    /// Somebody was signed in while filling in a form, and is not any more.
    SessionOver,
    /// It is for administrators.
    NotAdministrator,
    /// The tenant is not invited.
    NotInvited,
    /// The tenant is not connected, or not any more.
    NotConnected,
    /// The request came from another site.
    CrossSite,
    /// The form is of another session.
    OldForm,
    /// The form has fields that no page of ours has.
    BadForm,
    /// The form is not a form.
    NotAForm,
    /// The form is larger than any of ours.
    TooLarge,
    /// There is no such page.
    NotFound,
    /// The page does not take this method.
    WrongMethod,
    /// Somebody else changed the same at the same time.
    Changed,
    /// The cookie keys are away.
    KeysUnavailable,
    /// Tables or queues are away.
    StorageUnavailable,
    /// Entra or Graph is away.
    MicrosoftUnavailable,
    /// The tenant refuses us.
    MicrosoftRefuses,
    /// Signing in was refused, with Entra's code.
    SignInRefused(String),
    /// The sign-in was not started by this browser, or used before.
    SignInForeign,
    /// The sign-in took too long.
    SignInExpired,
    /// What Entra sent does not prove who it is.
    SignInUnproved,
    /// The consent was refused, with Entra's code.
    ConsentRefused(String),
    /// The consent was not started by this browser.
    ConsentForeign,
    /// The consent was used before.
    ConsentUsed,
    /// The consent took too long.
    ConsentExpired,
    /// Another organisation consented.
    ConsentOtherTenant,
    /// It is our own fault.
    Internal,
}

impl Problem {
    /// The status that the page is sent with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn | Self::SessionOver => StatusCode::UNAUTHORIZED,
            Self::NotAdministrator | Self::NotInvited | Self::CrossSite | Self::OldForm => {
                StatusCode::FORBIDDEN
            }
            Self::SignInRefused(_) | Self::SignInForeign | Self::SignInUnproved => {
                StatusCode::FORBIDDEN
            }
            Self::ConsentRefused(_) | Self::ConsentForeign | Self::ConsentOtherTenant => {
                StatusCode::FORBIDDEN
            }
            Self::BadForm | Self::SignInExpired | Self::ConsentExpired => StatusCode::BAD_REQUEST,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotConnected | Self::Changed | Self::ConsentUsed | Self::MicrosoftRefuses => {
                StatusCode::CONFLICT
            }
            Self::KeysUnavailable | Self::StorageUnavailable | Self::MicrosoftUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn told<'a>(&self, t: &'a Problems) -> &'a Told {
        match self {
            Self::NotSignedIn => &t.not_signed_in,
            Self::SessionOver => &t.session_over,
            Self::NotAdministrator => &t.not_administrator,
            Self::NotInvited => &t.not_invited,
            Self::NotConnected => &t.not_connected,
            Self::CrossSite => &t.cross_site,
            Self::OldForm => &t.old_form,
            Self::BadForm | Self::NotAForm => &t.bad_form,
            Self::TooLarge => &t.too_large,
            Self::NotFound => &t.not_found,
            Self::WrongMethod => &t.wrong_method,
            Self::Changed => &t.changed,
            Self::KeysUnavailable => &t.keys_unavailable,
            Self::StorageUnavailable => &t.storage_unavailable,
            Self::MicrosoftUnavailable => &t.microsoft_unavailable,
            Self::MicrosoftRefuses => &t.microsoft_refuses,
            Self::SignInRefused(_) => &t.sign_in_refused,
            Self::SignInForeign => &t.sign_in_foreign,
            Self::SignInExpired => &t.sign_in_expired,
            Self::SignInUnproved => &t.sign_in_unproved,
            Self::ConsentRefused(_) => &t.consent_refused,
            Self::ConsentForeign => &t.consent_foreign,
            Self::ConsentUsed => &t.consent_used,
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
    fn sign_in_helps(&self) -> bool {
        let session = matches!(self, Self::NotSignedIn | Self::SessionOver | Self::OldForm);
        let refused = matches!(self, Self::SignInRefused(_) | Self::NotAdministrator);
        let failed =
            matches!(self, Self::SignInForeign | Self::SignInExpired | Self::SignInUnproved);
        session || refused || failed || *self == Self::NotInvited
    }

    /// The page, within `frame`.
    pub(super) fn page(&self, mut frame: Frame<'_>) -> String {
        let Told { title, happened, next } = self.told(&frame.t.problems);
        frame.title = title;
        let page =
            ProblemPage { happened, next, code: self.code(), sign_in: self.sign_in_helps(), frame };
        page.render().unwrap_or_else(|_| (*happened).to_owned())
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    happened: &'a str,
    next: &'a str,
    code: Option<&'a str>,
    sign_in: bool,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self == Self::Internal {
            tracing::error!("a page could not be made");
        } else {
            tracing::info!(problem = ?self, "a page says what stands in the way");
        }
        let mut answer = self.status().into_response();
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(AGAIN));
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<KeysUnavailable> for Problem {
    fn from(KeysUnavailable: KeysUnavailable) -> Self {
        Self::KeysUnavailable
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            changed if changed.is_changed() => Self::Changed,
            StoreError::Table(_) => Self::StorageUnavailable,
            StoreError::Unreadable { .. } => {
                tracing::error!(%error, "a page could not be made");
                Self::Internal
            }
        }
    }
}

impl From<QueueError> for Problem {
    fn from(_: QueueError) -> Self {
        Self::StorageUnavailable
    }
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Wait { .. } => Self::MicrosoftUnavailable,
            GraphError::Disconnected | GraphError::Denied => Self::MicrosoftRefuses,
            GraphError::MailboxGone
            | GraphError::Refused { .. }
            | GraphError::Forbidden(_)
            | GraphError::Unreadable => {
                tracing::error!(%error, "a page could not be made");
                Self::Internal
            }
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused { code } => Self::SignInRefused(code),
            SignInError::ForeignState => Self::SignInForeign,
            SignInError::Expired => Self::SignInExpired,
            SignInError::Token(reason) => {
                tracing::warn!(%reason, "an id token was refused");
                Self::SignInUnproved
            }
            SignInError::Unavailable => Self::MicrosoftUnavailable,
        }
    }
}

impl From<ConsentError> for Problem {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Refused { code } => Self::ConsentRefused(code),
            ConsentError::ForeignState => Self::ConsentForeign,
            ConsentError::Expired => Self::ConsentExpired,
            ConsentError::OtherTenant => Self::ConsentOtherTenant,
        }
    }
}
