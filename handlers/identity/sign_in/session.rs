//! What a browser keeps for us: cookies that only we can read and make.
//!
//! Each is sealed with AES-256-GCM under a key from the vault, bound to its cookie's name, and says
//! which key that was, so that keys are changed without signing anybody out.

use std::{fmt, sync::Arc};

use cookie::{Cookie, CookieJar, SameSite, time::Duration};
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    oauth_state::{FLOW_TIMEOUT, PendingFlow, constant_time_eq, random_token},
    token_verifier::SignedInUser,
};
use crate::{
    base::{clock::Clock, rng::Rng},
    identity::keys::{
        KeyRing, KeysUnavailable,
        client_state::{KeyId, SecretKey},
    },
};

/// Somebody who is signed in.
const SESSION_COOKIE: &str = "__Host-roombridge-session";
/// Somebody who was sent to Entra.
const PENDING_COOKIE: &str = "__Host-roombridge-pending";

/// How long a session lasts.
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// The longest cookie that is looked at, in bytes: browsers keep no longer ones (RFC 6265, 6.1).
const COOKIE_MAX: usize = 4096;

/// The published list of cookies (name, content, longest life and purpose): there is no other one.
/// `infra/data-and-access.md` carries it; a test compares them.
pub const COOKIES: [(&str, &str, SignedDuration, &str); 2] = [
    (
        SESSION_COOKIE,
        "tenant id, object id, name, sign-in name, whether an administrator, the forms' secret, its end",
        SESSION_LIFETIME,
        "to know on the next page who signed in",
    ),
    (
        PENDING_COOKIE,
        "state, nonce and PKCE verifier of a sign-in, or state and tenant id of a consent; its beginning and its page",
        FLOW_TIMEOUT,
        "to take Microsoft's answer from the browser that asked alone",
    ),
];

/// Somebody who is signed in with a browser. It is written into its sealed cookie and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    #[serde(flatten)]
    pub signed_in: SignedInUser,
    /// What every form of this session carries, so that no other site can post it.
    pub csrf: String,
    #[serde(rename = "expires")]
    pub expires_at: Timestamp,
}

impl Session {
    /// Whether a form that carries `form_token` was made by a page of this session.
    pub fn csrf_matches(&self, form_token: &str) -> bool {
        constant_time_eq(form_token, &self.csrf)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Session");
        shown.field("signed_in", &self.signed_in).field("expires_at", &self.expires_at);
        shown.finish_non_exhaustive()
    }
}

