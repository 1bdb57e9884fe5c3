//! The managed identity endpoint of App Service and Functions.
//!
//! `GET {IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=..&client_id=..` with the header
//! `X-IDENTITY-HEADER` (learn.microsoft.com/azure/app-service/overview-managed-identity, "REST
//! endpoint reference").
//! Only user-assigned identities exist here: a call without `client_id` finds none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use jiff::SignedDuration;
use roombridge::base::clock::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::entra::CloudHosts;
use crate::signing::SigningKey;

/// Where the endpoint listens, below its host.
pub const PATH: &str = "/msi/token";
/// The version the endpoint knows.
const API_VERSION: &str = "2019-08-01";
/// How long a token is good for: the real endpoint gives no promise, and caches for about a day.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// A user-assigned identity that the app has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What callers ask for.
    pub client_id: String,
    /// Its service principal's object id: the `sub` and `oid` of its tokens.
    pub principal_id: String,
}

/// Why no token was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityEndpointError {
    /// The header is not the one the host gave this app.
    #[error("the identity header is missing or wrong")]
    WrongHeader,
    /// `api-version` or `resource` is missing or unknown.
    #[error("api-version and resource are required")]
    BadRequest,
    /// No such identity is assigned to the app.
    #[error("no such identity is assigned")]
    NotAssigned,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Unsigned,
}

/// The endpoint's answer, with `expires_on` in Unix seconds as a string.
#[derive(Clone, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    pub access_token: String,
    /// When it expires, in Unix seconds.
    pub expires_on: String,
    /// What it is for, as asked.
    pub resource: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Whose it is.
    pub client_id: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// The endpoint; clones share its state.
#[derive(Clone)]
pub struct ManagedIdentity(Arc<Inner>);

struct Inner {
    home_tenant: String,
    header: String,
    identities: Vec<Identity>,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    requests: Mutex<BTreeMap<String, u64>>,
    hosts: Mutex<CloudHosts>,
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(rename = "api-version")]
    api_version: Option<String>,
    resource: Option<String>,
    client_id: Option<String>,
}

