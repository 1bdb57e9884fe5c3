//! Tokens that people bring: what proves that they are Entra's, for us, and whose.
//!
//! Only v2.0 tokens are taken (the registration says `requestedAccessTokenVersion: 2`): their
//! audience is the client id itself, never `api://…`.
//! learn.microsoft.com/entra/identity-platform/claims-validation, 2025-01; /id-token-claims-reference,
//! 2024-06; /access-token-claims-reference, 2025-01.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::oauth_state::constant_time_eq;
use crate::{
    base::clock::Clock,
    domain::{
        ids::{MailboxId, TenantId},
        personal::Personal,
    },
    identity::{
        app_tokens::{Cloud, SignInRegistration},
        keys::{
            SigningKeys, VerifyError, check_lifetime, key_id_of, validation_for, verified_claims,
        },
    },
};

/// The longest name and address that are taken over, in characters; the rest is left out.
const NAME_MAX: usize = 256;

/// The roles whose holders may decide for a tenant: Global Administrator and Privileged Role
/// Administrator, who alone may consent to application permissions of Microsoft Graph
/// (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference, 2025-01).
const ADMIN_ROLE_IDS: [&str; 2] =
    ["62e90394-69f5-4237-9190-012177145e10", "e8611ab8-c189-46e8-94e1-60213ab1f814"];

/// The word in `scp` that our API asks for.
pub const API_SCOPE: &str = "my-calendar";

/// Somebody whom Entra has identified. Known by tenant and object id, never by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInUser {
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

/// Checks the tokens that people bring.
pub struct TokenVerifier {
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cloud: Cloud,
    pub(crate) registration: SignInRegistration,
}

#[derive(Deserialize)]
struct UserTokenClaims {
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

impl TokenVerifier {
    /// Who signed in: the bearer of an id token that answers the question with `nonce`.
    pub async fn verify_id_token(
        &self,
        id_token: &str,
        nonce: &str,
    ) -> Result<SignedInUser, VerifyError> {
        let claims = self.verified_claims(id_token).await?;
        let mut signed_in = claims.to_user()?;
        // A token that was issued to another browser, or for another sign-in, opens nothing here.
        if !claims.nonce.as_deref().is_some_and(|claimed| constant_time_eq(claimed, nonce)) {
            return Err(VerifyError::Nonce);
        }
        let role = |wid: &String| ADMIN_ROLE_IDS.iter().any(|id| wid.eq_ignore_ascii_case(id));
        signed_in.administrator = claims.wids.iter().any(role);
        Ok(signed_in)
    }

    /// Who calls our API: the person for whom a known client got the access token `bearer`. Never
    /// an administrator: what an administrator does, a page asks for.
    pub async fn verify_access_token(&self, bearer: &str) -> Result<SignedInUser, VerifyError> {
        let claims = self.verified_claims(bearer).await?;
        let app = claims.idtyp.as_deref() == Some("app");
        let scopes = claims.scp.as_deref().unwrap_or_default();
        if app || (scopes.is_empty() && claims.roles.is_some()) {
            return Err(VerifyError::AppOnly);
        }
        if !scopes.split(' ').any(|scope| scope == API_SCOPE) {
            return Err(VerifyError::Scope);
        }
        // Another app of the tenant may have got a token for our scope; it is not one of ours.
        let client = claims.azp.as_deref().and_then(|azp| Uuid::try_parse(azp).ok());
        let known = |id: &Uuid| {
            *id == self.registration.client_id || self.registration.add_in_clients.contains(id)
        };
        if !client.as_ref().is_some_and(known) {
            return Err(VerifyError::Client);
        }
        claims.to_user()
    }

