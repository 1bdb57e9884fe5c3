//! Replaces keys that are old enough, and destroys the ones before when nothing needs them any
//! more.
//!
//! A **content key** is superseded as soon as a newer one is in the vault. A process that has not
//! read the vault since then continues with it for an hour at most (the cache); a subscription that
//! was created or renewed with it lives for less than a day more, and every renewal brings the
//! newest; Graph retries a notification for four hours. That is 29 hours, and after 48 no
//! subscription names it: it is destroyed. A vault still has it then, and takes some seconds until it
//! lets it be purged, so the daily round purges what is left, until nothing is.
//!
//! A **client-state key** is needed as long as a subscription carries a client state made with it,
//! which no renewal can change: at most seven days, then four hours of retries. It stays for
//! fourteen. A new one waits an hour before anything is made with it, so that every process knows
//! it by then, and so that of two runs at once the one that wrote last has lost nothing for the
//! other. Cookies are encrypted with keys of the same kind, and live for an hour.
//!
//! The **digest key** is made once, while no booking exists, and never replaced or destroyed: rows are
//! found by what it makes. Where bookings exist and the vault has no such key, it was lost, and another
//! one would take every appointment for a new one, in conflict with its own booking.
//!
//! A failure here is logged and tried again by the next run; nothing else waits for it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::deps::Deps;
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        retention::{CONTENT_KEY_OVERLAP, SECRET_KEY_LIFETIME, SECRET_KEY_OVERLAP},
        tenant::TenantState,
    },
    identity::keys::{
        CLIENT_STATE_KEYS, COOKIE_KEYS, DIGEST_KEY, KeyRing, KeysUnavailable, VaultWriteError,
        client_state::{KeySet, SecretKey},
        content_keys::{ContentKey, ContentKeyInfo, ContentKeys, NewContentKey},
    },
    store::StoreError,
};

