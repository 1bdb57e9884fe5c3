//! Tokens for a customer's Graph, without a stored secret: the managed identity vouches for our app
//! registration at the customer's own token endpoint.
//!
//! learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity,
//! 2024-12-03; /entra/identity-platform/v2-oauth2-client-creds-grant-flow, 2023-02.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use azure_core::credentials::TokenCredential;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use url::{Url, form_urlencoded};

use crate::{
    clock::Clock,
    domain::{ids::TenantId, policy::Registration},
    http::Http,
    retry_after,
};

/// How long before its end a token is replaced.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// What the managed identity's token is for (public cloud).
const EXCHANGE_SCOPE: &str = "api://AzureADTokenExchange/.default";
/// What the customer's token is for (public cloud).
const GRAPH_SCOPE: &str = "https://graph.microsoft.com/.default";

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client ids of our two daemon registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrations {
    /// Client id of [`Registration::OrganisationWide`].
    pub organisation_wide: String,
    /// Client id of [`Registration::Scoped`].
    pub scoped: String,
}

impl Registrations {
    fn client_id(&self, registration: Registration) -> &str {
        match registration {
            Registration::OrganisationWide => &self.organisation_wide,
            Registration::Scoped => &self.scoped,
        }
    }
}

/// No token could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The tenant refuses our registration: it is not (or no longer) consented to there, or our
    /// federation is wrong. Entra's codes may change, so they are for people, not for decisions.
    #[error("the tenant refuses a token: {code}")]
    Refused {
        /// The OAuth error code, e.g. `unauthorized_client`; `-` when there was none.
        code: String,
    },
    /// For now: Entra or the managed identity does not answer, or answers nonsense.
    #[error("no token for now")]
    Unavailable {
        /// The wait that Entra asked for, if it named one.
        after: Option<SignedDuration>,
    },
}

/// A bearer token. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// The token itself, for the one header it belongs in.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

struct Held {
    token: Token,
    until: Timestamp,
}

type Slot = Arc<AsyncMutex<Option<Held>>>;

struct Inner {
    http: Arc<dyn Http>,
    assertion: Arc<dyn TokenCredential>,
    clock: Arc<dyn Clock>,
    authority: Url,
    registrations: Registrations,
    exchange_scope: String,
    graph_scope: String,
    slots: Mutex<HashMap<(TenantId, Registration), Slot>>,
}

/// The Graph tokens of all tenants, cached. Clones share the cache.
#[derive(Clone)]
pub struct TenantTokens(Arc<Inner>);

#[derive(Deserialize)]
struct TokenWire {
    access_token: String,
    expires_in: i64,
}

#[derive(Deserialize)]
struct RefusalWire {
    error: String,
}

impl TenantTokens {
    /// Tokens from `authority` (`https://login.microsoftonline.com`), with `assertion` (the managed
    /// identity that the registrations trust) as our word. For the public cloud.
    pub fn new(
        http: Arc<dyn Http>,
        assertion: Arc<dyn TokenCredential>,
        clock: Arc<dyn Clock>,
        authority: Url,
        registrations: Registrations,
    ) -> Self {
        let scopes = (EXCHANGE_SCOPE.to_owned(), GRAPH_SCOPE.to_owned());
        Self::for_cloud(http, assertion, clock, authority, registrations, scopes)
    }

    /// The same for another cloud: `scopes` are those of the token exchange and of Graph there.
    pub fn for_cloud(
        http: Arc<dyn Http>,
        assertion: Arc<dyn TokenCredential>,
        clock: Arc<dyn Clock>,
        authority: Url,
        registrations: Registrations,
        (exchange_scope, graph_scope): (String, String),
    ) -> Self {
        let slots = Mutex::default();
        Self(Arc::new(Inner {
            http,
            assertion,
            clock,
            authority,
            registrations,
            exchange_scope,
            graph_scope,
            slots,
        }))
    }

