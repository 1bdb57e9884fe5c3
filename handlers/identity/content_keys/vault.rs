//! Keys in the vault: one secret each, `content-key-{name}`, dated by the vault itself.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{StatusCode, Transport},
};
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, models::SecretProperties};
use futures::TryStreamExt;
use jiff::Timestamp;

use super::{ContentKey, ContentKeySource, FreshContentKey, ListedContentKey, NotWritten, fresh};
use crate::{
    domain::ids::ContentKeyId,
    http::Patience,
    identity::{key_ring::KeysUnavailable, vault},
};

/// How the secrets are called.
const PREFIX: &str = "content-key-";

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
        vault::client(vault, credential, Patience::WORKER.options(transport)).map(Self)
    }

    /// Purges what was deleted, so that nobody can bring it back. The vault may take a moment to
    /// delete, or keep what is deleted for its own time (purge protection): whatever cannot go now
    /// goes with the next key, or when that time is over.
    async fn purge_deleted(&self) -> azure_core::Result<()> {
        let mut deleted = self.0.list_deleted_secret_properties(None)?;
        while let Some(secret) = deleted.try_next().await? {
            let name = secret.resource_id()?.name;
            if !name.starts_with(PREFIX) {
                continue;
            }
            if let Err(error) = self.0.purge_deleted_secret(&name, None).await {
                let status = error.http_status().map(u16::from);
                tracing::info!(secret = name, status, "a destroyed key can still be recovered");
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ContentKeySource for KeyVaultContentKeys {
    async fn list(&self) -> Result<Vec<ListedContentKey>, KeysUnavailable> {
        let unavailable = |error: azure_core::Error| {
            tracing::warn!(kind = ?error.kind(), "Key Vault does not list the content keys");
            KeysUnavailable
        };
        let pages = self.0.list_secret_properties(None).map_err(unavailable)?;
        let all = Patience::WORKER.wait(pages.try_collect::<Vec<_>>()).await;
        let all = all.map_err(|_| KeysUnavailable)?.map_err(unavailable)?;
        Ok(all.iter().take(LISTED_MAX).filter_map(listed).collect())
    }

    async fn load(&self, listed: &ListedContentKey) -> Result<Option<ContentKey>, KeysUnavailable> {
        let name = named(&listed.id);
        let unavailable = |error: azure_core::Error| {
            tracing::warn!(secret = name, kind = ?error.kind(), "Key Vault gives no content key");
            KeysUnavailable
        };
        let answer = Patience::WORKER.wait(self.0.get_secret(&name, None)).await;
        let secret = match answer.map_err(|_| KeysUnavailable)? {
            Err(error) if error.http_status() == Some(StatusCode::NotFound) => return Ok(None),
            answer => {
                answer.and_then(azure_core::http::Response::into_model).map_err(unavailable)?
            }
        };
        let text = zeroize::Zeroizing::new(secret.value.unwrap_or_default());
        let key = fresh::read(listed.id.clone(), listed.made_at, &text);
        // One that somebody else left there must not keep the others away.
        Ok(key.inspect_err(|bad| tracing::error!(secret = name, "{bad}")).ok())
    }

    async fn add(&self, key: &FreshContentKey) -> Result<(), NotWritten> {
        let secret = key.secret().map_err(|_| NotWritten::Unavailable)?;
        vault::set(&self.0, &named(key.id()), &secret).await
    }

    async fn destroy(&self, id: &ContentKeyId) -> Result<(), NotWritten> {
        let name = named(id);
        let gone = Patience::WORKER.wait(self.0.delete_secret(&name, None)).await;
        match gone.map_err(|_| NotWritten::Unavailable)? {
            Err(error) if error.http_status() != Some(StatusCode::NotFound) => {
                return Err(vault::not_written(&error));
            }
            Ok(_) | Err(_) => {}
        }
        match Patience::WORKER.wait(self.purge_deleted()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => tracing::info!("destroyed keys can still be recovered"),
        }
        Ok(())
    }
}

fn named(id: &ContentKeyId) -> String {
    format!("{PREFIX}{id}")
}

/// One of our keys, unless somebody switched it off.
fn listed(secret: &SecretProperties) -> Option<ListedContentKey> {
    let name = secret.resource_id().ok()?.name;
    let attributes = secret.attributes.as_ref()?;
    if attributes.enabled == Some(false) {
        return None;
    }
    let made_at = Timestamp::from_second(attributes.created?.unix_timestamp()).ok()?;
    Some(ListedContentKey { id: name.strip_prefix(PREFIX)?.parse().ok()?, made_at })
}
