//! What every signed token is checked for, for people and apps alike: form, algorithm, key, time.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::de::DeserializeOwned;

use super::{signing_keys::PublishedKey, vault::KeysUnavailable};

/// How far Entra's clock and ours may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

/// The longest token that is looked at, in bytes. Entra's are a few thousand.
const TOKEN_MAX: usize = 16 * 1024;

/// A token that opens nothing: what was wrong with it, in a word or two that may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
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
    #[error("audience")]
    Audience,
    /// It is not a v2.0 token.
    #[error("version")]
    Version,
    /// It names no tenant, or another one than its issuer.
    #[error("issuer")]
    Issuer,
    #[error("person")]
    Person,
    #[error("expired")]
    Expired,
    /// Its time has not come.
    #[error("not yet valid")]
    NotYetValid,
    /// It does not answer the question that was asked.
    #[error("nonce")]
    Nonce,
    /// It represents an app, not for a person.
    #[error("app-only")]
    AppOnly,
    /// It does not allow our API.
    #[error("scope")]
    Scope,
    /// A client got it that we do not know.
    #[error("client")]
    Client,
    /// It cannot be checked for now: answer 503.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
}

/// The name of the key that a token says it is signed with, before anything of it is believed.
pub(in crate::identity) fn key_id_of(token: &str) -> Result<String, VerifyError> {
    // Anybody can send one, so little is done for it before its key is known.
    if token.len() > TOKEN_MAX {
        return Err(VerifyError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| rejection_of(&error))?;
    // `none`, or HMAC with the public key as its secret, would prove nothing.
    if header.alg != Algorithm::RS256 {
        return Err(VerifyError::Algorithm);
    }
    // An extension that must be understood, and is not (RFC 7515, 4.1.11).
    let (None, Some(kid)) = (header.crit, header.kid) else {
        return Err(VerifyError::Malformed);
    };
    Ok(kid)
}

/// What the library checks: the signature, its algorithm and that one of `audiences` is meant. Times
/// are compared with our own clock.
pub(in crate::identity) fn validation_for(audiences: &[impl ToString]) -> Validation {
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(audiences);
    rules.set_required_spec_claims(&["aud", "exp", "iss", "nbf"]);
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules
}

/// Whether it is a token's time, give or take five minutes; `nbf` and `exp` as the token has them.
pub(in crate::identity) fn check_lifetime(
    now: Timestamp,
    nbf: i64,
    exp: i64,
) -> Result<(), VerifyError> {
    let (now, leeway) = (now.as_second(), LEEWAY.as_secs());
    if now >= exp.saturating_add(leeway) {
        return Err(VerifyError::Expired);
    }
    if now.saturating_add(leeway) < nbf {
        return Err(VerifyError::NotYetValid);
    }
    Ok(())
}

/// The claims of a token that `key` signed and that keeps to `rules`.
pub(in crate::identity) fn verified_claims<T: DeserializeOwned>(
    token: &str,
    key: &PublishedKey,
    rules: &Validation,
) -> Result<T, VerifyError> {
    let token = jsonwebtoken::decode::<T>(token, &key.key, rules);
    token.map(|token| token.claims).map_err(|error| rejection_of(&error))
}

fn rejection_of(error: &jsonwebtoken::errors::Error) -> VerifyError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library may learn more ways to fail")]
    match error.kind() {
        ErrorKind::InvalidSignature => VerifyError::Signature,
        ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidAlgorithmName
        | ErrorKind::UnsupportedAlgorithm => VerifyError::Algorithm,
        ErrorKind::InvalidAudience => VerifyError::Audience,
        _ => VerifyError::Malformed,
    }
}