    /// The claims of a token that Entra issued for our registration, and whose time it is.
    async fn verified_claims(&self, token: &str) -> Result<UserTokenClaims, VerifyError> {
        let kid = key_id_of(token)?;
        let key = self.keys.find(&kid).await?.ok_or(VerifyError::UnknownKey)?;
        let rules = validation_for(&[self.registration.client_id]);
        let claims: UserTokenClaims = verified_claims(token, &key, &rules)?;
        if claims.ver.as_deref() != Some("2.0") {
            return Err(VerifyError::Version);
        }
        let tenant = claims.tenant()?.to_string();
        // The key proves the issuer, and the issuer names the tenant: `tid` alone proves nothing.
        if claims.iss != self.cloud.v2_issuer(&tenant) {
            return Err(VerifyError::Issuer);
        }
        if !key.may_sign_for(&claims.iss, &tenant) {
            return Err(VerifyError::Signature);
        }
        check_lifetime(self.clock.now(), claims.nbf, claims.exp)?;
        Ok(claims)
    }
}

impl UserTokenClaims {
    fn tenant(&self) -> Result<TenantId, VerifyError> {
        let tenant = self.tid.as_deref().and_then(|tid| tid.parse().ok());
        tenant.ok_or(VerifyError::Issuer)
    }

