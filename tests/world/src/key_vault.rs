//! A key vault that only has secrets (learn.microsoft.com/rest/api/keyvault/secrets/get-secret).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use roombridge::clock::Clock;
use roombridge::rng::Rng;
use serde_json::json;

use crate::entra::Entra;

/// The audience of tokens for a vault.
pub const VAULT: &str = "https://vault.azure.net";

/// The vault. Clones share it.
#[derive(Clone)]
pub struct KeyVault(Arc<Inner>);

struct Inner {
    /// `https://{name}.vault.azure.net`, or a loopback address.
    base: Mutex<String>,
    entra: Entra,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Versions of each secret, oldest first.
    secrets: BTreeMap<String, Vec<Version>>,
    outage: bool,
    reads: u64,
}

struct Version {
    id: String,
    value: String,
    created: Timestamp,
}

impl KeyVault {
    /// An empty vault at `base` that takes tokens of `entra`.
    pub fn new(base: &str, entra: Entra, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let base = Mutex::new(base.to_owned());
        Self(Arc::new(Inner { base, entra, clock, rng, state: Mutex::default() }))
    }

    /// Where its secrets' ids say it is, without a slash at the end (for a listener of one's own).
    pub fn set_base(&self, base: &str) {
        base.clone_into(&mut self.0.base.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds a version of the secret `name`; answers the version's id.
    pub fn set(&self, name: &str, value: &str) -> String {
        let id = self.0.rng.uuid().simple().to_string();
        let version =
            Version { id: id.clone(), value: value.to_owned(), created: self.0.clock.now() };
        self.lock().secrets.entry(name.to_owned()).or_default().push(version);
        id
    }

    /// Lets every call answer 503 (or stop doing so).
    pub fn set_outage(&self, on: bool) {
        self.lock().outage = on;
    }

    /// How often a secret was read.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// Answers `GET /secrets/{name}` and `GET /secrets/{name}/{version}`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/secrets/{name}", get(newest))
            .route("/secrets/{name}/", get(newest))
            .route("/secrets/{name}/{version}", get(one))
            .with_state(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(
        &self,
        name: &str,
        version: Option<&str>,
        query: &BTreeMap<String, String>,
        headers: &HeaderMap,
    ) -> Response {
        let mut state = self.lock();
        if state.outage {
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "Out of service.",
            );
        }
        if !query.contains_key("api-version") {
            return refuse(StatusCode::BAD_REQUEST, "BadParameter", "api-version must be given.");
        }
        if !self.admits(headers) {
            return self.challenge();
        }
        let versions = state.secrets.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match version {
            Some(id) => versions.iter().find(|v| v.id == id),
            None => versions.last(),
        };
        let Some(found) = found else {
            return refuse(StatusCode::NOT_FOUND, "SecretNotFound", "No such secret.");
        };
        let base = self.0.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let created = found.created.as_second();
        let body = json!({
            "value": found.value,
            "id": format!("{base}/secrets/{name}/{}", found.id),
            "attributes": {
                "enabled": true,
                "created": created,
                "updated": created,
                "recoveryLevel": "Recoverable+Purgeable",
            },
        });
        state.reads += 1;
        Json(body).into_response()
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = token.and_then(|v| v.strip_prefix("Bearer "));
        token.is_some_and(|t| self.0.entra.check(t, VAULT).is_some())
    }

    /// The challenge that tells a client whom to ask for a token
    /// (learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses).
    fn challenge(&self) -> Response {
        let tenant = self.0.entra.home_tenant();
        let authority = format!("https://login.microsoftonline.com/{tenant}");
        let challenge = format!("Bearer authorization=\"{authority}\", resource=\"{VAULT}\"");
        let text = "AKV10000: Request is missing a Bearer or PoP token.";
        let mut response = refuse(StatusCode::UNAUTHORIZED, "Unauthorized", text);
        if let Ok(value) = challenge.parse() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

async fn newest(
    State(vault): State<KeyVault>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    vault.read(&name, None, &query, &headers)
}

async fn one(
    State(vault): State<KeyVault>,
    Path((name, version)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    vault.read(&name, Some(&version), &query, &headers)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use roombridge::clock::ManualClock;
    use roombridge::rng::SeededRng;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;
    use crate::signing::SigningKey;

    async fn call(vault: &KeyVault, path: &str, token: Option<&str>) -> (Response, Value) {
        let mut request = http::Request::get(format!("{path}?api-version=7.6"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = vault.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let parsed = serde_json::from_slice(&body).unwrap_or_default();
        (Response::from_parts(parts, Body::empty()), parsed)
    }

    #[tokio::test]
    async fn a_secret_is_read_with_a_token_for_vaults_only() {
        let now = Timestamp::from_second(1_795_510_800).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
        let key = SigningKey::generate().unwrap();
        let entra = Entra::new(key.clone(), "home", Arc::clone(&clock), Arc::clone(&rng));
        let vault = KeyVault::new("https://kv.vault.azure.net", entra, clock, rng);
        let old = vault.set("client-state", "first");
        vault.set("client-state", "second");
        let exp = now.as_second() + 600;
        let token = key.sign(&json!({ "aud": VAULT, "exp": exp })).unwrap();
        let wrong = key.sign(&json!({ "aud": "https://storage.azure.com", "exp": exp })).unwrap();

        let (refused, _) = call(&vault, "/secrets/client-state", None).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("authorization=\"https://login.microsoftonline.com/home\""));
        assert_eq!(call(&vault, "/secrets/client-state", Some(&wrong)).await.0.status(), 401);
        assert_eq!(call(&vault, "/secrets/client-state", Some(&token)).await.1["value"], "second");
        let path = format!("/secrets/client-state/{old}");
        assert_eq!(call(&vault, &path, Some(&token)).await.1["value"], "first");
        assert_eq!(call(&vault, "/secrets/none", Some(&token)).await.0.status(), 404);
        vault.set_outage(true);
        assert_eq!(call(&vault, &path, Some(&token)).await.0.status(), 503);
        assert_eq!(vault.reads(), 2);
    }
}