/// Seals and opens cookies.
pub struct SessionCookies {
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl SessionCookies {
    /// Cookies under `keys`.
    pub fn new(keys: Arc<KeyRing>, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { keys, clock, rng }
    }

    /// A new session, for an hour.
    pub fn start(&self, signed_in: SignedInUser) -> Session {
        let expires = self.clock.now() + SESSION_LIFETIME;
        Session { signed_in, csrf: random_token(self.rng.as_ref()), expires_at: expires }
    }

    /// The `Set-Cookie` that keeps `session`.
    pub async fn seal(&self, session: &Session) -> Result<HeaderValue, KeysUnavailable> {
        self.encrypt_cookie(SESSION_COOKIE, session, SESSION_LIFETIME).await
    }

    /// The session among `cookies`; `None` when there is none, it is over, or not ours.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said for now.
    pub async fn open(&self, cookies: &HeaderMap) -> Result<Option<Session>, KeysUnavailable> {
        let session: Option<Session> = self.decrypt_cookie(SESSION_COOKIE, cookies).await?;
        // A browser may keep a cookie for longer than we asked.
        Ok(session.filter(|session| self.clock.now() < session.expires_at))
    }

    /// The `Set-Cookie` that signs out.
    pub fn clear(&self) -> HeaderValue {
        expired_cookie(SESSION_COOKIE)
    }

    /// The `Set-Cookie` that keeps `flow` while the browser is at Entra.
    pub async fn seal_pending(&self, flow: &PendingFlow) -> Result<HeaderValue, KeysUnavailable> {
        self.encrypt_cookie(PENDING_COOKIE, flow, FLOW_TIMEOUT).await
    }

    /// What the browser was sent to Entra for; `None` when it was not, or the cookie is not ours.
    /// The code that finishes it checks whether its time is over.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said for now.
    pub async fn open_pending(
        &self,
        cookies: &HeaderMap,
    ) -> Result<Option<PendingFlow>, KeysUnavailable> {
        self.decrypt_cookie(PENDING_COOKIE, cookies).await
    }

    /// The `Set-Cookie` that ends a pending flow.
    pub fn clear_pending(&self) -> HeaderValue {
        expired_cookie(PENDING_COOKIE)
    }

    async fn encrypt_cookie(
        &self,
        name: &'static str,
        content: &impl Serialize,
        life: SignedDuration,
    ) -> Result<HeaderValue, KeysUnavailable> {
        let keys = self.keys.keys().await?;
        let content = serde_json::to_string(content).map_err(|_| KeysUnavailable)?;
        let mut jar = CookieJar::new();
        jar.private_mut(&cipher_key(keys.current())).add(Cookie::new(name, content));
        let sealed = jar.get(name).map(Cookie::value).unwrap_or_default();
        let value = format!("{}.{sealed}", keys.current().id());
        header_value(build_cookie(name, value, Duration::seconds(life.as_secs())))
            .ok_or(KeysUnavailable)
    }

    async fn decrypt_cookie<T: DeserializeOwned>(
        &self,
        name: &'static str,
        cookies: &HeaderMap,
    ) -> Result<Option<T>, KeysUnavailable> {
        let Some((id, sealed)) = read_cookie(name, cookies) else { return Ok(None) };
        // A process that started later may have sealed it with a key that is not held here yet.
        let keys = self.keys.keys_including(&id).await?;
        let Some(key) = keys.get(&id) else { return Ok(None) };
        let jar = CookieJar::new();
        let opened = jar.private(&cipher_key(key)).decrypt(Cookie::new(name, sealed));
        Ok(opened.and_then(|opened| serde_json::from_str(opened.value()).ok()))
    }
}

/// The key as the cipher takes it.
fn cipher_key(key: &SecretKey) -> cookie::Key {
    cookie::Key::derive_from(key.bytes())
}

/// The cookie `name` that a browser presents: the key it names, and what is sealed with it.
fn read_cookie(name: &str, cookies: &HeaderMap) -> Option<(KeyId, String)> {
    let lines = cookies.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut found = lines.flat_map(Cookie::split_parse).flatten().filter(|c| c.name() == name);
    let value = found.next()?.value().to_owned();
    // A stranger's cookie must not cost a load of the keys: it has to have our form first.
    let (id, sealed) = value.split_once('.').filter(|_| value.len() <= COOKIE_MAX)?;
    Some((id.parse().ok()?, sealed.to_owned()))
}

fn build_cookie(name: &'static str, value: String, max_age: Duration) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        // Not `Strict`: the browser comes back from Entra's site, and must bring it.
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .build()
}

fn header_value(cookie: Cookie<'static>) -> Option<HeaderValue> {
    HeaderValue::try_from(cookie.to_string()).ok()
}

fn expired_cookie(name: &'static str) -> HeaderValue {
    let empty = build_cookie(name, String::new(), Duration::ZERO);
    header_value(empty).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        domain::{
            ids::{MailboxId, TenantId},
            personal::Personal,
        },
        identity::{keys::client_state::KeySet, scripted_http::MemoryKeys},
    };

    fn key(id: &str, byte: u8) -> SecretKey {
        SecretKey::new(id.parse().unwrap(), &[byte; 32])
    }

    struct SessionFixture {
        vault: MemoryKeys,
        clock: ManualClock,
        sessions: SessionCookies,
    }

    impl SessionFixture {
        /// Another process with the same vault.
        fn other_process(&self) -> SessionCookies {
            let time: Arc<dyn Clock> = Arc::new(self.clock.clone());
            let ring = KeyRing::new(Box::new(self.vault.clone()), Arc::clone(&time));
            SessionCookies::new(Arc::new(ring), time, Arc::new(SeededRng::new(2)))
        }

        async fn open(&self, cookie: &str) -> Option<Session> {
            self.sessions.open(&cookie_header(cookie)).await.unwrap()
        }
    }