    fn to_user(&self) -> Result<SignedInUser, VerifyError> {
        let person = self.oid.as_deref().and_then(|oid| oid.parse().ok());
        Ok(SignedInUser {
            tenant: self.tenant()?,
            person: person.ok_or(VerifyError::Person)?,
            name: printable_name(self.name.as_deref()),
            address: printable_name(self.preferred_username.as_deref()),
            administrator: false,
        })
    }
}

/// `text` as it may be shown, and as it fits into a cookie.
fn printable_name(text: Option<&str>) -> Personal {
    let text = text.unwrap_or_default().chars().filter(|c| !c.is_control());
    Personal::new(text.take(NAME_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jiff::SignedDuration;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::{Value, json};
    use world::signing::SigningKey;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        identity::{
            keys::KeysUnavailable,
            scripted_http::{
                ADD_IN_CLIENT_ID, SIGN_IN_CLIENT_ID, ScriptedHttp, cloud, id_token, key,
                sign_in_registration,
            },
        },
    };

    /// A key that Entra does not publish.
    static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

    const NONCE: &str = "the-nonce";
    const STRANGER: &str = "c0000000-0000-4000-8000-000000000009";

    struct TokenVerifierFixture {
        http: Arc<ScriptedHttp>,
        clock: ManualClock,
        tokens: TokenVerifier,
    }

    /// Entra publishes `keys`.
    fn fixture_with(published: &Value) -> TokenVerifierFixture {
        let far = Arc::new(ScriptedHttp::default());
        far.respond(200, published);
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let keys = SigningKeys::new(Arc::clone(&far) as _, Arc::new(clock.clone()), &cloud());
        let tokens = TokenVerifier {
            keys,
            clock: Arc::new(clock.clone()),
            cloud: cloud(),
            registration: sign_in_registration(),
        };
        TokenVerifierFixture { http: far, clock, tokens }
    }

    fn fixture() -> TokenVerifierFixture {
        fixture_with(&key().jwks())
    }

    /// What an API token says.
    fn access_token() -> Value {
        let mut claims = id_token(NONCE);
        let members = claims.as_object_mut().unwrap();
        members.remove("nonce");
        members.insert("scp".into(), json!("openid my-calendar"));
        members.insert("azp".into(), json!(ADD_IN_CLIENT_ID));
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

    impl TokenVerifierFixture {
        async fn verify_id_token(&self, token: &str) -> Result<SignedInUser, VerifyError> {
            self.tokens.verify_id_token(token, NONCE).await
        }
    }

    fn refused<T>(reason: VerifyError) -> Result<T, VerifyError> {
        Err(reason)
    }

    #[tokio::test]
    async fn who_signed_in_is_known_by_tenant_and_object_id() {
        let trial = fixture();
        let anna = trial.verify_id_token(&signed(&id_token(NONCE))).await.unwrap();
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
        let trial = fixture();
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
            let known = trial.verify_id_token(&token).await.unwrap();
            assert_eq!(known.administrator, administrator, "{changes}");
        }
        let claims =
            json!({ "wids": ["62e90394-69f5-4237-9190-012177145e10"], "roles": ["Operator"] });
        let caller = trial
            .tokens
            .verify_access_token(&signed(&with(access_token(), &claims)))
            .await
            .unwrap();
        assert!(!caller.administrator, "what an administrator does, a page asks for");
    }

    #[tokio::test]
    async fn every_claim_that_is_not_right_is_refused() {
        let trial = fixture();
        let consumers = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let cases = [
            (json!({ "aud": STRANGER }), VerifyError::Audience),
            (json!({ "aud": format!("api://{SIGN_IN_CLIENT_ID}") }), VerifyError::Audience),
            (json!({ "aud": [SIGN_IN_CLIENT_ID, STRANGER] }), VerifyError::Malformed),
            (json!({ "aud": null }), VerifyError::Malformed),
            (json!({ "tid": STRANGER }), VerifyError::Issuer),
            (json!({ "tid": "contoso" }), VerifyError::Issuer),
            (json!({ "tid": null }), VerifyError::Issuer),
            (json!({ "iss": format!("https://login.test/{STRANGER}/v2.0") }), VerifyError::Issuer),
            (json!({ "iss": "https://login.test/organizations/v2.0" }), VerifyError::Issuer),
            (
                json!({ "iss": "https://sts.windows.net/b0000000-0000-4000-8000-000000000001/" }),
                VerifyError::Issuer,
            ),
            (
                json!({ "iss": "https://evil.test/b0000000-0000-4000-8000-000000000001/v2.0" }),
                VerifyError::Issuer,
            ),
            (json!({ "iss": null }), VerifyError::Malformed),
            (json!({ "ver": "1.0" }), VerifyError::Version),
            (json!({ "ver": null }), VerifyError::Version),
            (json!({ "exp": null }), VerifyError::Malformed),
            (json!({ "exp": "tomorrow" }), VerifyError::Malformed),
            (json!({ "nbf": null }), VerifyError::Malformed),
            (json!({ "oid": null }), VerifyError::Person),
            (json!({ "oid": "anna@contoso.example" }), VerifyError::Person),
            (json!({ "nonce": null }), VerifyError::Nonce),
            (json!({ "nonce": "" }), VerifyError::Nonce),
            (json!({ "nonce": "another" }), VerifyError::Nonce),
        ];
        for (changes, reason) in cases {
            let token = signed(&with(id_token(NONCE), &changes));
            assert_eq!(trial.verify_id_token(&token).await, refused(reason), "{changes}");
        }
        let of_a_person =
            json!({ "tid": consumers, "iss": format!("https://login.test/{consumers}/v2.0") });
        let mut published = key().jwks();
        published["keys"][0]["issuer"] = json!("https://login.test/{tenantid}/v2.0");
        let trial = fixture_with(&published);
        assert!(trial.verify_id_token(&signed(&id_token(NONCE))).await.is_ok());
        published["keys"][0]["issuer"] = of_a_person["iss"].clone();
        let trial = fixture_with(&published);
        let own = signed(&with(id_token(NONCE), &of_a_person));
        assert!(trial.verify_id_token(&own).await.is_ok());
        let token = signed(&id_token(NONCE));
        let why = "a key for personal accounts vouches for an organisation";
        assert_eq!(trial.verify_id_token(&token).await, refused(VerifyError::Signature), "{why}");
    }

    #[tokio::test]
    async fn times_go_by_our_clock_with_five_minutes_to_spare() {
        let trial = fixture();
        let token = signed(&id_token(NONCE));
        for (time, outcome) in [
            ("2026-11-24T08:54:59Z", Some(VerifyError::NotYetValid)),
            ("2026-11-24T08:55:00Z", None),
            ("2026-11-24T10:04:59Z", None),
            ("2026-11-24T10:05:00Z", Some(VerifyError::Expired)),
        ] {
            trial.clock.set(time.parse().unwrap());
            let answer = trial.verify_id_token(&token).await;
            assert_eq!(answer.err(), outcome, "{time}");
        }
    }

    #[tokio::test]
    async fn nothing_but_entras_own_signature_counts() {
        let trial = fixture();
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
            (format!("{none}.{payload}."), VerifyError::Malformed),
            (format!("{none}.{payload}.{signature}"), VerifyError::Malformed),
            (with_secret(modulus.as_bytes()), VerifyError::Algorithm),
            (with_secret(&URL_SAFE_NO_PAD.decode(&modulus).unwrap()), VerifyError::Algorithm),
            (format!("{header}.{payload}.{others_signature}"), VerifyError::Signature),
            (format!("{header}.{payload}."), VerifyError::Signature),
            (format!("{header}.{other_payload}.{signature}"), VerifyError::Signature),
            (format!("{critical}.{payload}.{signature}"), VerifyError::Malformed),
            (format!("{nameless}.{payload}.{signature}"), VerifyError::Malformed),
            (others, VerifyError::UnknownKey),
            (format!("{header}.{payload}"), VerifyError::Malformed),
            (format!("{good}.{signature}"), VerifyError::Malformed),
            (String::new(), VerifyError::Malformed),
            ("..".to_owned(), VerifyError::Malformed),
            ("é.é.é".to_owned(), VerifyError::Malformed),
            ("a".repeat(1 << 20), VerifyError::Malformed),
        ];
        for (at, (token, reason)) in cases.into_iter().enumerate() {
            trial.http.respond(200, &key().jwks());
            assert_eq!(trial.verify_id_token(&token).await, refused(reason), "case {at}");
        }
        assert!(trial.verify_id_token(&good).await.is_ok());
    }

    #[tokio::test]
    async fn a_rotated_out_key_is_refused_and_an_absent_entra_is_no_refusal() {
        let trial = fixture();
        let (old, new) = (signed(&id_token(NONCE)), OTHER.sign(&id_token(NONCE)).unwrap());
        assert!(trial.verify_id_token(&old).await.is_ok());
        let unavailable = Err(VerifyError::Unavailable(KeysUnavailable));
        trial.http.time_out();
        assert_eq!(trial.verify_id_token(&new).await, unavailable, "it may be a new key");
        trial.clock.advance(SignedDuration::from_secs(5));
        trial.http.respond(200, &OTHER.jwks());
        assert!(trial.verify_id_token(&new).await.is_ok());
        assert_eq!(trial.verify_id_token(&old).await, refused(VerifyError::UnknownKey));
    }

    #[tokio::test]
    async fn the_api_takes_tokens_that_a_known_client_got_for_a_person() {
        let trial = fixture();
        for (changes, reason) in [
            (json!({}), None),
            (json!({ "azp": SIGN_IN_CLIENT_ID }), None),
            (json!({ "idtyp": "user" }), None),
            (json!({ "azp": STRANGER }), Some(VerifyError::Client)),
            (json!({ "azp": null }), Some(VerifyError::Client)),
            (json!({ "azp": "" }), Some(VerifyError::Client)),
            (json!({ "scp": null }), Some(VerifyError::Scope)),
            (json!({ "scp": "openid my-calendar.read" }), Some(VerifyError::Scope)),
            (json!({ "scp": "My-Calendar" }), Some(VerifyError::Scope)),
            (json!({ "scp": null, "roles": ["my-calendar"] }), Some(VerifyError::AppOnly)),
            (json!({ "scp": null, "idtyp": "app" }), Some(VerifyError::AppOnly)),
            (json!({ "idtyp": "app" }), Some(VerifyError::AppOnly)),
            (json!({ "aud": STRANGER }), Some(VerifyError::Audience)),
            (json!({ "tid": STRANGER }), Some(VerifyError::Issuer)),
            (json!({ "ver": "1.0" }), Some(VerifyError::Version)),
            (json!({ "oid": null }), Some(VerifyError::Person)),
        ] {
            let answer =
                trial.tokens.verify_access_token(&signed(&with(access_token(), &changes))).await;
            assert_eq!(answer.err(), reason, "{changes}");
        }
        // Each kind of token opens its own door only.
        let id_token = signed(&id_token(NONCE));
        assert_eq!(trial.tokens.verify_access_token(&id_token).await, refused(VerifyError::Scope));
        assert_eq!(
            trial.verify_id_token(&signed(&access_token())).await,
            refused(VerifyError::Nonce)
        );
    }

    #[tokio::test]
    async fn hostile_names_are_cut_and_have_no_control_characters() {
        let trial = fixture();
        let name = format!("A\r\nSet-Cookie: x=1\u{0}{}", "é".repeat(5000));
        let token =
            signed(&with(id_token(NONCE), &json!({ "name": name, "preferred_username": null })));
        let known = trial.verify_id_token(&token).await.unwrap();
        assert_eq!(known.name.reveal().chars().count(), 256);
        assert!(!known.name.reveal().contains(char::is_control));
        assert_eq!(known.address.reveal(), "");
    }
}
