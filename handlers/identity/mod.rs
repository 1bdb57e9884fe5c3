//! Who we are, and who others are: the tokens and keys that prove it.

pub mod app_tokens;
pub mod keys;
#[cfg(test)]
pub(crate) mod scripted_http;
pub mod sign_in;
