//! Entra: tokens for apps whose credential is a managed identity (no secrets), sign-in for people
//! (OpenID Connect), admin consent, directories, and the published keys.
//!
//! Rules from MicrosoftDocs/entra-docs `workload-identity-federation-config-app-trust-managed-identity.md`
//! (2024-12-03), `v2-oauth2-client-creds-grant-flow.md` (2023-02), `v2-oauth2-auth-code-flow.md` and
//! `v2-admin-consent.md`.

mod admin_consent;
mod assertion;
mod authorize;
mod hosts;
mod keys;
mod pages;
mod people;
mod redemption;
mod redirects;
mod registration;
mod request_fields;
mod routes;
mod sign_in;
mod token_error;
mod tokens;
mod tracking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;
use serde_json::{Value, json};

pub use hosts::{CloudHosts, GRAPH};
pub use keys::Signing;
pub use people::{User, roles};
pub use redirects::ErrorPage;
pub use registration::AppRegistration;
pub use token_error::TokenRefusal;
pub use tokens::ApiTokenSpec;
pub use tracking::{CHANGE_TRACKING, TokenVersion};

use crate::signing::SigningKey;
use registration::ServicePrincipal;
use request_fields::RequestFields;
use token_error::TokenEndpointError;

/// How long a token for an app lives (`expires_in` of the documented answer).
const LIFETIME: SignedDuration = SignedDuration::from_secs(3599);

/// Who calls Graph, as the token says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant's id.
    pub tenant: String,
    /// The application's id.
    pub app: String,
    /// Application permissions that the token carries and the app still holds.
    pub roles: Vec<String>,
}

/// Entra for all tenants. Clones share it.
#[derive(Clone)]
pub struct Entra(Arc<Inner>);

struct Inner {
    keys: Mutex<keys::EntraKeySet>,
    home_tenant: String,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    setup: Mutex<hosts::EntraSetup>,
    state: Mutex<Directory>,
}

#[derive(Default)]
struct Directory {
    apps: BTreeMap<String, AppRegistration>,
    /// By tenant id.
    tenants: BTreeMap<String, TenantDirectory>,
    /// Whose people the pages offer; empty for everybody's.
    offered_tenants: Vec<String>,
    codes: BTreeMap<String, sign_in::AuthorizationCode>,
    /// The `uti` of tokens taken back.
    revoked: BTreeSet<String>,
    tampering: Option<tokens::IdTokenTampering>,
    documented_refusals: bool,
    outage: bool,
    refusal: Option<TokenRefusal>,
    requests: u64,
    key_requests: u64,
}

/// One tenant's directory.
#[derive(Default)]
struct TenantDirectory {
    /// By application id.
    principals: BTreeMap<String, ServicePrincipal>,
    directory: people::UserDirectory,
    user_consent_disabled: bool,
}

impl Entra {
    /// An Entra whose apps are registered in `home_tenant` and whose tokens `key` signs.
    pub fn new(
        key: SigningKey,
        home_tenant: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let inner = Inner {
            keys: Mutex::new(keys::EntraKeySet::new(key)),
            home_tenant: home_tenant.to_owned(),
            clock,
            rng,
            setup: Mutex::default(),
            state: Mutex::default(),
        };
        Self(Arc::new(inner))
    }

    /// The tenant in which apps and managed identities live.
    pub fn home_tenant(&self) -> &str {
        &self.0.home_tenant
    }

    /// Makes a tenant known.
    pub fn add_tenant(&self, tenant: &str) {
        self.lock().tenants.entry(tenant.to_owned()).or_default();
    }

    /// Offers the people of these tenants alone on the pages.
    pub fn offer_users_of(&self, tenants: &[&str]) {
        let tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
        self.lock().offered_tenants = tenants;
    }

    /// Lets the token endpoint answer 503 (or stop doing so).
    pub fn set_outage(&self, on: bool) {
        self.lock().outage = on;
    }

    /// Refuses every token in this way, until it is `None` again.
    pub fn refuse_tokens(&self, refusal: Option<TokenRefusal>) {
        self.lock().refusal = refusal;
    }

    /// How many tokens were asked for over HTTP, granted or not.
    pub fn token_requests(&self) -> u64 {
        self.lock().requests
    }

