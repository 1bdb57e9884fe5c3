//! Keys from the vault, client-state and cookie keys alike: loaded once, and again when somebody
//! names one we do not know.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, RetryOptions, StatusCode, Transport},
};
use azure_security_keyvault_secrets::SecretClient;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    client_state::{KeyId, KeySet},
    vault::{self, KeysUnavailable, VaultWriteError},
    vault_cache::VaultCache,
};
use crate::base::{clock::Clock, http::RetryPolicy};

/// The Key Vault secret with the keys that prove a notification is ours.
pub const CLIENT_STATE_KEYS: &str = "client-state-keys";

/// The Key Vault secret with the keys that cookies are sealed with.
pub const COOKIE_KEYS: &str = "cookie-keys";

/// Where the keys are kept.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Loads all keys.
    async fn load(&self) -> Result<KeySet, KeysUnavailable>;

    /// Whether it is certain that there are none yet.
    async fn is_empty(&self) -> bool {
        false
    }

    /// Keeps `keys` in place of all that are there. A source that cannot be written says so.
    async fn store(&self, _keys: &KeySet) -> Result<(), VaultWriteError> {
        Err(VaultWriteError::Forbidden)
    }
}

/// The keys in one secret of a key vault.
pub struct KeyVaultKeys {
    vault: SecretClient,
    secret: &'static str,
}

impl KeyVaultKeys {
    /// The keys in `secret` of the vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`, over the
    /// transport that all Azure clients share.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(
        vault: &str,
        secret: &'static str,
        credential: Arc<dyn TokenCredential>,
        transport: Transport,
    ) -> azure_core::Result<Self> {
        let options = ClientOptions {
            transport: Some(transport),
            // The webhook has 2 s for everything; Graph and the next POST try again.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        Ok(Self { vault: vault::secret_client(vault, credential, options)?, secret })
    }
}

#[async_trait]
impl KeySource for KeyVaultKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        let unavailable = |error: azure_core::Error| {
            tracing::warn!(secret = self.secret, kind = ?error.kind(), "Key Vault did not return the keys");
            KeysUnavailable
        };
        let answer = self.vault.get_secret(self.secret, None).await.map_err(unavailable)?;
        let secret = answer.into_model().map_err(unavailable)?;
        let created = secret.attributes.and_then(|attributes| attributes.created);
        let created = created.and_then(|at| Timestamp::from_second(at.unix_timestamp()).ok());
        // The answer holds the keys in clear, so it is wiped like them.
        let text = Zeroizing::new(secret.value.unwrap_or_default());
        let keys = KeySet::from_json(&text).ok_or_else(|| {
            tracing::error!(secret = self.secret, "the keys cannot be read");
            KeysUnavailable
        })?;
        // Keys that somebody wrote by hand are as old as the secret.
        Ok(match created {
            Some(created) => keys.with_default_created_at(created),
            None => keys,
        })
    }

    async fn is_empty(&self) -> bool {
        let answer =
            RetryPolicy::WORKER.with_timeout(self.vault.get_secret(self.secret, None)).await;
        // Nothing but a 404: after any other answer new keys could replace some that are there.
        let missing = |error: &azure_core::Error| error.http_status() == Some(StatusCode::NotFound);
        matches!(answer, Ok(Err(error)) if missing(&error))
    }

    async fn store(&self, keys: &KeySet) -> Result<(), VaultWriteError> {
        let text = keys.to_json().map_err(|_| VaultWriteError::Unavailable)?;
        vault::write_secret(&self.vault, self.secret, &text).await
    }
}

/// The keys, cached.
pub struct KeyRing {
    source: Arc<dyn KeySource>,
    cache: Arc<VaultCache<KeySet>>,
}

impl KeyRing {
    /// A ring with the keys of `source`, which are loaded when they are first needed.
    pub fn new(source: Box<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        let source: Arc<dyn KeySource> = Arc::from(source);
        let loaded_from = Arc::clone(&source);
        let cache = VaultCache::new(clock, move |_| {
            let source = Arc::clone(&loaded_from);
            async move { source.load().await }
        });
        Self { source, cache }
    }

