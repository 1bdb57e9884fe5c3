//! The keys that Entra signs tokens with, as it publishes them: kept for a day, and loaded anew when
//! a token names one that is not among them.
//!
//! learn.microsoft.com/entra/identity-platform/signing-key-rollover, 2024-03; /access-tokens, 2025-01.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::cloud::Cloud;
use crate::base::{clock::Clock, http::Http};

/// Keys older than this are not believed any more.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Tokens that name unknown keys cause a load at most this often: anybody can send one.
const MISS_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The same where a client state has proved whose notification it is before its token is looked at.
const NOTIFICATION_MISS_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// A load that failed is not tried again for this long.
const FAILED_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Entra's keys cannot be had for now. Nothing is proved or refuted without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys that tokens are signed with are unavailable")]
pub struct Unavailable;

/// A key that Entra signs with (RS256).
#[derive(Clone)]
pub struct PublishedKey {
    pub(super) key: DecodingKey,
    /// Whose tokens it may sign; `{tenantid}` stands for any tenant.
    issuer: Option<String>,
}

impl PublishedKey {
    /// Whether the key may sign for `issuer`, who is the issuer of `tenant`. A key for personal
    /// accounts must not vouch for an organisation.
    pub(super) fn signs_for(&self, issuer: &str, tenant: &str) -> bool {
        let any = |published: &String| published.replace("{tenantid}", tenant) == issuer;
        self.issuer.as_ref().is_none_or(any)
    }
}

type Keys = HashMap<String, Arc<PublishedKey>>;

#[derive(Default)]
struct Held {
    keys: Option<(Arc<Keys>, Timestamp)>,
    /// When a load last failed, unless one went well since.
    failed: Option<Timestamp>,
    /// When a token last named a key that made us load.
    missed: Option<Timestamp>,
}

/// Entra's published keys, cached.
pub struct SigningKeys {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    address: Url,
    miss_pause: SignedDuration,
    held: StdMutex<Held>,
    /// One load at a time; those who wait for it look again.
    loading: Mutex<()>,
}

#[derive(Deserialize)]
struct SetWire {
    keys: Vec<KeyWire>,
}

#[derive(Deserialize)]
struct KeyWire {
    #[serde(default)]
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    n: Option<String>,
    e: Option<String>,
    issuer: Option<String>,
}

impl KeyWire {
    fn published(self) -> Option<(String, Arc<PublishedKey>)> {
        let fits = self.kty == "RSA"
            && self.alg.is_none_or(|alg| alg == "RS256")
            && self.used_for.is_none_or(|used_for| used_for == "sig");
        let key = DecodingKey::from_rsa_components(&self.n?, &self.e?).ok()?;
        let key = PublishedKey { key, issuer: self.issuer };
        if fits { Some((self.kid?, Arc::new(key))) } else { None }
    }
}

impl SigningKeys {
    /// The keys that `cloud` publishes, loaded over `http` when they are first needed.
    pub fn new(http: Arc<dyn Http>, clock: Arc<dyn Clock>, cloud: &Cloud) -> Self {
        let address = cloud.at_authority("common/discovery/v2.0/keys");
        let (held, loading) = (StdMutex::default(), Mutex::default());
        Self { http, clock, address, miss_pause: MISS_PAUSE, held, loading }
    }

    /// The same for the tokens of notifications, which strangers cannot send: an unknown key is
    /// looked for every 30 s, since what waits for it is somebody's appointment.
    pub fn for_notifications(http: Arc<dyn Http>, clock: Arc<dyn Clock>, cloud: &Cloud) -> Self {
        Self { miss_pause: NOTIFICATION_MISS_PAUSE, ..Self::new(http, clock, cloud) }
    }

    /// The key named `kid`, if it is held and fresh.
    pub(super) fn known(&self, kid: &str) -> Option<Arc<PublishedKey>> {
        self.fresh()?.get(kid).cloned()
    }

