//! Keys in the vault: one secret each, `content-key-{name}`, dated by the vault itself.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{credentials::TokenCredential, http::Transport};
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, models::SecretProperties};
use futures::TryStreamExt;
use jiff::Timestamp;

use super::{
    key::ContentKey,
    new_key::{self, NewContentKey},
    source::{ContentKeyInfo, ContentKeySource},
};
use crate::{
    base::http::RetryPolicy,
    domain::ids::ContentKeyId,
    identity::keys::vault::{self, KeysUnavailable, VaultWriteError},
};

/// How the secrets are called.
const SECRET_PREFIX: &str = "content-key-";

/// How many secrets of the vault are looked through. It is ours, and has a handful.
const LISTED_MAX: usize = 1_000;

/// The keys in a key vault.
pub struct KeyVaultContentKeys(SecretClient);

impl KeyVaultContentKeys {
    /// The keys in the vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`,
    /// over the transport that all Azure clients share.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(
        vault: &str,
        credential: Arc<dyn TokenCredential>,
        transport: Transport,
    ) -> azure_core::Result<Self> {
        vault::secret_client(vault, credential, RetryPolicy::WORKER.client_options(transport))
            .map(Self)
    }

    /// Purges what was deleted; returns how many keys the vault still keeps.
    async fn purge_deleted(&self) -> azure_core::Result<u32> {
        let mut kept = 0;
        let mut deleted = self.0.list_deleted_secret_properties(None)?;
        while let Some(secret) = deleted.try_next().await? {
            let name = secret.resource_id()?.name;
            if !name.starts_with(SECRET_PREFIX) {
                continue;
            }
            if let Err(error) = self.0.purge_deleted_secret(&name, None).await {
                let status = error.http_status().map(u16::from);
                let reason = match status {
                    // A vault deletes for some seconds, and refuses a purge until then
                    // (github.com/hashicorp/terraform-provider-azurerm/issues/10454, 2021-02;
                    // github.com/Azure/azure-cli/issues/12722, 2020-03).
                    Some(409) => "the vault is still deleting it",
                    Some(403) => "the vault keeps what is deleted for its own time",
                    Some(_) | None => "the vault did not answer as it should",
                };
                tracing::warn!(
                    secret = name,
                    status,
                    reason,
                    "destroyed key can still be recovered"
                );
                kept += 1;
            }
        }
        Ok(kept)
    }
}

#[async_trait]
impl ContentKeySource for KeyVaultContentKeys {
    async fn list(&self) -> Result<Vec<ContentKeyInfo>, KeysUnavailable> {
        let unavailable = |error: azure_core::Error| {
            tracing::warn!(kind = ?error.kind(), "Key Vault did not list the content keys");
            KeysUnavailable
        };
        let pages = self.0.list_secret_properties(None).map_err(unavailable)?;
        let all = RetryPolicy::WORKER.with_timeout(pages.try_collect::<Vec<_>>()).await;
        let all = all.map_err(|_| KeysUnavailable)?.map_err(unavailable)?;
        Ok(all.iter().take(LISTED_MAX).filter_map(parse_key_info).collect())
    }

    async fn load(&self, listed: &ContentKeyInfo) -> Result<Option<ContentKey>, KeysUnavailable> {
        let name = secret_name(&listed.id);
        // It may have been destroyed after it was listed.
        let Some(text) = vault::read_secret(&self.0, &name).await? else { return Ok(None) };
        let key = new_key::parse_secret(listed.id.clone(), listed.created_at, &text);
        if key.is_none() {
            // One that somebody else left there must not keep the others away.
            tracing::error!(secret = name, "the content key cannot be read");
        }
        Ok(key)
    }

    async fn add(&self, key: &NewContentKey) -> Result<(), VaultWriteError> {
        vault::write_secret(&self.0, &secret_name(key.id()), key.secret()).await
    }

    async fn destroy(&self, id: &ContentKeyId) -> Result<(), VaultWriteError> {
        vault::delete_secret(&self.0, &secret_name(id)).await
    }

    async fn purge_destroyed(&self) -> Result<u32, VaultWriteError> {
        let purged = RetryPolicy::WORKER.with_timeout(self.purge_deleted()).await;
        let purged = purged.map_err(|_| VaultWriteError::Unavailable)?;
        purged.map_err(|error| vault::vault_write_error(&error))
    }
}

fn secret_name(id: &ContentKeyId) -> String {
    format!("{SECRET_PREFIX}{id}")
}

