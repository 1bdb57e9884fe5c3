//! The key that digests are made with: one for the whole deployment, kept in the vault as other keys
//! are. It is never followed by another, because rows are found by what it makes.

use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;

use super::{KeyRing, KeysUnavailable};
use crate::{base::clock::Clock, domain::keys::DigestKey};

/// The Key Vault secret with that key.
pub const DIGEST_KEY: &str = "digest-key";

/// How old the key must be before anything is made with it. Of two runs that make the first key at the
/// same time, the later one wins; by then everybody reads the same.
pub const DIGEST_KEY_ACTIVATION: SignedDuration = SignedDuration::from_mins(5);

/// The key, as long as this process lives. Clones share it.
#[derive(Clone)]
pub struct DigestKeys {
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    accepted: Arc<OnceLock<DigestKey>>,
}

impl DigestKeys {
    /// The key that `ring` has as its current one.
    pub fn new(ring: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self { ring, clock, accepted: Arc::default() }
    }

    /// The key. Once it was read, it is not read again: it does not change.
    ///
    /// # Errors
    /// [`KeysUnavailable`] while it cannot be read, or was made a moment ago.
    pub async fn get(&self) -> Result<DigestKey, KeysUnavailable> {
        if let Some(key) = self.accepted.get() {
            return Ok(key.clone());
        }
        let keys = self.ring.load().await?;
        let current = keys.current();
        let made_at = keys.created_at(current.id());
        if made_at.is_some_and(|at| self.clock.now() < at + DIGEST_KEY_ACTIVATION) {
            return Err(KeysUnavailable);
        }
        Ok(self.accepted.get_or_init(|| DigestKey::new(current.bytes())).clone())
    }

    /// Where it is kept.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::test_support::ManualClock,
        identity::{
            keys::client_state::{KeySet, SecretKey},
            scripted_http::MemoryKeys,
        },
    };

    #[tokio::test]
    async fn a_key_is_used_once_everybody_must_have_read_the_same() {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let vault = MemoryKeys::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let ring = KeyRing::new(Box::new(vault.clone()), Arc::clone(&shared));
        let keys = DigestKeys::new(Arc::new(ring), shared);
        assert_eq!(keys.get().await.unwrap_err(), KeysUnavailable, "there is none");
        let secret = |id: &str, byte| SecretKey::new(id.parse().unwrap(), &[byte; 32]);
        let put = |key| {
            vault.put(Some(KeySet::new(key, []).with_default_created_at(clock.now())));
        };
        clock.advance(SignedDuration::from_secs(2));
        put(secret("k1", 1));
        assert_eq!(keys.get().await.unwrap_err(), KeysUnavailable, "another run may replace it");
        clock.advance(SignedDuration::from_secs(2));
        put(secret("k2", 2));
        clock.advance(DIGEST_KEY_ACTIVATION);
        let text = |key: &DigestKey| key.appointment("0400");
        let second = DigestKey::new(&[2; 32]);
        assert_eq!(
            text(&keys.get().await.unwrap()),
            text(&second),
            "what was read first is not kept"
        );
        vault.put(None);
        clock.advance(SignedDuration::from_hours(2));
        assert_eq!(text(&keys.get().await.unwrap()), text(&second), "the vault is not asked again");
    }
}
