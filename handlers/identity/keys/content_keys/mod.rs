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

use async_trait::async_trait;

pub use key::{ContentKey, ContentKeyError, DecryptError, DecryptedContent};
#[cfg(any(test, feature = "test-support"))]
pub use memory::MemoryContentKeys;
pub use new_key::NewContentKey;
pub use source::{ContentKeyInfo, ContentKeySource};
pub use vault::KeyVaultContentKeys;

use crate::{
    base::clock::Clock,
    domain::ids::ContentKeyId,
    identity::keys::{
        vault::KeysUnavailable,
        vault_cache::{VaultCache, VaultLoader},
    },
};

/// How many keys are held: the newest. With one a month and two days of overlap there are two.
const MAX_CACHED_KEYS: usize = 8;

/// The keys, cached: listed once an hour, and each read once.
pub struct ContentKeys(Arc<VaultCache<ContentKeyLoader>>);

/// A source that is loaded from.
struct ContentKeyLoader(Box<dyn ContentKeySource>);

#[async_trait]
impl VaultLoader for ContentKeyLoader {
    /// The newest first.
    type Loaded = Vec<Arc<ContentKey>>;

    async fn load(&self, held: Option<&Self::Loaded>) -> Result<Self::Loaded, KeysUnavailable> {
        let mut listed = self.0.list().await?;
        listed.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let mut keys = Vec::new();
        for listed in listed.into_iter().take(MAX_CACHED_KEYS) {
            let known = held.into_iter().flatten().find(|key| key.id() == &listed.id);
            let key = match known {
                Some(key) => Some(Arc::clone(key)),
                None => self.0.load(&listed).await?.map(Arc::new),
            };
            keys.extend(key);
        }
        Ok(keys)
    }
}

impl ContentKeys {
    /// The keys of `source`, which are loaded when they are first needed.
    pub fn new(source: Box<dyn ContentKeySource>, clock: Arc<dyn Clock>) -> Self {
        Self(VaultCache::new(ContentKeyLoader(source), clock))
    }

    /// The newest key, for new subscriptions and renewals; `None` while there is none. Looked up
    /// once an hour (every 30 s while there is none), so it may be an hour behind the vault, however
    /// long nobody has asked.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when they could never be loaded.
    pub async fn current(&self) -> Result<Option<Arc<ContentKey>>, KeysUnavailable> {
        let mut keys = self.0.get_fresh().await?;
        if keys.is_empty() {
            keys = self.0.get_containing(|keys| !keys.is_empty()).await?;
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
        let keys = self.0.get_containing(|keys| keys.iter().any(|key| is_it(&key))).await?;
        Ok(keys.iter().find(is_it).cloned())
    }

    /// All keys that are held, the newest first, up to an hour behind the vault.
    pub async fn all(&self) -> Result<Vec<Arc<ContentKey>>, KeysUnavailable> {
        self.0.get().await.map(|keys| keys.to_vec())
    }

    /// All keys as the vault has them now, the newest first.
    pub async fn reload_all(&self) -> Result<Vec<Arc<ContentKey>>, KeysUnavailable> {
        self.0.force_reload().await.map(|keys| keys.to_vec())
    }

    /// Where they are kept, to add and destroy some.
    pub fn source(&self) -> &dyn ContentKeySource {
        self.0.source().0.as_ref()
    }
}

#[cfg(test)]
mod tests;
