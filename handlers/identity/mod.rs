//! Who we are, and who others are: the tokens and keys that prove it.

pub mod client_state;
pub mod key_ring;
pub mod managed;
#[cfg(test)]
pub(crate) mod scripted;
pub mod tenant_tokens;
