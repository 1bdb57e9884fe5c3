//! x

pub mod entra;
pub mod exchange;
pub mod in_process;
pub mod key_vault;
