//! `cargo pack`: builds the handler and makes the zip that Azure runs.

fn main() {}
