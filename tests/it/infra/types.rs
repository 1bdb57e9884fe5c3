//! Every template and parameter file, checked against the compiler's own types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bicep::{Project, Types};

use super::say;
use crate::{TestError, TestResult};

/// Where the templates are.
pub(super) fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra")
}

/// The templates and parameter files as they are on disk.
pub(super) fn project() -> Result<Project, TestError> {
    Ok(Project::load(&templates())?)
}

/// The slice of the compiler's own types: a file that `ROOMBRIDGE_BICEP_TYPES` names, or one that lies beside the
/// project. None where there is none, which is then said loudly.
pub(super) fn slice() -> Result<Option<Types>, TestError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    #[expect(
        clippy::disallowed_methods,
        reason = "the caller that has the types says where they are"
    )]
    let named = std::env::var("ROOMBRIDGE_BICEP_TYPES").ok().map(PathBuf::from);
    let beside = || {
        let folders = root.ancestors().skip(1).take(3);
        folders.map(|it| it.join("shared/facts/bicep-types.json")).find(|it| it.is_file())
    };
    let Some(path) = named.or_else(beside) else {
        say(
            "NOT CHECKED AGAINST TYPES: there is no ../shared/facts/bicep-types.json, and ROOMBRIDGE_BICEP_TYPES \
             names no other. Syntax, names, parameters and expressions of the templates were checked all the same.",
        );
        return Ok(None);
    };
    Ok(Some(Types::load(&path)?))
}

#[test]
fn nothing_is_wrong_with_any_template_or_parameter_file() -> TestResult {
    let project = project()?;
    for needed in ["main.bicep", "env/dev.bicepparam", "env/test.bicepparam", "env/prod.bicepparam"]
    {
        assert!(project.files().any(|it| it == needed), "infra/{needed} is missing");
    }
    let problems = bicep::check(&project, slice()?.as_ref());
    let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(listed.is_empty(), "\n{}", listed.join("\n"));
    Ok(())
}

#[test]
fn what_each_parameter_file_deploys_fits_the_types_with_its_values_in_place() -> TestResult {
    let (project, types) = (project()?, slice()?);
    let files: Vec<&str> = project.files().filter(|it| it.ends_with(".bicepparam")).collect();
    for file in files {
        let deployment = bicep::evaluate(&project, file, &environment(&project, file))?;
        assert!(deployment.resources.iter().any(|it| !it.existing), "{file} deploys nothing");
        if let Some(types) = &types {
            let problems = bicep::check_values(&deployment, types);
            assert!(problems.is_empty(), "{file}:\n{}", problems.join("\n"));
        }
    }
    Ok(())
}

/// A value for each variable that a parameter file reads from its environment without a default.
pub(super) fn environment(project: &Project, file: &str) -> BTreeMap<String, String> {
    const READ: &str = "readEnvironmentVariable('";
    let text = project.text(file).unwrap_or_default();
    let calls = text.split(READ).skip(1).filter_map(|rest| rest.split_once('\''));
    let needed = calls.filter(|(_, behind)| behind.starts_with(')'));
    // An id is what templates ask for most strictly.
    needed
        .map(|(name, _)| (name.to_owned(), "00000000-0000-4000-8000-000000000000".to_owned()))
        .collect()
}
