//! What is deployed: the templates, the package and the documents, held against the program.

mod after;
mod compiler;
mod documents;
mod entra;
mod faults;
mod package;
mod policy;
mod queries;
pub(crate) mod retention;
mod snapshot;
mod workflows;

/// Says something even though the test passes: what was not tested must be seen.
fn say(what: &str) {
    use std::io::Write as _;
    // Straight to the stream, because a passing test's own output is kept back. Nobody to tell if that fails.
    drop(writeln!(std::io::stderr(), "\n*** {what} ***\n"));
}
