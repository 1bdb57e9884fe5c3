//! The other side of Roombridge: what it talks to in Azure, played by this process for tests and for `cargo local`.

pub mod azurite;
pub mod host;
pub mod managed_identity;
pub mod serve;
pub mod signing;
pub mod tls;
pub mod watched;
