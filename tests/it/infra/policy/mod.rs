//! Infrastructure and program tell the same story: queues, tables, settings, roles, functions, timers.
//!
//! What each parameter file would deploy is worked out, and held against the program both ways:
//! what the program needs is there, and what is there the program needs.

mod access;
mod apps;
mod stores;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bicep::{Deployed, Deployment, Project};

pub(crate) use access::ROLES;

use super::types::project;
use crate::{TestError, TestResult};

/// The parameter files of a whole deployment.
const ENVIRONMENTS: [&str; 3] =
    ["env/dev.bicepparam", "env/test.bicepparam", "env/prod.bicepparam"];

/// Everything that is not as promised in what a project's parameter files would deploy, each as a
/// sentence.
///
/// # Errors
/// What cannot be worked out at all.
pub(super) fn objections(project: &Project) -> Result<Vec<String>, TestError> {
    let mut said = mistaken(project);
    for file in ENVIRONMENTS {
        let deployment = deployed(project, file, "true")?;
        let rooms = [
            stores::objections(&deployment),
            access::objections(&deployment),
            apps::objections(&deployment),
            watched::objections(&deployment),
            stores::lasting(&deployment, file),
        ];
        said.extend(rooms.concat().into_iter().map(|sentence| format!("{file}: {sentence}")));
    }
    Ok(said)
}

/// Parameter files, the registrations' too, that are not for the environment that they are called after:
/// what is copied from another names its resources.
fn mistaken(project: &Project) -> Vec<String> {
    let files = project.files().filter(|file| file.ends_with(".bicepparam"));
    let wrong = files.filter(|file| {
        let name = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".bicepparam");
        let line = format!("param environmentName = '{name}'");
        !project.text(file).is_some_and(|text| text.lines().any(|it| it == line))
    });
    wrong
        .map(|file| format!("{file}: it is for another environment than it is called after"))
        .collect()
}

/// What a parameter file deploys once the registrations are there.
fn deployed(project: &Project, file: &str, with_site: &str) -> Result<Deployment, TestError> {
    let given = [
        ("ROOMBRIDGE_WITH_SITE", with_site),
        ("ROOMBRIDGE_APP_ORGANISATION_WIDE", "33333333-3333-4333-8333-333333333333"),
        ("ROOMBRIDGE_APP_SCOPED", "44444444-4444-4444-8444-444444444444"),
        ("ROOMBRIDGE_APP_PEOPLE", "55555555-5555-4555-8555-555555555555"),
        ("ROOMBRIDGE_APP_OPERATORS", "66666666-6666-4666-8666-666666666666"),
        ("ROOMBRIDGE_TENANTS", "77777777-7777-4777-8777-777777777777"),
        ("ROOMBRIDGE_ALERT_EMAILS", "operators@contoso.example"),
    ];
    let given: BTreeMap<String, String> =
        given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(bicep::evaluate(project, file, &given)?)
}

/// A property below `properties`, its path with dots, and its JSON, whatever the
/// environment; `null` where nothing may.
type Promise = (&'static str, &'static str);

/// A sentence for each promise that a resource does not keep.
fn differences(resource: &Deployed, promises: &[Promise]) -> Vec<String> {
    let found = |path: &str| resource.property(&path.split('.').collect::<Vec<_>>()).to_string();
    let broken = promises.iter().filter(|(path, wanted)| found(path) != *wanted);
    let sentence = |(path, wanted): &Promise| {
        format!("{}: {path} is {}, and should be {wanted}", resource.symbol, found(path))
    };
    broken.map(sentence).collect()
}

/// A sentence for what is on one side alone.
fn differ<T: Ord + Debug>(what: &str, found: &BTreeSet<T>, wanted: &BTreeSet<T>) -> Vec<String> {
    let missing: Vec<&T> = wanted.difference(found).collect();
    let foreign: Vec<&T> = found.difference(wanted).collect();
    let mut said = Vec::new();
    if !missing.is_empty() {
        said.push(format!("{what}: {missing:?} missing"));
    }
    if !foreign.is_empty() {
        said.push(format!("{what}: nobody needs {foreign:?}"));
    }
    said
}

#[test]
fn what_would_be_deployed_is_what_the_program_needs_and_no_more() -> TestResult {
    let said = objections(&project()?)?;
    assert!(said.is_empty(), "\n{}", said.join("\n"));
    Ok(())
}

#[test]
fn the_first_stage_gives_every_role_and_makes_no_app() -> TestResult {
    let project = project()?;
    for file in ENVIRONMENTS {
        let first = deployed(&project, file, "false")?;
        let second = deployed(&project, file, "true")?;
        assert_eq!(first.of_type("Microsoft.Web/sites").count(), 0, "{file}");
        let roles = |deployment: &Deployment| {
            let roles = deployment.of_type("Microsoft.Authorization/roleAssignments");
            roles.map(|role| role.name.clone()).collect::<BTreeSet<_>>()
        };
        assert!(!roles(&first).is_empty(), "{file}");
        assert_eq!(roles(&first), roles(&second), "{file}: no role comes as late as the app");
        for output in ["federatedIdentityPrincipalId", "federatedIdentityClientId"] {
            assert!(first.outputs.contains_key(output), "{file}: the registrations need {output}");
        }
    }
    Ok(())
}
