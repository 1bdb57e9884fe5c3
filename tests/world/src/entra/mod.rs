//! Entra's token endpoint for apps whose credential is a managed identity (no secrets), and its published keys.
//!
//! Rules from MicrosoftDocs/entra-docs `workload-identity-federation-config-app-trust-managed-identity.md`
//! (2024-12-03) and `v2-oauth2-client-creds-grant-flow.md` (2023-02).

mod assertion;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::SignedDuration;
use roombridge::clock::Clock;
use roombridge::rng::Rng;
use serde_json::{Value, json};

use crate::signing::SigningKey;

/// The audience of tokens for Microsoft Graph.
pub const GRAPH: &str = "https://graph.microsoft.com";
/// How long a token for an app lives (`expires_in` of the documented answer).
const LIFETIME: SignedDuration = SignedDuration::from_secs(3599);

/// An app registration of the home tenant with one federated credential.
#[derive(Debug, Clone)]
pub struct AppRegistration {
    /// The application (client) id.
    pub client_id: String,
    /// Principal id of the managed identity that may act for it: the credential's subject.
    pub federated_subject: String,
}

/// Who calls Graph, as the token says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant's id.
    pub tenant: String,
    /// The application's id.
    pub app: String,
    /// The `roles` claim; empty when nothing was granted.
    pub roles: Vec<String>,
}

/// Entra for all tenants. Clones share it.
#[derive(Clone)]
pub struct Entra(Arc<Inner>);

struct Inner {
    key: SigningKey,
    home_tenant: String,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<Directory>,
}

#[derive(Default)]
struct Directory {
    apps: BTreeMap<String, AppRegistration>,
    /// By tenant, then by application id.
    tenants: BTreeMap<String, BTreeMap<String, Principal>>,
    outage: bool,
    requests: u64,
}

/// An app's service principal in one tenant.
struct Principal {
    object_id: String,
    roles: Vec<String>,
}

impl Entra {
    /// An Entra whose apps are registered in `home_tenant` and whose tokens `key` signs.
    pub fn new(
        key: SigningKey,
        home_tenant: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let home_tenant = home_tenant.to_owned();
        Self(Arc::new(Inner { key, home_tenant, clock, rng, state: Mutex::default() }))
    }

    /// The tenant in which apps and managed identities live.
    pub fn home_tenant(&self) -> &str {
        &self.0.home_tenant
    }

    /// Registers an app in the home tenant.
    pub fn register(&self, app: AppRegistration) {
        self.lock().apps.insert(app.client_id.clone(), app);
    }

    /// Makes a tenant known.
    pub fn add_tenant(&self, tenant: &str) {
        self.lock().tenants.entry(tenant.to_owned()).or_default();
    }

    /// An administrator of `tenant` consents: the app gets a service principal there with `roles`
    /// (application permissions; none when Exchange RBAC grants instead). Again: replaces the roles.
    pub fn consent(&self, tenant: &str, client_id: &str, roles: &[&str]) {
        let object_id = self.0.rng.uuid().to_string();
        let mut state = self.lock();
        let apps = state.tenants.entry(tenant.to_owned()).or_default();
        let fresh = Principal { object_id, roles: Vec::new() };
        let principal = apps.entry(client_id.to_owned()).or_insert(fresh);
        principal.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    }

    /// The administrator deletes the service principal: no token for that tenant any more.
    pub fn revoke(&self, tenant: &str, client_id: &str) {
        if let Some(apps) = self.lock().tenants.get_mut(tenant) {
            apps.remove(client_id);
        }
    }

    /// Whether the app has a service principal in `tenant`.
    pub fn is_consented(&self, tenant: &str, client_id: &str) -> bool {
        self.lock().tenants.get(tenant).is_some_and(|apps| apps.contains_key(client_id))
    }

    /// Lets the token endpoint answer 503 (or stop doing so).
    pub fn set_outage(&self, on: bool) {
        self.lock().outage = on;
    }

    /// How many tokens were asked for over HTTP, granted or not.
    pub fn token_requests(&self) -> u64 {
        self.lock().requests
    }

    /// Token endpoint, keys and configuration, for the host `login.microsoftonline.com`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token))
            .route("/{tenant}/discovery/v2.0/keys", get(keys))
            .route("/{tenant}/discovery/keys", get(keys))
            .route("/{tenant}/v2.0/.well-known/openid-configuration", get(configuration))
            .with_state(self.clone())
    }

    /// A token for Graph as the endpoint would give it, uncounted; none without consent.
    pub fn graph_token(&self, tenant: &str, client_id: &str) -> Option<String> {
        let state = self.lock();
        let principal = state.tenants.get(tenant)?.get(client_id)?;
        let now = self.0.clock.now();
        let mut claims = json!({
            "aud": GRAPH,
            "iss": format!("https://sts.windows.net/{tenant}/"),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": (now + LIFETIME).as_second(),
            "appid": client_id,
            "appidacr": "2",
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": tenant,
            "ver": "1.0",
        });
        // Without a grant the claim is missing, not empty (v2-oauth2-client-creds-grant-flow.md).
        if !principal.roles.is_empty() {
            claims["roles"] = json!(principal.roles);
        }
        drop(state);
        self.0.key.sign(&claims).ok()
    }

    /// The claims of a token that was signed here for `audience` and has not expired.
    pub fn check(&self, token: &str, audience: &str) -> Option<Value> {
        let claims = self.0.key.verify(token).ok()?;
        let now = self.0.clock.now().as_second();
        let fits = claims["aud"].as_str().map(|a| a.trim_end_matches('/')) == Some(audience);
        let lives = claims["exp"].as_i64().is_some_and(|exp| now < exp);
        (fits && lives).then_some(claims)
    }

    /// Who holds this Graph token; none when it is not valid or the app lost its consent.
    pub fn graph_caller(&self, token: &str) -> Option<Caller> {
        let claims = self.check(token, GRAPH)?;
        let tenant = claims["tid"].as_str()?.to_owned();
        let app = claims["appid"].as_str()?.to_owned();
        let issuer = format!("https://sts.windows.net/{tenant}/");
        if claims["iss"].as_str() != Some(&issuer) || !self.is_consented(&tenant, &app) {
            return None;
        }
        let roles = claims["roles"].as_array().into_iter().flatten();
        let roles = roles.filter_map(|r| r.as_str().map(str::to_owned)).collect();
        Some(Caller { tenant, app, roles })
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn token(State(entra): State<Entra>, Path(tenant): Path<String>, body: Bytes) -> Response {
    {
        let mut state = entra.lock();
        state.requests += 1;
        if state.outage {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    }
    match assertion::judge(&entra, &tenant, &body) {
        Ok(client_id) => match entra.graph_token(&tenant, &client_id) {
            Some(token) => Json(json!({
                "token_type": "Bearer",
                "expires_in": LIFETIME.as_secs(),
                "ext_expires_in": LIFETIME.as_secs(),
                "access_token": token,
            }))
            .into_response(),
            None => assertion::Refusal::UnknownApp.into_response(),
        },
        Err(refusal) => refusal.into_response(),
    }
}

async fn keys(State(entra): State<Entra>) -> Json<Value> {
    Json(entra.0.key.jwks())
}

async fn configuration(Path(tenant): Path<String>) -> Json<Value> {
    let base = format!("https://login.microsoftonline.com/{tenant}");
    Json(json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

#[cfg(test)]
mod tests;
