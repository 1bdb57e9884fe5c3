//! Tokens for a customer's Graph, without a stored secret: the managed identity vouches for our app
//! registration at the customer's own token endpoint.
//!
//! learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity,
//! 2024-12-03; /entra/identity-platform/v2-oauth2-client-creds-grant-flow, 2023-02.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;

use super::{
    client_assertion::{TokenEndpoint, TokenError},
    registrations::Registrations,
};
use crate::{
    base::json::json_member,
    domain::{ids::TenantId, tenant::policy::Registration},
};

/// How long before its end a token is replaced.
const RENEW_BEFORE_EXPIRY: SignedDuration = SignedDuration::from_mins(5);

/// Tokens kept at most. Those of more tenants and registrations are fetched again and again.
const MAX_CACHED_TOKENS: usize = 10_000;

/// A bearer token. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Arc<str>);

impl BearerToken {
    /// The token itself, for the one header it belongs in.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

/// The Graph tokens of all tenants, cached.
pub struct TenantTokens {
    endpoint: TokenEndpoint,
    registrations: Registrations,
    /// Each with the instant until which it is used.
    tokens: Cache<(TenantId, Registration), (BearerToken, Timestamp)>,
}

impl TenantTokens {
    /// Tokens of `endpoint`, for the Graph of its cloud.
    pub fn new(endpoint: TokenEndpoint, registrations: Registrations) -> Self {
        Self { endpoint, registrations, tokens: Cache::new(MAX_CACHED_TOKENS) }
    }

    /// The tenant's token: from the cache, or fetched. A caller that asks while it is being fetched waits
    /// for that one.
    pub async fn token(
        &self,
        tenant: TenantId,
        registration: Registration,
    ) -> Result<BearerToken, TokenError> {
        loop {
            let now = self.endpoint.clock.now();
            match self.tokens.get_value_or_guard_async(&(tenant, registration)).await {
                Ok((token, valid_until)) if now < valid_until => return Ok(token),
                Ok((over, _)) => self.invalidate(tenant, registration, &over),
                // The next one who waits gets the guard if this fails: no failure is remembered.
                Err(guard) => {
                    let fetched = self.fetch(tenant, registration, now).await?;
                    // Refused only where it was removed meanwhile, which no token in the making is.
                    guard.insert(fetched.clone()).ok();
                    return Ok(fetched.0);
                }
            }
        }
    }

    /// Graph answered 401 to `refused`: it is not handed out again. A newer one stays.
    pub fn invalidate(&self, tenant: TenantId, registration: Registration, refused: &BearerToken) {
        self.tokens.remove_if(&(tenant, registration), |(token, _)| token == refused);
    }

    async fn fetch(
        &self,
        tenant: TenantId,
        registration: Registration,
        now: Timestamp,
    ) -> Result<(BearerToken, Timestamp), TokenError> {
        let client_id = self.registrations.client_id(registration);
        let scope = &self.endpoint.cloud.graph_scope;
        let fields = [("scope", scope.as_str()), ("grant_type", "client_credentials")];
        let answer = self.endpoint.request_token(&tenant.to_string(), client_id, &fields).await;
        let answer = answer.inspect_err(log_refusal)?;
        let token: Option<String> = json_member(&answer, "access_token");
        let token = BearerToken(token.ok_or(TokenError::UNAVAILABLE)?.into());
        let lifetime: Option<i64> = json_member(&answer, "expires_in");
        // Within reason: nonsense must not make a token immortal.
        let lifetime = lifetime.ok_or(TokenError::UNAVAILABLE)?.clamp(0, 86_400);
        Ok((token, now + (SignedDuration::from_secs(lifetime) - RENEW_BEFORE_EXPIRY)))
    }
}

/// A refusal that is not the customer's decision stops work for every tenant at once, and only an
/// operator can end it: so it is an error, which an alert finds.
fn log_refusal(error: &TokenError) {
    if matches!(error, TokenError::Refused { .. }) {
        tracing::error!(%error, "Entra refused our credential or request");
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::atomic::Ordering};

    use serde_json::json;
    use url::form_urlencoded;
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        identity::{
            app_tokens::Cloud,
            scripted_http::{FakeManagedIdentity, ScriptedHttp, cloud},
        },
    };

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const LATER: &[(&str, &str)] = &[("retry-after", "9")];
    const WIDE: Registration = Registration::OrganisationWide;

    /// Status, headers and body of an answer, and what is made of it.
    type Case = (u16, &'static [(&'static str, &'static str)], serde_json::Value, TokenError);

    struct TenantTokensFixture {
        http: Arc<ScriptedHttp>,
        managed_identity: Arc<FakeManagedIdentity>,
        clock: Arc<ManualClock>,
        tokens: TenantTokens,
    }

    fn fixture() -> TenantTokensFixture {
        fixture_in(cloud())
    }

    fn fixture_in(cloud: Cloud) -> TenantTokensFixture {
        let (far, managed_identity) =
            (Arc::new(ScriptedHttp::default()), Arc::new(FakeManagedIdentity::default()));
        let clock = Arc::new(ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap()));
        let endpoint = TokenEndpoint {
            http: Arc::clone(&far) as _,
            assertion_credential: Arc::clone(&managed_identity) as _,
            clock: Arc::clone(&clock) as _,
            cloud,
        };
        let registrations =
            Registrations { organisation_wide: "wide".into(), scoped: "scoped".into() };
        let tokens = TenantTokens::new(endpoint, registrations);
        TenantTokensFixture { http: far, managed_identity, clock, tokens }
    }

