//! Keys without a vault: some that never change, and some that can be stored.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use roombridge::identity::keys::client_state::KeySet;
use roombridge::identity::keys::{KeySource, KeysUnavailable, VaultWriteError};

/// The same keys at every load. Nobody can store others, as in a vault that may only be read.
#[derive(Debug, Clone)]
pub struct FixedKeys(pub KeySet);

#[async_trait]
impl KeySource for FixedKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        Ok(self.0.clone())
    }
}

/// Keys that can be stored: none at first. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<Option<KeySet>>>);

impl MemoryKeys {
    fn keys(&self) -> Option<KeySet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl KeySource for MemoryKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        self.keys().ok_or(KeysUnavailable)
    }

    async fn is_empty(&self) -> bool {
        self.keys().is_none()
    }

    async fn store(&self, keys: &KeySet) -> Result<(), VaultWriteError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
        Ok(())
    }
}
