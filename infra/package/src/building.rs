//! Building the handler so that the same source makes the same bytes for everyone everywhere.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::PackError;
use crate::binary::CEILING;
use crate::tools::Tools;

/// What Flex Consumption runs on.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// 1 January 1980, where a zip's time begins: for whatever writes the time into what it makes
/// (reproducible-builds.org/specs/source-date-epoch, 1.1).
const EPOCH: &str = "315532800";

/// Settings of the one who builds that would change the bytes. They are not passed on.
const DROPPED: [&str; 17] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTC",
    "CARGO_PROFILE_",
    "CARGO_TARGET_X86_64_",
    "CARGO_TARGET_APPLIES_TO_HOST",
    "RUSTC_BOOTSTRAP",
    "CFLAGS",
    "TARGET_",
    "CC_",
    "AR_",
    "CPATH",
    "C_INCLUDE_PATH",
    "AWS_LC_",
    "ZERO_AR_DATE",
];
/// The same, whose whole name is a common beginning.
const DROPPED_EXACTLY: [&str; 3] = ["CC", "AR", "RUSTC"];

/// Where the project and its tools lie on this machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The project.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    cargo: OsString,
    cargo_home: PathBuf,
    sysroot: PathBuf,
    /// What `rustc --version` says.
    pub compiler: String,
    commit: String,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Machine {
    /// Asks Cargo and the compiler.
    ///
    /// # Errors
    /// [`PackError::Tool`].
    pub fn find() -> Result<Self, PackError> {
        // Cargo names itself to what it runs; started by hand, the one in PATH does.
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let asked = ["metadata", "--no-deps", "--locked", "--format-version", "1"];
        let metadata = answer(Command::new(&cargo).args(asked).current_dir(here))?;
        let metadata: Metadata = serde_json::from_str(&metadata)
            .map_err(|e| PackError::Tool(format!("cargo metadata says something else: {e}")))?;
        let rustc = |argument: &[&str]| {
            answer(Command::new("rustc").args(argument).current_dir(&metadata.workspace_root))
        };
        let version = rustc(&["--version", "--verbose"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .ok_or_else(|| PackError::Tool("there is no home folder: set CARGO_HOME".to_owned()))?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            cargo,
            cargo_home,
            sysroot,
            compiler: version.lines().next().unwrap_or_default().to_owned(),
            commit: commit.unwrap_or("unknown").to_owned(),
        })
    }

    /// The folders that must not be in the handler.
    pub fn own(&self) -> Vec<&Path> {
        vec![&self.root, &self.target, &self.cargo_home, &self.sysroot]
    }

    /// What the handler holds instead of which folder. Where several fit the last one counts, for
    /// rustc (doc.rust-lang.org/rustc/remap-source-paths.html) as for clang.
    fn names(&self) -> Result<Vec<(PathBuf, String)>, PackError> {
        let mut names = vec![(self.cargo_home.clone(), "/cargo".to_owned())];
        // The registry's folder is called differently where a mirror is used.
        let sources = self.cargo_home.join("registry").join("src");
        let mut registries = fs::read_dir(&sources)
            .map_err(PackError::at(&sources))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(PackError::at(&sources))?;
        registries.sort();
        names.extend(registries.into_iter().map(|path| (path, "/cargo/registry".to_owned())));
        names.push((self.sysroot.clone(), "/rustc".to_owned()));
        // Where the standard library's source is installed rustc would name that.
        let library = self.sysroot.join("lib/rustlib/src/rust");
        names.push((library, format!("/rustc/{}", self.commit)));
        names.push((self.root.clone(), "/roombridge".to_owned()));
        names.push((self.target.clone(), "/roombridge/target".to_owned()));
        Ok(names)
    }
}

/// What is built: the one package alone. Together with `tests/world` Cargo would turn on the feature
/// `test-support`, too.
const SELECTION: [&str; 2] = ["--package", "roombridge"];

/// Builds the handler with a profile of Cargo.toml other than `dev`, and answers where it is. Cargo's output
/// is on standard error.
///
/// # Errors
/// [`PackError::Tool`].
pub fn handler(
    machine: &Machine,
    tools: &Tools,
    profile: &str,
    say: &dyn Fn(&str),
) -> Result<PathBuf, PackError> {
    if !machine.sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        let how = format!("the compiler cannot build for {TARGET}: rustup target add {TARGET}");
        return Err(PackError::Tool(how));
    }
    let mut fetch = Command::new(&machine.cargo);
    fetch.args(["fetch", "--quiet", "--locked", "--target", TARGET]).current_dir(&machine.root);
    run(fetch, "cargo fetch")?;

    let names = machine.names()?;
    let rust: Vec<OsString> = names.iter().map(|(path, name)| remap(path, name)).collect();
    let c: Vec<String> = names.iter().map(|(path, name)| quoted_map(path, name)).collect();
    let cache = machine.target.join("package").join("cache");
    let mut build = Command::new(tools.zigbuild());
    let dropped: Vec<OsString> = env::vars_os().map(|(name, _)| name).filter(changes).collect();
    for name in &dropped {
        build.env_remove(name);
    }
    if !dropped.is_empty() {
        let list: Vec<_> = dropped.iter().map(|name| name.to_string_lossy()).collect();
        say(&format!("Not used here, so that everybody gets the same bytes: {}", list.join(", ")));
    }
    build
        .args(["zigbuild", "--locked", "--profile", profile])
        .args(SELECTION)
        .args(["--bin", "handler", "--target", &format!("{TARGET}.{CEILING}")])
        .arg("--target-dir")
        .arg(&machine.target)
        .current_dir(&machine.root)
        .env("PATH", tools.path()?)
        .env("CARGO_HOME", &machine.cargo_home)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join(std::ffi::OsStr::new("\x1f")))
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
        .env(format!("CFLAGS_{}", TARGET.replace('-', "_")), c.join(" "))
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .env("CARGO_ZIGBUILD_CACHE_DIR", &cache)
        .env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig"))
        .env("ZIG_LOCAL_CACHE_DIR", cache.join("zig"));
    run(build, "building the handler")?;
    Ok(machine.target.join(TARGET).join(profile).join("handler"))
}

fn changes(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    DROPPED.iter().any(|start| name.starts_with(start)) || DROPPED_EXACTLY.contains(&name.as_ref())
}

fn remap(path: &Path, name: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(path);
    flag.push("=");
    flag.push(name);
    flag
}

/// The same for the C compiler, in quotes that the build scripts' crate `cc` takes away.
fn quoted_map(path: &Path, name: &str) -> String {
    let flag = format!("-ffile-prefix-map={}={name}", path.display());
    format!("'{}'", flag.replace('\'', "'\\''"))
}

fn answer(command: &mut Command) -> Result<String, PackError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(PackError::Tool(format!("{program} ended: {}", output.status))),
        Err(error) => Err(PackError::Tool(format!("{program} cannot be started: {error}"))),
    }
}

fn run(mut command: Command, what: &str) -> Result<(), PackError> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(PackError::Tool(format!("{what} ended: {status}"))),
        Err(error) => Err(PackError::Tool(format!("{what} cannot be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_has_no_clock_or_chance_of_the_tests() {
        let mut tree = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        tree.args(["tree", "--offline", "--locked", "--edges", "no-dev", "--depth", "0"])
            .args(SELECTION)
            .args(["--format", "{lib}: {f}"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(answer(&mut tree).unwrap().trim(), "roombridge:");
    }
}
