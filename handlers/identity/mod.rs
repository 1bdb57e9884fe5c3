//! Who we are, and who others are: the tokens and keys that prove it.

pub mod admin_consent;
pub mod client_assertion;
pub mod client_state;
pub mod cloud;
pub mod content_keys;
pub mod key_ring;
pub mod managed_identity;
mod oauth_state;
#[cfg(test)]
pub(crate) mod scripted_http;
pub mod session;
pub mod sign_in;
pub mod signing_keys;
pub mod tenant_tokens;
pub mod token_verifier;
pub mod validation_tokens;
mod vault;
mod vault_cache;