impl ManagedIdentity {
    /// An endpoint for an app in `home_tenant` with `identities`, that wants `header` as the value
    /// of `X-IDENTITY-HEADER` (the app's `IDENTITY_HEADER`). Azurite and the Azure crates compare
    /// the tokens' times with the machine's clock, so `clock` must show that for them.
    pub fn new(
        home_tenant: impl Into<String>,
        header: impl Into<String>,
        identities: Vec<Identity>,
        key: SigningKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            home_tenant: home_tenant.into(),
            header: header.into(),
            identities,
            key,
            clock,
            requests: Mutex::default(),
            hosts: Mutex::default(),
        }))
    }

    /// Plays another cloud from now on: assertions are for its audience and from its issuer.
    pub fn set_cloud(&self, hosts: CloudHosts) {
        *self.hosts() = hosts;
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, CloudHosts> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers at [`PATH`].
    pub fn router(&self) -> Router {
        Router::new().route(PATH, get(token_endpoint)).with_state(self.clone())
    }

    /// How many tokens were asked for over HTTP, granted or not.
    pub fn requests(&self) -> u64 {
        self.counts().values().sum()
    }

    /// How many tokens were asked for `resource` over HTTP, granted or not.
    pub fn requests_for(&self, resource: &str) -> u64 {
        self.counts().get(resource).copied().unwrap_or(0)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token of one identity for `resource`, without HTTP and uncounted.
    ///
    /// # Errors
    /// [`IdentityEndpointError::NotAssigned`] or [`IdentityEndpointError::Unsigned`].
    pub fn token(&self, client_id: &str, resource: &str) -> Result<Token, IdentityEndpointError> {
        let identity = self
            .0
            .identities
            .iter()
            .find(|identity| identity.client_id == client_id)
            .ok_or(IdentityEndpointError::NotAssigned)?;
        let claims = self.claims(identity, resource);
        let access_token = self.0.key.sign(&claims).map_err(|_| IdentityEndpointError::Unsigned)?;
        Ok(Token {
            access_token,
            expires_on: claims["exp"].to_string(),
            resource: resource.to_owned(),
            token_type: "Bearer".to_owned(),
            client_id: client_id.to_owned(),
        })
    }

    /// A credential for the Azure crates in this process, which cannot be given `IDENTITY_ENDPOINT`.
    pub fn credential(&self, client_id: impl Into<String>) -> Arc<dyn TokenCredential> {
        Arc::new(IdentityCredential { endpoint: self.clone(), client_id: client_id.into() })
    }

    /// Resources get v1 tokens. An assertion has the v2 issuer and the principal as its subject,
    /// which a federated credential is matched with (learn.microsoft.com/entra/workload-id,
    /// "Configure an application to trust a managed identity").
    fn claims(&self, identity: &Identity, resource: &str) -> Value {
        let tenant = &self.0.home_tenant;
        let now = self.0.clock.now();
        let hosts = self.hosts().clone();
        let exchange = resource == hosts.exchange_audience;
        let (issuer, version) = if exchange {
            (format!("{}/{tenant}/v2.0", hosts.authority), "2.0")
        } else {
            (format!("https://sts.windows.net/{tenant}/"), "1.0")
        };
        let client_claim = if exchange { "azp" } else { "appid" };
        json!({
            "aud": resource,
            "iss": issuer,
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": (now + LIFETIME).as_second(),
            client_claim: identity.client_id,
            "idtyp": "app",
            "oid": identity.principal_id,
            "sub": identity.principal_id,
            "tid": tenant,
            "ver": version,
        })
    }
}

async fn token_endpoint(
    State(endpoint): State<ManagedIdentity>,
    Query(ask): Query<TokenQuery>,
    headers: HeaderMap,
) -> Response {
    *endpoint.counts().entry(ask.resource.clone().unwrap_or_default()).or_default() += 1;
    match grant(&endpoint, &ask, &headers) {
        Ok(token) => Json(token).into_response(),
        Err(refusal) => {
            let status = match refusal {
                IdentityEndpointError::WrongHeader => StatusCode::FORBIDDEN,
                IdentityEndpointError::BadRequest | IdentityEndpointError::NotAssigned => {
                    StatusCode::BAD_REQUEST
                }
                IdentityEndpointError::Unsigned => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let body = json!({ "statusCode": status.as_u16(), "message": refusal.to_string() });
            (status, Json(body)).into_response()
        }
    }
}

fn grant(
    endpoint: &ManagedIdentity,
    ask: &TokenQuery,
    headers: &HeaderMap,
) -> Result<Token, IdentityEndpointError> {
    let header = headers.get("x-identity-header").map(axum::http::HeaderValue::as_bytes);
    if header != Some(endpoint.0.header.as_bytes()) {
        return Err(IdentityEndpointError::WrongHeader);
    }
    if ask.api_version.as_deref() != Some(API_VERSION) {
        return Err(IdentityEndpointError::BadRequest);
    }
    let resource = ask
        .resource
        .as_deref()
        .filter(|r| !r.is_empty())
        .ok_or(IdentityEndpointError::BadRequest)?;
    let client_id = ask.client_id.as_deref().ok_or(IdentityEndpointError::NotAssigned)?;
    endpoint.token(client_id, resource)
}

struct IdentityCredential {
    endpoint: ManagedIdentity,
    client_id: String,
}

impl fmt::Debug for IdentityCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for IdentityCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let credential_error =
            |refusal: IdentityEndpointError| azure_core::Error::new(ErrorKind::Credential, refusal);
        let [scope] = scopes else {
            return Err(credential_error(IdentityEndpointError::BadRequest));
        };
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let token = self.endpoint.token(&self.client_id, resource).map_err(credential_error)?;
        let expires = token.expires_on.parse().unwrap_or_default();
        let expires = OffsetDateTime::from_unix_timestamp(expires)
            .map_err(|e| azure_core::Error::new(ErrorKind::Credential, e))?;
        Ok(AccessToken::new(token.access_token, expires))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use jiff::Timestamp;
    use roombridge::base::test_support::ManualClock;
    use tower::ServiceExt;

    use super::*;

    const TOKEN_EXCHANGE: &str = "api://AzureADTokenExchange";

    fn endpoint() -> (ManagedIdentity, SigningKey) {
        let key = SigningKey::generate().unwrap();
        let clock = ManualClock::new(Timestamp::from_second(1_790_000_000).unwrap());
        let identity = Identity { client_id: "client".into(), principal_id: "principal".into() };
        let endpoint =
            ManagedIdentity::new("home", "secret", vec![identity], key.clone(), Arc::new(clock));
        (endpoint, key)
    }

    async fn call(endpoint: &ManagedIdentity, query: &str, header: &str) -> (StatusCode, Value) {
        let request = Request::get(format!("{PATH}?{query}"))
            .header("X-IDENTITY-HEADER", header)
            .body(Body::empty())
            .unwrap();
        let answer = endpoint.router().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn storage_gets_a_v1_token() {
        let (endpoint, key) = endpoint();
        let query =
            "api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com&client_id=client";
        let (status, body) = call(&endpoint, query, "secret").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body["expires_on"], "1790086400");
        let claims = key.verify(body["access_token"].as_str().unwrap()).unwrap();
        assert_eq!(claims["iss"], "https://sts.windows.net/home/");
        assert_eq!(claims["aud"], "https://storage.azure.com");
        assert_eq!(endpoint.requests_for("https://storage.azure.com"), 1);
    }

    #[tokio::test]
    async fn an_assertion_names_the_principal() {
        let (endpoint, key) = endpoint();
        let token = endpoint.token("client", TOKEN_EXCHANGE).unwrap();
        let claims = key.verify(&token.access_token).unwrap();
        assert_eq!(claims["iss"], "https://login.microsoftonline.com/home/v2.0");
        assert_eq!(claims["sub"], "principal");
        assert_eq!(claims["aud"], TOKEN_EXCHANGE);
    }

    #[tokio::test]
    async fn another_cloud_has_another_audience_and_issuer() {
        let (endpoint, key) = endpoint();
        endpoint.set_cloud(CloudHosts {
            authority: "https://login.microsoftonline.us".into(),
            exchange_audience: "api://AzureADTokenExchangeUSGov".into(),
            ..CloudHosts::default()
        });
        let token = endpoint.token("client", "api://AzureADTokenExchangeUSGov").unwrap();
        let claims = key.verify(&token.access_token).unwrap();
        assert_eq!(claims["iss"], "https://login.microsoftonline.us/home/v2.0");
        let other = endpoint.token("client", TOKEN_EXCHANGE).unwrap();
        assert_eq!(key.verify(&other.access_token).unwrap()["ver"], "1.0");
    }

    #[tokio::test]
    async fn strangers_and_malformed_calls_get_nothing() {
        let (endpoint, _) = endpoint();
        let good = "api-version=2019-08-01&resource=r&client_id=client";
        assert_eq!(call(&endpoint, good, "guess").await.0, StatusCode::FORBIDDEN);
        for bad in [
            "resource=r&client_id=client",
            "api-version=2017-09-01&resource=r&client_id=client",
            "api-version=2019-08-01&client_id=client",
            "api-version=2019-08-01&resource=r&client_id=other",
            "api-version=2019-08-01&resource=r",
        ] {
            assert_eq!(call(&endpoint, bad, "secret").await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(endpoint.requests(), 6);
    }
}
