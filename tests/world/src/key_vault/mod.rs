//! A key vault that only has secrets (learn.microsoft.com/rest/api/keyvault/secrets, 7.6): reads, writes, lists, soft deletion.

mod routes;
mod secrets;
mod vault_error;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;

use self::secrets::{SecretVersion, VaultState};
use self::vault_error::VaultError;
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
    state: Mutex<VaultState>,
}

impl KeyVault {
    /// An empty vault at `base` that takes tokens of `entra` and dates its secrets by `clock`.
    pub fn new(base: &str, entra: Entra, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let base = Mutex::new(base.to_owned());
        Self(Arc::new(Inner { base, entra, clock, rng, state: Mutex::default() }))
    }

    /// Where its secrets' ids say it is, without a slash at the end (for a listener of one's own).
    pub fn set_base(&self, base: &str) {
        base.clone_into(&mut self.0.base.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds a version of the secret `name`, also where it was deleted; returns the version's id.
    pub fn set(&self, name: &str, value: &str) -> String {
        let version = SecretVersion::new(self.new_id(), value, self.now());
        let id = version.id.clone();
        self.lock().add(name, version);
        id
    }

    /// The names of the secrets that are there, deleted ones not.
    pub fn names(&self) -> Vec<String> {
        self.lock().live.keys().cloned().collect()
    }

    /// The names of the secrets that are deleted and can be recovered.
    pub fn deleted_names(&self) -> Vec<String> {
        self.lock().deleted.keys().cloned().collect()
    }

    /// The newest value of the secret `name`, uncounted.
    pub fn value(&self, name: &str) -> Option<String> {
        self.lock().live.get(name)?.last().map(|version| version.value.clone())
    }

    /// When the newest version of the secret `name` was made.
    pub fn created(&self, name: &str) -> Option<Timestamp> {
        self.lock().live.get(name)?.last().map(|version| version.created)
    }

    /// Takes the secret `name` out of the vault without a trace: it is not even among the deleted
    /// ones. Whether it was there.
    pub fn remove_without_trace(&self, name: &str) -> bool {
        let mut state = self.lock();
        let deleted = state.deleted.remove(name).is_some();
        state.live.remove(name).is_some() || deleted
    }

    /// Purges a deleted secret, which frees its name. Whether there was one.
    pub fn purge(&self, name: &str) -> bool {
        self.lock().deleted.remove(name).is_some()
    }

    /// Lets every call answer 503 (or stop doing so).
    pub fn set_outage(&self, on: bool) {
        self.lock().outage = on;
    }

    /// Lets every write (set, change, delete, recover, purge) answer 403 as to somebody who may only read (or stop
    /// doing so).
    pub fn set_read_only(&self, on: bool) {
        self.lock().read_only = on;
    }

    /// For how long a secret is being deleted and cannot be purged; some seconds until this says
    /// otherwise.
    pub fn set_deletion_time(&self, time: SignedDuration) {
        self.lock().deletion_time = time;
    }

    /// How often a secret was read.
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    /// How many pages of lists were read.
    pub fn lists(&self) -> u64 {
        self.lock().lists
    }

    /// How many writes took effect: set, changed, deleted, recovered, purged.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Answers below `/secrets` and `/deletedsecrets`.
    pub fn router(&self) -> Router {
        Router::new().fallback(routes::receive).with_state(self.clone())
    }

    fn base(&self) -> String {
        self.0.base.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn new_id(&self) -> String {
        self.0.rng.uuid().simple().to_string()
    }

    /// The state, without the deleted secrets whose time has come.
    fn lock(&self) -> MutexGuard<'_, VaultState> {
        let now = self.now();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.purge_due(now);
        state
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = token.and_then(|v| v.strip_prefix("Bearer "));
        token.is_some_and(|t| self.0.entra.verify_audience(t, VAULT).is_some())
    }

    /// The challenge that names where a client can ask for a token
    /// (learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses).
    fn challenge(&self) -> Response {
        let tenant = self.0.entra.home_tenant();
        let authority = format!("https://login.microsoftonline.com/{tenant}");
        let challenge = format!("Bearer authorization=\"{authority}\", resource=\"{VAULT}\"");
        let text = "AKV10000: Request is missing a Bearer or PoP token.";
        let refusal = VaultError::new(StatusCode::UNAUTHORIZED, "Unauthorized", text);
        let mut response = refusal.into_response();
        if let Ok(value) = challenge.parse() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

#[cfg(test)]
mod tests;
