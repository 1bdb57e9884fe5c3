//! Keys grow old: new ones are made, and old ones go when nothing needs them any more.
//!
//! A **content key** is superseded as soon as a newer one is in the vault. Who has not looked since
//! then goes on with it for an hour at most (the cache); a subscription that was made or renewed with
//! it lives for less than a day more, and every renewal brings the newest; Graph repeats a notification
//! for four hours. That is 29 hours, and after 48 no subscription names it: it is destroyed.
//!
//! A **client-state key** is of use as long as a subscription carries a client state made with it,
//! which no renewal can change: at most seven days, then four hours of repetitions. It stays for
//! fourteen. A new one waits an hour before anything is made with it, so that every process knows it
//! by then, and so that of two runs at once the one that wrote last has lost nothing for the other.
//! Cookies are sealed with keys of the same kind, and live for an hour.
//!
//! Whatever fails here is said in the log and tried again by the next run; nothing else waits for it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Deps;
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        retention::{CONTENT_KEY_OVERLAP, SECRET_KEY_LIFETIME, SECRET_KEY_OVERLAP},
        tenancy::TenantState,
    },
    identity::keys::{
        CLIENT_STATE_KEYS, COOKIE_KEYS, KeyRing, KeysUnavailable,
        client_state::{KeySet, SecretKey},
        content_keys::{ContentKey, ContentKeyInfo, ContentKeys, NewContentKey, VaultWriteError},
    },
    store::error::StoreError,
};

/// How long a new one is known before it is used.
const ACTIVATION_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// What kept a key from being made or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum RotationError {
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
    #[error(transparent)]
    NotWritten(#[from] VaultWriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the cryptography library makes no key")]
    NotGenerated,
}

/// Makes and destroys what is due; what fails is logged, once for each kind of key.
pub(super) async fn rotate(deps: &Deps) {
    let (clock, rng) = (deps.clock.as_ref(), deps.rng.as_ref());
    log_failure(CLIENT_STATE_KEYS, rotate_key_ring(&deps.keys.client_state, clock, rng).await);
    log_failure(COOKIE_KEYS, rotate_key_ring(&deps.keys.cookies, clock, rng).await);
    log_failure("content-key-*", rotate_content_keys(deps).await);
}

fn log_failure(secret: &str, outcome: Result<(), RotationError>) {
    let Err(trouble) = outcome else { return };
    let what = match trouble {
        RotationError::NotWritten(VaultWriteError::Forbidden) => {
            "give the handler's identity the role Key Vault Secrets Officer on the vault, or change the keys by hand"
        }
        RotationError::NotWritten(VaultWriteError::Unavailable)
        | RotationError::KeysUnavailable(_)
        | RotationError::Store(_)
        | RotationError::NotGenerated => {
            "the next run tries again; if this goes on, look at the vault"
        }
    };
    tracing::warn!(secret, %trouble, what_to_do = what, "keys cannot be changed");
}

/// The content keys, as long as any tenant has its notifications brought with content.
async fn rotate_content_keys(deps: &Deps) -> Result<(), RotationError> {
    let tenants = deps.tenants.list().await?;
    let rich = tenants.iter().any(|(tenant, _)| match tenant.state {
        TenantState::Active => tenant.policy.rich_notifications,
        TenantState::Suspended(_) | TenantState::Disconnecting | TenantState::Deleted(_) => false,
    });
    if !rich {
        return Ok(());
    }
    rotate_if_due(
        &deps.keys.content,
        deps.keys.content_max_age,
        deps.clock.now(),
        deps.rng.as_ref(),
    )
    .await
}

/// Only keys that can be read count: one that cannot takes no other's place.
async fn rotate_if_due(
    keys: &ContentKeys,
    life: SignedDuration,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    let all = |keys: Vec<Arc<ContentKey>>| {
        keys.iter().map(|key| listed_key(key.id(), key.created_at())).collect()
    };
    if !ContentKeyPlan::new(all(keys.all().await?), now, life).has_work() {
        return Ok(());
    }
    // What is held may be an hour old: somebody else may have been here.
    let due = ContentKeyPlan::new(all(keys.reload_all().await?), now, life);
    apply_plan(keys, &due, now, rng).await
}

/// What is to be done about the content keys.
#[derive(Debug, PartialEq, Eq)]
struct ContentKeyPlan {
    create: bool,
    destroy: Vec<ContentKeyInfo>,
}

