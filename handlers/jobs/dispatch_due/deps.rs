//! What this function works with.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    base::{clock::Clock, rng::Rng},
    identity::keys::{DigestKeys, KeyRing, content_keys::ContentKeys},
    queue::Outbox,
    store::{bookings::Bookings, due::DueEntries, failures::Failures, tenants::Tenants},
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    pub due: DueEntries,
    pub bookings: Bookings,
    pub tenants: Tenants,
    pub failures: Failures,
    pub outbox: Arc<dyn Outbox>,
    /// The keys that prove that a notification is ours.
    pub client_state_keys: Arc<KeyRing>,
    pub cookie_keys: Arc<KeyRing>,
    /// The key that is made once.
    pub digest_keys: DigestKeys,
    pub content_keys: Arc<ContentKeys>,
    /// How old the newest content key may be before there is a new one.
    pub content_key_max_age: SignedDuration,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}
