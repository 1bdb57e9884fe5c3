//! The keys that Entra signs tokens with, as it publishes them: kept for a day, loaded again after a
//! quarter of it, and when a token names one that is not among them.
//!
//! They are loaded by a task of its own that all callers share. Anybody can send a token and hang up,
//! which must neither undo a load nor count as one that failed.
//!
//! learn.microsoft.com/entra/identity-platform/signing-key-rollover, 2024-03; /access-tokens, 2025-01.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::DecodingKey;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::vault::KeysUnavailable;
use crate::{
    base::{clock::Clock, http::Http, json::json_member},
    identity::app_tokens::Cloud,
};

/// Keys older than this are not believed any more.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Keys older than this serve on while they are loaded again, so that Entra may be away for hours.
const REFRESH_AFTER: SignedDuration = SignedDuration::from_hours(6);

/// Tokens that name unknown keys cause a load at most this often: anybody can send one.
const UNKNOWN_KEY_PAUSE: SignedDuration = SignedDuration::from_mins(5);

/// The same where a client state has proved whose notification it is before its token is looked at.
const NOTIFICATION_UNKNOWN_KEY_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// A load that failed is not tried again for this long.
const FAILED_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// A key that Entra signs with (RS256).
#[derive(Clone)]
pub struct PublishedKey {
    name: String,
    pub(in crate::identity) key: DecodingKey,
    /// Whose tokens it may sign; `{tenantid}` means any tenant.
    issuer: Option<String>,
}

impl PublishedKey {
    /// Whether the key may sign for `issuer`, who is the issuer of `tenant`. A key for personal
    /// accounts must not vouch for an organisation.
    pub(in crate::identity) fn may_sign_for(&self, issuer: &str, tenant: &str) -> bool {
        let any = |published: &String| published.replace("{tenantid}", tenant) == issuer;
        self.issuer.as_ref().is_none_or(any)
    }
}

/// Entra's published keys, cached.
pub struct SigningKeys {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    jwks_url: Url,
    unknown_key_pause: SignedDuration,
    /// The keys, and when they were loaded.
    keys: StdMutex<Option<(Vec<Arc<PublishedKey>>, Timestamp)>>,
    /// One load at a time; those who wait for it share its outcome.
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    /// When a load last failed, unless one went well since.
    failed_at: Option<Timestamp>,
    /// When a token last named a key that made us load.
    unknown_key_at: Option<Timestamp>,
}

/// Why keys are loaded.
#[derive(Clone, Copy)]
enum LoadReason {
    NoneHeld,
    /// Those that are held lack the one that a token names: it is new, or made up.
    UnknownKey,
    Refresh,
}

impl SigningKeys {
    /// The keys that `cloud` publishes, loaded over `http` when they are first needed.
    pub fn new(http: Arc<dyn Http>, clock: Arc<dyn Clock>, cloud: &Cloud) -> Arc<Self> {
        Self::with_pause(http, clock, cloud, UNKNOWN_KEY_PAUSE)
    }

    /// The same for the tokens of notifications, which strangers cannot send: an unknown key is
    /// looked for every 30 s, since what waits for it is somebody's appointment.
    pub fn for_notifications(
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        cloud: &Cloud,
    ) -> Arc<Self> {
        Self::with_pause(http, clock, cloud, NOTIFICATION_UNKNOWN_KEY_PAUSE)
    }

    fn with_pause(
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        cloud: &Cloud,
        unknown_key_pause: SignedDuration,
    ) -> Arc<Self> {
        let jwks_url = cloud.authority_url("common/discovery/v2.0/keys");
        let (keys, attempts) = Default::default();
        Arc::new(Self { http, clock, jwks_url, unknown_key_pause, keys, attempts })
    }

    /// The key named `kid`; `None` if Entra has no such key (any more).
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said, because the keys could not be loaded.
    pub async fn find(
        self: &Arc<Self>,
        kid: &str,
    ) -> Result<Option<Arc<PublishedKey>>, KeysUnavailable> {
        let named = |keys: Vec<Arc<PublishedKey>>| keys.into_iter().find(|key| key.name == kid);
        let Some((held, age)) = self.cached_keys() else {
            return self.spawn_load(LoadReason::NoneHeld).await.map(named);
        };
        if let Some(key) = named(held) {
            if age >= REFRESH_AFTER && self.attempts.try_lock().is_ok() {
                // Nobody waits for it.
                drop(self.spawn_load(LoadReason::Refresh));
            }
            return Ok(Some(key));
        }
        self.spawn_load(LoadReason::UnknownKey).await.map(named)
    }

    fn lock_keys(&self) -> MutexGuard<'_, Option<(Vec<Arc<PublishedKey>>, Timestamp)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that are held and may be believed, and how old they are.
    fn cached_keys(&self) -> Option<(Vec<Arc<PublishedKey>>, SignedDuration)> {
        let held = self.lock_keys();
        let (keys, at) = held.as_ref()?;
        let age = self.clock.now().duration_since(*at);
        (age < MAX_AGE).then(|| (keys.clone(), age))
    }

