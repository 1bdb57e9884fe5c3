//! Keys without a vault: a test changes them, takes them away and counts their loads.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use roombridge::identity::keys::client_state::KeySet;
use roombridge::identity::keys::{KeySource, KeysUnavailable, VaultWriteError};

/// A vault in memory. The default is empty and can be written. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<VaultState>>);

#[derive(Default)]
struct VaultState {
    keys: Option<KeySet>,
    is_read_only: bool,
    is_hanging: bool,
    loads: usize,
}

impl MemoryKeys {
    /// A vault that holds `keys` and may only be read.
    pub fn read_only(keys: KeySet) -> Self {
        let state = VaultState { keys: Some(keys), is_read_only: true, ..VaultState::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Replaces the keys; `None` makes them unavailable.
    pub fn put(&self, keys: Option<KeySet>) {
        self.lock().keys = keys;
    }

    /// The keys that are there.
    pub fn keys(&self) -> Option<KeySet> {
        self.lock().keys.clone()
    }

    /// Lets every load hang for ever from now on.
    pub fn hang(&self) {
        self.lock().is_hanging = true;
    }

    /// How often the keys were loaded.
    pub fn loads(&self) -> usize {
        self.lock().loads
    }

    fn lock(&self) -> MutexGuard<'_, VaultState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeySource for MemoryKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        let is_hanging = {
            let mut state = self.lock();
            state.loads += 1;
            state.is_hanging
        };
        if is_hanging {
            pending::<()>().await;
        }
        self.lock().keys.clone().ok_or(KeysUnavailable)
    }

    async fn is_empty(&self) -> bool {
        let state = self.lock();
        !state.is_read_only && state.keys.is_none()
    }

    async fn store(&self, keys: &KeySet) -> Result<(), VaultWriteError> {
        let mut state = self.lock();
        if state.is_read_only {
            return Err(VaultWriteError::Forbidden);
        }
        state.keys = Some(keys.clone());
        Ok(())
    }
}