    #[tokio::test]
    async fn the_managed_identity_vouches_at_the_customers_own_endpoint() {
        let trial = fixture();
        let token = trial.tokens.token(ACME, Registration::Scoped).await.unwrap();
        assert_eq!(token.secret(), "token-1");
        assert_eq!(format!("{token:?}"), "BearerToken(..)");
        assert_eq!(
            trial.managed_identity.requested_scopes(),
            ["api://AzureADTokenExchange/.default"]
        );
        let call = &trial.http.token_requests()[0];
        assert_eq!(call.uri().to_string(), format!("https://login.test/{ACME}/oauth2/v2.0/token"));
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["client_id"], "scoped");
        assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
        assert_eq!(form["client_assertion"], "assertion");
        let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(form["client_assertion_type"], assertion_type);
        assert_eq!(form["grant_type"], "client_credentials");
    }

    #[tokio::test]
    async fn a_sovereign_cloud_is_a_matter_of_settings() {
        let trial = fixture_in(Cloud {
            authority: "https://login.partner.test".parse().unwrap(),
            token_exchange_audience: "api://AzureADTokenExchangeChina".into(),
            graph_scope: "https://graph.partner.test/.default".into(),
            ..cloud()
        });
        trial.tokens.token(ACME, WIDE).await.unwrap();
        assert_eq!(
            trial.managed_identity.requested_scopes(),
            ["api://AzureADTokenExchangeChina/.default"]
        );
        let call = &trial.http.token_requests()[0];
        assert_eq!(call.uri().host(), Some("login.partner.test"));
        let form: HashMap<_, _> = form_urlencoded::parse(call.body()).into_owned().collect();
        assert_eq!(form["scope"], "https://graph.partner.test/.default");
    }

    #[tokio::test]
    async fn a_token_is_kept_until_five_minutes_before_its_end() {
        let trial = fixture();
        let token = async || trial.tokens.token(ACME, WIDE).await.unwrap();
        let first = token().await;
        trial.clock.advance(SignedDuration::from_secs(3599 - 300 - 1));
        assert_eq!(token().await, first);
        trial.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(token().await.secret(), "token-2");
    }

    #[tokio::test]
    async fn tenants_and_registrations_do_not_share_tokens() {
        let trial = fixture();
        let other = TenantId(Uuid::from_u128(2));
        for (tenant, registration) in [(ACME, WIDE), (other, WIDE), (ACME, Registration::Scoped)] {
            trial.tokens.token(tenant, registration).await.unwrap();
        }
        assert_eq!(trial.http.token_requests().len(), 3);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_make_one_call() {
        let trial = fixture();
        let asks = (0..50).map(|_| trial.tokens.token(ACME, WIDE));
        let tokens = futures::future::join_all(asks).await;
        assert!(tokens.iter().all(|token| token.as_ref().unwrap().secret() == "token-1"));
        assert_eq!(trial.http.token_requests().len(), 1);
    }

    #[tokio::test]
    async fn many_who_were_refused_the_same_token_fetch_one_new_one() {
        let trial = fixture();
        let old = trial.tokens.token(ACME, WIDE).await.unwrap();
        let again = (0..10).map(|_| async {
            trial.tokens.invalidate(ACME, WIDE, &old);
            trial.tokens.token(ACME, WIDE).await.unwrap()
        });
        let tokens = futures::future::join_all(again).await;
        assert!(tokens.iter().all(|token| token.secret() == "token-2"));
        assert_eq!(trial.http.token_requests().len(), 2);
    }

    #[tokio::test]
    async fn each_failure_is_a_refusal_or_a_wait() {
        let trial = fixture();
        let refused = |code: &str, aadsts| TokenError::Refused { code: code.into(), aadsts };
        let withdrawn =
            |code: &str, aadsts| TokenError::AccessWithdrawn { code: code.into(), aadsts };
        let error = |code: &str, numbers: &[u32]| json!({ "error": code, "error_codes": numbers });
        let (unauthorized, client) = ("unauthorized_client", "invalid_client");
        let wait = |seconds: Option<i64>| TokenError::Unavailable {
            after: seconds.map(SignedDuration::from_secs),
        };
        let cases: [Case; 13] = [
            (400, &[], error(unauthorized, &[700_016]), withdrawn(unauthorized, 700_016)),
            (401, &[], error(client, &[7_000_112]), withdrawn(client, 7_000_112)),
            (401, &[], error(client, &[700_024]), refused(client, 700_024)),
            (400, &[], error(unauthorized, &[700_016, 700_024]), refused(unauthorized, 700_016)),
            (400, &[], error("invalid_request", &[90014]), refused("invalid_request", 90014)),
            (400, &[], json!({ "error": unauthorized }), refused(unauthorized, 0)),
            (400, &[], json!({ "error": "Ann's dinner", "error_codes": 7 }), refused("-", 0)),
            (403, &[], json!("proxy"), refused("-", 0)),
            (400, LATER, json!({ "error": "temporarily_unavailable" }), wait(Some(9))),
            (429, LATER, json!({}), wait(Some(9))),
            (503, &[], json!({}), wait(None)),
            (200, &[], json!({ "token_type": "Bearer" }), wait(None)),
            (302, &[], json!({}), wait(None)),
        ];
        for (status, headers, body, error) in cases {
            trial.http.respond_to_token_request(status, headers, &body);
            assert_eq!(trial.tokens.token(ACME, WIDE).await, Err(error), "{status} {body}");
        }
        trial.managed_identity.unavailable.store(true, Ordering::Relaxed);
        assert_eq!(trial.tokens.token(ACME, WIDE).await, Err(wait(None)));
        trial.managed_identity.unavailable.store(false, Ordering::Relaxed);
        assert!(trial.tokens.token(ACME, WIDE).await.is_ok(), "no failure is remembered");
    }
}
