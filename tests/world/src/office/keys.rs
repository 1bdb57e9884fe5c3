//! The office's keys: what a vault would keep.

use std::sync::Arc;

use async_trait::async_trait;
use roombridge::base::clock::Clock;
use roombridge::identity::client_state::{Key, Keys};
use roombridge::identity::content_keys::{ContentKeys, MemoryContentKeys, NotWritten};
use roombridge::identity::key_ring::{FixedKeys, KeyRing, KeySource, KeysUnavailable};

use super::OfficeError;

/// The client-state keys of an office that was given none.
pub(super) fn fixed_keys() -> Result<Keys, OfficeError> {
    let id = "k1".parse().map_err(OfficeError::from_any)?;
    Ok(Keys::new(Key::new(id, &[7; 32]), []))
}

/// The keys that the office's cookies are sealed with.
pub(super) fn cookie_ring(clock: Arc<dyn Clock>) -> Result<Arc<KeyRing>, OfficeError> {
    let id = "c1".parse().map_err(OfficeError::from_any)?;
    let keys = FixedKeys(Keys::new(Key::new(id, &[8; 32]), []));
    Ok(Arc::new(KeyRing::new(Box::new(keys), clock)))
}

/// What the app holds of the content keys in `source`.
pub(super) fn content_ring(source: &MemoryContentKeys, clock: &Arc<dyn Clock>) -> Arc<ContentKeys> {
    Arc::new(ContentKeys::new(Box::new(source.clone()), Arc::clone(clock)))
}

/// A source that a test keeps a hand on.
pub(super) struct Shared(pub(super) Arc<dyn KeySource>);

#[async_trait]
impl KeySource for Shared {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        self.0.load().await
    }

    async fn has_none(&self) -> bool {
        self.0.has_none().await
    }

    async fn keep(&self, keys: &Keys) -> Result<(), NotWritten> {
        self.0.keep(keys).await
    }
}
