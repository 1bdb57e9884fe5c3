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
        retention::{CONTENT_KEY_OVERLAP, PROOF_KEY_LIFE, PROOF_KEY_OVERLAP},
        tenancy::TenantState,
    },
    identity::{
        client_state::{Key, Keys},
        content_keys::{ContentKey, ContentKeys, FreshContentKey, ListedContentKey, NotWritten},
        key_ring::{CLIENT_STATE_KEYS, COOKIE_KEYS, KeyRing, KeysUnavailable},
    },
    store::error::StoreError,
};

/// How long a new one is known before it is used.
const KNOWN_FIRST: SignedDuration = SignedDuration::from_hours(1);

/// What kept a key from being made or destroyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    NotRead(#[from] KeysUnavailable),
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the cryptography library makes no key")]
    NotMade,
}

/// Makes and destroys what is due; what fails is logged, once for each kind of key.
pub(super) async fn rotate(deps: &Deps) {
    let (clock, rng) = (deps.clock.as_ref(), deps.rng.as_ref());
    say(CLIENT_STATE_KEYS, proofs(&deps.keys.client_state, clock, rng).await);
    say(COOKIE_KEYS, proofs(&deps.keys.cookies, clock, rng).await);
    say("content-key-*", contents(deps).await);
}

fn say(secret: &str, outcome: Result<(), Trouble>) {
    let Err(trouble) = outcome else { return };
    let what = match trouble {
        Trouble::NotWritten(NotWritten::Forbidden) => {
            "give the handler's identity the role Key Vault Secrets Officer on the vault, or change the keys by hand"
        }
        Trouble::NotWritten(NotWritten::Unavailable)
        | Trouble::NotRead(_)
        | Trouble::Store(_)
        | Trouble::NotMade => "the next run tries again; if this goes on, look at the vault",
    };
    tracing::warn!(secret, %trouble, what_to_do = what, "keys cannot be changed");
}

/// The content keys, as long as any tenant has its notifications brought with content.
async fn contents(deps: &Deps) -> Result<(), Trouble> {
    let tenants = deps.tenants.all().await?;
    let rich = tenants.iter().any(|(tenant, _)| match tenant.state {
        TenantState::Active => tenant.policy.rich,
        TenantState::Suspended(_) | TenantState::Leaving | TenantState::Left(_) => false,
    });
    if !rich {
        return Ok(());
    }
    age(&deps.keys.content, deps.keys.content_life, deps.clock.now(), deps.rng.as_ref()).await
}

/// Only keys that can be read count: one that cannot takes no other's place.
async fn age(
    keys: &ContentKeys,
    life: SignedDuration,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), Trouble> {
    let all = |keys: Vec<Arc<ContentKey>>| {
        keys.iter().map(|key| listed(key.id(), key.made_at())).collect()
    };
    if !Due::of(all(keys.all().await?), now, life).is_anything() {
        return Ok(());
    }
    // What is held may be an hour old: somebody else may have been here.
    let due = Due::of(all(keys.all_now().await?), now, life);
    change(keys, &due, now, rng).await
}

/// What is to be done about the content keys.
#[derive(Debug, PartialEq, Eq)]
struct Due {
    make: bool,
    destroy: Vec<ListedContentKey>,
}

impl Due {
    fn of(mut keys: Vec<ListedContentKey>, now: Timestamp, life: SignedDuration) -> Self {
        keys.sort_by(|a, b| (b.made_at, &b.id).cmp(&(a.made_at, &a.id)));
        let make = keys.first().is_none_or(|newest| newest.made_at + life <= now);
        let superseded = |pair: &&[ListedContentKey]| pair[0].made_at + CONTENT_KEY_OVERLAP <= now;
        let destroy = keys.windows(2).filter(superseded).map(|pair| pair[1].clone()).collect();
        Self { make, destroy }
    }

    fn is_anything(&self) -> bool {
        self.make || !self.destroy.is_empty()
    }
}

fn listed(id: &crate::domain::ids::ContentKeyId, made_at: Timestamp) -> ListedContentKey {
    ListedContentKey { id: id.clone(), made_at }
}

async fn change(
    keys: &ContentKeys,
    due: &Due,
    now: Timestamp,
    rng: &(dyn Rng + 'static),
) -> Result<(), Trouble> {
    if due.make {
        let key = FreshContentKey::make(now, rng).await.map_err(|_| Trouble::NotMade)?;
        keys.source().add(&key).await?;
        tracing::info!(key = %key.id(), "a content key was made");
    }
    for old in &due.destroy {
        keys.source().destroy(&old.id).await?;
        tracing::info!(key = %old.id, "a content key was destroyed");
    }
    keys.all_now().await?;
    Ok(())
}

/// The keys in one secret, client-state and cookie keys alike.
async fn proofs(
    ring: &KeyRing,
    clock: &dyn Clock,
    rng: &(dyn Rng + 'static),
) -> Result<(), Trouble> {
    let now = clock.now();
    let held = match ring.keys().await {
        Ok(held) => held,
        Err(away) => {
            // Keys that are there and cannot be had must not be replaced.
            if !ring.source().has_none().await {
                return Err(away.into());
            }
            let key = fresh(now, rng)?;
            let id = key.id().clone();
            ring.source().keep(&Keys::new(key, []).dated(now)).await?;
            tracing::info!(key = %id, "the first key was made");
            ring.keys_now().await?;
            return Ok(());
        }
    };
    if next(&held, now, rng)?.is_none() {
        return Ok(());
    }
    let now_there = ring.keys_now().await?;
    if let Some(next) = next(&now_there, now, rng)? {
        ring.source().keep(&next).await?;
        tracing::info!(current = %next.current().id(), "keys were changed");
        ring.keys_now().await?;
    }
    Ok(())
}

/// The keys as they should be now; `None` when they are.
fn next(keys: &Keys, now: Timestamp, rng: &(dyn Rng + 'static)) -> Result<Option<Keys>, Trouble> {
    // Keys without an age belong to somebody who cares for them by hand.
    let Some(current) = keys.made(keys.current().id()) else { return Ok(None) };
    let made = |key: &Key| keys.made(key.id()).unwrap_or(current);
    let newer = keys.others().filter(|key| made(key) > current).max_by_key(|key| made(key));
    if let Some(newer) = newer {
        let known = made(newer) + KNOWN_FIRST <= now;
        // Dated anew: from now on the one before is superseded, however long this had to wait.
        return Ok(known.then(|| keys.clone().promoted(newer.id(), now)));
    }
    if current + PROOF_KEY_LIFE <= now {
        return Ok(Some(keys.clone().with(fresh(now, rng)?, now)));
    }
    let mut ages: Vec<Timestamp> = keys.others().map(made).chain([current]).collect();
    ages.sort_unstable();
    // What came next is what a key was superseded by.
    let after = |at: Timestamp| ages.iter().copied().find(|age| *age > at).unwrap_or(current);
    let over = keys.others().filter(|key| after(made(key)) + PROOF_KEY_OVERLAP <= now);
    let over: Vec<_> = over.map(|key| key.id().clone()).collect();
    Ok((!over.is_empty()).then(|| keys.clone().without(&over)))
}

/// A key named after the day and by chance.
fn fresh(now: Timestamp, rng: &(dyn Rng + 'static)) -> Result<Key, Trouble> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let id = format!("k{}-{:04x}", today.strftime("%Y%m%d"), rng.number() as u16);
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    rng.fill(bytes.as_mut_slice());
    Ok(Key::new(id.parse().map_err(|_| Trouble::NotMade)?, &bytes))
}

#[cfg(test)]
mod tests;
