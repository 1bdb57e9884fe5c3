//! The store: one file a table, over the port in [`tables`].

pub mod tables;
