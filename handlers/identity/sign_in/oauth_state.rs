//! What ties the browser that comes back from Entra to the one that was sent there.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::{
    base::rng::Rng,
    domain::{ids::TenantId, tenant::policy::Registration},
    identity::{
        app_tokens::{TokenError, sanitize_error_code},
        keys::VerifyError,
    },
};

/// How long somebody may take at Entra.
pub(in crate::identity) const FLOW_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// The longest value that is taken from a browser, in bytes. Entra's codes are below 2,000.
const VALUE_MAX: usize = 8 * 1024;

/// Somebody who was sent to Entra and has not come back yet. Kept in a sealed cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFlow {
    pub(in crate::identity) state: String,
    pub(in crate::identity) started: Timestamp,
    pub(in crate::identity) purpose: FlowPurpose,
}

impl fmt::Debug for PendingFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingFlow(..)")
    }
}

/// What somebody was sent to Entra for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::identity) enum FlowPurpose {
    SignIn { nonce: String, verifier: String, return_target: ReturnTarget },
    Consent(ConsentRequest),
}

/// Which page somebody signs in for. There is no other way back: nothing that a browser sends
/// chooses an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnTarget {
    Consent,
    MyCalendar,
}

impl ReturnTarget {
    /// Where Entra sends the browser back to, below
    /// [`base_url`](crate::identity::app_tokens::SignInRegistration::base_url). Registered as redirect
    /// addresses of the registration.
    pub fn callback_path(self) -> &'static str {
        match self {
            Self::Consent => "consent/signed-in",
            Self::MyCalendar => "my-calendar/signed-in",
        }
    }
}

/// What an administrator is sent to consent to. That they come back proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentRequest {
    pub tenant: TenantId,
    pub registration: Registration,
    /// Whether a tenant that is new begins with a rehearsal: nothing is booked at first.
    pub rehearsal: bool,
}

/// Nobody is signed in, or nothing was consented to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The person or Entra said no.
    #[error("Entra refused: {code}")]
    Refused {
        /// The OAuth error code, e.g. `access_denied`: lower-case letters and underscores, or `-`.
        code: String,
    },
    /// The browser did not start this here, or it was finished before.
    #[error("the state does not match this browser")]
    StateMismatch,
    /// It took longer than ten minutes.
    #[error("it took too long at Entra")]
    Expired,
    /// Another tenant consented than the one that signed in, or none.
    #[error("a different tenant consented")]
    TenantMismatch,
    /// Entra's token does not prove who it is.
    #[error("the token is invalid")]
    InvalidToken(#[source] VerifyError),
    /// For now: Entra or the managed identity does not answer.
    #[error("sign-in is temporarily unavailable")]
    Unavailable,
}

impl From<TokenError> for FlowError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::AccessWithdrawn { code, .. } | TokenError::Refused { code, .. } => {
                Self::Refused { code }
            }
            TokenError::Unavailable { .. } => Self::Unavailable,
        }
    }
}

impl From<VerifyError> for FlowError {
    fn from(error: VerifyError) -> Self {
        if matches!(error, VerifyError::Unavailable(_)) {
            Self::Unavailable
        } else {
            Self::InvalidToken(error)
        }
    }
}

/// What a browser brings back from Entra: hostile until proved.
#[derive(Default, Clone)]
pub struct CallbackQuery {
    error: Option<String>,
    state: Option<String>,
    pub(in crate::identity) code: Option<String>,
    pub(in crate::identity) tenant: Option<String>,
    /// A parameter is there twice (RFC 6749, 3.1 forbids it) or is too long to be Entra's.
    malformed: bool,
}

impl CallbackQuery {
    /// Reads a query string. What is not expected is passed over.
    pub fn parse(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "error" => &mut read.error,
                "state" => &mut read.state,
                "code" => &mut read.code,
                "tenant" => &mut read.tenant,
                _ => continue,
            };
            read.malformed |= place.is_some() || value.len() > VALUE_MAX;
            *place = Some(value.into_owned());
        }
        read
    }

    /// Passes `pending`, what the browser's cookie holds, if this is the answer to it at `now`.
    pub(in crate::identity) fn check(
        &self,
        pending: Option<PendingFlow>,
        now: Timestamp,
    ) -> Result<PendingFlow, FlowError> {
        // Before all else: anybody can link to an answer that says no.
        let given = self.state.as_deref().filter(|_| !self.malformed);
        let pending = pending.filter(|p| given.is_some_and(|it| constant_time_eq(it, &p.state)));
        let pending = pending.ok_or(FlowError::StateMismatch)?;
        // Before what it claims: `admin_consent=True` comes with errors, too.
        if let Some(error) = &self.error {
            return Err(FlowError::Refused { code: sanitize_error_code(error) });
        }
        if now.duration_since(pending.started) >= FLOW_TIMEOUT {
            return Err(FlowError::Expired);
        }
        Ok(pending)
    }
}

impl fmt::Debug for CallbackQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackQuery(..)")
    }
}

/// 256 random bits as 43 letters, digits, hyphens and underscores: fit to be a PKCE verifier
/// (RFC 7636, 4.1), a state and a nonce.
pub(in crate::identity) fn random_token(rng: &dyn Rng) -> String {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 of `text`, in 43 letters, digits, hyphens and underscores.
pub(in crate::identity) fn sha256_base64url(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Whether the texts are equal; how long that takes does not tell where they differ.
pub(in crate::identity) fn constant_time_eq(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
