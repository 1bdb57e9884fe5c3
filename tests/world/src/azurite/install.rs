//! Installing Azurite and a Node to run it, once, below Cargo's target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Azurite, AzuriteError};

/// The first Azurite that knows the service version the queue crate asks for (2026-04-06).
pub(super) const AZURITE: &str = "3.37.0";
/// Installed beside it unless the machine's own Node is new enough.
const NODE: &str = "22.23.3";
/// The oldest Node that this Azurite supports.
pub(super) const NODE_MAJOR: u32 = 22;

impl Azurite {
    /// Where Cargo builds: the folder above this program that Cargo marked with `CACHEDIR.TAG`.
    ///
    /// # Errors
    /// [`AzuriteError::NoTarget`].
    pub fn target_dir() -> Result<PathBuf, AzuriteError> {
        let program = std::env::current_exe()?;
        let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
        marked.map(Path::to_owned).ok_or(AzuriteError::NoTarget(program.clone()))
    }

    /// Whether the pinned version is in `target/azurite` already.
    pub fn is_installed(target: &Path) -> bool {
        let home = target.join("azurite");
        let manifest = std::fs::read(home.join("node_modules/azurite/package.json"));
        let version = manifest
            .ok()
            .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
            .and_then(|manifest| manifest["version"].as_str().map(str::to_owned));
        version.as_deref() == Some(AZURITE) && node(&home).is_some()
    }

    /// Installs the pinned version into `target/azurite` unless it is there. Takes half a minute
    /// and 550 MB the first time. Of several processes one installs and the others wait; a folder
    /// half written is never used.
    ///
    /// # Errors
    /// [`AzuriteError::NoNpm`], [`AzuriteError::Npm`] or [`AzuriteError::Io`].
    pub fn install(target: &Path) -> Result<(), AzuriteError> {
        if Self::is_installed(target) {
            return Ok(());
        }
        let lock = std::fs::File::create(target.join("azurite.lock"))?;
        lock.lock()?; // held until this returns, or this process dies
        if Self::is_installed(target) {
            return Ok(());
        }
        let (home, fresh) = (target.join("azurite"), target.join("azurite.new"));
        for leftover in [&home, &fresh] {
            if leftover.exists() {
                std::fs::remove_dir_all(leftover)?;
            }
        }
        std::fs::create_dir_all(&fresh)?;
        npm_install(&fresh)?;
        std::fs::rename(&fresh, &home)?;
        if Self::is_installed(target) {
            Ok(())
        } else {
            Err(AzuriteError::Npm("it reported success but left nothing usable".to_owned()))
        }
    }
}

/// The Node to run it with: the one beside it, else the machine's own if that is new enough.
pub(super) fn node(home: &Path) -> Option<PathBuf> {
    let beside = home.join("node_modules/.bin/node");
    if beside.exists() { Some(beside) } else { own_node() }
}

fn own_node() -> Option<PathBuf> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let major = version.trim().strip_prefix('v')?.split('.').next()?.parse::<u32>().ok()?;
    (major >= NODE_MAJOR).then(|| PathBuf::from("node"))
}

fn npm_install(folder: &Path) -> Result<(), AzuriteError> {
    std::fs::write(folder.join("package.json"), r#"{ "private": true }"#)?;
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(folder)
        .args(["install", "--save-exact", "--no-audit", "--no-fund", "--loglevel=error"])
        .arg("--ignore-scripts=false") // the node package fetches its binary in a script
        .arg(format!("azurite@{AZURITE}"))
        .stdin(Stdio::null());
    if own_node().is_none() {
        npm.arg(format!("node@{NODE}"));
    }
    let output = npm.output().map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        if missing { AzuriteError::NoNpm } else { AzuriteError::Io(error) }
    })?;
    if output.status.success() {
        Ok(())
    } else {
        Err(AzuriteError::Npm(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Tls;

    #[test]
    #[ignore = "downloads 550 MB; run it when a pinned version changes"]
    fn two_installations_at_once_do_not_interfere() {
        let target = tempfile::tempdir_in(Azurite::target_dir().unwrap()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| Azurite::install(target.path()).unwrap());
            }
        });
        assert!(Azurite::is_installed(target.path()));
        let tls = Tls::create(target.path()).unwrap();
        drop(Azurite::start(target.path(), &tls).unwrap());
    }
}
