//! The other side of Roombridge: what it talks to in Azure, played by this process for tests and for `cargo local`.

pub mod azurite;
pub mod ears;
pub mod entra;
pub mod exchange;
pub mod graph;
pub mod host;
pub mod in_process;
pub mod key_vault;
pub mod local;
pub mod managed_identity;
pub mod microsoft;
pub mod office;
pub mod outlook;
pub mod serve;
pub mod signing;
pub mod tls;
pub mod watched;
