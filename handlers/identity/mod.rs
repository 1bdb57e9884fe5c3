//! Who we are, and who others are: the tokens and keys that prove it.

pub mod admin_consent;
mod cached;
pub mod client_assertion;
pub mod client_state;
pub mod cloud;
pub mod content_keys;
pub mod key_ring;
pub mod managed;
#[cfg(test)]
pub(crate) mod scripted;
pub mod session;
pub mod sign_in;
pub mod signing_keys;
pub mod tenant_tokens;
pub mod tokens;
pub mod validation_tokens;
mod vault;
mod way_back;
