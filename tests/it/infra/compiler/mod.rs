//! Microsoft's own Bicep compiler, which judges the templates where one is found.

mod server;
mod templates;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use self::server::Server;
pub(super) use self::templates::{Templates, original, paths_of};
use super::say;
use super::snapshot::Snapshot;
use crate::{TestError, TestResult};

/// Where the types of the Microsoft Graph extension are, below the compiler's folder.
const GRAPH_TYPES: &str = "microsoftgraph-v1.0-1.0.0";
/// A deployment needs these; what they are makes no difference.
const SUBSCRIPTION: &str = "a0000000-0000-4000-8000-00000000000a";
const TENANT: &str = "a0000000-0000-4000-8000-00000000000b";

/// The compiler, as one process that all stories ask in turn: it starts in a second and then answers in a third of
/// one.
pub(super) struct Compiler {
    server: Mutex<Server>,
    /// The types of Microsoft Graph as the compiler takes them; none where they are not found.
    graph: Option<PathBuf>,
}

/// The compiler that `ROOMBRIDGE_BICEP` names, or the one in `PATH`. Where there is none, that is said loudly, once.
///
/// # Errors
/// When one is named that does not work, or is another version than the templates are written for.
pub(super) fn compiler() -> Result<Option<&'static Compiler>, TestError> {
    static COMPILER: LazyLock<Result<Option<Compiler>, String>> =
        LazyLock::new(|| Compiler::find().map_err(|problem| problem.to_string()));
    COMPILER.as_ref().map(Option::as_ref).map_err(|problem| problem.clone().into())
}

/// The version that the templates are written for, which the workflow installs.
fn version() -> Result<&'static str, TestError> {
    let script = include_str!("../../../../.github/bicep.sh");
    let line = script.lines().find_map(|line| line.strip_prefix("version=v"));
    Ok(line.ok_or(".github/bicep.sh names no version")?)
}

/// The version that a compiler says it is: `Bicep CLI version 0.49.2 (b34271ac51)`.
fn version_of(compiler: &Path) -> Option<String> {
    let run = Command::new(compiler).arg("--version").envs(server::ENVIRONMENT).output().ok()?;
    let said = String::from_utf8(run.stdout).ok()?;
    said.strip_prefix("Bicep CLI version ")?.split_whitespace().next().map(str::to_owned)
}

/// A program in `PATH`.
fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Compiler {
    fn find() -> Result<Option<Self>, TestError> {
        let wanted = version()?;
        let named = std::env::var_os("ROOMBRIDGE_BICEP").filter(|path| !path.is_empty());
        let Some(path) = named.clone().map(PathBuf::from).or_else(|| in_path("bicep")) else {
            say(&format!(
                "TEMPLATES NOT COMPILED: there is no Bicep {wanted}. ROOMBRIDGE_BICEP names one, and \
                 `.github/bicep.sh --install` installs it where the Azure CLI is.",
            ));
            return Ok(None);
        };
        let found = version_of(&path);
        if found.as_deref() != Some(wanted) {
            let found = found.map_or("no Bicep that starts".to_owned(), |it| format!("Bicep {it}"));
            let what = format!("{} is {found}, not Bicep {wanted}", path.display());
            if named.is_some() {
                return Err(what.into());
            }
            say(&format!("TEMPLATES NOT COMPILED: {what}."));
            return Ok(None);
        }
        let graph = graph_types(&path, wanted)?;
        Ok(Some(Self { server: Mutex::new(Server::start(&path)?), graph }))
    }

    /// Whether files that use Microsoft Graph can be compiled.
    pub(super) fn knows_graph(&self) -> bool {
        self.graph.is_some()
    }

    /// A copy of the templates to work on.
    pub(super) fn copy(&self) -> Result<Templates, TestError> {
        Templates::copy(self.graph.as_deref())
    }

    fn ask(&self, method: &str, params: &Value) -> Result<Value, TestError> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).ask(method, params)
    }

    /// Builds and lints a template and all of its modules; what is said of them, each with its place.
    pub(super) fn compile(&self, file: &Path) -> Result<Vec<String>, TestError> {
        Ok(diagnostics(&self.ask("bicep/compile", &json!({ "path": file }))?))
    }

    /// A template with its modules, as it is sent to Azure.
    pub(super) fn template(&self, file: &Path) -> Result<Value, TestError> {
        let answer = self.ask("bicep/compile", &json!({ "path": file }))?;
        Ok(serde_json::from_str(answer["contents"].as_str().ok_or("it does not compile")?)?)
    }

    /// Builds a parameter file and lints it, its template and all modules; what is said of them.
    pub(super) fn compile_params(&self, file: &Path) -> Result<Vec<String>, TestError> {
        let asked = json!({ "path": file, "parameterOverrides": {} });
        Ok(diagnostics(&self.ask("bicep/compileParams", &asked)?))
    }

    /// A file as the compiler's formatter writes it.
    pub(super) fn format(&self, file: &Path) -> Result<String, TestError> {
        let answer = self.ask("bicep/format", &json!({ "path": file }))?;
        Ok(answer["contents"].as_str().ok_or("no contents")?.to_owned())
    }

    /// Every resource as a parameter file would deploy it.
    pub(super) fn snapshot(&self, file: &Path) -> Result<Snapshot, TestError> {
        let place = json!({
            "tenantId": TENANT,
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": "rg-roombridge",
            "location": "westeurope",
            "deploymentName": "roombridge",
        });
        let asked = json!({ "path": file, "metadata": place, "externalInputs": null });
        let answer = self.ask("bicep/getSnapshot", &asked)?;
        let snapshot: Snapshot =
            serde_json::from_str(answer["snapshot"].as_str().ok_or("no snapshot")?)?;
        // A module that could not be worked out would be missing from it.
        match snapshot.diagnostics.first() {
            Some(problem) => Err(problem.clone().into()),
            None => Ok(snapshot),
        }
    }
}

