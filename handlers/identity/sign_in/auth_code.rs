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

use super::{
    oauth_state::{constant_time_eq, is_expired, random_token, sha256_base64url},
    token_verifier::{SignedInUser, TokenVerifier},
};
use crate::{
    base::{json::json_member, rng::Rng},
    domain::personal::Personal,
    identity::{
        app_tokens::{SignInRegistration, TokenEndpoint, TokenError, sanitize_error_code},
        keys::{KeysUnavailable, TokenRejection, VerifyError},
    },
};

/// Anybody with an account of some organisation; personal accounts have no calendar for us.
const ANY_TENANT: &str = "organizations";
const SCOPE: &str = "openid profile";

/// The longest value that is taken from a browser, in bytes. Entra's codes are below 2,000.
const VALUE_MAX: usize = 8 * 1024;

/// Which page somebody signs in for. There is no other way back: nothing that a browser sends
/// chooses an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnTarget {
    Consent,
    MyCalendar,
}

impl ReturnTarget {
    /// Where Entra sends the browser back to, below [`SignInRegistration::base_url`]. Registered as redirect
    /// addresses of the registration.
    pub fn callback_path(self) -> &'static str {
        match self {
            Self::Consent => "consent/signed-in",
            Self::MyCalendar => "my-calendar/signed-in",
        }
    }
}

/// Somebody who was sent to Entra and has not come back yet. Kept in a sealed cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignIn {
    state: String,
    nonce: String,
    verifier: String,
    started: Timestamp,
    return_target: ReturnTarget,
}

impl PendingSignIn {
    /// Which page it is for.
    pub fn return_target(&self) -> ReturnTarget {
        self.return_target
    }
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn")
            .field("return_target", &self.return_target)
            .finish_non_exhaustive()
    }
}

/// What a browser brings back from Entra: hostile until proved.
#[derive(Default, Clone)]
pub struct CallbackQuery {
    pub(in crate::identity) error: Option<String>,
    pub(in crate::identity) state: Option<String>,
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

    /// The error that Entra reports, fit to be shown.
    pub(in crate::identity) fn error_code(&self) -> Option<String> {
        self.error.as_deref().map(sanitize_error_code)
    }

    /// Whether this is the answer to `state`.
    pub(in crate::identity) fn matches_state(&self, state: &str) -> bool {
        !self.malformed && self.state.as_deref().is_some_and(|given| constant_time_eq(given, state))
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
    #[error("the state does not match this browser")]
    StateMismatch,
    /// It took longer than ten minutes.
    #[error("sign-in took too long")]
    Expired,
    /// Entra's token does not prove who it is.
    #[error("the token is invalid: {0}")]
    InvalidToken(TokenRejection),
    /// For now: Entra or the managed identity does not answer.
    #[error("sign-in is temporarily unavailable")]
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

impl From<VerifyError> for SignInError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused(reason) => Self::InvalidToken(reason),
            VerifyError::Unavailable(KeysUnavailable) => Self::Unavailable,
        }
    }
}

/// Signs people in.
pub struct SignIn {
    endpoint: TokenEndpoint,
    verifier: Arc<TokenVerifier>,
    registration: SignInRegistration,
    rng: Arc<dyn Rng>,
}

impl SignIn {
    /// Signs in at `endpoint` with the registration of `people`; `tokens` checks who it was.
    pub fn new(
        endpoint: TokenEndpoint,
        tokens: Arc<TokenVerifier>,
        people: SignInRegistration,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self { endpoint, verifier: tokens, registration: people, rng }
    }