impl ContentKeyPlan {
    fn new(mut keys: Vec<ContentKeyInfo>, now: Timestamp, life: SignedDuration) -> Self {
        keys.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let make = keys.first().is_none_or(|newest| newest.created_at + life <= now);
        let superseded = |pair: &&[ContentKeyInfo]| pair[0].created_at + CONTENT_KEY_OVERLAP <= now;
        let destroy = keys.windows(2).filter(superseded).map(|pair| pair[1].clone()).collect();
        Self { create: make, destroy }
    }

    fn has_work(&self) -> bool {
        self.create || !self.destroy.is_empty()
    }
}

fn listed_key(id: &crate::domain::ids::ContentKeyId, made_at: Timestamp) -> ContentKeyInfo {
    ContentKeyInfo { id: id.clone(), created_at: made_at }
}

async fn apply_plan(
    keys: &ContentKeys,
    due: &ContentKeyPlan,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    if due.create {
        let key =
            NewContentKey::generate(now, rng).await.map_err(|_| RotationError::NotGenerated)?;
        keys.source().add(&key).await?;
        tracing::info!(key = %key.id(), "a content key was made");
    }
    for old in &due.destroy {
        keys.source().destroy(&old.id).await?;
        tracing::info!(key = %old.id, "a content key was destroyed");
    }
    keys.reload_all().await?;
    Ok(())
}

/// The keys in one secret, client-state and cookie keys alike.
async fn rotate_key_ring(
    ring: &KeyRing,
    clock: &dyn Clock,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    let now = clock.now();
    let held = match ring.keys().await {
        Ok(held) => held,
        Err(away) => {
            // Keys that are there and cannot be had must not be replaced.
            if !ring.source().is_empty().await {
                return Err(away.into());
            }
            let key = generate_key(now, rng)?;
            let id = key.id().clone();
            ring.source().store(&KeySet::new(key, []).with_default_created_at(now)).await?;
            tracing::info!(key = %id, "the first key was made");
            ring.reload_keys().await?;
            return Ok(());
        }
    };
    if next_keys(&held, now, rng)?.is_none() {
        return Ok(());
    }
    let now_there = ring.reload_keys().await?;
    if let Some(next) = next_keys(&now_there, now, rng)? {
        ring.source().store(&next).await?;
        tracing::info!(current = %next.current().id(), "keys were changed");
        ring.reload_keys().await?;
    }
    Ok(())
}

/// The keys as they should be now; `None` when they are.
fn next_keys(
    keys: &KeySet,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<Option<KeySet>, RotationError> {
    // Keys without an age belong to somebody who cares for them by hand.
    let Some(current) = keys.created_at(keys.current().id()) else { return Ok(None) };
    let made = |key: &SecretKey| keys.created_at(key.id()).unwrap_or(current);
    let newer = keys.others().filter(|key| made(key) > current).max_by_key(|key| made(key));
    if let Some(newer) = newer {
        let known = made(newer) + ACTIVATION_DELAY <= now;
        // Dated anew: from now on the one before is superseded, however long this had to wait.
        return Ok(known.then(|| keys.clone().promote(newer.id(), now)));
    }
    if current + SECRET_KEY_LIFETIME <= now {
        return Ok(Some(keys.clone().with_key(generate_key(now, rng)?, now)));
    }
    let mut ages: Vec<Timestamp> = keys.others().map(made).chain([current]).collect();
    ages.sort_unstable();
    // What came next is what a key was superseded by.
    let after = |at: Timestamp| ages.iter().copied().find(|age| *age > at).unwrap_or(current);
    let over = keys.others().filter(|key| after(made(key)) + SECRET_KEY_OVERLAP <= now);
    let over: Vec<_> = over.map(|key| key.id().clone()).collect();
    Ok((!over.is_empty()).then(|| keys.clone().without(&over)))
}

/// A key named after the day and by chance.
fn generate_key(now: Timestamp, rng: &(dyn Rng + 'static)) -> Result<SecretKey, RotationError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let id = format!("k{}-{:04x}", today.strftime("%Y%m%d"), rng.next_u64() as u16);
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill(bytes.as_mut_slice());
    Ok(SecretKey::new(id.parse().map_err(|_| RotationError::NotGenerated)?, &bytes))
}

#[cfg(test)]
mod tests;