    /// Loads the keys, whether or not the caller stays to see it.
    fn spawn_load(
        self: &Arc<Self>,
        reason: LoadReason,
    ) -> impl Future<Output = Result<Vec<Arc<PublishedKey>>, KeysUnavailable>> + use<> {
        let keys = Arc::clone(self);
        let task = tokio::spawn(async move { keys.load_unless_recent(reason).await });
        async { task.await.unwrap_or(Err(KeysUnavailable)) }
    }

    /// Loads the keys, unless that was done or has failed a moment ago.
    async fn load_unless_recent(
        &self,
        reason: LoadReason,
    ) -> Result<Vec<Arc<PublishedKey>>, KeysUnavailable> {
        let mut attempts = self.attempts.lock().await;
        let now = self.clock.now();
        let within =
            |at: Option<Timestamp>, pause| at.is_some_and(|at| now.duration_since(at) < pause);
        // Somebody else may have loaded while this one waited for its turn.
        if let Some((keys, age)) = self.cached_keys() {
            let is_recent = match reason {
                LoadReason::NoneHeld => true,
                LoadReason::Refresh => age < REFRESH_AFTER,
                LoadReason::UnknownKey => {
                    attempts.failed_at.is_none()
                        && within(attempts.unknown_key_at, self.unknown_key_pause)
                }
            };
            if is_recent {
                return Ok(keys);
            }
        }
        if within(attempts.failed_at, FAILED_PAUSE) {
            return Err(KeysUnavailable);
        }
        if matches!(reason, LoadReason::UnknownKey) {
            attempts.unknown_key_at = Some(now);
        }
        let loaded = self.fetch().await;
        attempts.failed_at = loaded.is_err().then(|| self.clock.now());
        let keys = loaded?;
        *self.lock_keys() = Some((keys.clone(), now));
        Ok(keys)
    }

    async fn fetch(&self) -> Result<Vec<Arc<PublishedKey>>, KeysUnavailable> {
        let request = http::Request::builder().method(Method::GET).uri(self.jwks_url.as_str());
        let request = request.body(Bytes::new()).map_err(|_| KeysUnavailable)?;
        let answer = self.http.send(request).await.map_err(|error| {
            tracing::warn!(%error, "Entra's signing keys could not be fetched");
            KeysUnavailable
        })?;
        let published: Option<Vec<Value>> = json_member(answer.body(), "keys");
        let keys: Vec<_> = match (answer.status().as_u16(), published) {
            (200, Some(keys)) => keys.iter().filter_map(parse_key).collect(),
            (status, _) => {
                tracing::warn!(status, "Entra's signing keys cannot be read");
                return Err(KeysUnavailable);
            }
        };
        // Entra always has some; an answer without any is not an answer.
        if keys.is_empty() { Err(KeysUnavailable) } else { Ok(keys) }
    }
}

