//! The world's keys: what a vault would keep.

use std::sync::Arc;

use crate::memory::MemoryKeys;
use async_trait::async_trait;
use roombridge::base::clock::Clock;
use roombridge::domain::keys::DigestKey;
use roombridge::identity::keys::client_state::{KeySet, SecretKey};
use roombridge::identity::keys::{DigestKeys, KeyRing, KeySource, KeysUnavailable};
use roombridge::identity::keys::{
    VaultWriteError,
    content_keys::{ContentKeys, MemoryContentKeys},
};

use super::TestWorldError;

/// The bytes of the key that digests are made with.
pub(crate) const DIGEST_KEY_BYTES: [u8; 32] = [9; 32];

/// The client-state keys of a world that was given none.
pub(super) fn client_state_keys() -> Result<KeySet, TestWorldError> {
    let id = "k1".parse().map_err(TestWorldError::from_any)?;
    Ok(KeySet::new(SecretKey::new(id, &[7; 32]), []))
}

/// The keys that the world's cookies are sealed with.
pub(super) fn cookie_key_ring(clock: Arc<dyn Clock>) -> Result<Arc<KeyRing>, TestWorldError> {
    let id = "c1".parse().map_err(TestWorldError::from_any)?;
    let keys = MemoryKeys::read_only(KeySet::new(SecretKey::new(id, &[8; 32]), []));
    Ok(Arc::new(KeyRing::new(Box::new(keys), clock)))
}

/// The key that the world's digests are made with.
pub fn digest_key() -> DigestKey {
    DigestKey::new(&DIGEST_KEY_BYTES)
}

/// The same, where the app reads it.
pub(super) fn digest_keys(clock: Arc<dyn Clock>) -> Result<DigestKeys, TestWorldError> {
    let id = "d1".parse().map_err(TestWorldError::from_any)?;
    let keys = MemoryKeys::read_only(KeySet::new(SecretKey::new(id, &DIGEST_KEY_BYTES), []));
    Ok(DigestKeys::new(Arc::new(KeyRing::new(Box::new(keys), Arc::clone(&clock))), clock))
}

/// What the app holds of the content keys in `source`.
pub(super) fn content_key_cache(
    source: &MemoryContentKeys,
    clock: &Arc<dyn Clock>,
) -> Arc<ContentKeys> {
    Arc::new(ContentKeys::new(Box::new(source.clone()), Arc::clone(clock)))
}

/// A source that a test keeps a hand on.
pub(super) struct SharedKeySource(pub(super) Arc<dyn KeySource>);

#[async_trait]
impl KeySource for SharedKeySource {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        self.0.load().await
    }

    async fn is_empty(&self) -> bool {
        self.0.is_empty().await
    }

    async fn store(&self, keys: &KeySet) -> Result<(), VaultWriteError> {
        self.0.store(keys).await
    }
}
