//! Keys that never change.

use async_trait::async_trait;
use roombridge::identity::keys::client_state::KeySet;
use roombridge::identity::keys::{KeySource, KeysUnavailable};

/// The same keys at every load. Nobody can store others, as in a vault that may only be read.
#[derive(Debug, Clone)]
pub struct FixedKeys(pub KeySet);

#[async_trait]
impl KeySource for FixedKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        Ok(self.0.clone())
    }
}