    fn fixture() -> SessionFixture {
        let vault = MemoryKeys::default();
        vault.put(Some(KeySet::new(key("c1", 1), [])));
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let ring = KeyRing::new(Box::new(vault.clone()), Arc::clone(&time));
        let sessions = SessionCookies::new(Arc::new(ring), time, Arc::new(SeededRng::new(1)));
        SessionFixture { vault, clock, sessions }
    }

    fn anna() -> SignedInUser {
        SignedInUser {
            tenant: TenantId(Uuid::from_u128(1)),
            person: MailboxId(Uuid::from_u128(2)),
            name: Personal::new("Anna Lund"),
            address: Personal::new("anna@contoso.example"),
            administrator: true,
        }
    }

    /// What a browser makes of a `Set-Cookie`: name and value.
    fn cookie_pair(set: &HeaderValue) -> String {
        set.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn cookie_header(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
        headers
    }

    #[tokio::test]
    async fn a_session_is_sent_to_the_browser_and_comes_back_for_an_hour() {
        let trial = fixture();
        let session = trial.sessions.start(anna());
        let set = trial.sessions.seal(&session).await.unwrap();
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-roombridge-session=c1."), "{text}");
        for word in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/", "; Max-Age=3600"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("Domain") && !text.contains("Anna"));
        let cookie = cookie_pair(&set);
        assert_eq!(trial.open(&cookie).await, Some(session.clone()));
        assert_eq!(trial.open(&format!("a=b; {cookie}; c=d")).await, Some(session.clone()));
        trial.clock.advance(SignedDuration::from_mins(59));
        assert!(trial.open(&cookie).await.is_some());
        trial.clock.advance(SignedDuration::from_mins(1));
        assert_eq!(trial.open(&cookie).await, None);
        let shown = format!("{session:?}");
        assert!(!shown.contains("Anna") && !shown.contains(&session.csrf), "{shown}");
    }

    #[tokio::test]
    async fn nobody_but_us_makes_or_changes_a_cookie() {
        let trial = fixture();
        let session = trial.sessions.start(anna());
        let cookie = cookie_pair(&trial.sessions.seal(&session).await.unwrap());
        let (name, value) = cookie.split_once('=').unwrap();
        for at in 0..value.len() {
            let mut bytes = value.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            assert_eq!(trial.open(&format!("{name}={tampered}")).await, None, "{at}");
        }
        for value in ["", ".", "c1", "c1.", "c1.AAAA", "c9.AAAA", &value[..value.len() - 4]] {
            assert_eq!(trial.open(&format!("{name}={value}")).await, None, "{value}");
        }
        let long = format!("{name}=c1.{}", "A".repeat(5000));
        assert_eq!(trial.open(&long).await, None);
        assert_eq!(trial.sessions.open(&HeaderMap::new()).await, Ok(None));
        // A cookie is good under its own name only.
        let renamed = format!("{PENDING_COOKIE}={value}");
        assert_eq!(trial.sessions.open_pending(&cookie_header(&renamed)).await, Ok(None));
        let other = trial.sessions.encrypt_cookie(PENDING_COOKIE, &session, SESSION_LIFETIME);
        let other = cookie_pair(&other.await.unwrap()).replace(PENDING_COOKIE, SESSION_COOKIE);
        assert_eq!(trial.open(&other).await, None);
        assert_eq!(trial.open(&cookie).await, Some(session));
    }

    #[tokio::test]
    async fn keys_are_changed_without_signing_anybody_out() {
        let trial = fixture();
        let session = trial.sessions.start(anna());
        let old = cookie_pair(&trial.sessions.seal(&session).await.unwrap());
        trial.vault.put(Some(KeySet::new(key("c2", 2), [key("c1", 1)])));
        let beside = trial.other_process();
        assert_eq!(beside.open(&cookie_header(&old)).await, Ok(Some(session.clone())));
        let new = cookie_pair(&beside.seal(&session).await.unwrap());
        trial.clock.advance(SignedDuration::from_secs(30));
        assert_eq!(trial.open(&new).await, Some(session.clone()), "the new key is looked for");
        trial.vault.put(Some(KeySet::new(key("c2", 2), [])));
        assert_eq!(
            trial.other_process().open(&cookie_header(&old)).await,
            Ok(None),
            "it was taken away"
        );
        // The same name with other bytes is another key.
        trial.vault.put(Some(KeySet::new(key("c2", 3), [])));
        assert_eq!(trial.other_process().open(&cookie_header(&new)).await, Ok(None));
    }

    #[tokio::test]
    async fn a_key_that_was_replaced_opens_nothing_an_hour_later() {
        let trial = fixture();
        let session = trial.sessions.start(anna());
        let cookie = cookie_pair(&trial.sessions.seal(&session).await.unwrap());
        trial.vault.put(Some(KeySet::new(key("c2", 2), [])));
        trial.clock.advance(SignedDuration::from_mins(59));
        assert_eq!(trial.open(&cookie).await, Some(session), "the keys are held for an hour");
        trial.clock.advance(SignedDuration::from_mins(1));
        // A session would be over by now; a pending flow shows the key alone.
        let flow: PendingFlow = serde_json::from_value(serde_json::json!({
            "state": "s", "started": "2026-11-24T09:00:00Z",
            "purpose": { "SignIn": { "nonce": "n", "verifier": "v", "return_target": "my-calendar" } },
        }))
        .unwrap();
        let old = fixture();
        let pending = cookie_pair(&old.sessions.seal_pending(&flow).await.unwrap());
        assert_eq!(trial.sessions.open_pending(&cookie_header(&pending)).await, Ok(None));
    }

    #[tokio::test]
    async fn while_the_vault_is_away_nobody_is_called_a_stranger() {
        let trial = fixture();
        let cookie =
            cookie_pair(&trial.sessions.seal(&trial.sessions.start(anna())).await.unwrap());
        trial.vault.put(None);
        let beside = trial.other_process();
        assert_eq!(beside.open(&cookie_header(&cookie)).await, Err(KeysUnavailable));
        assert_eq!(
            beside.open(&HeaderMap::new()).await,
            Ok(None),
            "no key is needed to see nobody"
        );
        assert!(trial.open(&cookie).await.is_some(), "a process with the keys opens it");
    }

    #[tokio::test]
    async fn the_longest_names_fit_into_a_cookie() {
        let trial = fixture();
        let longest = || Personal::new("\u{1F3E2}".repeat(256));
        let person = SignedInUser { name: longest(), address: longest(), ..anna() };
        let session = trial.sessions.start(person);
        let cookie = cookie_pair(&trial.sessions.seal(&session).await.unwrap());
        assert!(cookie.len() <= COOKIE_MAX, "{}", cookie.len());
        assert_eq!(trial.open(&cookie).await, Some(session));
    }

    #[tokio::test]
    async fn a_pending_flow_is_kept_for_ten_minutes_and_ended() {
        let trial = fixture();
        let pending = serde_json::json!({ "SignIn": {
            "nonce": "n", "verifier": "v", "return_target": "my-calendar",
        } });
        let consent = serde_json::json!({ "Consent": {
            "tenant": Uuid::from_u128(1), "registration": "Scoped", "rehearsal": false,
        } });
        for purpose in [pending, consent] {
            let flow: PendingFlow = serde_json::from_value(serde_json::json!({
                "state": "s", "started": "2026-11-24T09:00:00Z", "purpose": purpose,
            }))
            .unwrap();
            let set = trial.sessions.seal_pending(&flow).await.unwrap();
            assert!(set.to_str().unwrap().contains("; Max-Age=600"));
            let cookies = cookie_header(&cookie_pair(&set));
            assert_eq!(trial.sessions.open_pending(&cookies).await, Ok(Some(flow)));
            assert_eq!(trial.sessions.open(&cookies).await, Ok(None));
        }
        for forgotten in [trial.sessions.clear_pending(), trial.sessions.clear()] {
            let text = forgotten.to_str().unwrap();
            assert!(text.contains("=; ") && text.contains("; Max-Age=0"), "{text}");
            assert!(text.contains("; Secure") && text.contains("; Path=/"), "{text}");
        }
    }

    #[tokio::test]
    async fn only_a_form_of_the_session_is_allowed() {
        let trial = fixture();
        let (one, other) = (trial.sessions.start(anna()), trial.sessions.start(anna()));
        assert!(
            one.csrf_matches(&one.csrf) && !one.csrf_matches(&other.csrf) && !one.csrf_matches("")
        );
    }
}
