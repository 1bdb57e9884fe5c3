//! What would be deployed: a template with one parameter file, worked out as far as that goes without Azure.
mod collections;
mod frame;
mod functions;
mod instances;
mod modules;
mod operators;
mod texts;
mod values;

pub use values::check_values;

use crate::problem::{Place, Problem};
use crate::project::{Project, beside};
use frame::Frame;
use serde_json::Value;
use std::collections::BTreeMap;

/// A resource that would be deployed.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployed {
    /// Its type, e.g. `Microsoft.Storage/storageAccounts`.
    pub type_: String,
    /// Its API version.
    pub api_version: String,
    /// Its name with the names of its parents before it, divided by slashes.
    pub name: String,
    /// Its whole resource id, with `<subscription>` and `<resourceGroup>` where those are not known.
    pub id: String,
    /// The id of the resource that it is attached to, for role assignments, diagnostic settings and the like.
    pub scope: Option<String>,
    /// Everything that the template says of it: `label`, `location_json`, `parse_kind`, `sku`, `properties`, …
    pub body: Value,
    /// The modules that it stands in, by symbolic name from the outermost, divided by slashes; empty in the template itself.
    pub module_path: String,
    /// The template that declares it, relative to the project's folder.
    pub file: String,
    /// Its symbolic name, `parent::child` for nested ones.
    pub symbol: String,
    /// Whether it is only looked up, not deployed.
    pub existing: bool,
}

impl Deployed {
    /// The value at a path below `properties`, e.g. `["siteConfig", "minTlsVersion"]`; null if nothing stands there.
    #[must_use]
    pub fn property(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.body["properties"], |value, key| &value[*key])
    }
}

/// What a deployment would bring about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// Every resource, those in modules too, in the order in which they are declared.
    pub resources: Vec<Deployed>,
    /// The template's outputs.
    pub outputs: BTreeMap<String, Value>,
}

impl Deployment {
    /// The deployed (not only looked-up) resources of a type, whose case does not matter.
    pub fn of_type<'a>(&'a self, type_: &'a str) -> impl Iterator<Item = &'a Deployed> {
        self.resources.iter().filter(move |it| !it.existing && it.type_.eq_ignore_ascii_case(type_))
    }
}

/// Works out what a parameter file and the template that it names would deploy.
///
/// `parameters` is the file's path relative to the project's folder, `environment` what
/// `readEnvironmentVariable` finds. Values that only Azure knows become strings in angle brackets that say where
/// they come from, e.g. `<storage.properties.primaryEndpoints.queue>`; `guid` and `uniqueString` give values of the
/// right form that differ when their arguments do, but are not Azure's.
///
/// # Errors
/// The first thing that cannot be worked out. A project without problems (see [`crate::check()`]) gives none,
/// as long as the environment has every variable that is read without a default.
pub fn evaluate(
    project: &Project,
    parameters: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Deployment, Problem> {
    let top = Place { line: 1, column: 1 };
    let missing = |path: &str, message: &str| Problem::new(path, top, "evaluate", message);
    let source =
        project.source(parameters).ok_or_else(|| missing(parameters, "There is no such file."))?;
    let using =
        source.tree.using.as_ref().ok_or_else(|| missing(parameters, "It names no template."))?;
    let file = Frame::top(project, source, environment);
    let mut given = BTreeMap::new();
    for param in &source.tree.given {
        given.insert(param.name.clone(), file.value(&param.value, &frame::Locals::default())?);
    }
    let path = beside(parameters, &using.name);
    let template =
        project.source(&path).ok_or_else(|| missing(parameters, "Its template does not exist."))?;
    Frame::top(project, template, environment).with(given).run()
}

#[cfg(test)]
mod tests;
