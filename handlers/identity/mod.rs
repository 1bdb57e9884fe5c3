//! Who we are to others: the tokens and keys with which we prove it.

pub mod key_ring;
#[cfg(test)]
pub(crate) mod scripted;
pub mod tenant_tokens;
