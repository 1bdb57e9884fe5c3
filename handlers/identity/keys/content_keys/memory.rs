//! Keys in memory that a test adds, removes and makes fail. In no build without `test-support`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    key::ContentKey,
    new_key::{self, NewContentKey},
    source::{ContentKeyInfo, ContentKeySource},
};
use crate::{
    base::clock::Clock,
    domain::ids::ContentKeyId,
    identity::keys::vault::{KeysUnavailable, VaultWriteError},
};

/// Keys in memory. Clones share them.
#[derive(Clone)]
pub struct MemoryContentKeys {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    secrets: Vec<(ContentKeyInfo, String)>,
    /// Destroyed and not purged.
    destroyed: Vec<ContentKeyId>,
    outage: bool,
    read_only: bool,
    loads: u64,
}

impl MemoryContentKeys {
    /// No keys; what is added is dated by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// The names of the keys that are there, in the order they came.
    pub fn ids(&self) -> Vec<ContentKeyId> {
        self.state().secrets.iter().map(|(listed, _)| listed.id.clone()).collect()
    }

    /// Lets every call fail (or stop doing so).
    pub fn set_outage(&self, on: bool) {
        self.state().outage = on;
    }

    /// Lets every change be refused, as to somebody who may only read (or stop doing so).
    pub fn set_read_only(&self, on: bool) {
        self.state().read_only = on;
    }

    /// How often a key was loaded.
    pub fn loads(&self) -> u64 {
        self.state().loads
    }

    /// Leaves something there that is called like a key and is none.
    pub fn put_unreadable(&self, id: ContentKeyId) {
        let listed = ContentKeyInfo { id, created_at: self.clock.now() };
        self.state().secrets.push((listed, "{}".to_owned()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_for_read(&self) -> Result<MutexGuard<'_, State>, KeysUnavailable> {
        let state = self.state();
        if state.outage { Err(KeysUnavailable) } else { Ok(state) }
    }

    fn state_for_write(&self) -> Result<MutexGuard<'_, State>, VaultWriteError> {
        let state = self.state();
        match (state.outage, state.read_only) {
            (true, _) => Err(VaultWriteError::Unavailable),
            (false, true) => Err(VaultWriteError::Forbidden),
            (false, false) => Ok(state),
        }
    }
}

#[async_trait]
impl ContentKeySource for MemoryContentKeys {
    async fn list(&self) -> Result<Vec<ContentKeyInfo>, KeysUnavailable> {
        Ok(self.state_for_read()?.secrets.iter().map(|(listed, _)| listed.clone()).collect())
    }

    async fn load(&self, listed: &ContentKeyInfo) -> Result<Option<ContentKey>, KeysUnavailable> {
        let secret = {
            let mut state = self.state_for_read()?;
            state.loads += 1;
            let found = state.secrets.iter().find(|(other, _)| other.id == listed.id);
            found.map(|(_, secret)| secret.clone())
        };
        Ok(secret.and_then(|secret| {
            new_key::parse_secret(listed.id.clone(), listed.created_at, &secret)
        }))
    }

    async fn add(&self, key: &NewContentKey) -> Result<(), VaultWriteError> {
        // As a vault does, which knows no fractions of a second.
        let now = self.clock.now();
        let made_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let listed = ContentKeyInfo { id: key.id().clone(), created_at: made_at };
        self.state_for_write()?.secrets.push((listed, key.secret().to_owned()));
        Ok(())
    }

    async fn destroy(&self, id: &ContentKeyId) -> Result<(), VaultWriteError> {
        let mut state = self.state_for_write()?;
        state.secrets.retain(|(listed, _)| listed.id != *id);
        state.destroyed.push(id.clone());
        Ok(())
    }

    async fn purge_destroyed(&self) -> Result<u32, VaultWriteError> {
        self.state_for_write()?.destroyed.clear();
        Ok(0)
    }
}
