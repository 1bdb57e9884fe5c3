//! Runs a script of `infra/` with a stub `az` first in its path, and a curl that finds the app.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use world::serve::Serving;

use super::super::say;
use super::azure::{Azure, stub};
use crate::TestError;

/// What a script said and how it ended.
pub(super) struct ScriptOutput {
    /// Its exit code.
    pub(super) status: Option<i32>,
    /// Standard output, then standard error.
    pub(super) text: String,
}

/// A folder with an `az` in it.
pub(super) struct Stage {
    /// What `az` answers, and what it was asked.
    pub(super) azure: Arc<Azure>,
    pub(super) folder: TempDir,
    #[expect(dead_code, reason = "held for its drop, which ends the listener")]
    serving: Serving,
    /// More environment for the script.
    pub(super) environment: Vec<(String, String)>,
}

impl Stage {
    /// An Azure that knows nothing.
    pub(super) fn empty() -> Result<Self, TestError> {
        let (azure, folder) = (Arc::new(Azure::default()), tempfile::tempdir()?);
        let serving = stub(&azure, folder.path())?;
        Ok(Self { azure, folder, serving, environment: Vec::new() })
    }

    /// Runs a script of `infra/`.
    pub(super) async fn run(
        &self,
        script: &str,
        arguments: &[&str],
    ) -> Result<ScriptOutput, TestError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let others = std::env::split_paths(&path);
        let paths = std::iter::once(self.folder.path().to_owned()).chain(others);
        let output = tokio::process::Command::new("bash")
            .arg(infra().join(script))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::join_paths(paths)?)
            .env("LC_ALL", "C.UTF-8")
            .env("CURL_HOME", self.folder.path())
            .env("NO_PROXY", "*")
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let text = [output.stdout, output.stderr].concat();
        Ok(ScriptOutput { status: output.status.code(), text: String::from_utf8(text)? })
    }
}

/// The lines that begin so.
pub(super) fn lines_of<'a>(text: &'a str, beginning: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(beginning)).collect()
}

/// The folder of the scripts.
pub(super) fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra")
}

/// Whether bash, curl and GNU grep are here; says so when they are not.
pub(super) fn usable() -> bool {
    let runs = |program: &str| {
        let run = std::process::Command::new(program).arg("--version").output();
        run.is_ok_and(|output| output.status.success())
    };
    let missing: Vec<&str> = ["bash", "curl"].into_iter().filter(|name| !runs(name)).collect();
    if !missing.is_empty() {
        say(&format!("SKIPPED: the scripts under infra/ were not run: {missing:?} not found"));
    }
    missing.is_empty()
}