    /// The key named `kid`; `None` if Entra has no such key (any more).
    ///
    /// # Errors
    /// [`Unavailable`] when that cannot be said, because the keys could not be loaded.
    pub async fn find(&self, kid: &str) -> Result<Option<Arc<PublishedKey>>, Unavailable> {
        let held = self.fresh();
        if let Some(key) = held.as_ref().and_then(|keys| keys.get(kid)) {
            return Ok(Some(Arc::clone(key)));
        }
        Ok(self.load(held.is_some()).await?.get(kid).cloned())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Arc<Keys>> {
        let now = self.clock.now();
        let held = self.held();
        let (keys, at) = held.keys.as_ref()?;
        (now.duration_since(*at) < LIFE).then(|| Arc::clone(keys))
    }

    /// Whether keys that are fresh may be loaded again for the sake of an unknown name. After a
    /// load that failed: as soon as one may be tried again.
    fn may_look_again(&self) -> bool {
        let (now, held) = (self.clock.now(), self.held());
        let over = |since: Timestamp, pause| now.duration_since(since) >= pause;
        match held.failed {
            Some(failed) => over(failed, FAILED_PAUSE),
            None => held.missed.is_none_or(|missed| over(missed, self.miss_pause)),
        }
    }

    /// Loads the keys; `again`: although those that are held are fresh, if it is time for that.
    async fn load(&self, again: bool) -> Result<Arc<Keys>, Unavailable> {
        let _turn = self.loading.lock().await;
        let now = self.clock.now();
        // Somebody else may have loaded while this one waited for its turn.
        if let Some(keys) = self.fresh()
            && !(again && self.may_look_again())
        {
            return if again && self.held().failed.is_some() { Err(Unavailable) } else { Ok(keys) };
        }
        {
            let mut held = self.held();
            if held.failed.is_some_and(|failed| now.duration_since(failed) < FAILED_PAUSE) {
                return Err(Unavailable);
            }
            // So it stands until the keys are here: whoever gives up waiting leaves it so.
            held.failed = Some(now);
            if again {
                held.missed = Some(now);
            }
        }
        let keys = Arc::new(self.fetch().await?);
        let mut held = self.held();
        held.keys = Some((Arc::clone(&keys), now));
        held.failed = None;
        Ok(keys)
    }

    async fn fetch(&self) -> Result<Keys, Unavailable> {
        let request = http::Request::builder().method(Method::GET).uri(self.address.as_str());
        let request = request.body(Bytes::new()).map_err(|_| Unavailable)?;
        let answer = self.http.send(request).await.map_err(|error| {
            tracing::warn!(%error, "Entra's signing keys cannot be had");
            Unavailable
        })?;
        let set = serde_json::from_slice::<SetWire>(answer.body());
        let keys: Keys = match (answer.status().as_u16(), set) {
            (200, Ok(set)) => set.keys.into_iter().filter_map(KeyWire::published).collect(),
            (status, _) => {
                tracing::warn!(status, "Entra's signing keys cannot be read");
                return Err(Unavailable);
            }
        };
        // Entra always has some; an answer without any is not an answer.
        if keys.is_empty() { Err(Unavailable) } else { Ok(keys) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use world::signing::SigningKey;

    use super::*;
    use crate::{
        base::clock::ManualClock,
        identity::scripted::{Scripted, cloud},
    };

    struct Trial {
        far: Arc<Scripted>,
        clock: ManualClock,
        keys: SigningKeys,
    }

    fn trial() -> Trial {
        let far = Arc::new(Scripted::default());
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let keys = SigningKeys::new(Arc::clone(&far) as _, Arc::new(clock.clone()), &cloud());
        Trial { far, clock, keys }
    }

    impl Trial {
        async fn knows(&self, kid: &str) -> Result<bool, Unavailable> {
            self.keys.find(kid).await.map(|key| key.is_some())
        }

        fn loads(&self) -> usize {
            self.far.asked().len()
        }

        fn pass(&self, seconds: i64) {
            self.clock.advance(SignedDuration::from_secs(seconds));
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }

    /// What Entra publishes during a rollover.
    fn both(old: &SigningKey, new: &SigningKey) -> Value {
        json!({ "keys": [old.jwks()["keys"][0], new.jwks()["keys"][0]] })
    }

    fn with(set: Value, change: impl Fn(&mut Value)) -> Value {
        let mut set = set;
        change(&mut set["keys"][0]);
        set
    }

    #[tokio::test]
    async fn keys_are_loaded_once_a_day() {
        let (trial, key) = (trial(), key());
        trial.far.then(200, &key.jwks());
        let many = futures::future::join_all((0..10).map(|_| trial.knows(key.kid()))).await;
        assert!(many.into_iter().all(|known| known == Ok(true)));
        assert_eq!(trial.loads(), 1);
        let address = trial.far.asked()[0].uri().to_string();
        assert_eq!(address, "https://login.test/common/discovery/v2.0/keys");
        trial.pass(24 * 3600 - 1);
        assert_eq!(trial.knows(key.kid()).await, Ok(true));
        assert_eq!(trial.loads(), 1);
        trial.pass(1);
        trial.far.then(200, &key.jwks());
        assert_eq!(trial.knows(key.kid()).await, Ok(true));
        assert_eq!(trial.loads(), 2);
    }

    #[tokio::test]
    async fn a_new_key_is_found_at_once_and_made_up_ones_cost_a_load_in_five_minutes() {
        let (trial, old, new) = (trial(), key(), key());
        trial.far.then(200, &old.jwks());
        assert_eq!(trial.knows(old.kid()).await, Ok(true));
        trial.far.then(200, &both(&old, &new));
        assert_eq!(trial.knows(new.kid()).await, Ok(true));
        for seconds in [0, 200, 99] {
            trial.pass(seconds);
            assert_eq!(trial.knows("made up").await, Ok(false));
        }
        assert_eq!(trial.loads(), 2);
        trial.pass(1);
        trial.far.then(200, &new.jwks());
        let many = futures::future::join_all((0..10).map(|_| trial.knows("made up"))).await;
        assert!(many.into_iter().all(|known| known == Ok(false)));
        assert_eq!(trial.loads(), 3);
        assert_eq!(trial.knows(old.kid()).await, Ok(false), "it was rotated out");
    }

    #[tokio::test]
    async fn while_entra_is_away_nothing_is_called_unknown() {
        let (trial, old, new) = (trial(), key(), key());
        trial.far.then_silence();
        assert_eq!(trial.knows(old.kid()).await, Err(Unavailable));
        assert_eq!(trial.knows(old.kid()).await, Err(Unavailable));
        assert_eq!(trial.loads(), 1, "asked a moment ago");
        trial.pass(5);
        trial.far.then(200, &old.jwks());
        assert_eq!(trial.knows(old.kid()).await, Ok(true));
        trial.far.then(503, &json!({}));
        for _ in 0..3 {
            assert_eq!(trial.knows(new.kid()).await, Err(Unavailable));
            assert_eq!(trial.knows(old.kid()).await, Ok(true), "it is known still");
        }
        assert_eq!(trial.loads(), 3);
        trial.pass(5);
        trial.far.then(200, &both(&old, &new));
        assert_eq!(trial.knows(new.kid()).await, Ok(true));
        trial.pass(24 * 3600);
        trial.far.then(200, &json!({ "keys": [] }));
        assert_eq!(
            trial.knows(old.kid()).await,
            Err(Unavailable),
            "a day old, and none to compare"
        );
    }

    #[tokio::test]
    async fn only_rsa_keys_for_signatures_are_taken() {
        let key = key();
        let cases = [
            with(key.jwks(), |key| key["kty"] = json!("EC")),
            with(key.jwks(), |key| key["kty"] = json!("oct")),
            with(key.jwks(), |key| key["use"] = json!("enc")),
            with(key.jwks(), |key| key["alg"] = json!("RS512")),
            with(key.jwks(), |key| key["n"] = Value::Null),
            with(key.jwks(), |key| key["kid"] = Value::Null),
        ];
        for mut set in cases {
            let trial = trial();
            let other = self::key();
            let good = other.jwks()["keys"][0].clone();
            set["keys"].as_array_mut().unwrap().push(good);
            trial.far.then(200, &set).then(200, &set);
            assert_eq!(trial.knows(other.kid()).await, Ok(true), "{set}");
            assert_eq!(trial.knows(key.kid()).await, Ok(false), "{set}");
        }
    }
}
