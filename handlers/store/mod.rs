//! The store: one file a table, over the port in [`tables`].

pub mod azure;
mod limits;
pub mod memory;
pub mod table_service;
pub mod tables;