    /// The keys: those held, loaded again after an hour while they serve on.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when they could never be loaded.
    pub async fn keys(&self) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.cache.get().await
    }

    /// The keys for a cookie that names `id`, or after a client state named one that [`KeyRing::keys`]
    /// did not know: as they are in the vault, or were at most an hour ago if `id` was among them. They
    /// are loaded at most every 30 s (every 2 s while there are none at all). If `id` is still not
    /// among them, it is not ours (any more).
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said: the keys that are held lack `id`, or are older, and
    /// the last attempt to load failed.
    pub async fn keys_including(&self, id: &KeyId) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.cache.get_containing(|keys| keys.get(id).is_some()).await
    }

    /// The keys as they are kept now.
    pub async fn reload_keys(&self) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.cache.force_reload().await
    }

    /// Where they are kept.
    pub fn source(&self) -> &dyn KeySource {
        self.source.as_ref()
    }

    /// Loads the keys, whether or not the caller stays to see it.
    pub async fn load(&self) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.cache.load().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex as StdMutex, PoisonError};

    use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode, headers::Headers};
    use base64::Engine;
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        identity::{
            keys::client_state::SecretKey,
            scripted_http::{FakeManagedIdentity, MemoryKeys},
        },
    };

    /// Key Vault as its documentation has it: the first request is challenged, the second answered.
    #[derive(Debug, Default)]
    struct FakeKeySetVault(StdMutex<Vec<String>>);

    #[async_trait]
    impl HttpClient for FakeKeySetVault {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(request.url().path().to_owned());
            let mut headers = Headers::new();
            if asked.len() == 1 {
                let challenge =
                    r#"Bearer authorization="https://login.test/x", resource="https://vault.test""#;
                headers.insert("www-authenticate", challenge);
                return Ok(AsyncRawResponse::from_bytes(StatusCode::Unauthorized, headers, "{}"));
            }
            let key = base64::engine::general_purpose::STANDARD.encode([1; 32]);
            let keys = serde_json::json!({ "current": "k1", "keys": { "k1": key } }).to_string();
            let body = serde_json::json!({ "value": keys }).to_string();
            Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, headers, body))
        }
    }

    #[tokio::test]
    async fn the_keys_are_a_secret_in_the_vault() {
        let service = Arc::new(FakeKeySetVault::default());
        let managed_identity = Arc::new(FakeManagedIdentity::default());
        let transport = Transport::new(Arc::clone(&service) as _);
        let vault = "https://rooms.vault.test";
        let source = KeyVaultKeys::new(
            vault,
            CLIENT_STATE_KEYS,
            Arc::clone(&managed_identity) as _,
            transport,
        )
        .unwrap();
        let keys = source.load().await.unwrap();
        assert_eq!(keys.current().id(), key("k1").id());
        assert_eq!(managed_identity.requested_scopes(), ["https://vault.test/.default"]);
        let asked = service.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(
            asked.iter().all(|path| path.starts_with("/secrets/client-state-keys")),
            "{asked:?}"
        );
    }

    fn key(id: &str) -> SecretKey {
        SecretKey::new(id.parse().unwrap(), &[7; 32])
    }

    fn k1() -> KeySet {
        KeySet::new(key("k1"), [])
    }

    fn k2() -> KeySet {
        KeySet::new(key("k2"), [key("k1")])
    }

    fn ring() -> (MemoryKeys, Arc<ManualClock>, KeyRing) {
        let vault = MemoryKeys::default();
        let clock = Arc::new(ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap()));
        let ring = KeyRing::new(Box::new(vault.clone()), Arc::clone(&clock) as _);
        (vault, clock, ring)
    }

    #[tokio::test]
    async fn keys_are_loaded_once_and_again_after_an_hour() {
        let (vault, clock, ring) = ring();
        vault.put(Some(k1()));
        let asks = (0..20).map(|_| ring.keys());
        assert!(futures::future::join_all(asks).await.iter().all(Result::is_ok));
        assert_eq!(vault.loads(), 1);
        vault.put(Some(k2()));
        clock.advance(SignedDuration::from_mins(59));
        assert_eq!(ring.keys().await.unwrap().current().id(), key("k1").id());
        clock.advance(SignedDuration::from_mins(1));
        assert_eq!(ring.keys().await.unwrap().current().id(), key("k1").id(), "they serve on");
        tokio::task::yield_now().await;
        assert_eq!(ring.keys().await.unwrap().current().id(), key("k2").id());
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_does_not_undo_the_load() {
        let (vault, _, ring) = ring();
        vault.put(Some(k1()));
        let mut impatient = Box::pin(ring.keys());
        assert!(futures::poll!(&mut impatient).is_pending());
        drop(impatient);
        tokio::task::yield_now().await;
        assert!(ring.keys().await.is_ok());
        assert_eq!(vault.loads(), 1);
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_at_most_every_thirty_seconds() {
        let (vault, clock, ring) = ring();
        let k2_id = key("k2").id().clone();
        vault.put(Some(k1()));
        ring.keys().await.unwrap();
        clock.advance(SignedDuration::from_secs(30));
        for _ in 0..10 {
            let keys = ring.keys_including(&k2_id).await.unwrap();
            assert!(keys.get(&k2_id).is_none(), "it is nobody's key: not ours");
        }
        assert_eq!(vault.loads(), 2);
        vault.put(Some(k2()));
        clock.advance(SignedDuration::from_secs(30));
        assert!(ring.keys_including(&k2_id).await.unwrap().get(&k2_id).is_some());
        ring.keys_including(&k2_id).await.unwrap();
        assert_eq!(vault.loads(), 3);
    }

    #[tokio::test]
    async fn while_the_vault_is_away_known_keys_serve_and_unknown_ones_wait() {
        let (vault, clock, ring) = ring();
        assert_eq!(ring.keys().await.unwrap_err(), KeysUnavailable);
        vault.put(Some(k1()));
        assert_eq!(ring.keys().await.unwrap_err(), KeysUnavailable, "asked a moment ago");
        clock.advance(SignedDuration::from_secs(2));
        ring.keys().await.unwrap();
        vault.put(None);
        clock.advance(SignedDuration::from_hours(2));
        assert!(ring.keys().await.is_ok(), "for notifications old keys are better than none");
        assert_eq!(
            ring.keys_including(key("k1").id()).await.unwrap_err(),
            KeysUnavailable,
            "it may have been replaced"
        );
        for _ in 0..3 {
            assert_eq!(ring.keys_including(key("k2").id()).await.unwrap_err(), KeysUnavailable);
        }
        assert_eq!(vault.loads(), 3);
    }
}
