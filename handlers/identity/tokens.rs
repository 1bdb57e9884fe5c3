//! Tokens that people bring: what proves that they are Entra's, for us, and whose.
//!
//! Only v2.0 tokens are taken (the registration says `requestedAccessTokenVersion: 2`): their
//! audience is the client id itself, never `api://…`.
//! learn.microsoft.com/entra/identity-platform/claims-validation, 2025-01; /id-token-claims-reference,
//! 2024-06; /access-token-claims-reference, 2025-01.

use std::sync::Arc;

use jiff::SignedDuration;
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
    clock::Clock,
    domain::{
        ids::{MailboxId, TenantId},
        personal::Personal,
    },
};

/// How far Entra's clock and ours may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

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
        if token.len() > TOKEN_MAX {
            return Err(Reason::Malformed.into());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| reason(&error))?;
        if header.alg != Algorithm::RS256 {
            return Err(Reason::Algorithm.into());
        }
        // An extension that must be understood, and is not (RFC 7515, 4.1.11).
        let (None, Some(kid)) = (header.crit, header.kid) else {
            return Err(Reason::Malformed.into());
        };
        let key = self.keys.find(&kid).await?.ok_or(Reason::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &self.rules());
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
        self.in_time(&claims)?;
        Ok(claims)
    }

    /// What the library checks: the signature, its algorithm and the audience. Times are compared
    /// with our own clock.
    fn rules(&self) -> Validation {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_audience(&[self.people.client_id]);
        rules.set_required_spec_claims(&["aud", "exp", "iss", "nbf"]);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules
    }

    fn in_time(&self, claims: &Claims) -> Result<(), Reason> {
        let (now, leeway) = (self.clock.now().as_second(), LEEWAY.as_secs());
        if now >= claims.exp.saturating_add(leeway) {
            return Err(Reason::Expired);
        }
        if now.saturating_add(leeway) < claims.nbf {
            return Err(Reason::NotYetValid);
        }
        Ok(())
    }
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

fn reason(error: &jsonwebtoken::errors::Error) -> Reason {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may learn more ways to fail")]
    match error.kind() {
        ErrorKind::InvalidSignature => Reason::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Reason::Algorithm,
        ErrorKind::InvalidAlgorithmName => Reason::Algorithm,
        ErrorKind::InvalidAudience => Reason::Audience,
        _ => Reason::Malformed,
    }
}
