//! The command of the local world: see `world::local`.

use std::process::ExitCode;

use clap::Parser as _;
use world::local::command::{Arguments, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Arguments::parse()).await
}
