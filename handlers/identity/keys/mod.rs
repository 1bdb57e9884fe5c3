//! The keys that prove something: our own in the vault, and those that Entra publishes.

pub mod client_state;
pub mod content_keys;
mod digest_keys;
mod jwt;
mod key_ring;
mod signing_keys;
mod system_credentials;
mod validation_tokens;
mod vault;
mod vault_cache;

pub use digest_keys::{DIGEST_KEY, DIGEST_KEY_ACTIVATION, DigestKeys};
pub use jwt::VerifyError;
pub(in crate::identity) use jwt::{check_lifetime, key_id_of, validation_for, verified_claims};
pub use key_ring::{CLIENT_STATE_KEYS, COOKIE_KEYS, KeyRing, KeySource, KeyVaultKeys};
pub use signing_keys::{PublishedKey, SigningKeys};
pub use system_credentials::{KeyVaultSystemCredentials, SystemCredentials};
pub use validation_tokens::{ValidationTokenVerifier, VerifiedTenants};
pub use vault::{KeysUnavailable, VaultWriteError};
