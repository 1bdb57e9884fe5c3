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
    clock::Clock,
    domain::{
        ids::{MailboxId, TenantId},
        personal::Personal,
    },
    rng::Rng,
};

/// Somebody who is signed in.
const SESSION: &str = "__Host-roombridge-session";
/// Somebody who was sent to Entra.
const PENDING: &str = "__Host-roombridge-pending";

/// How long a session lasts.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// The longest cookie that is looked at, in bytes: browsers keep no longer ones (RFC 6265, 6.1).
const COOKIE_MAX: usize = 4096;

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
