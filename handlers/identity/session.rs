//! What a browser keeps for us: cookies that only we can read and make.
//!
//! Each is sealed with AES-256-GCM under a key from the vault, bound to its cookie's name, and says
//! which key that was, so that keys are changed without signing anybody out.

use std::{fmt, sync::Arc};

use cookie::{Cookie, CookieJar, SameSite, time::Duration};
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    admin_consent::PendingConsent,
    client_state::{Key, KeyId},
    key_ring::{KeyRing, KeysUnavailable},
    sign_in::Pending,
    tokens::SignedIn,
    way_back::{PATIENCE, same, secret},
};
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{
        ids::{MailboxId, TenantId},
        personal::Personal,
    },
};

/// Somebody who is signed in.
const SESSION: &str = "__Host-roombridge-session";
/// Somebody who was sent to Entra.
const PENDING: &str = "__Host-roombridge-pending";

/// How long a session lasts.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// The longest cookie that is looked at, in bytes: browsers keep no longer ones (RFC 6265, 6.1).
const COOKIE_MAX: usize = 4096;

/// A cookie that the pages set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieSet {
    /// Its name.
    pub name: &'static str,
    /// What is sealed in it.
    pub holds: &'static str,
    /// How long the browser keeps it.
    pub life: SignedDuration,
    /// Why it is needed.
    pub why: &'static str,
}

/// The published list of cookies: there is no other one. `infra/data-and-access.md` carries it; a test
/// compares them.
pub const COOKIES: [CookieSet; 2] = [
    CookieSet {
        name: SESSION,
        holds: "tenant id, object id, name, sign-in name, whether an administrator, the forms' secret, when it ends",
        life: LIFE,
        why: "so that a person who has signed in is known on the next page",
    },
    CookieSet {
        name: PENDING,
        holds: "state, nonce and PKCE verifier of a sign-in, or state and tenant id of a consent; when it began, and which page it is for",
        life: PATIENCE,
        why: "so that an answer from Microsoft is taken only by the browser that asked",
    },
];

/// Somebody who is signed in with a browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Who it is.
    pub signed_in: SignedIn,
    /// What every form of this session carries, so that no other site can post it.
    pub csrf: String,
    /// When it ends.
    pub expires: Timestamp,
}

impl Session {
    /// Whether a form that carries `form_token` was made by a page of this session.
    pub fn allows(&self, form_token: &str) -> bool {
        same(form_token, &self.csrf)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Session");
        shown.field("signed_in", &self.signed_in).field("expires", &self.expires);
        shown.finish_non_exhaustive()
    }
}

/// What somebody was sent to Entra for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// To sign in.
    SignIn(Pending),
    /// To consent for an organisation.
    Consent(PendingConsent),
}

#[derive(Serialize, Deserialize)]
struct SessionWire {
    tenant: Uuid,
    person: Uuid,
    name: String,
    address: String,
    administrator: bool,
    csrf: String,
    expires: Timestamp,
}

