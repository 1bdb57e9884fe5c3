//! Where the content keys are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{key::ContentKey, new_key::NewContentKey};
use crate::{
    domain::ids::ContentKeyId,
    identity::keys::vault::{KeysUnavailable, VaultWriteError},
};

/// A key that is there, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentKeyInfo {
    pub id: ContentKeyId,
    /// When it came into the vault, by the vault's clock, in whole seconds.
    pub created_at: Timestamp,
}

/// Where the keys are kept.
#[async_trait]
pub trait ContentKeySource: Send + Sync {
    /// Which keys there are, in any order.
    async fn list(&self) -> Result<Vec<ContentKeyInfo>, KeysUnavailable>;

    /// The key that was listed; `None` when it is not there any more, or cannot be read as one.
    async fn load(&self, listed: &ContentKeyInfo) -> Result<Option<ContentKey>, KeysUnavailable>;

    /// Keeps a key.
    async fn add(&self, key: &NewContentKey) -> Result<(), VaultWriteError>;

    /// Destroys a key; one that is not there is destroyed. It can be recovered until it is purged.
    async fn destroy(&self, id: &ContentKeyId) -> Result<(), VaultWriteError>;

    /// Purges what was destroyed, so that nobody can bring it back. Returns how many keys can still be
    /// recovered: a vault that has not finished deleting refuses, and so does one that keeps what is
    /// deleted for its own time.
    async fn purge_destroyed(&self) -> Result<u32, VaultWriteError>;
}