/// How long every process may take to read a new key before it is used.
const ACTIVATION_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// Why a key was not created or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum RotationError {
    #[error(transparent)]
    KeysUnavailable(#[from] KeysUnavailable),
    #[error(transparent)]
    NotWritten(#[from] VaultWriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the cryptography library generates no key")]
    NotGenerated,
    #[error("the key is not in the vault, and bookings exist that were made with it")]
    Lost,
}

/// Creates and destroys what is due, each kind of key for itself.
pub(super) async fn rotate(deps: &Deps, is_daily_round: bool) {
    let (clock, rng) = (deps.clock.as_ref(), deps.rng.as_ref());
    log_failure(DIGEST_KEY, create_digest_key(deps).await);
    log_failure(CLIENT_STATE_KEYS, rotate_key_ring(&deps.client_state_keys, clock, rng).await);
    log_failure(COOKIE_KEYS, rotate_key_ring(&deps.cookie_keys, clock, rng).await);
    log_failure("content-key-*", rotate_content_keys(deps).await);
    // Also where nobody wants content any more: what was destroyed is purged all the same.
    if is_daily_round {
        log_failure("content-key-*", purge_destroyed(&deps.content_keys).await);
    }
}

async fn purge_destroyed(keys: &ContentKeys) -> Result<(), RotationError> {
    let kept = keys.source().purge_destroyed().await?;
    if kept > 0 {
        tracing::warn!(keys = kept, "destroyed keys are not purged yet; will be retried daily");
    }
    Ok(())
}

fn log_failure(secret: &str, outcome: Result<(), RotationError>) {
    let Err(error) = outcome else { return };
    let remedy = match error {
        RotationError::NotWritten(VaultWriteError::Forbidden) => {
            "give the handler's identity the role Key Vault Secrets Officer on the vault, or change the keys by hand"
        }
        RotationError::Lost => {
            "recover the deleted secret in the vault; docs/operators.md says what to do without it"
        }
        RotationError::NotWritten(VaultWriteError::Unavailable)
        | RotationError::KeysUnavailable(_)
        | RotationError::Store(_)
        | RotationError::NotGenerated => {
            "the next run tries again; if this continues, look at the vault"
        }
    };
    tracing::warn!(secret, %error, remedy, "key rotation failed");
}

/// The content keys, as long as any tenant wants content in its notifications.
async fn rotate_content_keys(deps: &Deps) -> Result<(), RotationError> {
    let tenants = deps.tenants.list().await?;
    let is_wanted = tenants.iter().any(|(tenant, _)| match tenant.state {
        TenantState::Active => tenant.policy.rich_notifications,
        TenantState::Suspended(_) | TenantState::Disconnecting | TenantState::Deleted(_) => false,
    });
    if !is_wanted {
        return Ok(());
    }
    let (keys, max_age) = (&deps.content_keys, deps.content_key_max_age);
    rotate_if_due(keys, max_age, deps.clock.now(), deps.rng.as_ref()).await
}

/// Only keys that can be read count: an unreadable one supersedes none.
async fn rotate_if_due(
    keys: &ContentKeys,
    max_age: SignedDuration,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    let infos = |keys: Vec<Arc<ContentKey>>| {
        let info = |key: &Arc<ContentKey>| ContentKeyInfo {
            id: key.id().clone(),
            created_at: key.created_at(),
        };
        keys.iter().map(info).collect()
    };
    if due_changes(infos(keys.all().await?), now, max_age).is_none() {
        return Ok(());
    }
    // The cache may be an hour old, and another run may have done this since.
    match due_changes(infos(keys.reload_all().await?), now, max_age) {
        Some((create, destroy)) => apply_changes(keys, create, &destroy, now, rng).await,
        None => Ok(()),
    }
}

/// Whether a content key is to be created, and which are to be destroyed; `None` when neither.
fn due_changes(
    mut keys: Vec<ContentKeyInfo>,
    now: Timestamp,
    max_age: SignedDuration,
) -> Option<(bool, Vec<ContentKeyInfo>)> {
    keys.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let create = keys.first().is_none_or(|newest| newest.created_at + max_age <= now);
    // A key is needed for as long after its successor as a subscription may still name it.
    let is_over = |pair: &&[ContentKeyInfo]| pair[0].created_at + CONTENT_KEY_OVERLAP <= now;
    let destroy: Vec<_> = keys.windows(2).filter(is_over).map(|pair| pair[1].clone()).collect();
    (create || !destroy.is_empty()).then_some((create, destroy))
}

async fn apply_changes(
    keys: &ContentKeys,
    create: bool,
    destroy: &[ContentKeyInfo],
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    if create {
        let key = NewContentKey::generate(now, rng).await.ok_or(RotationError::NotGenerated)?;
        keys.source().add(&key).await?;
        tracing::info!(key = %key.id(), "content key created");
    }
    for old in destroy {
        keys.source().destroy(&old.id).await?;
        tracing::info!(key = %old.id, "content key destroyed");
    }
    // The keys serve nobody from here on, so what is left of them is no failure.
    if !destroy.is_empty()
        && let Err(error) = purge_destroyed(keys).await
    {
        tracing::warn!(%error, "destroyed keys are not purged yet; will be retried daily");
    }
    keys.reload_all().await?;
    Ok(())
}

/// The digest key, where there has never been one.
async fn create_digest_key(deps: &Deps) -> Result<(), RotationError> {
    let ring = deps.digest_keys.ring();
    let Err(error) = ring.keys().await else { return Ok(()) };
    // A key that exists and cannot be read must not be replaced.
    if !ring.source().is_empty().await {
        return Err(error.into());
    }
    if !deps.bookings.is_empty().await? {
        return Err(RotationError::Lost);
    }
    create_first_key(ring, deps.clock.now(), deps.rng.as_ref()).await
}

async fn create_first_key(
    ring: &KeyRing,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    let key = generate_key(now, rng)?;
    let id = key.id().clone();
    ring.source().store(&KeySet::new(key, []).with_default_created_at(now)).await?;
    tracing::info!(key = %id, "first key created");
    ring.reload_keys().await?;
    Ok(())
}

/// The keys in one secret, client-state and cookie keys alike.
async fn rotate_key_ring(
    ring: &KeyRing,
    clock: &dyn Clock,
    rng: &(dyn Rng + 'static),
) -> Result<(), RotationError> {
    let now = clock.now();
    let cached = match ring.keys().await {
        Ok(cached) => cached,
        Err(error) => {
            // Keys that exist and cannot be read must not be replaced.
            if !ring.source().is_empty().await {
                return Err(error.into());
            }
            return create_first_key(ring, now, rng).await;
        }
    };
    if next_keys(&cached, now, rng)?.is_none() {
        return Ok(());
    }
    // The cache may be an hour old, and another run may have done this since.
    let stored = ring.reload_keys().await?;
    if let Some(next) = next_keys(&stored, now, rng)? {
        ring.source().store(&next).await?;
        tracing::info!(current = %next.current().id(), "keys rotated");
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
    // Keys without an age are managed by hand.
    let Some(current) = keys.created_at(keys.current().id()) else { return Ok(None) };
    let created_at = |key: &SecretKey| keys.created_at(key.id()).unwrap_or(current);
    let newer = keys.others().filter(|key| created_at(key) > current).max_by_key(|k| created_at(k));
    if let Some(newer) = newer {
        let is_known = created_at(newer) + ACTIVATION_DELAY <= now;
        // Its age counts from now: only now is the one before superseded, however long this waited.
        return Ok(is_known.then(|| keys.clone().promote(newer.id(), now)));
    }
    if current + SECRET_KEY_LIFETIME <= now {
        return Ok(Some(keys.clone().with_key(generate_key(now, rng)?, now)));
    }
    let mut ages: Vec<Timestamp> = keys.others().map(created_at).chain([current]).collect();
    ages.sort_unstable();
    // A key was superseded by the one that came next.
    let after = |at: Timestamp| ages.iter().copied().find(|age| *age > at).unwrap_or(current);
    let over = keys.others().filter(|key| after(created_at(key)) + SECRET_KEY_OVERLAP <= now);
    let over: Vec<_> = over.map(|key| key.id().clone()).collect();
    Ok((!over.is_empty()).then(|| keys.clone().without(&over)))
}

/// A key whose id is the day and a random number, which tells two of one day apart.
fn generate_key(now: Timestamp, rng: &(dyn Rng + 'static)) -> Result<SecretKey, RotationError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let id = format!("k{}-{:04x}", today.strftime("%Y%m%d"), rng.next_u64() as u16);
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill(bytes.as_mut_slice());
    Ok(SecretKey::new(id.parse().map_err(|_| RotationError::NotGenerated)?, &bytes))
}

#[cfg(test)]
mod tests;
