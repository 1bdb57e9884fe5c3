//! Tokens for people: the id token, the token for our own API, and what a test changes in them.
//!
//! learn.microsoft.com/entra/identity-platform/id-token-claims-reference and
//! access-token-claims-reference.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};

use super::Entra;
use super::keys::Signing;
use super::people::User;
use super::registration::AppRegistration;
use crate::microsoft::PEOPLE_APP;

/// Graph's application id: the audience of delegated tokens for it.
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// What happens to the next id token.
pub(super) type IdTokenTampering = Box<dyn FnOnce(&mut Value, &mut Signing) + Send>;

/// A token for an API of ours, as it should be or not.
#[derive(Debug, Clone)]
pub struct ApiTokenSpec {
    /// The registration whose API it is for.
    pub audience: String,
    /// The application that asked for it (`azp`).
    pub client: String,
    /// `scp`.
    pub scope: String,
    /// Claims that replace or join the usual ones; null takes a claim away.
    pub claims: Map<String, Value>,
    /// How it is signed.
    pub signing: Signing,
}

impl Default for ApiTokenSpec {
    /// A good token for the API of [`PEOPLE_APP`] with `my-calendar`, requested by that app itself.
    fn default() -> Self {
        Self {
            audience: PEOPLE_APP.to_owned(),
            client: PEOPLE_APP.to_owned(),
            scope: "my-calendar".to_owned(),
            claims: Map::new(),
            signing: Signing::Current,
        }
    }
}

impl ApiTokenSpec {
    /// The same with one claim set; null takes it away.
    #[must_use]
    pub fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.to_owned(), value.into());
        self
    }

    /// The same, signed otherwise.
    #[must_use]
    pub fn signed_as(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// A token of an app for itself: no person, no scope (`idtyp` is `app`).
    #[must_use]
    pub fn app_only() -> Self {
        let absent = ["scp", "name", "preferred_username"];
        let spec = absent.into_iter().fold(Self::default(), |spec, name| spec.with(name, ()));
        spec.with("idtyp", "app").with("roles", json!(["my-calendar"]))
    }
}

impl Entra {
    /// A v2 access token for an API of ours in the name of `user`; empty when there is nobody of
    /// that id in `tenant`.
    pub fn api_token(&self, tenant: &str, user: &str, spec: &ApiTokenSpec) -> String {
        let Some(user) = self.user(tenant, user) else { return String::new() };
        let mut claims = self.api_claims(&spec.audience, &spec.client, &user, &spec.scope);
        overlay(&mut claims, &spec.claims);
        self.sign(&claims, spec.signing)
    }

    /// An id token as `client_id` would get it, with claims replaced (null takes one away).
    pub fn id_token_with(
        &self,
        (tenant, user): (&str, &str),
        client_id: &str,
        nonce: &str,
        claims: &Map<String, Value>,
        signing: Signing,
    ) -> String {
        let (Some(user), Some(app)) = (self.user(tenant, user), self.registration(client_id))
        else {
            return String::new();
        };
        let mut all = self.id_claims(&app, &user, nonce);
        overlay(&mut all, claims);
        self.sign(&all, signing)
    }

    /// Changes the next id token that the token endpoint hands out.
    pub fn tamper_next_id_token(
        &self,
        change: impl FnOnce(&mut Value, &mut Signing) + Send + 'static,
    ) {
        self.lock().tampering = Some(Box::new(change));
    }

    pub(super) fn id_token(&self, app: &AppRegistration, user: &User, nonce: &str) -> String {
        let mut claims = self.id_claims(app, user, nonce);
        let mut signing = Signing::Current;
        let tampering = self.lock().tampering.take();
        if let Some(change) = tampering {
            change(&mut claims, &mut signing);
        }
        self.sign(&claims, signing)
    }

    /// The access token of a sign-in, its `uti` and the scopes granted: for our own API when one was
    /// asked for, otherwise for Graph, where it may do nothing but say who signed in.
    pub(super) fn delegated_token(
        &self,
        client_id: &str,
        user: &User,
        scopes: &[String],
    ) -> (String, String, String) {
        let api = scopes.iter().find_map(|scope| self.app_exposing(scope));
        let mut claims = match api {
            Some((audience, name)) => self.api_claims(&audience, client_id, user, &name),
            None => self.api_claims(GRAPH_APP, client_id, user, "openid profile email"),
        };
        // The client proved itself with an assertion.
        claims["azpacr"] = json!("2");
        if claims["aud"] == GRAPH_APP {
            claims["iss"] = json!(format!("https://sts.windows.net/{}/", user.tenant));
        }
        // No refresh token is ever given here.
        let granted: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let granted: Vec<&str> = granted.into_iter().filter(|s| *s != "offline_access").collect();
        let uti = claims["uti"].as_str().unwrap_or_default().to_owned();
        (self.sign(&claims, Signing::Current), uti, granted.join(" "))
    }

    /// What every token for a person says.
    fn person_claims(&self, audience: &str, user: &User) -> Value {
        let now = self.sign_in_time();
        let mut claims = json!({
            "aud": audience,
            "iss": self.issuer(&user.tenant),
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "aio": self.random_base64url::<60>(),
            "name": user.name,
            "oid": user.id,
            "preferred_username": user.address,
            "rh": format!("1.A{}", self.random_base64url::<30>()),
            "sub": pairwise_subject(audience, user),
            "tid": user.tenant,
            "uti": self.random_base64url::<16>(),
            "ver": "2.0",
        });
        if let Some((home, _)) = &user.home {
            claims["idp"] = json!(format!("https://sts.windows.net/{home}/"));
        }
        claims
    }

    fn id_claims(&self, app: &AppRegistration, user: &User, nonce: &str) -> Value {
        let mut claims = self.person_claims(&app.client_id, user);
        claims["nonce"] = json!(nonce);
        self.add_roles(&mut claims, &app.client_id, user);
        claims
    }

    fn api_claims(&self, audience: &str, client: &str, user: &User, scope: &str) -> Value {
        let mut claims = self.person_claims(audience, user);
        claims["azp"] = json!(client);
        // An add-in in the browser cannot prove itself.
        claims["azpacr"] = json!("0");
        claims["scp"] = json!(scope);
        self.add_roles(&mut claims, audience, user);
        claims
    }

    /// `wids` if the registration wants them, `roles` if the user is assigned any.
    fn add_roles(&self, claims: &mut Value, client_id: &str, user: &User) {
        if self.registration(client_id).is_some_and(|app| app.directory_roles) {
            claims["wids"] = json!(self.wids(user));
        }
        let state = self.lock();
        let principal = state.tenants.get(&user.tenant).and_then(|t| t.principals.get(client_id));
        let roles = principal.and_then(|p| p.assigned.get(&user.id));
        if let Some(roles) = roles.filter(|roles| !roles.is_empty()) {
            claims["roles"] = json!(roles);
        }
    }
}

/// The same person is another `sub` for every application.
fn pairwise_subject(audience: &str, user: &User) -> String {
    let text = format!("{audience}|{}|{}", user.tenant, user.id);
    BASE64.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

pub(super) fn overlay(claims: &mut Value, changes: &Map<String, Value>) {
    let Some(claims) = claims.as_object_mut() else { return };
    for (name, value) in changes {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
}
