//! People sign in at Entra: authorisation code with PKCE, and the managed identity's word instead of
//! a client secret.
//!
//! By hand, not by the `oauth2` crate: that brings `chrono`, and its randomness and HTTP would have
//! to be led around our own. What is left of it are two addresses and one form.
//!
//! learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, 2025-01; RFC 7636.

use std::sync::Arc;

use url::Url;

use super::{
    answered_flows::AnsweredFlows,
    oauth_state::{
        CallbackQuery, FlowError, FlowPurpose, PendingFlow, ReturnTarget, random_token,
        sha256_base64url,
    },
    token_verifier::{SignedInUser, TokenVerifier},
};
use crate::{
    base::{json::json_member, rng::Rng},
    domain::personal::Personal,
    identity::app_tokens::{SignInRegistration, TokenEndpoint, TokenError},
};

/// Anybody with an account of some organisation; personal accounts have no calendar for us.
const ANY_TENANT: &str = "organizations";
const SCOPE: &str = "openid profile";

/// Signs people in.
pub struct SignIn {
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) registration: SignInRegistration,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) answered: AnsweredFlows,
}

impl SignIn {
    /// Where to send the browser, and what to keep in its cookie until it is back. `hint` is the
    /// address that is filled in for the person, if it is known.
    pub fn begin(
        &self,
        return_target: ReturnTarget,
        hint: Option<&Personal>,
    ) -> (Url, PendingFlow) {
        let rng = self.rng.as_ref();
        let (state, nonce, verifier) = (random_token(rng), random_token(rng), random_token(rng));
        let address = format!("{ANY_TENANT}/oauth2/v2.0/authorize");
        let mut url = self.endpoint.cloud.authority_url(&address);
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
            // Otherwise Entra takes the account that the browser used last, without asking.
            .append_pair("prompt", "select_account");
        if let Some(hint) = hint {
            url.query_pairs_mut().append_pair("login_hint", hint.reveal());
        }
        let purpose = FlowPurpose::SignIn { nonce, verifier, return_target };
        (url, PendingFlow { state, started: self.endpoint.clock.now(), purpose })
    }

    /// Who came back to the pages of `target`. `pending` is what the browser's cookie holds. It is good
    /// for one answer: the caller has the browser forget it whatever the outcome, and one that is kept
    /// all the same costs no second token request.
    pub async fn finish(
        &self,
        pending: Option<PendingFlow>,
        target: ReturnTarget,
        query: &CallbackQuery,
    ) -> Result<SignedInUser, FlowError> {
        let pending = query.check(pending, self.endpoint.clock.now())?;
        // A sign-in that was begun for another function's pages does not count here.
        let (nonce, verifier) = match pending.purpose {
            FlowPurpose::SignIn { nonce, verifier, return_target } if return_target == target => {
                (nonce, verifier)
            }
            FlowPurpose::SignIn { .. } | FlowPurpose::Consent(_) => {
                return Err(FlowError::StateMismatch);
            }
        };
        let code = query.code.as_deref().ok_or(FlowError::StateMismatch)?;
        if !self.answered.insert(&pending.state) {
            return Err(FlowError::StateMismatch);
        }
        let client_id = self.registration.client_id.to_string();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.registration.page_url(target.callback_path())),
            ("code_verifier", &verifier),
            ("scope", SCOPE),
        ];
        let answer = self.endpoint.request_token(ANY_TENANT, &client_id, &fields).await;
        let answer = answer.inspect_err(log_refusal)?;
        let id_token: Option<String> = json_member(&answer, "id_token");
        let id_token = id_token.ok_or(FlowError::Unavailable)?;
        Ok(self.verifier.verify_id_token(&id_token, &nonce).await?)
    }
}

