//! Tokens that people bring: what proves that they are Entra's, for us, and whose.
//!
//! Only v2.0 tokens are taken (the registration says `requestedAccessTokenVersion: 2`): their
//! audience is the client id itself, never `api://…`.
//! learn.microsoft.com/entra/identity-platform/claims-validation, 2025-01; /id-token-claims-reference,
//! 2024-06; /access-token-claims-reference, 2025-01.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    cloud::Cloud,
    sign_in::People,
    signing_keys::{SigningKeys, Unavailable},
    way_back::same,
};
use crate::{
    base::clock::Clock,
    domain::{
        ids::{MailboxId, TenantId},
        personal::Personal,
    },
};

/// How far Entra's clock and ours may be apart.
pub(super) const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

/// The longest token that is looked at, in bytes. Entra's are a few thousand.
const TOKEN_MAX: usize = 16 * 1024;

/// The longest name and address that are taken over, in characters; the rest is left out.
const NAME_MAX: usize = 256;

/// The roles whose holders may decide for a tenant: Global Administrator and Privileged Role
/// Administrator, who alone may consent to application permissions of Microsoft Graph
/// (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference, 2025-01).
const ADMINISTRATORS: [&str; 2] =
    ["62e90394-69f5-4237-9190-012177145e10", "e8611ab8-c189-46e8-94e1-60213ab1f814"];

/// The word in `scp` that our API asks for.
pub const API_SCOPE: &str = "my-calendar";

/// Somebody whom Entra has identified. Known by tenant and object id, never by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The organisation that vouches.
    pub tenant: TenantId,
    /// The person's object id there, which is the mailbox's too.
    pub person: MailboxId,
    /// The name, to greet with; may be empty.
    pub name: Personal,
    /// The address that the person signs in with, to show; proves nothing, and may be empty.
    pub address: Personal,
    /// Whether the person may decide for the organisation.
    pub administrator: bool,
}

/// What was wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is not a token, or lacks a claim that all tokens have.
    #[error("malformed")]
    Malformed,
    /// It is not signed with RS256.
    #[error("algorithm")]
    Algorithm,
    /// Entra has no key of the name it gives.
    #[error("unknown key")]
    UnknownKey,
    /// The key did not sign it, or may not sign for this issuer.
    #[error("signature")]
    Signature,
    /// It is for somebody else.
    #[error("audience")]
    Audience,
    /// It is not a v2.0 token.
    #[error("version")]
    Version,
    /// It names no tenant, or another one than its issuer.
    #[error("issuer")]
    Issuer,
    /// It names nobody.
    #[error("person")]
    Person,
    /// It is over.
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not yet valid")]
    NotYetValid,
    /// It does not answer the question that was asked.
    #[error("nonce")]
    Nonce,
    /// It stands for an app, not for a person.
    #[error("app-only")]
    AppOnly,
    /// It does not allow our API.
    #[error("scope")]
    Scope,
    /// A client got it that we do not know.
    #[error("client")]
    Client,
}

