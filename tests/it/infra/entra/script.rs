//! The script, run with something in the place of the Azure CLI that keeps its input.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use roombridge::domain::tenant::policy::UserPermission;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    ADD_IN, IDENTITY, PAGES, REGISTRATIONS, Registration, needed, needed_with, path_of,
    without_words,
};
use crate::{TestError, TestResult};

/// What the script has made so far.
struct Tenant(TempDir);

impl Tenant {
    fn new() -> Result<Self, TestError> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the script for the environment `test`, with these words too.
    fn run_in(&self, cloud: &str, words: &[&str]) -> Result<Output, TestError> {
        let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/infra/entra/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(stub).chain(std::env::split_paths(&path)))?;
        let output = Command::new(path_of("registrations.sh"))
            .args(["--environment", "test", "--federated-principal-id", IDENTITY])
            .args(words)
            .env_clear()
            .env("PATH", path)
            .env("AZ_STATE", self.path())
            .env("AZ_CLOUD", cloud)
            .output()?;
        Ok(output)
    }

    /// Runs a command of the Azure CLI, as the script's reader would.
    fn az(&self, command: &str) -> TestResult {
        let az = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/infra/entra/bin/az");
        let run =
            Command::new(az).args(command.split(' ')).env("AZ_STATE", self.path()).output()?;
        assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
        Ok(())
    }

    /// Runs it, and takes its output.
    fn run(&self, words: &[&str]) -> Result<String, TestError> {
        let output = self.run_in("AzureCloud", words)?;
        let complaint = String::from_utf8(output.stderr)?;
        assert!(output.status.success(), "{complaint}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs it, and takes what it complains about.
    fn refusal(&self, words: &[&str]) -> Result<String, TestError> {
        let output = self.run_in("AzureCloud", words)?;
        assert!(!output.status.success(), "{words:?} should be refused");
        Ok(String::from_utf8(output.stderr)?)
    }

    /// Every call so far.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// How many calls begin so.
    fn count(&self, start: &str) -> usize {
        self.calls().iter().filter(|call| call.starts_with(start)).count()
    }

    /// The folders that hold the registrations, by name.
    fn folders(&self) -> Result<BTreeMap<&'static str, PathBuf>, TestError> {
        let mut all = BTreeMap::new();
        for folder in fs::read_dir(self.path().join("apps"))? {
            let folder = folder?.path();
            let unique = fs::read_to_string(folder.join("unique"))?;
            let name = unique.strip_prefix("roombridge-test-").ok_or("another prefix")?;
            let known = REGISTRATIONS.iter().find(|(known, _)| *known == name);
            all.insert(known.ok_or("a registration that nobody knows")?.0, folder);
        }
        Ok(all)
    }

    /// The registrations as they are now.
    fn registrations(&self) -> Result<BTreeMap<&'static str, Registration>, TestError> {
        let mut all = BTreeMap::new();
        for (name, folder) in self.folders()? {
            let principal = fs::read_to_string(folder.join("principal-patch.json"))?;
            let principal: Value = serde_json::from_str(&principal)?;
            let found = Registration {
                application: without_words(application_in(&folder)?)?,
                credentials: json_files(&folder, "credential-")?,
                assignment_required: principal["appRoleAssignmentRequired"] == true,
            };
            all.insert(name, found);
        }
        Ok(all)
    }
}

/// An application as it is after all changes.
fn application_in(folder: &Path) -> Result<Value, TestError> {
    let mut application = serde_json::json!({});
    for patch in json_files(folder, "patch-")? {
        for (member, value) in patch.as_object().ok_or("no object")? {
            application[member] = value.clone();
        }
    }
    Ok(application)
}

/// Every application that the script makes, when it gets every option.
pub(super) fn applications() -> Result<BTreeMap<&'static str, Value>, TestError> {
    let tenant = Tenant::new()?;
    tenant.run(&["--pages-url", PAGES, "--add-in-client", ADD_IN])?;
    let folders = tenant.folders()?.into_iter();
    folders.map(|(name, folder)| Ok((name, application_in(&folder)?))).collect()
}

