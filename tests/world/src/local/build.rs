//! The handler's binary: built by Cargo beside this program, so that what runs is what is written.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::LocalError;

/// Builds the handler with the profile of this program and returns where it is. Cargo's own lines
/// go to standard error.
///
/// # Errors
/// [`LocalError::Build`].
pub(super) async fn handler() -> Result<PathBuf, LocalError> {
    let failed = |error: std::io::Error| LocalError::Build(error.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let binary = folder.join(format!("handler{}", std::env::consts::EXE_SUFFIX));
    // Cargo names itself to what it runs; started by hand, the one in PATH does.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .current_dir(crate::test_world::repository_root())
        // Of the whole workspace: Cargo then chooses the same features as for this program, and what both
        // depend on is not built twice.
        .args(["build", "--quiet", "--bin", "handler"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().await.map_err(|error| {
        LocalError::Build(format!("cargo cannot be started ({error}): run this as `cargo local`"))
    })?;
    if !status.success() {
        return Err(LocalError::Build(format!("`cargo build --bin handler` ended: {status}")));
    }
    if binary.exists() { Ok(binary) } else { Err(LocalError::Build(missing(&binary))) }
}

fn missing(binary: &Path) -> String {
    format!("cargo built it, but not at {}", binary.display())
}