    /// How often a key set was fetched.
    pub fn key_requests(&self) -> u64 {
        self.lock().key_requests
    }

    /// The answer to `grant_type=client_credentials`.
    fn client_credentials(
        &self,
        tenant: &str,
        form: &RequestFields,
    ) -> Result<Value, TokenEndpointError> {
        if form.value("scope") != format!("{}/.default", self.cloud().graph_audience) {
            return Err(TokenEndpointError::BAD_SCOPE);
        }
        let client_id = form.value("client_id");
        let subject = {
            let state = self.lock();
            let organisation =
                state.tenants.get(tenant).ok_or(TokenEndpointError::UNKNOWN_TENANT)?;
            let known = organisation.principals.contains_key(client_id);
            let app = state
                .apps
                .get(client_id)
                .filter(|_| known)
                .ok_or(TokenEndpointError::UNKNOWN_APP)?;
            app.federated_subject.clone()
        };
        assertion::check_assertion(self, &subject, form)?;
        let token = self.graph_token(tenant, client_id).ok_or(TokenEndpointError::UNKNOWN_APP)?;
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": LIFETIME.as_secs(),
            "ext_expires_in": LIFETIME.as_secs(),
            "access_token": token,
        }))
    }

    /// A token for Graph as the endpoint would give it, uncounted; none without consent.
    pub fn graph_token(&self, tenant: &str, client_id: &str) -> Option<String> {
        let object_id = self.service_principal(tenant, client_id)?;
        let roles = self.granted_roles(tenant, client_id);
        let now = self.0.clock.now();
        let mut claims = json!({
            "aud": self.cloud().graph_audience,
            "iss": format!("https://sts.windows.net/{tenant}/"),
            "iat": now.as_second(),
            "nbf": now.as_second(),
            "exp": (now + LIFETIME).as_second(),
            "appid": client_id,
            "appidacr": "2",
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": tenant,
            "ver": "1.0",
        });
        // Without a grant the claim is missing, not empty (v2-oauth2-client-creds-grant-flow.md).
        if !roles.is_empty() {
            claims["roles"] = json!(roles);
        }
        Some(self.sign(&claims, Signing::Current)).filter(|token| !token.is_empty())
    }

    /// The claims of a token that was signed here for `audience`, has not expired and was not taken
    /// back.
    pub fn verify_audience(&self, token: &str, audience: &str) -> Option<Value> {
        let claims = self.verify(token)?;
        let now = self.0.clock.now().as_second();
        let fits = claims["aud"].as_str().map(|a| a.trim_end_matches('/')) == Some(audience);
        let lives = claims["exp"].as_i64().is_some_and(|exp| now < exp);
        let revoked = claims["uti"].as_str().is_some_and(|uti| self.lock().revoked.contains(uti));
        (fits && lives && !revoked).then_some(claims)
    }

    /// Who holds this Graph token; none when it is not valid or the app lost its service principal.
    /// A permission taken away is gone at once: in reality caches keep it for up to an hour.
    pub fn graph_caller(&self, token: &str) -> Option<Caller> {
        let claims = self.verify_audience(token, &self.cloud().graph_audience)?;
        let tenant = claims["tid"].as_str()?.to_owned();
        let app = claims["appid"].as_str()?.to_owned();
        let issuer = format!("https://sts.windows.net/{tenant}/");
        if claims["iss"].as_str() != Some(&issuer) || !self.is_consented(&tenant, &app) {
            return None;
        }
        let held = self.granted_roles(&tenant, &app);
        let roles = claims["roles"].as_array().into_iter().flatten();
        let roles = roles.filter_map(|r| r.as_str().map(str::to_owned));
        let roles = roles.filter(|role| held.contains(role)).collect();
        Some(Caller { tenant, app, roles })
    }

    /// The app as it is in the tenant now; none without a service principal.
    pub(crate) fn service_principal_caller(&self, tenant: &str, app: &str) -> Option<Caller> {
        self.service_principal(tenant, app)?;
        let roles = self.granted_roles(tenant, app);
        Some(Caller { tenant: tenant.to_owned(), app: app.to_owned(), roles })
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
