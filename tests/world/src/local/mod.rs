//! The local world: the handler as it is shipped, as a process under the simulated host, on the
//! emulator, with the simulated Microsoft side around it; all over sockets, all on this machine.
//!
//! [`LocalWorld`] starts and stops it, for `cargo local` and for the test that kills the handler.
//! [`command`] is the command line, [`day`] what is played, [`feed`] and [`report`] what is shown.

mod app_host;
mod build;
mod clock;
pub mod command;
pub mod day;
mod environment;
pub mod feed;
mod guide;
mod installation;
mod organisations;
pub mod report;
mod response_gate;
mod world;

use crate::azurite::AzuriteError;
use crate::host::{Level, Line};

pub use clock::WorldClock;
pub use environment::{Addresses, settings};
pub use installation::Installation;
pub use organisations::{InvitedOrganisation, UninvitedOrganisation};
pub use response_gate::{CaughtResponse, ResponseGate};
pub use world::{LocalWorld, LocalWorldOptions};

/// How many of the handler's last lines are shown when it failed.
const LAST_LINES: usize = 12;

/// The local world could not be started, or did not do what was expected of it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The emulator.
    #[error(transparent)]
    Azurite(#[from] AzuriteError),
    /// The handler's binary could not be built.
    #[error("the handler cannot be built: {0}")]
    Build(String),
    /// A listener has no port.
    #[error("port {port} on 127.0.0.1 cannot be used: {source}; choose another one with --port")]
    Port {
        /// Which.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The handler process does not run.
    #[error("the handler does not run; its last lines:\n{0}")]
    Handler(String),
    /// What should have happened did not.
    #[error("this did not happen in time: {what}; the handler's last lines:\n{lines}")]
    NotInTime {
        /// What was waited for.
        what: String,
        /// What the handler said meanwhile.
        lines: String,
    },
    /// What was expected is not so.
    #[error("this did not come true: {0}")]
    Unexpected(String),
    /// Something else went wrong before or beside the handler.
    #[error("{what}: {why}")]
    Other {
        /// What was being done.
        what: &'static str,
        /// What went wrong.
        why: String,
    },
}

impl LocalError {
    /// An error met while doing `what`.
    pub(crate) fn while_doing<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Other { what, why: error.to_string() }
    }
}

/// The last lines of a log, complaints marked.
fn last_lines(lines: &[Line]) -> String {
    let from = lines.len().saturating_sub(LAST_LINES);
    let mark = |line: &Line| match line.level {
        Level::Information => format!("  {}", line.text),
        Level::Warning | Level::Error => format!("! {}", line.text),
    };
    lines[from..].iter().map(mark).collect::<Vec<_>>().join("\n")
}
