//! Who we are, and who others are: the tokens and keys that prove it.

pub mod admin_consent;
pub mod client_assertion;
pub mod client_state;
pub mod cloud;
pub mod key_ring;
pub mod managed;
#[cfg(test)]
pub(crate) mod scripted;
pub mod session;
pub mod sign_in;
pub mod signing_keys;
pub mod tenant_tokens;
pub mod tokens;
mod way_back;