/// One of our keys, unless somebody switched it off.
fn parse_key_info(secret: &SecretProperties) -> Option<ContentKeyInfo> {
    let name = secret.resource_id().ok()?.name;
    let attributes = secret.attributes.as_ref()?;
    if attributes.enabled == Some(false) {
        return None;
    }
    let made_at = Timestamp::from_second(attributes.created?.unix_timestamp()).ok()?;
    Some(ContentKeyInfo {
        id: name.strip_prefix(SECRET_PREFIX)?.parse().ok()?,
        created_at: made_at,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, PoisonError},
    };

    use azure_core::http::{
        AsyncRawResponse, Body, HttpClient, Method, Request, StatusCode, headers::Headers,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::{base::test_support::SeededRng, identity::scripted_http::FakeManagedIdentity};

    /// Key Vault as its documentation has it (learn.microsoft.com/rest/api/keyvault/secrets, 7.6).
    #[derive(Debug, Default)]
    struct FakeContentKeyVault(Mutex<State>);

    #[derive(Debug, Default)]
    struct State {
        secrets: BTreeMap<String, String>,
        deleted: Vec<String>,
        challenged: bool,
        read_only: bool,
        purges: bool,
    }

    fn entry(name: &str) -> Value {
        json!({
            "id": format!("https://rooms.vault.test/secrets/{name}"),
            "attributes": { "enabled": name != "content-key-off", "created": 1_795_338_000 },
        })
    }

    impl State {
        fn answer(&mut self, method: Method, path: &[&str], body: &Value) -> (StatusCode, Value) {
            let forbidden = (StatusCode::Forbidden, json!({ "error": { "code": "Forbidden" } }));
            let missing = (StatusCode::NotFound, json!({ "error": { "code": "SecretNotFound" } }));
            let ok = |body: Value| (StatusCode::Ok, body);
            match (method, path) {
                (Method::Get, ["secrets"]) => ok(json!({
                    "value": self.secrets.keys().map(|n| entry(n)).collect::<Vec<_>>(),
                })),
                (Method::Get, ["deletedsecrets"]) => ok(json!({
                    "value": self.deleted.iter().map(|n| entry(n)).collect::<Vec<_>>(),
                })),
                (Method::Get, ["secrets", name, ..]) => match self.secrets.get(*name) {
                    Some(value) => ok(json!({ "value": value })),
                    None => missing,
                },
                (Method::Put | Method::Delete, _) if self.read_only => forbidden,
                (Method::Put, ["secrets", name]) => {
                    let value = body["value"].as_str().unwrap().to_owned();
                    self.secrets.insert((*name).to_owned(), value);
                    ok(json!({}))
                }
                (Method::Delete, ["secrets", name]) => match self.secrets.remove(*name) {
                    Some(_) => {
                        self.deleted.push((*name).to_owned());
                        ok(json!({}))
                    }
                    None => missing,
                },
                (Method::Delete, ["deletedsecrets", _]) if !self.purges => forbidden,
                (Method::Delete, ["deletedsecrets", name]) => {
                    self.deleted.retain(|deleted| deleted != name);
                    (StatusCode::NoContent, json!({}))
                }
                _ => missing,
            }
        }
    }

    #[async_trait]
    impl HttpClient for FakeContentKeyVault {
        async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut headers = Headers::new();
            if !std::mem::replace(&mut state.challenged, true) {
                let challenge =
                    r#"Bearer authorization="https://login.test/x", resource="https://vault.test""#;
                headers.insert("www-authenticate", challenge);
                return Ok(AsyncRawResponse::from_bytes(StatusCode::Unauthorized, headers, "{}"));
            }
            let body = match request.body() {
                Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
                Body::SeekableStream(_) => Value::Null,
            };
            let path: Vec<&str> =
                request.url().path().split('/').filter(|s| !s.is_empty()).collect();
            let (status, body) = state.answer(request.method(), &path, &body);
            Ok(AsyncRawResponse::from_bytes(status, headers, body.to_string()))
        }
    }

    fn vault() -> (Arc<FakeContentKeyVault>, KeyVaultContentKeys) {
        let service = Arc::new(FakeContentKeyVault::default());
        let transport = Transport::new(Arc::clone(&service) as _);
        let managed_identity = Arc::new(FakeManagedIdentity::default());
        let keys =
            KeyVaultContentKeys::new("https://rooms.vault.test", managed_identity, transport);
        (service, keys.unwrap())
    }

    impl FakeContentKeyVault {
        fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
            change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    async fn new_content_key() -> NewContentKey {
        let now = Timestamp::from_second(1_795_338_000).unwrap();
        NewContentKey::generate(now, &SeededRng::new(5)).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_is_a_secret_of_its_own_and_is_destroyed_alone() {
        let (service, vault) = vault();
        let fresh = new_content_key().await;
        vault.add(&fresh).await.unwrap();
        service.with(|state| {
            for (name, value) in
                [("cookie-keys", "{}"), ("content-key-off", "{}"), ("content-key-odd", "{}")]
            {
                state.secrets.insert(name.to_owned(), value.to_owned());
            }
        });
        let mut listed = vault.list().await.unwrap();
        listed.retain(|listed| listed.id.as_str() != "odd");
        let made_at = Timestamp::from_second(1_795_338_000).unwrap();
        assert_eq!(listed, [ContentKeyInfo { id: fresh.id().clone(), created_at: made_at }]);
        let key = vault.load(&listed[0]).await.unwrap().unwrap();
        assert_eq!(key.certificate(), fresh.to_content_key(made_at).unwrap().certificate());
        let odd = ContentKeyInfo { id: "odd".parse().unwrap(), created_at: made_at };
        assert!(vault.load(&odd).await.unwrap().is_none(), "somebody else's keeps nobody away");
        let none = ContentKeyInfo { id: "none".parse().unwrap(), created_at: made_at };
        assert!(vault.load(&none).await.unwrap().is_none());
        vault.destroy(fresh.id()).await.unwrap();
        assert_eq!(vault.purge_destroyed().await, Ok(1), "the vault keeps it");
        assert_eq!(service.with(|state| (state.secrets.len(), state.deleted.len())), (3, 1));
        service.with(|state| state.purges = true);
        vault.destroy(fresh.id()).await.unwrap();
        assert_eq!(vault.purge_destroyed().await, Ok(0), "purged as soon as that is allowed");
        assert_eq!(service.with(|state| state.deleted.len()), 0);
    }

    #[tokio::test]
    async fn a_missing_right_is_distinguished_from_a_vault_that_is_away() {
        let (service, vault) = vault();
        let fresh = new_content_key().await;
        service.with(|state| state.read_only = true);
        assert_eq!(vault.add(&fresh).await, Err(VaultWriteError::Forbidden));
        assert_eq!(vault.list().await.unwrap(), []);
    }
}
