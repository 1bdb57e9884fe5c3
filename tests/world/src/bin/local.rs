//! The command of the local world.

fn main() {}
