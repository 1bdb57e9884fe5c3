//! What this function works with.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    base::{clock::Clock, rng::Rng},
    identity::keys::{KeyRing, content_keys::ContentKeys},
    queue::Outbox,
    store::{due::DueEntries, failures::Failures, tenants::Tenants},
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    pub due: DueEntries,
    pub tenants: Tenants,
    pub failures: Failures,
    pub outbox: Arc<dyn Outbox>,
    pub keys: RotatedKeys,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

/// The keys that are replaced when they are old enough.
#[derive(Clone)]
pub struct RotatedKeys {
    /// They prove that a notification is ours.
    pub client_state: Arc<KeyRing>,
    pub cookies: Arc<KeyRing>,
    pub content: Arc<ContentKeys>,
    /// How old the newest content key may be before there is a new one.
    pub content_max_age: SignedDuration,
}