/// A token that opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It proves nothing.
    #[error("the token is refused: {0}")]
    Refused(#[from] Reason),
    /// It cannot be checked for now: answer 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Checks the tokens that people bring.
pub struct Tokens {
    keys: SigningKeys,
    clock: Arc<dyn Clock>,
    cloud: Cloud,
    people: People,
}

#[derive(Deserialize)]
struct Claims {
    // Read as one text: a token for several is not one of Entra's.
    #[serde(rename = "aud")]
    _audience: String,
    iss: String,
    exp: i64,
    nbf: i64,
    ver: Option<String>,
    tid: Option<String>,
    oid: Option<String>,
    nonce: Option<String>,
    name: Option<String>,
    preferred_username: Option<String>,
    // `roles` are never read but to tell an app-only token: only the operators' registration has
    // any, and a customer's administrator may hand out roles of the same names.
    roles: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    wids: Vec<String>,
    scp: Option<String>,
    azp: Option<String>,
    idtyp: Option<String>,
}

impl Tokens {
    /// Checks tokens of `cloud`, signed with `keys`, for the registration of `people`.
    pub fn new(keys: SigningKeys, clock: Arc<dyn Clock>, cloud: Cloud, people: People) -> Self {
        Self { keys, clock, cloud, people }
    }

    /// Who signed in: the bearer of an id token that answers the question with `nonce`.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn signed_in(&self, id_token: &str, nonce: &str) -> Result<SignedIn, CheckError> {
        let claims = self.claims(id_token).await?;
        let mut signed_in = claims.signed_in()?;
        if !claims.nonce.as_deref().is_some_and(|claimed| same(claimed, nonce)) {
            return Err(Reason::Nonce.into());
        }
        let role = |wid: &String| ADMINISTRATORS.iter().any(|id| wid.eq_ignore_ascii_case(id));
        signed_in.administrator = claims.wids.iter().any(role);
        Ok(signed_in)
    }

    /// Who calls our API: the person for whom a known client got the access token `bearer`. Never
    /// an administrator: what an administrator does, a page asks for.
    ///
    /// # Errors
    /// [`CheckError`].
    pub async fn caller(&self, bearer: &str) -> Result<SignedIn, CheckError> {
        let claims = self.claims(bearer).await?;
        let app = claims.idtyp.as_deref() == Some("app");
        let scopes = claims.scp.as_deref().unwrap_or_default();
        if app || (scopes.is_empty() && claims.roles.is_some()) {
            return Err(Reason::AppOnly.into());
        }
        if !scopes.split(' ').any(|scope| scope == API_SCOPE) {
            return Err(Reason::Scope.into());
        }
        let client = claims.azp.as_deref().and_then(|azp| Uuid::try_parse(azp).ok());
        let known =
            |id: &Uuid| *id == self.people.client_id || self.people.add_in_clients.contains(id);
        if !client.as_ref().is_some_and(known) {
            return Err(Reason::Client.into());
        }
        Ok(claims.signed_in()?)
    }

    /// The claims of a token that Entra issued for our registration, and whose time it is.
    async fn claims(&self, token: &str) -> Result<Claims, CheckError> {
        let kid = key_named_in(token)?;
        let key = self.keys.find(&kid).await?.ok_or(Reason::UnknownKey)?;
        let rules = rules_for(&[self.people.client_id]);
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &rules);
        let claims = claims.map_err(|error| reason(&error))?.claims;
        if claims.ver.as_deref() != Some("2.0") {
            return Err(Reason::Version.into());
        }
        let tenant = claims.tenant()?.to_string();
        if claims.iss != self.cloud.issuer_of(&tenant) {
            return Err(Reason::Issuer.into());
        }
        if !key.signs_for(&claims.iss, &tenant) {
            return Err(Reason::Signature.into());
        }
        in_time(self.clock.now(), LEEWAY, claims.nbf, claims.exp)?;
        Ok(claims)
    }
}