    /// Where to send the browser, and what to keep in its cookie until it is back. `hint` is the
    /// address that is filled in for the person, if it is known.
    pub fn begin(
        &self,
        return_target: ReturnTarget,
        hint: Option<&Personal>,
    ) -> (Url, PendingSignIn) {
        let rng = self.rng.as_ref();
        let started = self.endpoint.clock().now();
        let (state, nonce, verifier) = (random_token(rng), random_token(rng), random_token(rng));
        let address = format!("{ANY_TENANT}/oauth2/v2.0/authorize");
        let mut url = self.endpoint.cloud().authority_url(&address);
        url.query_pairs_mut()
            .append_pair("client_id", &self.registration.client_id.to_string())
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("redirect_uri", &self.registration.page_url(return_target.callback_path()))
            .append_pair("scope", SCOPE)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &sha256_base64url(&verifier))
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "select_account");
        if let Some(hint) = hint {
            url.query_pairs_mut().append_pair("login_hint", hint.reveal());
        }
        (url, PendingSignIn { state, nonce, verifier, started, return_target })
    }

    /// Who came back. `pending` is what the browser's cookie holds; the caller forgets it whatever
    /// the outcome, so that it is good for one answer.
    pub async fn finish(
        &self,
        pending: Option<PendingSignIn>,
        query: &CallbackQuery,
    ) -> Result<SignedInUser, SignInError> {
        if let Some(code) = query.error_code() {
            return Err(SignInError::Refused { code });
        }
        let pending = pending.filter(|pending| query.matches_state(&pending.state));
        let pending = pending.ok_or(SignInError::StateMismatch)?;
        if is_expired(pending.started, self.endpoint.clock().now()) {
            return Err(SignInError::Expired);
        }
        let code = query.code.as_deref().ok_or(SignInError::StateMismatch)?;
        let client_id = self.registration.client_id.to_string();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.registration.page_url(pending.return_target.callback_path())),
            ("code_verifier", &pending.verifier),
            ("scope", SCOPE),
        ];
        let answer = self.endpoint.request_token(ANY_TENANT, &client_id, &fields).await?;
        let id_token: Option<String> = json_member(&answer, "id_token");
        let id_token = id_token.ok_or(SignInError::Unavailable)?;
        Ok(self.verifier.verify_id_token(&id_token, &pending.nonce).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        identity::{
            keys::SigningKeys,
            scripted_http::{
                FakeManagedIdentity, SIGN_IN_CLIENT_ID, ScriptedHttp, cloud, id_token, key,
                sign_in_registration,
            },
        },
    };

    struct SignInFixture {
        http: Arc<ScriptedHttp>,
        clock: ManualClock,
        sign_in: SignIn,
    }

    fn fixture() -> SignInFixture {
        let far = Arc::new(ScriptedHttp::default());
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let time = || Arc::new(clock.clone());
        let keys = SigningKeys::new(Arc::clone(&far) as _, time(), &cloud());
        let tokens = Arc::new(TokenVerifier::new(keys, time(), cloud(), sign_in_registration()));
        let http = Arc::clone(&far) as _;
        let endpoint =
            TokenEndpoint::new(http, Arc::new(FakeManagedIdentity::default()), time(), cloud());
        let sign_in =
            SignIn::new(endpoint, tokens, sign_in_registration(), Arc::new(SeededRng::new(1)));
        SignInFixture { http: far, clock, sign_in }
    }

    fn query_of(url: &Url) -> HashMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    impl SignInFixture {
        /// Somebody was sent away; what for, and how Entra would answer.
        fn begin_and_answer(&self) -> (PendingSignIn, CallbackQuery) {
            let (url, pending) = self.sign_in.begin(ReturnTarget::MyCalendar, None);
            let answer = format!("code=the-code&state={}&session_state=x", query_of(&url)["state"]);
            (pending, CallbackQuery::parse(&answer))
        }

        /// Entra gives this id token for the code, and publishes its key.
        fn serve_id_token(&self, nonce: &str) {
            let token = key().sign(&id_token(nonce)).unwrap();
            self.http.respond_to_token_request(
                200,
                &[],
                &json!({ "id_token": token, "access_token": "unused" }),
            );
            self.http.respond(200, &key().jwks());
        }
    }

    #[tokio::test]
    async fn somebody_is_sent_to_entra_and_comes_back_known() {
        let trial = fixture();
        let hint = Personal::new("anna@contoso.example");
        let (url, pending) = trial.sign_in.begin(ReturnTarget::Consent, Some(&hint));
        assert!(
            url.as_str().starts_with("https://login.test/organizations/oauth2/v2.0/authorize?")
        );
        let asked = query_of(&url);
        assert_eq!(asked["client_id"], SIGN_IN_CLIENT_ID);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["response_mode"], "query");
        assert_eq!(asked["redirect_uri"], "https://rooms.test/api/consent/signed-in");
        assert_eq!(asked["scope"], "openid profile");
        assert_eq!(asked["prompt"], "select_account");
        assert_eq!(asked["login_hint"], "anna@contoso.example");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["code_challenge"], sha256_base64url(&pending.verifier));
        assert!(!url.as_str().contains(&pending.verifier));
        trial.serve_id_token(&asked["nonce"]);
        let answer = CallbackQuery::parse(&format!("code=the-code&state={}", asked["state"]));
        let anna = trial.sign_in.finish(Some(pending.clone()), &answer).await.unwrap();
        assert_eq!(anna.name.reveal(), "Anna Lund");
        let call = &trial.http.token_requests()[0];
        let address = "https://login.test/organizations/oauth2/v2.0/token";
        assert_eq!(call.uri().to_string(), address);
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "the-code");
        assert_eq!(form["code_verifier"], pending.verifier);
        assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
        assert_eq!(form["client_id"], SIGN_IN_CLIENT_ID);
        assert_eq!(form["client_assertion"], "assertion");
        assert!(!form.contains_key("client_secret"));
    }

    #[tokio::test]
    async fn no_two_journeys_share_anything_and_none_is_shown() {
        let trial = fixture();
        let ((one, _), (other, _)) = (trial.begin_and_answer(), trial.begin_and_answer());
        assert!(one.state != other.state && one.nonce != other.nonce);
        assert_ne!(one.verifier, other.verifier);
        assert!(!format!("{one:?}").contains(&one.state));
        let kept: PendingSignIn =
            serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(kept, one);
    }

    #[tokio::test]
    async fn an_answer_that_this_browser_did_not_ask_for_is_refused_before_anything_is_asked() {
        let trial = fixture();
        let (pending, good) = trial.begin_and_answer();
        let (_, of_another) = trial.begin_and_answer();
        let state = pending.state.clone();
        let foreign = [
            (None, good),
            (Some(pending.clone()), of_another),
            (Some(pending.clone()), CallbackQuery::default()),
            (Some(pending.clone()), CallbackQuery::parse("code=the-code&state=")),
            (Some(pending.clone()), CallbackQuery::parse(&format!("state={state}"))),
            (Some(pending.clone()), CallbackQuery::parse(&format!("code=a&code=b&state={state}"))),
            (Some(pending.clone()), CallbackQuery::parse(&format!("code=a&state=x&state={state}"))),
            (
                Some(pending.clone()),
                CallbackQuery::parse(&format!("code={}&state={state}", "a".repeat(9000))),
            ),
        ];
        for (at, (pending, answer)) in foreign.into_iter().enumerate() {
            let outcome = trial.sign_in.finish(pending, &answer).await;
            assert_eq!(outcome, Err(SignInError::StateMismatch), "case {at}");
        }
        assert!(trial.http.token_requests().is_empty());
    }

    #[tokio::test]
    async fn ten_minutes_are_enough() {
        let trial = fixture();
        let (pending, answer) = trial.begin_and_answer();
        trial.clock.advance(SignedDuration::from_secs(599));
        trial.serve_id_token(&pending.nonce);
        assert!(trial.sign_in.finish(Some(pending.clone()), &answer).await.is_ok());
        trial.clock.advance(SignedDuration::from_secs(1));
        let late = trial.sign_in.finish(Some(pending), &answer).await;
        assert_eq!(late, Err(SignInError::Expired));
        assert_eq!(trial.http.token_requests().len(), 1);
    }

    #[tokio::test]
    async fn an_error_is_looked_at_first_and_shown_only_as_a_code() {
        let trial = fixture();
        let (pending, _) = trial.begin_and_answer();
        for (error, shown) in [
            ("access_denied", "access_denied"),
            ("login_required", "login_required"),
            ("<script>alert(1)</script>", "-"),
            ("", "-"),
        ] {
            let state = &pending.state;
            let query: String = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("error", error), ("state", state), ("code", "the-code")])
                .finish();
            for pending in [None, Some(pending.clone())] {
                let outcome = trial.sign_in.finish(pending, &CallbackQuery::parse(&query)).await;
                assert_eq!(outcome, Err(SignInError::Refused { code: shown.into() }), "{error}");
            }
        }
        assert!(trial.http.token_requests().is_empty());
    }

    #[tokio::test]
    async fn what_entra_answers_to_the_code_is_refusal_wait_or_doubt() {
        let trial = fixture();
        let (pending, answer) = trial.begin_and_answer();
        let finish = async || trial.sign_in.finish(Some(pending.clone()), &answer).await;
        trial.http.respond_to_token_request(400, &[], &json!({ "error": "invalid_grant" }));
        let replayed = SignInError::Refused { code: "invalid_grant".into() };
        assert_eq!(finish().await, Err(replayed), "a code is good for once");
        trial.http.respond_to_token_request(503, &[], &json!({}));
        assert_eq!(finish().await, Err(SignInError::Unavailable));
        trial.http.respond_to_token_request(200, &[], &json!({ "access_token": "no id token" }));
        assert_eq!(finish().await, Err(SignInError::Unavailable));
        trial.serve_id_token("the nonce of another journey");
        assert_eq!(finish().await, Err(SignInError::InvalidToken(TokenRejection::Nonce)));
        trial.http.respond_to_token_request(200, &[], &json!({ "id_token": "a.b.c" }));
        assert_eq!(finish().await, Err(SignInError::InvalidToken(TokenRejection::Malformed)));
    }
}
