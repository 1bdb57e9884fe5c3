//! What can be wrong with a zip, each with what to do about it.

use crate::binary::{CEILING, Glibc, LOADER};

/// What is wrong with a zip, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("it is not a zip ({0}): make it with `cargo pack`")]
    NotAZip(String),
    #[error(
        "a name is in it twice, so the program that unpacks it decides which is meant: make it with `cargo pack`"
    )]
    Twice,
    #[error("{0} is a link or a device, and no file: make the zip with `cargo pack`")]
    NotAFile(String),
    #[error("{0} is not at the root: files belong at the zip's root, not in a folder of their own")]
    Nested(String),
    #[error(
        "{name} has the mode {mode:o}, not {wanted:o}: pack on Linux or macOS, with `cargo pack`"
    )]
    Mode { name: String, mode: u32, wanted: u32 },
    #[error(
        "{0} has no Unix mode: the zip was made on Windows; use `cargo pack` on Linux or macOS"
    )]
    NoMode(String),
    #[error("{0} does not belong into a package: take it out")]
    Foreign(String),
    #[error("there is no {0} at the root: without it the Functions host starts nothing")]
    Missing(&'static str),
    #[error("{name} is not JSON ({why}): correct it")]
    NotJson { name: String, why: String },
    #[error(
        "host.json starts {0:?}, and the handler is called \"handler\": set customHandler.description.defaultExecutablePath to \"handler\", without \"./\""
    )]
    Executable(String),
    #[error("the handler knows no function {0}: remove its folder")]
    UnknownFunction(String),
    #[error("the function {0} does not belong into this part: `cargo pack` puts it into the other")]
    OtherPart(String),
    #[error("the function {0} has no folder: its work would never be done; add {0}/function.json")]
    MissingFunction(&'static str),
    #[error("the handler cannot run there: {0}; build it with `cargo pack`")]
    NotForThere(String),
    #[error(
        "the handler needs glibc {0}, newer than {CEILING}: it was built with the system's linker; use `cargo pack`, which links for {CEILING}"
    )]
    Glibc(Glibc),
    #[error(
        "the handler needs {0} of the C library, which {CEILING} does not have: use `cargo pack`"
    )]
    OtherNeed(String),
    #[error(
        "the handler needs the library {0}, which the platform need not have: link it statically or do without"
    )]
    Library(String),
    #[error("the handler asks for the loader {0:?}, not {LOADER:?}: build it with `cargo pack`")]
    Loader(String),
    #[error("the handler says nothing of the libraries it needs: build it with `cargo pack`")]
    Unsaid,
    #[error("the handler looks for libraries in {0}: link without an rpath")]
    SearchPath(String),
    #[error(
        "the handler holds paths of the machine it was built on, {times} times {path}: build it with `cargo pack`, which replaces them"
    )]
    MachinePath { path: String, times: usize },
}

/// The problems, one a line.
pub fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("- {problem}")).collect::<Vec<_>>().join("\n")
}
