//! What would be deployed: every resource of each environment, as the compiler works it out
//! (`bicep snapshot`).
//!
//! A text in brackets is an expression that only a deployment can work out; [`asked`] says which resource it asks
//! for what.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::compiler::{Compiler, Templates, compiler};
use crate::TestError;

/// The environments, each with a parameter file.
pub(super) const ENVIRONMENTS: [&str; 3] = ["dev", "test", "prod"];

/// Everything that one parameter file would deploy.
#[derive(Deserialize)]
pub(super) struct Snapshot {
    #[serde(rename = "predictedResources")]
    pub(super) resources: Vec<Resource>,
    /// What could not be worked out.
    pub(super) diagnostics: Vec<String>,
    pub(super) outputs: BTreeMap<String, Value>,
    /// The template as it is sent, for what the resources do not show: which are made at the same time.
    #[serde(skip)]
    pub(super) template: Value,
}

impl Snapshot {
    /// The resources of one type.
    pub(super) fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }
}

/// A resource as it would be deployed.
#[derive(Deserialize)]
pub(super) struct Resource {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) identity: Value,
    #[serde(default)]
    pub(super) properties: Value,
    /// What its deployment depends on, where that is not known before.
    #[serde(default)]
    pub(super) condition: Value,
}

impl Resource {
    /// What is at a path of names with dots between them; null where nothing is.
    pub(super) fn property(&self, path: &str) -> &Value {
        path.split('.').fold(&self.properties, |at, name| &at[name])
    }

    /// The last part of its name, which is its own.
    pub(super) fn own_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

/// The id of the resource that an expression asks, and the property that it asks for; none where it asks for nothing,
/// or for more than one.
pub(super) fn asked(expression: &Value) -> Option<(&str, &str)> {
    let (_, rest) = expression.as_str()?.split_once("reference('")?;
    let (id, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.split_once(").")?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.')?;
    (!rest.contains("reference(")).then_some((id, &rest[..end]))
}

/// What would be deployed, by environment.
pub(super) type Deployments = BTreeMap<&'static str, Snapshot>;

/// Works out what `environments` would deploy.
pub(super) fn deployments_of(
    compiler: &Compiler,
    templates: &Templates,
    environments: &[&'static str],
) -> Result<Deployments, TestError> {
    let template = compiler.template(&templates.path("main.bicep"))?;
    let mut snapshots = BTreeMap::new();
    for &environment in environments {
        let file = templates.path(&format!("env/{environment}.bicepparam"));
        let snapshot = Snapshot { template: template.clone(), ..compiler.snapshot(&file)? };
        snapshots.insert(environment, snapshot);
    }
    Ok(snapshots)
}

/// What the templates of the project would deploy; none without a compiler.
pub(super) fn deployments() -> Result<Option<&'static Deployments>, TestError> {
    static DEPLOYMENTS: LazyLock<Result<Option<Deployments>, String>> = LazyLock::new(|| {
        let work_out = || -> Result<Option<Deployments>, TestError> {
            let Some(compiler) = compiler()? else { return Ok(None) };
            Ok(Some(deployments_of(compiler, &compiler.copy()?, &ENVIRONMENTS)?))
        };
        work_out().map_err(|problem| problem.to_string())
    });
    DEPLOYMENTS.as_ref().map(Option::as_ref).map_err(|problem| problem.clone().into())
}

/// What `prod` would deploy with `put` in the place of `find` in its parameters; none without a compiler.
pub(super) fn changed_prod(find: &str, put: &str) -> Result<Option<Snapshot>, TestError> {
    let Some(compiler) = compiler()? else { return Ok(None) };
    let templates = compiler.copy()?;
    let file = "env/prod.bicepparam";
    templates.edit(file, find, put)?;
    compiler.snapshot(&templates.path(file)).map(Some)
}

/// What the templates would deploy before the registrations are there.
pub(super) fn first_stage() -> Result<Option<Deployments>, TestError> {
    let Some(compiler) = compiler()? else { return Ok(None) };
    let templates = compiler.copy()?;
    for environment in ENVIRONMENTS {
        let read = "bool(readEnvironmentVariable('ROOMBRIDGE_WITH_SITE', 'true'))";
        templates.edit(&format!("env/{environment}.bicepparam"), read, "false")?;
    }
    Ok(Some(deployments_of(compiler, &templates, &ENVIRONMENTS)?))
}
