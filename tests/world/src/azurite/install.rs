//! Installing Azurite and a Node to run it, once, below Cargo's target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Azurite, AzuriteError};
use crate::npm;

/// The first Azurite that knows the service version the queue crate asks for (2026-04-06).
const AZURITE: &str = "3.37.0";
/// Installed beside it unless the machine's own Node is new enough.
const NODE: &str = "22.23.3";
/// The oldest Node that this Azurite supports.
const NODE_MAJOR: u32 = 22;
/// Where it is installed, below the target directory.
pub(super) const FOLDER: &str = "azurite";

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
        is_installed_in(&target.join(FOLDER))
    }

    /// Installs the pinned version into `target/azurite` unless it is there. Takes half a minute
    /// and 550 MB the first time.
    ///
    /// # Errors
    /// [`AzuriteError::Npm`].
    pub fn install(target: &Path) -> Result<(), AzuriteError> {
        let azurite = format!("azurite@{AZURITE}");
        let what = format!("the storage emulator ({azurite})");
        let node = format!("node@{NODE}");
        npm::install_once(target, FOLDER, &what, is_installed_in, |fresh| {
            let mut packages = vec![azurite.as_str()];
            if own_node().is_none() {
                packages.push(&node); // it fetches its program in a script
            }
            npm::install(fresh, &packages, npm::Scripts::Run)
        })?;
        Ok(())
    }
}

fn is_installed_in(home: &Path) -> bool {
    npm::version(home, "azurite").as_deref() == Some(AZURITE) && node(home).is_some()
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
