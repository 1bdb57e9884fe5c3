//! Our own tokens: the managed identity, and the registrations that it vouches for.

mod client_assertion;
mod managed_identity;
mod registrations;
mod tenant_tokens;

pub(in crate::identity) use client_assertion::sanitize_error_code;
pub use client_assertion::{TokenEndpoint, TokenError};
pub use managed_identity::credential;
pub use registrations::{Cloud, Registrations, SignInRegistration};
pub use tenant_tokens::{BearerToken, TenantTokens};