    /// The tenant's token: from the cache, or fetched. Whoever asks while it is being fetched waits
    /// for that one.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn token(
        &self,
        tenant: TenantId,
        registration: Registration,
    ) -> Result<Token, TokenError> {
        let slot = self.slot(tenant, registration);
        let mut held = slot.lock().await;
        let now = self.0.clock.now();
        if let Some(held) = held.as_ref()
            && now < held.until
        {
            return Ok(held.token.clone());
        }
        let fresh = self.fetch(tenant, registration, now).await?;
        let token = fresh.token.clone();
        *held = Some(fresh);
        Ok(token)
    }

    /// Graph answered 401 to `refused`: it is not handed out again. A newer one stays.
    pub async fn forget(&self, tenant: TenantId, registration: Registration, refused: &Token) {
        let slot = self.slot(tenant, registration);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *refused) {
            *held = None;
        }
    }

    fn slot(&self, tenant: TenantId, registration: Registration) -> Slot {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((tenant, registration)).or_default())
    }

    async fn fetch(
        &self,
        tenant: TenantId,
        registration: Registration,
        now: Timestamp,
    ) -> Result<Held, TokenError> {
        let unavailable = TokenError::Unavailable { after: None };
        let scopes = [self.0.exchange_scope.as_str()];
        let assertion = self.0.assertion.get_token(&scopes, None).await.map_err(|error| {
            tracing::warn!(kind = ?error.kind(), "the managed identity gives no token");
            unavailable.clone()
        })?;
        let client_id = self.0.registrations.client_id(registration);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("scope", &self.0.graph_scope)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion.token.secret())
            .append_pair("grant_type", "client_credentials")
            .finish();
        let authority = self.0.authority.as_str().trim_end_matches('/');
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(format!("{authority}/{tenant}/oauth2/v2.0/token"))
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .body(Bytes::from(form))
            .map_err(|_| unavailable.clone())?;
        let answer = self.0.http.send(request).await.map_err(|_| unavailable)?;
        self.held(&answer, now)
    }

    fn held(&self, answer: &http::Response<Bytes>, now: Timestamp) -> Result<Held, TokenError> {
        let status = answer.status().as_u16();
        let after = || retry_after::of(answer.headers(), self.0.clock.now());
        match status {
            200 => {
                let wire: TokenWire = serde_json::from_slice(answer.body())
                    .map_err(|_| TokenError::Unavailable { after: None })?;
                let life = SignedDuration::from_secs(wire.expires_in.clamp(0, 86_400));
                Ok(Held { token: Token(wire.access_token.into()), until: now + (life - EARLY) })
            }
            408 | 429 => Err(TokenError::Unavailable { after: after() }),
            400..=499 => {
                let wire = serde_json::from_slice::<RefusalWire>(answer.body());
                let code = wire.map(|wire| wire.error).unwrap_or_default();
                let plain = |c: u8| c.is_ascii_lowercase() || c == b'_';
                match code.as_str() {
                    "temporarily_unavailable" => Err(TokenError::Unavailable { after: after() }),
                    code if (1..=64).contains(&code.len()) && code.bytes().all(plain) => {
                        Err(TokenError::Refused { code: code.to_owned() })
                    }
                    _ => Err(TokenError::Refused { code: "-".to_owned() }),
                }
            }
            _ => Err(TokenError::Unavailable { after: after() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        clock::ManualClock,
        identity::scripted::{Scripted, Vouching},
    };

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const LATER: &[(&str, &str)] = &[("retry-after", "9")];
    const WIDE: Registration = Registration::OrganisationWide;

    /// Status, headers and body of an answer, and what is made of it.
    type Case = (u16, &'static [(&'static str, &'static str)], serde_json::Value, TokenError);

    struct Trial {
        far: Arc<Scripted>,
        vouching: Arc<Vouching>,
        clock: Arc<ManualClock>,
        tokens: TenantTokens,
    }

    fn trial() -> Trial {
        let (far, vouching) = (Arc::new(Scripted::default()), Arc::new(Vouching::default()));
        let clock = Arc::new(ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap()));
        let tokens = TenantTokens::new(
            Arc::clone(&far) as _,
            Arc::clone(&vouching) as _,
            Arc::clone(&clock) as _,
            "https://login.test/".parse().unwrap(),
            Registrations { organisation_wide: "wide".into(), scoped: "scoped".into() },
        );
        Trial { far, vouching, clock, tokens }
    }

    #[tokio::test]
    async fn the_managed_identity_vouches_at_the_customers_own_endpoint() {
        let trial = trial();
        let token = trial.tokens.token(ACME, Registration::Scoped).await.unwrap();
        assert_eq!(token.secret(), "token-1");
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_eq!(trial.vouching.asked(), ["api://AzureADTokenExchange/.default"]);
        let call = &trial.far.token_calls()[0];
        assert_eq!(call.uri().to_string(), format!("https://login.test/{ACME}/oauth2/v2.0/token"));
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["client_id"], "scoped");
        assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
        assert_eq!(form["client_assertion"], "assertion");
        assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
        assert_eq!(form["grant_type"], "client_credentials");
    }

    #[tokio::test]
    async fn a_token_is_kept_until_five_minutes_before_its_end() {
        let trial = trial();
        let token = async || trial.tokens.token(ACME, WIDE).await.unwrap();
        let first = token().await;
        trial.clock.advance(SignedDuration::from_secs(3599 - 300 - 1));
        assert_eq!(token().await, first);
        trial.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(token().await.secret(), "token-2");
    }

    #[tokio::test]
    async fn tenants_and_registrations_do_not_share_tokens() {
        let trial = trial();
        let other = TenantId(Uuid::from_u128(2));
        for (tenant, registration) in [(ACME, WIDE), (other, WIDE), (ACME, Registration::Scoped)] {
            trial.tokens.token(tenant, registration).await.unwrap();
        }
        assert_eq!(trial.far.token_calls().len(), 3);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_make_one_call() {
        let trial = trial();
        let asks = (0..50).map(|_| trial.tokens.token(ACME, WIDE));
        let tokens = futures::future::join_all(asks).await;
        assert!(tokens.iter().all(|token| token.as_ref().unwrap().secret() == "token-1"));
        assert_eq!(trial.far.token_calls().len(), 1);
    }

    #[tokio::test]
    async fn many_who_were_refused_the_same_token_fetch_one_new_one() {
        let trial = trial();
        let old = trial.tokens.token(ACME, WIDE).await.unwrap();
        let again = (0..10).map(|_| async {
            trial.tokens.forget(ACME, WIDE, &old).await;
            trial.tokens.token(ACME, WIDE).await.unwrap()
        });
        let tokens = futures::future::join_all(again).await;
        assert!(tokens.iter().all(|token| token.secret() == "token-2"));
        assert_eq!(trial.far.token_calls().len(), 2);
    }

    #[tokio::test]
    async fn each_failure_is_a_refusal_or_a_wait() {
        let trial = trial();
        let refused = |code: &str| TokenError::Refused { code: code.into() };
        let wait = |seconds: Option<i64>| TokenError::Unavailable {
            after: seconds.map(SignedDuration::from_secs),
        };
        let cases: [Case; 9] = [
            (400, &[], json!({ "error": "unauthorized_client" }), refused("unauthorized_client")),
            (401, &[], json!({ "error": "invalid_client" }), refused("invalid_client")),
            (400, &[], json!({ "error": "Ann's dinner" }), refused("-")),
            (403, &[], json!("proxy"), refused("-")),
            (400, LATER, json!({ "error": "temporarily_unavailable" }), wait(Some(9))),
            (429, LATER, json!({}), wait(Some(9))),
            (503, &[], json!({}), wait(None)),
            (200, &[], json!({ "token_type": "Bearer" }), wait(None)),
            (302, &[], json!({}), wait(None)),
        ];
        for (status, headers, body, error) in cases {
            trial.far.then_token(status, headers, &body);
            assert_eq!(trial.tokens.token(ACME, WIDE).await, Err(error), "{status} {body}");
        }
        trial.vouching.broken.store(true, Ordering::Relaxed);
        assert_eq!(trial.tokens.token(ACME, WIDE).await, Err(wait(None)));
        trial.vouching.broken.store(false, Ordering::Relaxed);
        assert!(trial.tokens.token(ACME, WIDE).await.is_ok(), "no failure is remembered");
    }
}