/// Seals and opens cookies.
pub struct Sessions {
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Sessions {
    /// Cookies under `keys`.
    pub fn new(keys: Arc<KeyRing>, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { keys, clock, rng }
    }

    /// A new session, for an hour.
    pub fn start(&self, signed_in: SignedIn) -> Session {
        let expires = self.clock.now() + LIFE;
        Session { signed_in, csrf: secret(self.rng.as_ref()), expires }
    }

    /// The `Set-Cookie` that keeps `session`.
    ///
    /// # Errors
    /// [`KeysUnavailable`].
    pub async fn seal(&self, session: &Session) -> Result<HeaderValue, KeysUnavailable> {
        let wire = SessionWire {
            tenant: session.signed_in.tenant.0,
            person: session.signed_in.person.0,
            name: session.signed_in.name.reveal().to_owned(),
            address: session.signed_in.address.reveal().to_owned(),
            administrator: session.signed_in.administrator,
            csrf: session.csrf.clone(),
            expires: session.expires,
        };
        self.sealed(SESSION, &wire, LIFE).await
    }

    /// The session among `cookies`; `None` when there is none, it is over, or not ours.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said for now.
    pub async fn open(&self, cookies: &HeaderMap) -> Result<Option<Session>, KeysUnavailable> {
        let wire: Option<SessionWire> = self.opened(SESSION, cookies).await?;
        let now = self.clock.now();
        Ok(wire.filter(|wire| now < wire.expires).map(|wire| Session {
            signed_in: SignedIn {
                tenant: TenantId(wire.tenant),
                person: MailboxId(wire.person),
                name: Personal::new(wire.name),
                address: Personal::new(wire.address),
                administrator: wire.administrator,
            },
            csrf: wire.csrf,
            expires: wire.expires,
        }))
    }

    /// The `Set-Cookie` that signs out.
    pub fn forget(&self) -> HeaderValue {
        forgotten(SESSION)
    }

    /// The `Set-Cookie` that keeps `errand` while the browser is at Entra.
    ///
    /// # Errors
    /// [`KeysUnavailable`].
    pub async fn seal_pending(&self, errand: &Errand) -> Result<HeaderValue, KeysUnavailable> {
        self.sealed(PENDING, errand, PATIENCE).await
    }

    /// What the browser was sent to Entra for; `None` when it was not, or the cookie is not ours.
    /// Whether its time is over says whoever finishes it.
    ///
    /// # Errors
    /// [`KeysUnavailable`] when that cannot be said for now.
    pub async fn pending(&self, cookies: &HeaderMap) -> Result<Option<Errand>, KeysUnavailable> {
        self.opened(PENDING, cookies).await
    }

    /// The `Set-Cookie` that ends an errand.
    pub fn forget_pending(&self) -> HeaderValue {
        forgotten(PENDING)
    }

    async fn sealed(
        &self,
        name: &'static str,
        content: &impl Serialize,
        life: SignedDuration,
    ) -> Result<HeaderValue, KeysUnavailable> {
        let keys = self.keys.keys().await?;
        let content = serde_json::to_string(content).map_err(|_| KeysUnavailable)?;
        let mut jar = CookieJar::new();
        jar.private_mut(&sealing(keys.current())).add(Cookie::new(name, content));
        let sealed = jar.get(name).map(Cookie::value).unwrap_or_default();
        let value = format!("{}.{sealed}", keys.current().id());
        header_of(cookie(name, value, Duration::seconds(life.as_secs()))).ok_or(KeysUnavailable)
    }

    async fn opened<T: DeserializeOwned>(
        &self,
        name: &'static str,
        cookies: &HeaderMap,
    ) -> Result<Option<T>, KeysUnavailable> {
        let Some((id, sealed)) = presented(name, cookies) else { return Ok(None) };
        let keys = self.keys.keys_knowing(&id).await?;
        let Some(key) = keys.get(&id) else { return Ok(None) };
        let jar = CookieJar::new();
        let opened = jar.private(&sealing(key)).decrypt(Cookie::new(name, sealed));
        Ok(opened.and_then(|opened| serde_json::from_str(opened.value()).ok()))
    }
}

/// The key as the cipher takes it.
fn sealing(key: &Key) -> cookie::Key {
    cookie::Key::derive_from(key.bytes())
}

/// The cookie `name` that a browser presents: the key it names, and what is sealed with it.
fn presented(name: &str, cookies: &HeaderMap) -> Option<(KeyId, String)> {
    let lines = cookies.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut found = lines.flat_map(Cookie::split_parse).flatten().filter(|c| c.name() == name);
    let value = found.next()?.value().to_owned();
    let (id, sealed) = value.split_once('.').filter(|_| value.len() <= COOKIE_MAX)?;
    Some((id.parse().ok()?, sealed.to_owned()))
}

fn cookie(name: &'static str, value: String, max_age: Duration) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .build()
}

fn header_of(cookie: Cookie<'static>) -> Option<HeaderValue> {
    HeaderValue::try_from(cookie.to_string()).ok()
}

fn forgotten(name: &'static str) -> HeaderValue {
    let empty = cookie(name, String::new(), Duration::ZERO);
    header_of(empty).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;

    use super::*;
    use crate::{
        base::{clock::ManualClock, rng::SeededRng},
        identity::{client_state::Keys, key_ring::KeySource},
    };

    /// A vault whose keys a test can change.
    #[derive(Clone, Default)]
    struct Vault(Arc<Mutex<Option<Keys>>>);

    impl Vault {
        fn put(&self, keys: Option<Keys>) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        }
    }

