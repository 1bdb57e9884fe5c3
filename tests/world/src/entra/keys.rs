//! The keys that sign: which one signs now, which are published, and which no more.

use std::collections::HashMap;
use std::sync::{LazyLock, MutexGuard, PoisonError};

use serde_json::Value;

use super::Entra;
use crate::signing::{SigningError, SigningKey, jwks, kid_of, unsigned};

/// Making an RSA key takes long, and no test depends on its bits: these serve the whole process.
static SPARE_KEYS: [LazyLock<Result<SigningKey, SigningError>>; 3] = [
    LazyLock::new(SigningKey::generate),
    LazyLock::new(SigningKey::generate),
    LazyLock::new(SigningKey::generate),
];
/// A key that Entra never had.
static UNPUBLISHED_KEY: LazyLock<Result<SigningKey, SigningError>> =
    LazyLock::new(SigningKey::generate);

/// How a token is signed: as Entra would, or as somebody who pretends to be Entra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signing {
    /// By the key that signs now.
    #[default]
    Current,
    /// By a key that was never published, under its own name.
    Foreign,
    /// By a key that was never published, under the name of the one that signs now.
    Forged,
    /// By a key that was published once and is no more (one that never was, if none was retired).
    Retired,
    /// Not at all: `alg: none`.
    None,
    /// HS256, with the published key's PEM as the shared secret.
    HmacWithPublicKey,
}

/// The keys of one Entra.
pub(super) struct EntraKeySet {
    /// What it began with; managed identities keep signing with it.
    initial: SigningKey,
    signing: SigningKey,
    previous: Vec<SigningKey>,
    retired: Vec<SigningKey>,
    rotations: usize,
    /// The claims of tokens whose signature was found right: a simulation shows each a hundred times.
    verified: HashMap<String, Value>,
}

impl EntraKeySet {
    pub(super) fn new(founding: SigningKey) -> Self {
        let signing = founding.clone();
        Self {
            initial: founding,
            signing,
            previous: Vec::new(),
            retired: Vec::new(),
            rotations: 0,
            verified: HashMap::new(),
        }
    }
}

impl Entra {
    /// A new key signs from now on; the earlier one stays published until
    /// [`Entra::retire_old_keys`]. Three keys take turns.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn rotate_keys(&self) -> Result<(), &'static SigningError> {
        let mut keys = self.keys();
        let next = SPARE_KEYS[keys.rotations % SPARE_KEYS.len()].as_ref()?.clone();
        keys.rotations += 1;
        keys.previous.retain(|key| key.kid() != next.kid());
        keys.retired.retain(|key| key.kid() != next.kid());
        let before = std::mem::replace(&mut keys.signing, next);
        keys.previous.push(before);
        Ok(())
    }

    /// Takes every key that does not sign any more out of the published sets.
    pub fn retire_old_keys(&self) {
        let mut keys = self.keys();
        let old = std::mem::take(&mut keys.previous);
        keys.retired.extend(old);
    }

    /// The name of the key that signs now.
    pub fn signing_kid(&self) -> String {
        self.keys().signing.kid().to_owned()
    }

    /// The published keys, each with `issuer` if there is one.
    pub(super) fn published(&self, issuer: Option<&str>) -> Value {
        let keys = self.keys();
        jwks(std::iter::once(&keys.signing).chain(&keys.previous), issuer)
    }

    /// A token with these claims; empty when it could not be signed.
    pub(super) fn sign(&self, claims: &Value, signing: Signing) -> String {
        let keys = self.keys();
        let foreign = || UNPUBLISHED_KEY.as_ref().ok();
        let token = match signing {
            Signing::Current => keys.signing.sign(claims).ok(),
            Signing::Foreign => foreign().and_then(|key| key.sign(claims).ok()),
            Signing::Forged => {
                foreign().and_then(|key| key.sign_as(keys.signing.kid(), claims).ok())
            }
            Signing::Retired => {
                let key = keys.retired.last().or_else(foreign);
                key.and_then(|key| key.sign(claims).ok())
            }
            Signing::None => Some(unsigned(claims)),
            Signing::HmacWithPublicKey => keys.signing.sign_with_public_half(claims).ok(),
        };
        token.unwrap_or_default()
    }

    /// The claims of a token that a published key (or a managed identity) signed.
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        let kid = kid_of(token)?;
        let mut guard = self.keys();
        let keys = &mut *guard;
        let mut known = [&keys.signing, &keys.initial].into_iter().chain(&keys.previous);
        let key = known.find(|key| key.kid() == kid)?;
        if let Some(claims) = keys.verified.get(token) {
            return Some(claims.clone());
        }
        let claims = key.verify(token).ok()?;
        keys.verified.insert(token.to_owned(), claims.clone());
        Some(claims)
    }

    fn keys(&self) -> MutexGuard<'_, EntraKeySet> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
