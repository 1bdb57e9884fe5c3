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
use crate::{base::rng::Rng, domain::personal::Personal};

/// Anybody with an account of some organisation; personal accounts have no calendar for us.
const ANY_TENANT: &str = "organizations";
const SCOPE: &str = "openid profile";

/// The longest value that is taken from a browser, in bytes. Entra's codes are below 2,000.
const VALUE_MAX: usize = 8 * 1024;

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
    /// Something stands there twice (RFC 6749, 3.1 forbids it) or is too long to be Entra's.
    odd: bool,
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
            read.odd |= place.is_some() || value.len() > VALUE_MAX;
            *place = Some(value.into_owned());
        }
        read
    }

    /// The error that Entra reports, fit to be shown.
    pub(super) fn refusal(&self) -> Option<String> {
        self.error.as_deref().map(error_code)
    }

    /// Whether this is the answer to `state`.
    pub(super) fn answers(&self, state: &str) -> bool {
        !self.odd && self.state.as_deref().is_some_and(|given| same(given, state))
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
    pub fn begin(&self, back: Return, hint: Option<&Personal>) -> (Url, Pending) {
        let rng = self.rng.as_ref();
        let started = self.endpoint.clock().now();
        let (state, nonce, verifier) = (secret(rng), secret(rng), secret(rng));
        let address = format!("{ANY_TENANT}/oauth2/v2.0/authorize");
        let mut url = self.endpoint.cloud().at_authority(&address);
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
        (url, Pending { state, nonce, verifier, started, back })
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::{
        base::{clock::ManualClock, rng::SeededRng},
        identity::{
            scripted::{PEOPLE, Scripted, Vouching, cloud, id_token, key, people},
            signing_keys::SigningKeys,
        },
    };

    struct Trial {
        far: Arc<Scripted>,
        clock: ManualClock,
        sign_in: SignIn,
    }

    fn trial() -> Trial {
        let far = Arc::new(Scripted::default());
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let time = || Arc::new(clock.clone());
        let keys = SigningKeys::new(Arc::clone(&far) as _, time(), &cloud());
        let tokens = Arc::new(Tokens::new(keys, time(), cloud(), people()));
        let http = Arc::clone(&far) as _;
        let endpoint = TokenEndpoint::new(http, Arc::new(Vouching::default()), time(), cloud());
        let sign_in = SignIn::new(endpoint, tokens, people(), Arc::new(SeededRng::new(1)));
        Trial { far, clock, sign_in }
    }

    fn asked_for(url: &Url) -> HashMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    impl Trial {
        /// Somebody was sent away; what for, and how Entra would answer.
        fn away(&self) -> (Pending, CallbackQuery) {
            let (url, pending) = self.sign_in.begin(Return::MyCalendar, None);
            let answer =
                format!("code=the-code&state={}&session_state=x", asked_for(&url)["state"]);
            (pending, CallbackQuery::parse(&answer))
        }

        /// Entra gives this id token for the code, and publishes its key.
        fn gives(&self, nonce: &str) {
            let token = key().sign(&id_token(nonce)).unwrap();
            self.far.then_token(200, &[], &json!({ "id_token": token, "access_token": "unused" }));
            self.far.then(200, &key().jwks());
        }
    }

    #[tokio::test]
    async fn somebody_is_sent_to_entra_and_comes_back_known() {
        let trial = trial();
        let hint = Personal::new("anna@contoso.example");
        let (url, pending) = trial.sign_in.begin(Return::Consent, Some(&hint));
        assert!(
            url.as_str().starts_with("https://login.test/organizations/oauth2/v2.0/authorize?")
        );
        let asked = asked_for(&url);
        assert_eq!(asked["client_id"], PEOPLE);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["response_mode"], "query");
        assert_eq!(asked["redirect_uri"], "https://rooms.test/api/consent/signed-in");
        assert_eq!(asked["scope"], "openid profile");
        assert_eq!(asked["prompt"], "select_account");
        assert_eq!(asked["login_hint"], "anna@contoso.example");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["code_challenge"], hash(&pending.verifier));
        assert!(!url.as_str().contains(&pending.verifier));
        trial.gives(&asked["nonce"]);
        let answer = CallbackQuery::parse(&format!("code=the-code&state={}", asked["state"]));
        let anna = trial.sign_in.finish(Some(pending.clone()), &answer).await.unwrap();
        assert_eq!(anna.name.reveal(), "Anna Lund");
        let call = &trial.far.token_calls()[0];
        let address = "https://login.test/organizations/oauth2/v2.0/token";
        assert_eq!(call.uri().to_string(), address);
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "the-code");
        assert_eq!(form["code_verifier"], pending.verifier);
        assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
        assert_eq!(form["client_id"], PEOPLE);
        assert_eq!(form["client_assertion"], "assertion");
        assert!(!form.contains_key("client_secret"));
    }

    #[tokio::test]
    async fn no_two_journeys_share_anything_and_none_is_shown() {
        let trial = trial();
        let ((one, _), (other, _)) = (trial.away(), trial.away());
        assert!(one.state != other.state && one.nonce != other.nonce);
        assert_ne!(one.verifier, other.verifier);
        assert!(!format!("{one:?}").contains(&one.state));
        let kept: Pending = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(kept, one);
    }

    #[tokio::test]
    async fn an_answer_that_this_browser_did_not_ask_for_is_refused_before_anything_is_asked() {
        let trial = trial();
        let (pending, good) = trial.away();
        let (_, of_another) = trial.away();
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
            assert_eq!(outcome, Err(SignInError::ForeignState), "case {at}");
        }
        assert!(trial.far.token_calls().is_empty());
    }

    #[tokio::test]
    async fn ten_minutes_are_enough() {
        let trial = trial();
        let (pending, answer) = trial.away();
        trial.clock.advance(SignedDuration::from_secs(599));
        trial.gives(&pending.nonce);
        assert!(trial.sign_in.finish(Some(pending.clone()), &answer).await.is_ok());
        trial.clock.advance(SignedDuration::from_secs(1));
        let late = trial.sign_in.finish(Some(pending), &answer).await;
        assert_eq!(late, Err(SignInError::Expired));
        assert_eq!(trial.far.token_calls().len(), 1);
    }

    #[tokio::test]
    async fn an_error_is_looked_at_first_and_shown_only_as_a_code() {
        let trial = trial();
        let (pending, _) = trial.away();
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
        assert!(trial.far.token_calls().is_empty());
    }

    #[tokio::test]
    async fn what_entra_answers_to_the_code_is_refusal_wait_or_doubt() {
        let trial = trial();
        let (pending, answer) = trial.away();
        let finish = async || trial.sign_in.finish(Some(pending.clone()), &answer).await;
        trial.far.then_token(400, &[], &json!({ "error": "invalid_grant" }));
        let replayed = SignInError::Refused { code: "invalid_grant".into() };
        assert_eq!(finish().await, Err(replayed), "a code is good for once");
        trial.far.then_token(503, &[], &json!({}));
        assert_eq!(finish().await, Err(SignInError::Unavailable));
        trial.far.then_token(200, &[], &json!({ "access_token": "no id token" }));
        assert_eq!(finish().await, Err(SignInError::Unavailable));
        trial.gives("the nonce of another journey");
        assert_eq!(finish().await, Err(SignInError::Token(Reason::Nonce)));
        trial.far.then_token(200, &[], &json!({ "id_token": "a.b.c" }));
        assert_eq!(finish().await, Err(SignInError::Token(Reason::Malformed)));
    }
}