/// The name of the key that a token says it is signed with, before anything of it is believed.
pub(super) fn key_named_in(token: &str) -> Result<String, Reason> {
    if token.len() > TOKEN_MAX {
        return Err(Reason::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| reason(&error))?;
    if header.alg != Algorithm::RS256 {
        return Err(Reason::Algorithm);
    }
    // An extension that must be understood, and is not (RFC 7515, 4.1.11).
    let (None, Some(kid)) = (header.crit, header.kid) else { return Err(Reason::Malformed) };
    Ok(kid)
}

/// What the library checks: the signature, its algorithm and that one of `audiences` is meant. Times
/// are compared with our own clock.
pub(super) fn rules_for(audiences: &[impl ToString]) -> Validation {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(audiences);
    rules.set_required_spec_claims(&["aud", "exp", "iss", "nbf"]);
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules
}

/// Whether it is a token's time, give or take `leeway`; `nbf` and `exp` as the token has them.
pub(super) fn in_time(
    now: Timestamp,
    leeway: SignedDuration,
    nbf: i64,
    exp: i64,
) -> Result<(), Reason> {
    let (now, leeway) = (now.as_second(), leeway.as_secs());
    if now >= exp.saturating_add(leeway) {
        return Err(Reason::Expired);
    }
    if now.saturating_add(leeway) < nbf {
        return Err(Reason::NotYetValid);
    }
    Ok(())
}

impl Claims {
    fn tenant(&self) -> Result<TenantId, Reason> {
        let tenant = self.tid.as_deref().and_then(|tid| tid.parse().ok());
        tenant.ok_or(Reason::Issuer)
    }

    fn signed_in(&self) -> Result<SignedIn, Reason> {
        let person = self.oid.as_deref().and_then(|oid| oid.parse().ok());
        Ok(SignedIn {
            tenant: self.tenant()?,
            person: person.ok_or(Reason::Person)?,
            name: shown(self.name.as_deref()),
            address: shown(self.preferred_username.as_deref()),
            administrator: false,
        })
    }
}

/// `text` as it may be shown, and as it fits into a cookie.
fn shown(text: Option<&str>) -> Personal {
    let text = text.unwrap_or_default().chars().filter(|c| !c.is_control());
    Personal::new(text.take(NAME_MAX).collect::<String>())
}

pub(super) fn reason(error: &jsonwebtoken::errors::Error) -> Reason {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may learn more ways to fail")]
    match error.kind() {
        ErrorKind::InvalidSignature => Reason::Signature,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm => Reason::Algorithm,
        ErrorKind::InvalidAudience => Reason::Audience,
        _ => Reason::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};
    use world::signing::SigningKey;

    use super::*;
    use crate::{
        base::clock::ManualClock,
        identity::scripted::{ADD_IN, PEOPLE, Scripted, cloud, id_token, key, people},
    };

    /// A key that Entra does not publish.
    static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

    const NONCE: &str = "the-nonce";
    const STRANGER: &str = "c0000000-0000-4000-8000-000000000009";

    struct Trial {
        far: Arc<Scripted>,
        clock: ManualClock,
        tokens: Tokens,
    }

    /// Entra publishes `keys`.
    fn trial_with(published: &Value) -> Trial {
        let far = Arc::new(Scripted::default());
        far.then(200, published);
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let keys = SigningKeys::new(Arc::clone(&far) as _, Arc::new(clock.clone()), &cloud());
        let tokens = Tokens::new(keys, Arc::new(clock.clone()), cloud(), people());
        Trial { far, clock, tokens }
    }

    fn trial() -> Trial {
        trial_with(&key().jwks())
    }

    /// What an API token says.
    fn access_token() -> Value {
        let mut claims = id_token(NONCE);
        let members = claims.as_object_mut().unwrap();
        members.remove("nonce");
        members.insert("scp".into(), json!("openid my-calendar"));
        members.insert("azp".into(), json!(ADD_IN));
        claims
    }

    /// `claims` with `changes`; null takes a claim away.
    fn with(mut claims: Value, changes: &Value) -> Value {
        let members = claims.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    fn signed(claims: &Value) -> String {
        key().sign(claims).unwrap()
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    impl Trial {
        async fn signed_in(&self, token: &str) -> Result<SignedIn, CheckError> {
            self.tokens.signed_in(token, NONCE).await
        }
    }

    fn refused<T>(reason: Reason) -> Result<T, CheckError> {
        Err(CheckError::Refused(reason))
    }

    #[tokio::test]
    async fn who_signed_in_is_known_by_tenant_and_object_id() {
        let trial = trial();
        let anna = trial.signed_in(&signed(&id_token(NONCE))).await.unwrap();
        assert_eq!(anna.tenant.to_string(), "b0000000-0000-4000-8000-000000000001");
        assert_eq!(anna.person.to_string(), "b0000000-0000-4000-8000-00000000000a");
        assert_eq!(anna.name.reveal(), "Anna Lund");
        assert_eq!(anna.address.reveal(), "anna@contoso.example");
        assert!(!anna.administrator);
        let shown = format!("{anna:?}");
        assert!(!shown.contains("Anna") && !shown.contains("anna@"), "{shown}");
    }

    #[tokio::test]
    async fn only_two_directory_roles_make_an_administrator_and_app_roles_never_do() {
        let trial = trial();
        let reader = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b";
        for (changes, administrator) in [
            (json!({ "wids": ["62e90394-69f5-4237-9190-012177145e10"] }), true),
            (json!({ "wids": [reader, "E8611AB8-C189-46E8-94E1-60213AB1F814"] }), true),
            (json!({ "wids": [reader] }), false),
            (
                json!({ "roles": ["Operator", "Auditor", "62e90394-69f5-4237-9190-012177145e10"] }),
                false,
            ),
        ] {
            let token = signed(&with(id_token(NONCE), &changes));
            let known = trial.signed_in(&token).await.unwrap();
            assert_eq!(known.administrator, administrator, "{changes}");
        }
        let claims =
            json!({ "wids": ["62e90394-69f5-4237-9190-012177145e10"], "roles": ["Operator"] });
        let caller = trial.tokens.caller(&signed(&with(access_token(), &claims))).await.unwrap();
        assert!(!caller.administrator, "what an administrator does, a page asks for");
    }

    #[tokio::test]
    async fn every_claim_that_is_not_right_is_refused() {
        let trial = trial();
        let consumers = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let cases = [
            (json!({ "aud": STRANGER }), Reason::Audience),
            (json!({ "aud": format!("api://{PEOPLE}") }), Reason::Audience),
            (json!({ "aud": [PEOPLE, STRANGER] }), Reason::Malformed),
            (json!({ "aud": null }), Reason::Malformed),
            (json!({ "tid": STRANGER }), Reason::Issuer),
            (json!({ "tid": "contoso" }), Reason::Issuer),
            (json!({ "tid": null }), Reason::Issuer),
            (json!({ "iss": format!("https://login.test/{STRANGER}/v2.0") }), Reason::Issuer),
            (json!({ "iss": "https://login.test/organizations/v2.0" }), Reason::Issuer),
            (
                json!({ "iss": "https://sts.windows.net/b0000000-0000-4000-8000-000000000001/" }),
                Reason::Issuer,
            ),
            (
                json!({ "iss": "https://evil.test/b0000000-0000-4000-8000-000000000001/v2.0" }),
                Reason::Issuer,
            ),
            (json!({ "iss": null }), Reason::Malformed),
            (json!({ "ver": "1.0" }), Reason::Version),
            (json!({ "ver": null }), Reason::Version),
            (json!({ "exp": null }), Reason::Malformed),
            (json!({ "exp": "tomorrow" }), Reason::Malformed),
            (json!({ "nbf": null }), Reason::Malformed),
            (json!({ "oid": null }), Reason::Person),
            (json!({ "oid": "anna@contoso.example" }), Reason::Person),
            (json!({ "nonce": null }), Reason::Nonce),
            (json!({ "nonce": "" }), Reason::Nonce),
            (json!({ "nonce": "another" }), Reason::Nonce),
        ];
        for (changes, reason) in cases {
            let token = signed(&with(id_token(NONCE), &changes));
            assert_eq!(trial.signed_in(&token).await, refused(reason), "{changes}");
        }
        let of_a_person =
            json!({ "tid": consumers, "iss": format!("https://login.test/{consumers}/v2.0") });
        let mut published = key().jwks();
        published["keys"][0]["issuer"] = json!("https://login.test/{tenantid}/v2.0");
        let trial = trial_with(&published);
        assert!(trial.signed_in(&signed(&id_token(NONCE))).await.is_ok());
        published["keys"][0]["issuer"] = of_a_person["iss"].clone();
        let trial = trial_with(&published);
        let own = signed(&with(id_token(NONCE), &of_a_person));
        assert!(trial.signed_in(&own).await.is_ok());
        let token = signed(&id_token(NONCE));
        let why = "a key for personal accounts vouches for an organisation";
        assert_eq!(trial.signed_in(&token).await, refused(Reason::Signature), "{why}");
    }

    #[tokio::test]
    async fn times_go_by_our_clock_with_five_minutes_to_spare() {
        let trial = trial();
        let token = signed(&id_token(NONCE));
        for (time, outcome) in [
            ("2026-11-24T08:54:59Z", Some(Reason::NotYetValid)),
            ("2026-11-24T08:55:00Z", None),
            ("2026-11-24T10:04:59Z", None),
            ("2026-11-24T10:05:00Z", Some(Reason::Expired)),
        ] {
            trial.clock.set(time.parse().unwrap());
            let answer = trial.signed_in(&token).await;
            assert_eq!(answer.err(), outcome.map(CheckError::Refused), "{time}");
        }
    }

    #[tokio::test]
    async fn nothing_but_entras_own_signature_counts() {
        let trial = trial();
        let claims = id_token(NONCE);
        let good = signed(&claims);
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let none = part(&json!({ "alg": "none", "typ": "JWT", "kid": key().kid() }));
        let critical = part(&json!({ "alg": "RS256", "kid": key().kid(), "crit": ["exp"] }));
        let nameless = part(&json!({ "alg": "RS256" }));
        let other_payload = part(&with(claims.clone(), &json!({ "oid": STRANGER })));
        let others = OTHER.sign(&claims).unwrap();
        let others_signature = others.rsplit('.').next().unwrap();
        // The published key taken for a shared secret, in the two forms somebody may have it.
        let modulus = key().jwks()["keys"][0]["n"].as_str().unwrap().to_owned();
        let with_secret = |secret: &[u8]| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some(key().kid().to_owned());
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
        };
        let cases = [
            (format!("{none}.{payload}."), Reason::Malformed),
            (format!("{none}.{payload}.{signature}"), Reason::Malformed),
            (with_secret(modulus.as_bytes()), Reason::Algorithm),
            (with_secret(&URL_SAFE_NO_PAD.decode(&modulus).unwrap()), Reason::Algorithm),
            (format!("{header}.{payload}.{others_signature}"), Reason::Signature),
            (format!("{header}.{payload}."), Reason::Signature),
            (format!("{header}.{other_payload}.{signature}"), Reason::Signature),
            (format!("{critical}.{payload}.{signature}"), Reason::Malformed),
            (format!("{nameless}.{payload}.{signature}"), Reason::Malformed),
            (others, Reason::UnknownKey),
            (format!("{header}.{payload}"), Reason::Malformed),
            (format!("{good}.{signature}"), Reason::Malformed),
            (String::new(), Reason::Malformed),
            ("..".to_owned(), Reason::Malformed),
            ("é.é.é".to_owned(), Reason::Malformed),
            ("a".repeat(1 << 20), Reason::Malformed),
        ];
        for (at, (token, reason)) in cases.into_iter().enumerate() {
            trial.far.then(200, &key().jwks());
            assert_eq!(trial.signed_in(&token).await, refused(reason), "case {at}");
        }
        assert!(trial.signed_in(&good).await.is_ok());
    }

    #[tokio::test]
    async fn a_rotated_out_key_is_refused_and_an_absent_entra_is_no_refusal() {
        let trial = trial();
        let (old, new) = (signed(&id_token(NONCE)), OTHER.sign(&id_token(NONCE)).unwrap());
        assert!(trial.signed_in(&old).await.is_ok());
        let unavailable = Err(CheckError::Unavailable(Unavailable));
        trial.far.then_silence();
        assert_eq!(trial.signed_in(&new).await, unavailable, "it may be a new key");
        trial.clock.advance(SignedDuration::from_secs(5));
        trial.far.then(200, &OTHER.jwks());
        assert!(trial.signed_in(&new).await.is_ok());
        assert_eq!(trial.signed_in(&old).await, refused(Reason::UnknownKey));
    }

    #[tokio::test]
    async fn the_api_takes_tokens_that_a_known_client_got_for_a_person() {
        let trial = trial();
        for (changes, reason) in [
            (json!({}), None),
            (json!({ "azp": PEOPLE }), None),
            (json!({ "idtyp": "user" }), None),
            (json!({ "azp": STRANGER }), Some(Reason::Client)),
            (json!({ "azp": null }), Some(Reason::Client)),
            (json!({ "azp": "" }), Some(Reason::Client)),
            (json!({ "scp": null }), Some(Reason::Scope)),
            (json!({ "scp": "openid my-calendar.read" }), Some(Reason::Scope)),
            (json!({ "scp": "My-Calendar" }), Some(Reason::Scope)),
            (json!({ "scp": null, "roles": ["my-calendar"] }), Some(Reason::AppOnly)),
            (json!({ "scp": null, "idtyp": "app" }), Some(Reason::AppOnly)),
            (json!({ "idtyp": "app" }), Some(Reason::AppOnly)),
            (json!({ "aud": STRANGER }), Some(Reason::Audience)),
            (json!({ "tid": STRANGER }), Some(Reason::Issuer)),
            (json!({ "ver": "1.0" }), Some(Reason::Version)),
            (json!({ "oid": null }), Some(Reason::Person)),
        ] {
            let answer = trial.tokens.caller(&signed(&with(access_token(), &changes))).await;
            assert_eq!(answer.err(), reason.map(CheckError::Refused), "{changes}");
        }
        // Each kind of token opens its own door only.
        let id_token = signed(&id_token(NONCE));
        assert_eq!(trial.tokens.caller(&id_token).await, refused(Reason::Scope));
        assert_eq!(trial.signed_in(&signed(&access_token())).await, refused(Reason::Nonce));
    }

    #[tokio::test]
    async fn hostile_names_are_cut_and_have_no_control_characters() {
        let trial = trial();
        let name = format!("A\r\nSet-Cookie: x=1\u{0}{}", "é".repeat(5000));
        let token =
            signed(&with(id_token(NONCE), &json!({ "name": name, "preferred_username": null })));
        let known = trial.signed_in(&token).await.unwrap();
        assert_eq!(known.name.reveal().chars().count(), 256);
        assert!(!known.name.reveal().contains(char::is_control));
        assert_eq!(known.address.reveal(), "");
    }
}