/// Whatever else Entra refuses may be the browser's doing; this is about our own credential.
fn log_refusal(error: &TokenError) {
    if matches!(error, TokenError::Refused { code, .. } if code == "invalid_client") {
        tracing::error!(%error, "Entra refused our credential or request");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::SignedDuration;
    use serde_json::json;
    use url::form_urlencoded;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        identity::{
            keys::{SigningKeys, VerifyError},
            scripted_http::{
                FakeManagedIdentity, SIGN_IN_CLIENT_ID, ScriptedHttp, cloud, id_token, key,
                sign_in_registration,
            },
        },
    };

    const MINE: ReturnTarget = ReturnTarget::MyCalendar;

    fn secrets(pending: &PendingFlow) -> (String, String) {
        match &pending.purpose {
            FlowPurpose::SignIn { nonce, verifier, .. } => (nonce.clone(), verifier.clone()),
            FlowPurpose::Consent(_) => panic!("a sign-in"),
        }
    }

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
        let verifier = Arc::new(TokenVerifier {
            keys,
            clock: time(),
            cloud: cloud(),
            registration: sign_in_registration(),
        });
        let endpoint = TokenEndpoint {
            http: Arc::clone(&far) as _,
            assertion_credential: Arc::new(FakeManagedIdentity::default()),
            clock: time(),
            cloud: cloud(),
        };
        let (registration, rng) = (sign_in_registration(), Arc::new(SeededRng::new(1)));
        let answered = AnsweredFlows::new();
        let sign_in = SignIn { endpoint, verifier, registration, rng, answered };
        SignInFixture { http: far, clock, sign_in }
    }

    fn query_of(url: &Url) -> HashMap<String, String> {
        url.query_pairs().into_owned().collect()
    }

    impl SignInFixture {
        /// Somebody was sent away; what for, and how Entra would answer.
        fn begin_and_answer(&self) -> (PendingFlow, CallbackQuery) {
            let (url, pending) = self.sign_in.begin(MINE, None);
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
        let (_, verifier) = secrets(&pending);
        assert_eq!(asked["code_challenge"], sha256_base64url(&verifier));
        assert!(!url.as_str().contains(&verifier));
        trial.serve_id_token(&asked["nonce"]);
        let answer = CallbackQuery::parse(&format!("code=the-code&state={}", asked["state"]));
        let anna = trial
            .sign_in
            .finish(Some(pending.clone()), ReturnTarget::Consent, &answer)
            .await
            .unwrap();
        assert_eq!(anna.name.reveal(), "Anna Lund");
        let call = &trial.http.token_requests()[0];
        let address = "https://login.test/organizations/oauth2/v2.0/token";
        assert_eq!(call.uri().to_string(), address);
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["code"], "the-code");
        assert_eq!(form["code_verifier"], verifier);
        assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
        assert_eq!(form["client_id"], SIGN_IN_CLIENT_ID);
        assert_eq!(form["client_assertion"], "assertion");
        assert!(!form.contains_key("client_secret"));
    }

    #[tokio::test]
    async fn no_two_journeys_share_anything_and_none_is_shown() {
        let trial = fixture();
        let ((one, _), (other, _)) = (trial.begin_and_answer(), trial.begin_and_answer());
        let ((nonce, verifier), others) = (secrets(&one), secrets(&other));
        assert!(one.state != other.state && nonce != others.0);
        assert_ne!(verifier, others.1);
        assert!(!format!("{one:?}").contains(&one.state));
        let kept: PendingFlow =
            serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!(kept, one);
    }

    #[tokio::test]
    async fn an_answer_that_this_browser_did_not_ask_for_is_refused_before_anything_is_asked() {
        let trial = fixture();
        let (pending, good) = trial.begin_and_answer();
        let (_, of_another) = trial.begin_and_answer();
        let (url, elsewhere) = trial.sign_in.begin(ReturnTarget::Consent, None);
        let other_page =
            CallbackQuery::parse(&format!("code=the-code&state={}", query_of(&url)["state"]));
        let state = pending.state.clone();
        let foreign = [
            (None, good),
            (Some(pending.clone()), of_another),
            (Some(elsewhere), other_page),
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
            let outcome = trial.sign_in.finish(pending, MINE, &answer).await;
            assert_eq!(outcome, Err(FlowError::StateMismatch), "case {at}");
        }
        assert!(trial.http.token_requests().is_empty());
    }

    #[tokio::test]
    async fn ten_minutes_are_enough() {
        let trial = fixture();
        let (pending, answer) = trial.begin_and_answer();
        trial.clock.advance(SignedDuration::from_secs(599));
        trial.serve_id_token(&secrets(&pending).0);
        assert!(trial.sign_in.finish(Some(pending.clone()), MINE, &answer).await.is_ok());
        trial.clock.advance(SignedDuration::from_secs(1));
        let late = trial.sign_in.finish(Some(pending), MINE, &answer).await;
        assert_eq!(late, Err(FlowError::Expired));
        assert_eq!(trial.http.token_requests().len(), 1);
    }

    #[tokio::test]
    async fn an_error_counts_for_the_browser_that_asked_and_is_shown_only_as_a_code() {
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
            let query = CallbackQuery::parse(&query);
            let outcome = trial.sign_in.finish(Some(pending.clone()), MINE, &query).await;
            assert_eq!(outcome, Err(FlowError::Refused { code: shown.into() }), "{error}");
            let outcome = trial.sign_in.finish(None, MINE, &query).await;
            assert_eq!(outcome, Err(FlowError::StateMismatch), "anybody can link to it");
        }
        assert!(trial.http.token_requests().is_empty());
    }

    #[tokio::test]
    async fn a_sign_in_is_answered_once_also_where_the_browser_keeps_its_cookie() {
        let trial = fixture();
        let (pending, answer) = trial.begin_and_answer();
        trial.serve_id_token(&secrets(&pending).0);
        assert!(trial.sign_in.finish(Some(pending.clone()), MINE, &answer).await.is_ok());
        let again = trial.sign_in.finish(Some(pending), MINE, &answer).await;
        assert_eq!(again, Err(FlowError::StateMismatch));
        assert_eq!(trial.http.token_requests().len(), 1);
    }

    #[tokio::test]
    async fn what_entra_answers_to_the_code_is_refusal_wait_or_doubt() {
        let trial = fixture();
        let finish = async || {
            let (pending, answer) = trial.begin_and_answer();
            trial.sign_in.finish(Some(pending), MINE, &answer).await
        };
        trial.http.respond_to_token_request(400, &[], &json!({ "error": "invalid_grant" }));
        let replayed = FlowError::Refused { code: "invalid_grant".into() };
        assert_eq!(finish().await, Err(replayed), "a code is good for once");
        trial.http.respond_to_token_request(503, &[], &json!({}));
        assert_eq!(finish().await, Err(FlowError::Unavailable));
        trial.http.respond_to_token_request(200, &[], &json!({ "access_token": "no id token" }));
        assert_eq!(finish().await, Err(FlowError::Unavailable));
        trial.serve_id_token("the nonce of another journey");
        assert_eq!(finish().await, Err(FlowError::InvalidToken(VerifyError::Nonce)));
        trial.http.respond_to_token_request(200, &[], &json!({ "id_token": "a.b.c" }));
        assert_eq!(finish().await, Err(FlowError::InvalidToken(VerifyError::Malformed)));
    }
}