    #[async_trait]
    impl KeySource for Vault {
        async fn load(&self) -> Result<Keys, KeysUnavailable> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(KeysUnavailable)
        }
    }

    fn key(id: &str, byte: u8) -> Key {
        Key::new(id.parse().unwrap(), &[byte; 32])
    }

    struct Trial {
        vault: Vault,
        clock: ManualClock,
        sessions: Sessions,
    }

    impl Trial {
        /// Another process with the same vault.
        fn beside(&self) -> Sessions {
            let time: Arc<dyn Clock> = Arc::new(self.clock.clone());
            let ring = KeyRing::new(Box::new(self.vault.clone()), Arc::clone(&time));
            Sessions::new(Arc::new(ring), time, Arc::new(SeededRng::new(2)))
        }

        async fn open(&self, cookie: &str) -> Option<Session> {
            self.sessions.open(&presenting(cookie)).await.unwrap()
        }
    }

    fn trial() -> Trial {
        let vault = Vault::default();
        vault.put(Some(Keys::new(key("c1", 1), [])));
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let ring = KeyRing::new(Box::new(vault.clone()), Arc::clone(&time));
        let sessions = Sessions::new(Arc::new(ring), time, Arc::new(SeededRng::new(1)));
        Trial { vault, clock, sessions }
    }

    fn anna() -> SignedIn {
        SignedIn {
            tenant: TenantId(Uuid::from_u128(1)),
            person: MailboxId(Uuid::from_u128(2)),
            name: Personal::new("Anna Lund"),
            address: Personal::new("anna@contoso.example"),
            administrator: true,
        }
    }

    /// What a browser makes of a `Set-Cookie`: name and value.
    fn kept(set: &HeaderValue) -> String {
        set.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn presenting(cookies: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
        headers
    }

    #[tokio::test]
    async fn a_session_goes_to_the_browser_and_comes_back_for_an_hour() {
        let trial = trial();
        let session = trial.sessions.start(anna());
        let set = trial.sessions.seal(&session).await.unwrap();
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-roombridge-session=c1."), "{text}");
        for word in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/", "; Max-Age=3600"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("Domain") && !text.contains("Anna"));
        let cookie = kept(&set);
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
        let trial = trial();
        let session = trial.sessions.start(anna());
        let cookie = kept(&trial.sessions.seal(&session).await.unwrap());
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
        let renamed = format!("{PENDING}={value}");
        assert_eq!(trial.sessions.pending(&presenting(&renamed)).await, Ok(None));
        assert_eq!(trial.open(&cookie).await, Some(session));
    }

    #[tokio::test]
    async fn keys_are_changed_without_signing_anybody_out() {
        let trial = trial();
        let session = trial.sessions.start(anna());
        let old = kept(&trial.sessions.seal(&session).await.unwrap());
        trial.vault.put(Some(Keys::new(key("c2", 2), [key("c1", 1)])));
        let beside = trial.beside();
        assert_eq!(beside.open(&presenting(&old)).await, Ok(Some(session.clone())));
        let new = kept(&beside.seal(&session).await.unwrap());
        trial.clock.advance(SignedDuration::from_secs(30));
        assert_eq!(trial.open(&new).await, Some(session.clone()), "the new key is looked for");
        trial.vault.put(Some(Keys::new(key("c2", 2), [])));
        assert_eq!(trial.beside().open(&presenting(&old)).await, Ok(None), "it was taken away");
        // The same name with other bytes is another key.
        trial.vault.put(Some(Keys::new(key("c2", 3), [])));
        assert_eq!(trial.beside().open(&presenting(&new)).await, Ok(None));
    }

    #[tokio::test]
    async fn while_the_vault_is_away_nobody_is_called_a_stranger() {
        let trial = trial();
        let cookie = kept(&trial.sessions.seal(&trial.sessions.start(anna())).await.unwrap());
        trial.vault.put(None);
        let beside = trial.beside();
        assert_eq!(beside.open(&presenting(&cookie)).await, Err(KeysUnavailable));
        assert_eq!(
            beside.open(&HeaderMap::new()).await,
            Ok(None),
            "no key is needed to see nobody"
        );
        assert!(trial.open(&cookie).await.is_some(), "whoever has the keys goes on");
    }

    #[tokio::test]
    async fn the_longest_names_fit_into_a_cookie() {
        let trial = trial();
        let longest = || Personal::new("\u{1F3E2}".repeat(256));
        let person = SignedIn { name: longest(), address: longest(), ..anna() };
        let session = trial.sessions.start(person);
        let cookie = kept(&trial.sessions.seal(&session).await.unwrap());
        assert!(cookie.len() <= COOKIE_MAX, "{}", cookie.len());
        assert_eq!(trial.open(&cookie).await, Some(session));
    }

    #[tokio::test]
    async fn an_errand_is_kept_for_ten_minutes_and_ended() {
        let trial = trial();
        let pending = serde_json::json!({
            "state": "s", "nonce": "n", "verifier": "v",
            "started": "2026-11-24T09:00:00Z", "back": "my-calendar",
        });
        let consent = serde_json::json!({
            "state": "s", "tenant": Uuid::from_u128(1), "organisation_wide": false,
            "started": "2026-11-24T09:00:00Z",
        });
        for errand in [
            Errand::SignIn(serde_json::from_value(pending).unwrap()),
            Errand::Consent(serde_json::from_value(consent).unwrap()),
        ] {
            let set = trial.sessions.seal_pending(&errand).await.unwrap();
            assert!(set.to_str().unwrap().contains("; Max-Age=600"));
            let cookies = presenting(&kept(&set));
            assert_eq!(trial.sessions.pending(&cookies).await, Ok(Some(errand)));
            assert_eq!(trial.sessions.open(&cookies).await, Ok(None));
        }
        for forgotten in [trial.sessions.forget_pending(), trial.sessions.forget()] {
            let text = forgotten.to_str().unwrap();
            assert!(text.contains("=; ") && text.contains("; Max-Age=0"), "{text}");
            assert!(text.contains("; Secure") && text.contains("; Path=/"), "{text}");
        }
    }

    #[tokio::test]
    async fn only_a_form_of_the_session_is_allowed() {
        let trial = trial();
        let (one, other) = (trial.sessions.start(anna()), trial.sessions.start(anna()));
        assert!(one.allows(&one.csrf) && !one.allows(&other.csrf) && !one.allows(""));
    }
}
