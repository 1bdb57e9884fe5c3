//! People sign in at Entra: authorisation code with PKCE, and the managed identity's word instead of
//! a client secret.
//!
//! By hand, not by the `oauth2` crate: that brings `chrono`, and its randomness and HTTP would have
//! to be led around our own. What is left of it are two addresses and one form.
//!
//! learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, 2025-01; RFC 7636.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::{
    client_assertion::{TokenEndpoint, TokenError, error_code},
    signing_keys::Unavailable,
    tokens::{CheckError, Reason, SignedIn, Tokens},
    way_back::{hash, is_over, same, secret},
};
use crate::{domain::personal::Personal, rng::Rng};

/// Anybody with an account of some organisation; personal accounts have no calendar for us.
const ANY_TENANT: &str = "organizations";
const SCOPE: &str = "openid profile";

/// The registration that people sign in with, and where they come back to.
#[derive(Debug, Clone)]
pub struct People {
    /// Its client id, which is also the audience of all tokens for us.
    pub client_id: Uuid,
    /// Below this address browsers reach our pages. Without a slash at its end.
    pub pages: Url,
    /// Other clients whose tokens our API takes.
    pub add_in_clients: Vec<Uuid>,
}

impl People {
    /// The address of the page at `path`, as it is registered with Entra.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.pages.as_str().trim_end_matches('/'))
    }
}

/// Which page somebody signs in for. There is no other way back: nothing that a browser sends
/// chooses an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Return {
    /// The administrator's.
    Consent,
    /// Everybody's own.
    MyCalendar,
}

impl Return {
    /// Where Entra sends the browser back to, below [`People::pages`]. Registered as redirect
    /// addresses of the registration.
    pub fn path(self) -> &'static str {
        match self {
            Self::Consent => "consent/signed-in",
            Self::MyCalendar => "my-calendar/signed-in",
        }
    }
}

/// Somebody who was sent to Entra and has not come back yet. Kept in a sealed cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    started: Timestamp,
    back: Return,
}

impl Pending {
    /// Which page it is for.
    pub fn back(&self) -> Return {
        self.back
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("back", &self.back).finish_non_exhaustive()
    }
}

/// What a browser brings back from Entra: hostile until proved.
#[derive(Default, Clone)]
pub struct CallbackQuery {
    pub(super) error: Option<String>,
    pub(super) state: Option<String>,
    pub(super) code: Option<String>,
    pub(super) tenant: Option<String>,
    repeated: bool,
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
            read.repeated |= place.is_some();
            *place = Some(value.into_owned());
        }
        read
    }

    /// The error that Entra reports, fit to be shown.
    pub(super) fn refusal(&self) -> Option<String> {
        self.error.as_deref().map(error_code)
    }

    /// Whether this is the answer to `state`. Nothing may stand there twice (RFC 6749, 3.1).
    pub(super) fn answers(&self, state: &str) -> bool {
        !self.repeated && self.state.as_deref().is_some_and(|given| same(given, state))
    }
}

impl fmt::Debug for CallbackQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackQuery(..)")
    }
}

/// Nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The person or Entra said no.
    #[error("sign-in was refused: {code}")]
    Refused {
        /// The OAuth error code, e.g. `access_denied`: lower-case letters and underscores, or `-`.
        code: String,
    },
    /// The browser did not start this here, or it was finished before.
    #[error("the answer is to no question of this browser")]
    ForeignState,
    /// It took longer than ten minutes.
    #[error("sign-in took too long")]
    Expired,
    /// Entra's token does not prove who it is.
    #[error("the token is refused: {0}")]
    Token(Reason),
    /// For now: Entra or the managed identity does not answer.
    #[error("nobody can sign in for now")]
    Unavailable,
}

impl From<TokenError> for SignInError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Refused { code } => Self::Refused { code },
            TokenError::Unavailable { .. } => Self::Unavailable,
        }
    }
}

impl From<CheckError> for SignInError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Refused(reason) => Self::Token(reason),
            CheckError::Unavailable(Unavailable) => Self::Unavailable,
        }
    }
}

/// Signs people in.
pub struct SignIn {
    endpoint: TokenEndpoint,
    tokens: Arc<Tokens>,
    people: People,
    rng: Arc<dyn Rng>,
}

#[derive(Deserialize)]
struct AnswerWire {
    id_token: String,
}

impl SignIn {
    /// Signs in at `endpoint` with the registration of `people`; `tokens` checks who it was.
    pub fn new(
        endpoint: TokenEndpoint,
        tokens: Arc<Tokens>,
        people: People,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self { endpoint, tokens, people, rng }
    }

    /// Where to send the browser, and what to keep in its cookie until it is back. `hint` is the
    /// address that is filled in for the person, if it is known.
    ///
    /// # Errors
    /// When the authority's address is unusable.
    pub fn begin(
        &self,
        back: Return,
        hint: Option<&Personal>,
    ) -> Result<(Url, Pending), url::ParseError> {
        let rng = self.rng.as_ref();
        let started = self.endpoint.clock().now();
        let (state, nonce, verifier) = (secret(rng), secret(rng), secret(rng));
        let address = format!("{ANY_TENANT}/oauth2/v2.0/authorize");
        let mut url: Url = self.endpoint.cloud().at_authority(&address).parse()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.people.client_id.to_string())
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("redirect_uri", &self.people.page(back.path()))
            .append_pair("scope", SCOPE)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &hash(&verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "select_account");
        if let Some(hint) = hint {
            url.query_pairs_mut().append_pair("login_hint", hint.reveal());
        }
        Ok((url, Pending { state, nonce, verifier, started, back }))
    }

    /// Who came back. `pending` is what the browser's cookie holds; the caller forgets it whatever
    /// the outcome, so that it is good for one answer.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn finish(
        &self,
        pending: Option<Pending>,
        answer: &CallbackQuery,
    ) -> Result<SignedIn, SignInError> {
        if let Some(code) = answer.refusal() {
            return Err(SignInError::Refused { code });
        }
        let pending = pending.filter(|pending| answer.answers(&pending.state));
        let pending = pending.ok_or(SignInError::ForeignState)?;
        if is_over(pending.started, self.endpoint.clock().now()) {
            return Err(SignInError::Expired);
        }
        let code = answer.code.as_deref().ok_or(SignInError::ForeignState)?;
        let client_id = self.people.client_id.to_string();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.people.page(pending.back.path())),
            ("code_verifier", &pending.verifier),
            ("scope", SCOPE),
        ];
        let answer = self.endpoint.ask(ANY_TENANT, &client_id, &fields).await?;
        let wire: AnswerWire =
            serde_json::from_slice(&answer).map_err(|_| SignInError::Unavailable)?;
        Ok(self.tokens.signed_in(&wire.id_token, &pending.nonce).await?)
    }
}