/// The contents of the files of a folder whose names begin with a word, in their order.
fn json_files(folder: &Path, start: &str) -> Result<Vec<Value>, TestError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().into_string().map_err(|_| "an odd name")?);
    }
    names.retain(|name| name.starts_with(start));
    names.sort();
    let read = |name: &String| Ok(serde_json::from_str(&fs::read_to_string(folder.join(name))?)?);
    names.iter().map(read).collect()
}

/// What the script's output says of `name`.
fn output_of<'a>(output: &'a str, name: &str) -> Result<&'a str, TestError> {
    let line = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    Ok(line.ok_or_else(|| format!("{name} is not said"))?)
}

#[test]
fn two_runs_make_what_the_program_needs_and_nothing_twice() -> TestResult {
    let tenant = Tenant::new()?;
    let first = tenant.run(&[])?;
    let second =
        tenant.run(&["--pages-url", PAGES, "--add-in-client", ADD_IN, "--owner", IDENTITY])?;
    assert_eq!(first, second, "the client ids stay");
    let names: Vec<&str> = first.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert_eq!(names, ["appOrganisationWide", "appScoped", "appPeople", "appOperators"]);
    let people = output_of(&first, "appPeople")?;
    assert_eq!(tenant.registrations()?, needed(Some(people), Some(PAGES)));
    assert_eq!(tenant.count("ad app create"), 4);
    assert_eq!(tenant.count("ad sp create"), 4);
    assert_eq!(tenant.count("ad app federated-credential create"), 3);
    assert_eq!(tenant.count("ad app federated-credential update"), 3);
    assert_eq!(tenant.count("ad app owner add"), 4);
    let makes_one = |call: &&String| call.contains("credential reset") || call.contains(" delete");
    assert_eq!(tenant.calls().iter().find(makes_one), None, "no secret, and nothing deleted");
    Ok(())
}

#[test]
fn the_daemons_ask_for_the_wider_permission_by_choice() -> TestResult {
    let tenant = Tenant::new()?;
    tenant.run(&[])?;
    let output = tenant.run(&["--user-permission", "User.Read.All", "--add-in-client", ADD_IN])?;
    let people = output_of(&output, "appPeople")?;
    assert_eq!(tenant.registrations()?, needed_with(Some(people), None, UserPermission::Read));
    let output =
        tenant.run(&["--user-permission", "User.ReadBasic.All", "--add-in-client", ADD_IN])?;
    let people = output_of(&output, "appPeople")?;
    assert_eq!(tenant.registrations()?, needed(Some(people), None));
    Ok(())
}

#[test]
fn a_dry_run_prints_every_command_and_runs_none() -> TestResult {
    let tenant = Tenant::new()?;
    let printed = tenant.run(&["--dry-run", "--pages-url", PAGES])?;
    assert_eq!(tenant.calls(), Vec::<String>::new());
    let lines = |start: &str| printed.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(lines("az ad app create"), 4);
    assert_eq!(lines("az ad app federated-credential create"), 3);
    assert_eq!(lines("az ad sp create"), 4);
    assert_eq!(lines("az rest --method PATCH"), 8);
    assert!(printed.contains(&format!("{PAGES}/consent/granted")));
    Ok(())
}

#[test]
fn whatever_else_could_act_for_a_registration_stops_it() -> TestResult {
    let tenant = Tenant::new()?;
    tenant.run(&[])?;
    let app = fs::read_dir(tenant.path().join("apps"))?.next().ok_or("no registration")??.path();
    fs::write(app.join("held"), "1 0\n")?;
    assert!(tenant.refusal(&[])?.contains("holds passwords and keys: 1 0"));
    fs::remove_file(app.join("held"))?;
    let people = tenant.path().join("apps/0b7ec700-0000-4000-8000-000000000002");
    fs::write(people.join("credential-z.json"), "{\"name\": \"from-a-pipeline\"}")?;
    assert!(tenant.refusal(&[])?.contains("trusts something else"));
    Ok(())
}