/// What an answer says of files, each with its place.
fn diagnostics(answer: &Value) -> Vec<String> {
    let said = answer["diagnostics"].as_array().into_iter().flatten();
    let sentence = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let source = text("source");
        // Of a copy, the path within it.
        let file = source.rsplit_once("/infra/").map_or(&*source, |(_, file)| file);
        let line = one["range"]["start"]["line"].as_u64().unwrap_or_default() + 1;
        format!("{file}:{line}: {} {}: {}", text("level"), text("code"), text("message"))
    };
    said.map(sentence).collect()
}

/// The types of the Microsoft Graph extension, packed once. They are where `ROOMBRIDGE_BICEP_GRAPH` says, or beside
/// the compiler or in a folder beside it; otherwise the compiler would fetch them.
fn graph_types(compiler: &Path, version: &str) -> Result<Option<PathBuf>, TestError> {
    let named = std::env::var_os("ROOMBRIDGE_BICEP_GRAPH").map(PathBuf::from);
    let beside = || -> Option<PathBuf> {
        let folder = compiler.canonicalize().ok()?.parent()?.to_owned();
        let below = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path());
        let mut places = std::iter::once(folder).chain(below).map(|it| it.join(GRAPH_TYPES));
        places.find(|place| place.join("index.json").is_file())
    };
    let Some(folder) = named.or_else(beside) else {
        say(&format!(
            "REGISTRATIONS NOT COMPILED: there is no folder {GRAPH_TYPES} beside the Bicep compiler, and \
             ROOMBRIDGE_BICEP_GRAPH names no other. The other templates are compiled all the same.",
        ));
        return Ok(None);
    };
    let name = format!("graph-{}.tgz", version.replace('.', "-"));
    let packed = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !packed.is_file() {
        let unfinished = packed.with_extension(format!("{}.tgz", std::process::id()));
        let run = Command::new(compiler)
            .args(["publish-extension", "--force", "--target"])
            .args([&unfinished, &folder.join("index.json")])
            .envs(server::ENVIRONMENT)
            .output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
        }
        std::fs::rename(unfinished, &packed)?;
    }
    Ok(Some(packed))
}

#[test]
fn the_compiler_finds_nothing_wrong_with_any_template_or_parameter_file() -> TestResult {
    let Some(compiler) = compiler()? else { return Ok(()) };
    let templates = compiler.copy()?;
    let of_graph = |file: &str| file.starts_with("entra/") && !compiler.knows_graph();
    let mut said = Vec::new();
    for file in paths_of(".bicep")?.iter().filter(|file| !of_graph(file)) {
        said.extend(compiler.compile(&templates.path(file))?);
    }
    for file in paths_of(".bicepparam")?.iter().filter(|file| !of_graph(file)) {
        said.extend(compiler.compile_params(&templates.path(file))?);
    }
    assert!(said.is_empty(), "\n{}", said.join("\n"));
    Ok(())
}

#[test]
fn every_template_and_parameter_file_is_formatted_as_the_compiler_formats() -> TestResult {
    let Some(compiler) = compiler()? else { return Ok(()) };
    for file in paths_of(".bicep")?.into_iter().chain(paths_of(".bicepparam")?) {
        let path = original(&file);
        assert_eq!(std::fs::read_to_string(&path)?, compiler.format(&path)?, "{file}");
    }
    Ok(())
}

#[test]
fn the_list_of_rules_is_that_of_the_compiler_that_the_workflow_installs() -> TestResult {
    let rules = std::fs::read_to_string(original("bicepconfig.json"))?;
    assert!(rules.contains(&format!("The list is that of Bicep {}.", version()?)));
    Ok(())
}
