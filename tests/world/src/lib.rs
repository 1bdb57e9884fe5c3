//! The other side of Roombridge: what it talks to in Azure, played by this process for tests and for `cargo local`.

pub mod azurite;
pub mod entra;
pub mod exchange;
pub mod fault_injection;
pub mod graph;
pub mod host;
pub mod key_vault;
pub mod librebooking;
pub mod local;
pub mod log_capture;
pub mod managed_identity;
pub mod memory;
pub mod microsoft;
pub mod network;
pub mod npm;
pub mod outlook;
pub mod own_system;
pub mod serve;
pub mod signing;
pub mod test_world;
pub mod tls;
pub mod tools;
pub mod topdesk;
