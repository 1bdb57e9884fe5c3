//! The linker for an old C library: cargo-zigbuild and zig, found or installed.
//!
//! Both come from PyPI as ready-made programs, pinned by hash in `infra/package/tools.txt`, so that
//! Python 3 is all that a machine needs beside Rust.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::PackError;

/// The pinned versions and their hashes.
const PINS: &str = include_str!("../tools.txt");
/// Written when everything is installed.
const MARK: &str = "installed.txt";

/// Where cargo-zigbuild and zig are.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The folder to put before all others in `PATH`; `None` when they are in `PATH` already.
    folder: Option<PathBuf>,
}

impl Tools {
    /// Takes the pinned versions from `PATH`, or from a Python environment below `target`, which is
    /// made if it is missing. Other versions make other bytes, so they are not taken.
    ///
    /// # Errors
    /// [`PackError::NoTools`], saying what to install.
    pub fn find(target: &Path, say: &dyn Fn(&str)) -> Result<Self, PackError> {
        let zigbuild = says("cargo-zigbuild", &["--version"]);
        let zig = says("zig", &["version"]);
        let as_pinned = |said: Option<String>, package: &str| {
            let version = pinned(package);
            said.is_some_and(|said| said.split_whitespace().any(|word| Some(word) == version))
        };
        if as_pinned(zigbuild, "cargo-zigbuild") && as_pinned(zig, "ziglang") {
            return Ok(Self { folder: None });
        }
        let environment = target.join("package").join("tools");
        let mark = environment.join(MARK);
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == PINS) {
            return Ok(Self { folder: Some(environment.join("bin")) });
        }
        say(
            "Installing the linker (zig) into target/package/tools, once: 90 MB to download, 420 MB there.",
        );
        install(&environment)?;
        fs::write(&mark, PINS).map_err(PackError::at(&mark))?;
        Ok(Self { folder: Some(environment.join("bin")) })
    }

    /// The `PATH` to build with.
    ///
    /// # Errors
    /// [`PackError::Tool`] when the folder's own name does not fit into a `PATH`.
    pub fn path(&self) -> Result<OsString, PackError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = self.folder.iter().cloned().chain(env::split_paths(&path));
        env::join_paths(folders).map_err(|e| PackError::Tool(e.to_string()))
    }

    /// cargo-zigbuild, as a command.
    pub fn zigbuild(&self) -> PathBuf {
        let name = Path::new("cargo-zigbuild");
        self.folder.as_ref().map_or_else(|| name.to_owned(), |folder| folder.join(name))
    }
}

/// The pinned version of `package`.
pub fn pinned(package: &str) -> Option<&'static str> {
    let line = PINS.lines().find_map(|line| line.strip_prefix(package)?.strip_prefix("=="))?;
    line.split_whitespace().next()
}

/// What a program answers; `None` when it is not there.
fn says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn install(environment: &Path) -> Result<(), PackError> {
    let pins = environment.with_extension("txt");
    if let Some(folder) = environment.parent() {
        fs::create_dir_all(folder).map_err(PackError::at(folder))?;
    }
    fs::write(&pins, PINS).map_err(PackError::at(&pins))?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(environment);
    done(
        venv,
        "python3 with its module venv is needed to install the linker (Debian: apt-get install python3-venv; macOS: xcode-select --install)",
    )?;
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"])
        .args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--requirement"])
        .arg(&pins);
    done(
        pip,
        "the linker cannot be installed: PyPI must be reachable, and this be Linux or macOS on x86-64 or aarch64. With cargo-zigbuild and zig of the versions in infra/package/tools.txt in PATH nothing is installed",
    )
}

/// Runs a command to its end; its output is on standard error, where a person sees it.
fn done(mut command: Command, otherwise: &str) -> Result<(), PackError> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(PackError::NoTools(format!("{otherwise} ({status})"))),
        Err(error) => Err(PackError::NoTools(format!("{otherwise} ({error})"))),
    }
}