#[test]
fn a_registration_of_the_same_name_is_not_taken_for_ours() -> TestResult {
    let tenant = Tenant::new()?;
    let app = tenant.path().join("apps/0b7ec700-0000-4000-8000-00000000000f");
    fs::create_dir_all(&app)?;
    fs::write(app.join("display"), "Roombridge test (whole organisation)")?;
    fs::write(app.join("client"), ADD_IN)?;
    assert!(tenant.refusal(&[])?.contains("without the unique name"));
    assert_eq!(tenant.count("ad app create") + tenant.count("rest --method PATCH"), 0);
    Ok(())
}

#[test]
fn a_deleted_registration_keeps_its_name_until_it_is_restored_or_gone() -> TestResult {
    let tenant = Tenant::new()?;
    let first = tenant.run(&[])?;
    let people = tenant.folders()?.remove("people").ok_or("no registration")?;
    let id = people.file_name().and_then(|name| name.to_str()).ok_or("no name")?.to_owned();
    let items = "https://graph.microsoft.com/v1.0/directory/deletedItems";
    let back = format!("rest --method POST --url {items}/{id}/restore");
    let gone = format!("rest --method DELETE --url {items}/{id}");

    tenant.az(&format!("ad app delete --id {id}"))?;
    let complaint = tenant.refusal(&[])?;
    assert!(complaint.contains(&back) && complaint.contains(&gone), "{complaint}");
    assert_eq!(tenant.count("ad app create"), 4, "nothing is made that would lack its name");
    tenant.az(&back)?;
    assert_eq!(tenant.run(&[])?, first, "everything is as it was");

    tenant.az(&format!("ad app delete --id {id}"))?;
    tenant.az(&gone)?;
    let another = tenant.run(&["--add-in-client", ADD_IN])?;
    assert_ne!(output_of(&another, "appPeople")?, output_of(&first, "appPeople")?);
    assert_eq!(tenant.registrations()?.len(), 4);
    Ok(())
}

#[test]
fn words_that_are_not_ids_or_addresses_go_nowhere() -> TestResult {
    let tenant = Tenant::new()?;
    for words in [
        &["--pages-url", "http://rooms.contoso.example/api"][..],
        &["--pages-url", "https://rooms.contoso.example/api/"],
        &["--pages-url", "https://rooms.contoso.example/\",\"x"],
        &["--federated-principal-id", "my-identity"],
        &["--owner", "anna@contoso.example"],
        &["--environment", "production"],
        &["--user-permission", "Directory.Read.All"],
        &["--workload", "Room bridge"],
        &["--pages"],
        &["--password", "x"],
    ] {
        assert!(tenant.refusal(words)?.starts_with("registrations.sh: "), "{words:?}");
    }
    assert_eq!(tenant.calls(), Vec::<String>::new());
    Ok(())
}

#[test]
fn another_cloud_has_another_audience_and_no_unique_names() -> TestResult {
    let tenant = Tenant::new()?;
    for _ in 0..2 {
        let output = tenant.run_in("AzureUSGovernment", &["--pages-url", PAGES])?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(tenant.count("ad app create"), 4);
    let mut audiences = 0;
    for app in fs::read_dir(tenant.path().join("apps"))? {
        let app = app?.path();
        assert!(!app.join("unique").exists());
        for credential in json_files(&app, "credential-")? {
            assert_eq!(
                credential["audiences"],
                serde_json::json!(["api://AzureADTokenExchangeUSGov"])
            );
            audiences += 1;
        }
    }
    assert_eq!(audiences, 3);
    assert!(!tenant.run_in("AzureStack", &[])?.status.success(), "an audience that nobody knows");
    Ok(())
}
