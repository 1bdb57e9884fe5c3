//! The keys that prove a notification is ours: loaded once, and again when a notification names one
//! we do not know.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use url::Url;

use crate::{
    clock::Clock,
    graph::client_state::{KeyId, Keys},
    http::is_loopback,
};

/// The name of the Key Vault secret.
const SECRET: &str = "client-state-keys";

/// Loads are at least this far apart, so that foreign notifications cannot wear the vault out.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// Keys older than this are loaded again, so that a new current key is taken up.
const STALE: SignedDuration = SignedDuration::from_hours(1);

/// The keys cannot be had for now. Nothing is proved or refuted without them: answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client-state keys are unavailable")]
pub struct KeysUnavailable;

/// Where the keys are kept.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Loads all keys.
    ///
    /// # Errors
    /// [`KeysUnavailable`].
    async fn load(&self) -> Result<Keys, KeysUnavailable>;
}

/// The keys in Key Vault.
pub struct KeyVaultKeys(SecretClient);

impl KeyVaultKeys {
    /// The vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`, over the
    /// transport that all Azure clients share.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(
        vault: &str,
        credential: Arc<dyn TokenCredential>,
        transport: Transport,
    ) -> azure_core::Result<Self> {
        let client_options = ClientOptions {
            transport: Some(transport),
            // The webhook has 2 s for everything; Graph and the next POST try again.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let options = SecretClientOptions {
            client_options,
            verify_challenge_resource: Some(verifies(&vault.parse()?)),
            ..SecretClientOptions::default()
        };
        Ok(Self(SecretClient::new(vault, credential, Some(options))?))
    }
}

/// Whether the vault must be one of the resource that its challenge names. It keeps a foreign
/// server from getting a token for our vault, so only a vault on this very machine is let off: there
/// the resource is the public one and cannot match the address.
fn verifies(vault: &Url) -> bool {
    !is_loopback(vault)
}

#[async_trait]
impl KeySource for KeyVaultKeys {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        let unavailable = |error: azure_core::Error| {
            tracing::warn!(kind = ?error.kind(), "Key Vault gives no client-state keys");
            KeysUnavailable
        };
        let answer = self.0.get_secret(SECRET, None).await.map_err(unavailable)?;
        let secret = answer.into_model().map_err(unavailable)?;
        Keys::from_json(&secret.value.unwrap_or_default()).map_err(|bad| {
            tracing::error!(secret = SECRET, "{bad}");
            KeysUnavailable
        })
    }
}

/// Keys that never change, for the simulation.
#[derive(Debug, Clone)]
pub struct FixedKeys(pub Keys);

#[async_trait]
impl KeySource for FixedKeys {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        Ok(self.0.clone())
    }
}

#[derive(Default)]
struct Held {
    keys: Option<(Arc<Keys>, Timestamp)>,
    tried: Option<Timestamp>,
}

/// The keys, cached.
pub struct KeyRing {
    source: Box<dyn KeySource>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

impl KeyRing {
    /// A ring with the keys of `source`, which are loaded when they are first needed.
    pub fn new(source: Box<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, held: Mutex::default() }
    }

    /// The keys: those held, loaded anew after an hour. Old ones serve on while the source is
    /// unavailable.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when they could never be loaded.
    pub async fn keys(&self) -> Result<Arc<Keys>, KeysUnavailable> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        match held.keys.clone() {
            Some((keys, at)) if now.duration_since(at) < STALE => Ok(keys),
            Some((keys, _)) => Ok(self.reload(&mut held, now).await.unwrap_or(keys)),
            None => self.reload(&mut held, now).await,
        }
    }

    /// The keys after a client state named `id`, which [`KeyRing::keys`] did not know: loaded anew,
    /// at most every 30 s. If `id` is still not among them, the client state is not ours.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when `id` is unknown and the last attempt to load failed: the
    /// notification may be ours.
    pub async fn keys_knowing(&self, id: &KeyId) -> Result<Arc<Keys>, KeysUnavailable> {
        let mut held = self.held.lock().await;
        match &held.keys {
            Some((keys, _)) if keys.get(id).is_some() => Ok(Arc::clone(keys)),
            Some(_) | None => {
                let now = self.clock.now();
                self.reload(&mut held, now).await
            }
        }
    }

    /// Loads, unless that was done a moment ago: then the outcome of that time stands.
    async fn reload(&self, held: &mut Held, now: Timestamp) -> Result<Arc<Keys>, KeysUnavailable> {
        if held.tried.is_some_and(|tried| now.duration_since(tried) < PAUSE) {
            let loaded_then = held.keys.as_ref().filter(|(_, at)| Some(*at) == held.tried);
            return loaded_then.map(|(keys, _)| Arc::clone(keys)).ok_or(KeysUnavailable);
        }
        held.tried = Some(now);
        let keys = Arc::new(self.source.load().await?);
        held.keys = Some((Arc::clone(&keys), now));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vault_on_this_machine_is_let_off_the_check_of_its_challenge() {
        for (vault, verified) in [
            ("https://contoso.vault.azure.net", true),
            ("https://127.0.0.1.vault.example", true),
            ("https://localhost.example:443", true),
            ("https://10.0.0.4", true),
            ("https://127.0.0.1:8200", false),
            ("https://localhost:8200", false),
        ] {
            assert_eq!(verifies(&vault.parse().unwrap()), verified, "{vault}");
        }
    }
}
