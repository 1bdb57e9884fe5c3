//! What the webhook works with.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::large_bodies::LargeBodies;
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::ids::TenantId,
    identity::keys::{KeyRing, ValidationTokenVerifier},
    queue::Outbox,
};

/// How long a response waits for the keys of validation tokens.
const VERIFICATION_TIMEOUT: Duration = Duration::from_millis(500);
/// Puts in flight in this process: beyond that a storage queue only answers later.
const MAX_CONCURRENT_PUTS: usize = 64;

/// What the webhook works with.
#[derive(Clone)]
pub struct Deps {
    pub(super) client_state_keys: Arc<KeyRing>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    /// Limits the puts in flight of the whole process.
    pub(super) put_permits: Arc<Semaphore>,
    /// Limits the bytes of strangers that this process holds and parses.
    pub(super) large_bodies: LargeBodies,
    validation_tokens: Arc<ValidationTokenVerifier>,
}

impl Deps {
    /// The webhook's dependencies, with limits on puts and bodies that all clones share.
    pub fn new(
        client_state_keys: Arc<KeyRing>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        validation_tokens: Arc<ValidationTokenVerifier>,
    ) -> Self {
        let put_permits = Arc::new(Semaphore::new(MAX_CONCURRENT_PUTS));
        Self {
            client_state_keys,
            outbox,
            clock,
            rng,
            put_permits,
            large_bodies: LargeBodies::new(),
            validation_tokens,
        }
    }

    /// The tenants whose content in this POST Graph has encrypted.
    ///
    /// When we cannot find out in time, the items go on without their content: a slow answer would
    /// delay every tenant, and Graph would repeat a rejected POST into the same problem.
    pub(super) async fn verified_tenants(&self, tokens: &[String]) -> BTreeSet<TenantId> {
        let verified = self.validation_tokens.verified_tenants(tokens);
        let verified = tokio::time::timeout(VERIFICATION_TIMEOUT, verified).await;
        verified.map(|verified| verified.tenants).unwrap_or_default()
    }
}
