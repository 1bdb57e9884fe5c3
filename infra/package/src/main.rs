//! `cargo pack`: builds the handler and makes the zip that Azure runs. See `package::command`.

use std::process::ExitCode;

use clap::Parser as _;
use package::command::{Arguments, run};

fn main() -> ExitCode {
    run(&Arguments::parse())
}
