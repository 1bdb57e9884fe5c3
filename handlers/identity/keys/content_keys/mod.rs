//! The keys that Graph seals the content of events with: one secret each in the vault, so that one
//! can be destroyed alone; private keys are held in memory only.
//!
//! Graph encrypts with the certificate that a subscription names; we look the key up
//! by that name. Every renewal brings the newest certificate, so an old key has served its time a day
//! after a new one is there (see `jobs/dispatch_due/keys` for the whole reckoning).

mod key;
#[cfg(any(test, feature = "test-support"))]
mod memory;
mod new_key;
mod source;
mod vault;

use std::sync::Arc;

pub use key::{ContentKey, DecryptError, DecryptedContent};
#[cfg(any(test, feature = "test-support"))]
pub use memory::MemoryContentKeys;
pub use new_key::NewContentKey;
pub use source::{ContentKeyInfo, ContentKeySource};
pub use vault::KeyVaultContentKeys;

use crate::{
    base::clock::Clock,
    domain::ids::ContentKeyId,
    identity::keys::{vault::KeysUnavailable, vault_cache::VaultCache},
};

/// How many keys are held: the newest. With one a month and two days of overlap there are two.
const MAX_CACHED_KEYS: usize = 8;

/// The keys, cached, the newest first: listed once an hour, and each read once.
pub struct ContentKeys {
    source: Arc<dyn ContentKeySource>,
    cache: Arc<VaultCache<Vec<Arc<ContentKey>>>>,
}

async fn load_keys(
    source: &dyn ContentKeySource,
    held: Option<Arc<Vec<Arc<ContentKey>>>>,
) -> Result<Vec<Arc<ContentKey>>, KeysUnavailable> {
    let mut listed = source.list().await?;
    listed.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let mut keys = Vec::new();
    for listed in listed.into_iter().take(MAX_CACHED_KEYS) {
        let known = held.iter().flat_map(|held| held.iter()).find(|key| key.id() == &listed.id);
        match known {
            // A key never changes under its name, and parsing one takes long.
            Some(key) => keys.push(Arc::clone(key)),
            None => keys.extend(source.load(&listed).await?.map(Arc::new)),
        }
    }
    Ok(keys)
}

impl ContentKeys {
    /// The keys of `source`, which are loaded when they are first needed.
    pub fn new(source: Box<dyn ContentKeySource>, clock: Arc<dyn Clock>) -> Self {
        let source: Arc<dyn ContentKeySource> = Arc::from(source);
        let loaded_from = Arc::clone(&source);
        let cache = VaultCache::new(clock, move |held| {
            let source = Arc::clone(&loaded_from);
            async move { load_keys(source.as_ref(), held).await }
        });
        Self { source, cache }
    }

    /// The newest key, for new subscriptions and renewals; `None` while there is none. Looked up
    /// once an hour (every 30 s while there is none), so it may be an hour behind the vault, however
    /// long nobody has asked.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when they could never be loaded.
    pub async fn current(&self) -> Result<Option<Arc<ContentKey>>, KeysUnavailable> {
        let mut keys = self.cache.get_fresh().await?;
        // Another process may have made the first one since.
        if keys.is_empty() {
            keys = self.cache.get_containing(|keys| !keys.is_empty()).await?;
        }
        Ok(keys.first().cloned())
    }

    /// The key of this name; one that is not known is looked for, at most every 30 s. `None` when
    /// the vault has no such key: what was sealed with it is lost.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when it is unknown and the last attempt to load failed: it may be there.
    pub async fn find(
        &self,
        id: &ContentKeyId,
    ) -> Result<Option<Arc<ContentKey>>, KeysUnavailable> {
        let is_it = |key: &&Arc<ContentKey>| key.id() == id;
        let keys = self.cache.get_containing(|keys| keys.iter().any(|key| is_it(&key))).await?;
        Ok(keys.iter().find(is_it).cloned())
    }

    /// All keys that are held, the newest first, up to an hour behind the vault.
    pub async fn all(&self) -> Result<Vec<Arc<ContentKey>>, KeysUnavailable> {
        self.cache.get().await.map(|keys| keys.to_vec())
    }

    /// All keys as the vault has them now, the newest first.
    pub async fn reload_all(&self) -> Result<Vec<Arc<ContentKey>>, KeysUnavailable> {
        self.cache.force_reload().await.map(|keys| keys.to_vec())
    }

    /// Where they are kept, to add and destroy some.
    pub fn source(&self) -> &dyn ContentKeySource {
        self.source.as_ref()
    }
}

#[cfg(test)]
mod tests;
