//! Tools that a machine may lack: what needs one says so once and is left out, and the rest runs.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Whether the tool was found. Where it was not, this says once what is `left_out`, and why; with `CI=true`
/// nothing may be left out, so this answers true and the test that misses the tool fails.
pub fn is_present<T, E: Display>(found: &Result<T, E>, left_out: &'static str) -> bool {
    static NOTICES: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let Err(reason) = found else { return true };
    if std::env::var_os("CI").is_some_and(|value| value == "true") {
        return true;
    }
    if NOTICES.lock().unwrap_or_else(PoisonError::into_inner).insert(left_out) {
        // Not through the macros: the test harness keeps to itself what a passing test prints with them.
        let notice = format!("\nNOTICE: {left_out} was left out. {reason}\n");
        drop(std::io::stderr().write_all(notice.as_bytes()));
    }
    false
}
