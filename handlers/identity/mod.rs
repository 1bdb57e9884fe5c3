//! Who we are, and who others are.

pub mod managed;
