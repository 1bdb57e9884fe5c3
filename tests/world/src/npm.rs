//! Programs that npm carries, installed once below Cargo's target directory.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// npm could not install something.
#[derive(Debug, thiserror::Error)]
pub enum NpmError {
    /// npm is not there.
    #[error(
        "npm was not found, and it is needed once to install {0}: install Node.js 22 or newer from \
         https://nodejs.org and run this again"
    )]
    Missing(String),
    /// It ran, and left nothing that can be used.
    #[error("npm could not install {what} (is the package registry reachable?):\n{output}")]
    Failed {
        /// What it was asked for.
        what: String,
        /// What it said.
        output: String,
    },
    /// A file or process could not be used.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Installs `what` into the folder `name` below `target` unless `is_installed` finds it there, and answers
/// the folder. Of several processes one installs and the others wait; a folder half written is never used.
///
/// # Errors
/// [`NpmError`], that of `fill` included, which is given the new folder.
pub fn install_once(
    target: &Path,
    name: &str,
    what: &str,
    is_installed: impl Fn(&Path) -> bool,
    fill: impl FnOnce(&Path) -> Result<(), NpmError>,
) -> Result<PathBuf, NpmError> {
    let home = target.join(name);
    if is_installed(&home) {
        return Ok(home);
    }
    let lock = std::fs::File::create(target.join(format!("{name}.lock")))?;
    lock.lock()?; // held until this returns, or this process dies
    if is_installed(&home) {
        return Ok(home);
    }
    let fresh = target.join(format!("{name}.new"));
    for leftover in [&home, &fresh] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover)?;
        }
    }
    std::fs::create_dir_all(&fresh)?;
    fill(&fresh)?;
    std::fs::rename(&fresh, &home)?;
    if is_installed(&home) {
        Ok(home)
    } else {
        let output = "it reported success but left nothing usable".to_owned();
        Err(NpmError::Failed { what: what.to_owned(), output })
    }
}

/// Runs npm in `folder`, without input, to install `what`.
///
/// # Errors
/// [`NpmError`].
pub fn run(folder: &Path, what: &str, arguments: &[&str]) -> Result<(), NpmError> {
    let output = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .current_dir(folder)
        .args(arguments)
        .args(["--no-audit", "--no-fund", "--loglevel=error"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            if missing { NpmError::Missing(what.to_owned()) } else { NpmError::Io(error) }
        })?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(NpmError::Failed { what: what.to_owned(), output })
}

/// Installs exactly these packages (`name@version`) into `folder`.
///
/// # Errors
/// [`NpmError`].
pub fn install(folder: &Path, packages: &[&str], scripts: Scripts) -> Result<(), NpmError> {
    std::fs::write(folder.join("package.json"), r#"{ "private": true }"#)?;
    let scripts = match scripts {
        Scripts::Run => "--ignore-scripts=false",
        Scripts::Ignore => "--ignore-scripts",
    };
    run(folder, &packages.join(" "), &[&["install", "--save-exact", scripts], packages].concat())
}

/// Whether packages may run scripts of their own while they are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scripts {
    /// They may.
    Run,
    /// They may not.
    Ignore,
}

/// The version of `package` in the folder that npm filled, if it is there.
pub fn version(home: &Path, package: &str) -> Option<String> {
    let manifest = home.join("node_modules").join(package).join("package.json");
    let manifest = serde_json::from_slice::<serde_json::Value>(&std::fs::read(manifest).ok()?);
    manifest.ok()?["version"].as_str().map(str::to_owned)
}