/// A published key; `None` for one that does not sign with RS256. By hand, not
/// with the JWK type of `jsonwebtoken`: that drops the issuer, which Entra adds to each key.
fn parse_key(jwk: &Value) -> Option<Arc<PublishedKey>> {
    let text = |name: &str| jwk[name].as_str();
    let fits = |name: &str, value: &str| jwk[name].is_null() || jwk[name] == value;
    if text("kty") != Some("RSA") || !fits("alg", "RS256") || !fits("use", "sig") {
        return None;
    }
    let key = DecodingKey::from_rsa_components(text("n")?, text("e")?).ok()?;
    // A key for issuers that we cannot read must not pass for one that signs for everybody.
    let issuer = text("issuer").map(str::to_owned);
    if issuer.is_none() && !jwk["issuer"].is_null() {
        return None;
    }
    Some(Arc::new(PublishedKey { name: text("kid")?.to_owned(), key, issuer }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use world::signing::SigningKey;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        identity::scripted_http::{ScriptedHttp, cloud},
    };

    struct SigningKeysFixture {
        http: Arc<ScriptedHttp>,
        clock: ManualClock,
        keys: Arc<SigningKeys>,
    }

    fn fixture() -> SigningKeysFixture {
        let far = Arc::new(ScriptedHttp::default());
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let keys = SigningKeys::new(Arc::clone(&far) as _, Arc::new(clock.clone()), &cloud());
        SigningKeysFixture { http: far, clock, keys }
    }

    impl SigningKeysFixture {
        async fn knows(&self, kid: &str) -> Result<bool, KeysUnavailable> {
            self.keys.find(kid).await.map(|key| key.is_some())
        }

        fn loads(&self) -> usize {
            self.http.requests().len()
        }

        fn pass(&self, seconds: i64) {
            self.clock.advance(SignedDuration::from_secs(seconds));
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }

    /// What Entra publishes during a rollover.
    fn rollover_jwks(old: &SigningKey, new: &SigningKey) -> Value {
        json!({ "keys": [old.jwks()["keys"][0], new.jwks()["keys"][0]] })
    }

    fn with(set: Value, change: impl Fn(&mut Value)) -> Value {
        let mut set = set;
        change(&mut set["keys"][0]);
        set
    }

    async fn yield_a_while() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn keys_are_loaded_once_and_refreshed_long_before_they_end() {
        let (trial, key) = (fixture(), key());
        trial.http.respond(200, &key.jwks());
        let many = futures::future::join_all((0..10).map(|_| trial.knows(key.kid()))).await;
        assert!(many.into_iter().all(|known| known == Ok(true)));
        assert_eq!(trial.loads(), 1);
        let address = trial.http.requests()[0].uri().to_string();
        assert_eq!(address, "https://login.test/common/discovery/v2.0/keys");
        trial.pass(6 * 3600 - 1);
        assert_eq!(trial.knows(key.kid()).await, Ok(true));
        yield_a_while().await;
        assert_eq!(trial.loads(), 1);
        // From now on they are refreshed, and serve on while that fails.
        trial.pass(1);
        for failed in 1..4 {
            trial.http.time_out();
            let many = futures::future::join_all((0..10).map(|_| trial.knows(key.kid()))).await;
            assert!(many.into_iter().all(|known| known == Ok(true)));
            yield_a_while().await;
            assert_eq!(trial.loads(), 1 + failed);
            trial.pass(5);
        }
        trial.http.respond(200, &key.jwks());
        assert_eq!(trial.knows(key.kid()).await, Ok(true));
        yield_a_while().await;
        trial.pass(6 * 3600 - 6);
        assert_eq!(trial.knows(key.kid()).await, Ok(true));
        yield_a_while().await;
        assert_eq!(trial.loads(), 5);
    }

    #[tokio::test]
    async fn who_hangs_up_neither_undoes_a_load_nor_makes_it_fail() {
        let (trial, key) = (fixture(), key());
        trial.http.respond(200, &key.jwks());
        let mut aborted = Box::pin(trial.knows("made up"));
        assert!(futures::poll!(&mut aborted).is_pending());
        drop(aborted);
        yield_a_while().await;
        assert_eq!(trial.loads(), 1, "it ends all the same");
        assert_eq!(trial.knows(key.kid()).await, Ok(true), "on a fresh instance, at once");
        assert_eq!(trial.loads(), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_at_once_and_made_up_ones_cost_a_load_in_five_minutes() {
        let (trial, old, new) = (fixture(), key(), key());
        trial.http.respond(200, &old.jwks());
        assert_eq!(trial.knows(old.kid()).await, Ok(true));
        trial.http.respond(200, &rollover_jwks(&old, &new));
        assert_eq!(trial.knows(new.kid()).await, Ok(true));
        for seconds in [0, 200, 99] {
            trial.pass(seconds);
            assert_eq!(trial.knows("made up").await, Ok(false));
        }
        assert_eq!(trial.loads(), 2);
        trial.pass(1);
        trial.http.respond(200, &new.jwks());
        let many = futures::future::join_all((0..10).map(|_| trial.knows("made up"))).await;
        assert!(many.into_iter().all(|known| known == Ok(false)));
        assert_eq!(trial.loads(), 3);
        assert_eq!(trial.knows(old.kid()).await, Ok(false), "it was rotated out");
    }

    #[tokio::test]
    async fn while_entra_is_away_nothing_is_called_unknown() {
        let (trial, old, new) = (fixture(), key(), key());
        trial.http.time_out();
        assert_eq!(trial.knows(old.kid()).await, Err(KeysUnavailable));
        assert_eq!(trial.knows(old.kid()).await, Err(KeysUnavailable));
        assert_eq!(trial.loads(), 1, "asked a moment ago");
        trial.pass(5);
        trial.http.respond(200, &old.jwks());
        assert_eq!(trial.knows(old.kid()).await, Ok(true));
        trial.http.respond(503, &json!({}));
        for _ in 0..3 {
            assert_eq!(trial.knows(new.kid()).await, Err(KeysUnavailable));
            assert_eq!(trial.knows(old.kid()).await, Ok(true), "it is known still");
        }
        assert_eq!(trial.loads(), 3);
        trial.pass(5);
        trial.http.respond(200, &rollover_jwks(&old, &new));
        assert_eq!(trial.knows(new.kid()).await, Ok(true));
        trial.pass(24 * 3600);
        trial.http.respond(200, &json!({ "keys": [] }));
        assert_eq!(
            trial.knows(old.kid()).await,
            Err(KeysUnavailable),
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
            let trial = fixture();
            let other = self::key();
            let good = other.jwks()["keys"][0].clone();
            set["keys"].as_array_mut().unwrap().push(good);
            trial.http.respond(200, &set).respond(200, &set);
            assert_eq!(trial.knows(other.kid()).await, Ok(true), "{set}");
            assert_eq!(trial.knows(key.kid()).await, Ok(false), "{set}");
        }
    }
}
