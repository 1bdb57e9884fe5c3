//! The workflows run what everybody runs, hold no secret, and bring in nothing that can change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use yaml_rust2::{Yaml, YamlLoader};

use crate::{TestError, TestResult};

/// The jobs that may ask GitHub for a token that says who they are.
const KNOWN_TO_OTHERS: [(&str, &str); 7] = [
    ("deploy", "dev"),
    ("deploy", "package"),
    ("deploy", "prod"),
    ("deploy", "test"),
    ("deploy-one", "deploy"),
    ("infra", "what-if"),
    ("package", "attest"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A workflow: its name, its text, and what it says.
struct Workflow {
    name: String,
    text: String,
    yaml: Yaml,
}

impl Workflow {
    fn jobs(&self) -> Result<Vec<(&str, &Yaml)>, TestError> {
        let jobs = self.yaml["jobs"].as_hash().ok_or("no jobs")?;
        Ok(jobs.iter().filter_map(|(name, job)| Some((name.as_str()?, job))).collect())
    }

    /// The steps of all jobs.
    fn steps(&self) -> Result<Vec<&Yaml>, TestError> {
        let jobs = self.jobs()?;
        Ok(jobs
            .into_iter()
            .flat_map(|(_, job)| job["steps"].as_vec().into_iter().flatten())
            .collect())
    }

    /// What the steps run.
    fn scripts(&self) -> Result<Vec<&str>, TestError> {
        Ok(self.steps()?.into_iter().filter_map(|step| step["run"].as_str()).collect())
    }

    /// What starts it.
    fn triggers(&self) -> BTreeSet<&str> {
        let keys = self.yaml["on"].as_hash().into_iter().flatten();
        keys.filter_map(|(key, _)| key.as_str()).collect()
    }
}

fn read(path: &Path) -> Result<Workflow, TestError> {
    let text = fs::read_to_string(path)?;
    let yaml = YamlLoader::load_from_str(&text)?.pop().ok_or("an empty file")?;
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("no name")?.to_owned();
    Ok(Workflow { name, text, yaml })
}

fn workflows() -> Result<BTreeMap<String, Workflow>, TestError> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root().join(".github/workflows"))? {
        let workflow = read(&entry?.path())?;
        all.insert(workflow.name.clone(), workflow);
    }
    assert!(all.len() >= 5, "the folder is not what it was");
    Ok(all)
}

#[test]
fn every_action_is_pinned_by_commit_and_says_its_version() -> TestResult {
    let mut pins = BTreeMap::new();
    for (name, workflow) in workflows()? {
        for line in workflow.text.lines() {
            let line = line.trim().trim_start_matches("- ");
            let Some(used) = line.strip_prefix("uses: ") else { continue };
            if let Some(own) = used.strip_prefix("./") {
                assert!(root().join(own).is_file(), "{name}: {used}");
                continue;
            }
            let (action, pin) = used.split_once('@').ok_or_else(|| format!("{name}: {used}"))?;
            let (commit, version) =
                pin.split_once(" # v").ok_or_else(|| format!("{name}: {used}"))?;
            assert!(commit.len() == 40 && commit.bytes().all(|c| c.is_ascii_hexdigit()), "{used}");
            assert!(version.split('.').count() == 3, "{name}: {used}");
            let first = pins.entry(action.to_owned()).or_insert_with(|| pin.to_owned());
            assert_eq!(first, pin, "{action} is pinned twice");
        }
        let used = workflow.text.matches("uses:").count();
        let said = workflow
            .text
            .lines()
            .filter(|line| line.trim().trim_start_matches("- ").starts_with("uses: "));
        assert_eq!(said.count(), used, "{name} uses something in a way that is not looked at");
    }
    Ok(())
}

#[test]
fn there_is_no_secret_and_nothing_of_a_stranger_in_a_command() -> TestResult {
    for (name, workflow) in workflows()? {
        let secrets = workflow.text.match_indices("secrets").map(|(at, _)| &workflow.text[at..]);
        for secret in secrets {
            assert!(secret.starts_with("secrets.GITHUB_TOKEN }}"), "{name}: {}", &secret[..20]);
        }
        for script in workflow.scripts()? {
            assert!(!script.contains("${{"), "{name}: give it as a variable:\n{script}");
        }
        let triggers = workflow.triggers();
        for dangerous in ["pull_request_target", "workflow_run", "issue_comment", "issues"] {
            assert!(!triggers.contains(dangerous), "{name} starts on {dangerous}");
        }
        for step in workflow.steps()? {
            if step["uses"].as_str().is_some_and(|used| used.starts_with("actions/checkout@")) {
                let kept = step["with"]["persist-credentials"].as_bool();
                assert_eq!(kept, Some(false), "{name} leaves its token in the folder");
            }
        }
    }
    Ok(())
}

#[test]
fn every_job_has_the_least_rights_and_an_end() -> TestResult {
    let mut known = BTreeSet::new();
    for (name, workflow) in workflows()? {
        let rights = workflow.yaml["permissions"].as_hash().ok_or("no permissions")?;
        assert!(rights.is_empty(), "{name}: rights belong to jobs");
        for (job_name, job) in workflow.jobs()? {
            let job_of = format!("{name}, {job_name}");
            let rights = job["permissions"].as_hash().ok_or_else(|| job_of.clone())?;
            for (right, level) in rights {
                let (right, level) = (right.as_str().unwrap_or("?"), level.as_str().unwrap_or("?"));
                match (right, level) {
                    ("contents" | "attestations", "read")
                    | ("id-token" | "attestations", "write") => {}
                    _ => return Err(format!("{job_of}: {right}: {level}").into()),
                }
                if right == "id-token" {
                    known.insert((name.clone(), job_name.to_owned()));
                }
            }
            let called = job["uses"].as_str().is_some();
            assert!(called || job["timeout-minutes"].as_i64().is_some(), "{job_of} may hang");
            assert!(called || job["runs-on"].as_str() == Some("ubuntu-24.04"), "{job_of}");
        }
    }
    let expected = KNOWN_TO_OTHERS.map(|(name, job)| (name.to_owned(), job.to_owned()));
    assert_eq!(known, BTreeSet::from(expected));
    Ok(())
}

#[test]
fn they_run_what_everybody_runs() -> TestResult {
    let workflows = workflows()?;
    for (name, command) in [
        ("ci", ".ci/run"),
        ("package", "cargo pack"),
        ("infra", ".github/bicep.sh"),
        ("infra", "infra/deploy.sh test "),
        ("deploy-one", "infra/deploy.sh \"$ENVIRONMENT\" "),
    ] {
        let scripts = workflows[name].scripts()?;
        let runs = |script: &&str| script.lines().any(|line| line.trim().starts_with(command));
        assert!(scripts.iter().any(runs), "{name} does not run {command}");
    }
    let mut scripts = Vec::new();
    for workflow in workflows.values() {
        scripts.extend(workflow.scripts()?);
    }
    let first_words = scripts
        .iter()
        .flat_map(|script| script.lines())
        .filter_map(|line| line.split_whitespace().next());
    let own =
        |word: &&str| [".ci/", ".github/", "infra/"].iter().any(|folder| word.starts_with(folder));
    for script in first_words.filter(own).collect::<BTreeSet<_>>() {
        let mode = fs::metadata(root().join(script))
            .map_err(|e| format!("{script}: {e}"))?
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be run");
    }
    let aliases = fs::read_to_string(root().join(".cargo/config.toml"))?;
    assert!(aliases.contains("\npack = "), "`cargo pack` is a command of this project");
    Ok(())
}

/// The names in `text` that begin with `ROOMBRIDGE_`.
fn variables(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.match_indices("ROOMBRIDGE_").map(|(at, _)| word(&text[at..])).collect()
}

/// The parameter files of the app, which read what only the one who deploys knows.
fn parameter_files() -> Result<Vec<PathBuf>, TestError> {
    let names = ["dev", "test", "prod"];
    Ok(names.map(|name| root().join(format!("infra/env/{name}.bicepparam"))).to_vec())
}

#[test]
fn a_deployment_is_given_every_variable_that_the_parameter_files_read() -> TestResult {
    let workflows = workflows()?;
    let mut read = BTreeSet::new();
    for path in parameter_files()? {
        read.extend(variables(&fs::read_to_string(path)?));
    }
    // deploy.sh gives these itself, and what says who makes the registrations is for deploy.sh.
    read.remove("ROOMBRIDGE_WITH_SITE");
    read.remove("ROOMBRIDGE_BUDGET_START");
    let given = |name: &str| {
        let mut given = variables(&workflows[name].text);
        given.remove("ROOMBRIDGE_REGISTRATIONS");
        given.remove("ROOMBRIDGE_");
        given
    };
    assert_eq!(given("deploy-one"), read);
    assert_eq!(given("infra"), read);
    Ok(())
}

#[test]
fn a_fork_never_meets_a_token_and_production_takes_only_tags() -> TestResult {
    let workflows = workflows()?;
    let what_if = &workflows["infra"].yaml["jobs"]["what-if"];
    let condition = what_if["if"].as_str().ok_or("what-if runs always")?;
    assert!(
        condition.contains("github.event.pull_request.head.repo.full_name == github.repository")
    );
    assert_eq!(what_if["environment"].as_str(), Some("what-if"));
    let deploy = &workflows["deploy"].yaml["jobs"];
    let before = |job: &str| deploy[job]["needs"].as_str().map(str::to_owned);
    assert_eq!(
        ["dev", "test", "prod"].map(before),
        ["package", "dev", "test"].map(|job| Some(job.to_owned()))
    );
    assert!(
        deploy["prod"]["if"]
            .as_str()
            .is_some_and(|rule| rule.starts_with("github.ref_type == 'tag' && "))
    );
    let gate = workflows["deploy-one"].yaml["jobs"]["deploy"]["environment"].as_str();
    assert_eq!(gate, Some("${{ inputs.environment }}"));
    let attest = workflows["package"].yaml["jobs"]["attest"]["if"].as_str();
    assert_eq!(attest, Some("github.event_name != 'pull_request'"));
    let proof = workflows["deploy-one"].text.find("gh attestation verify").ok_or("not proved")?;
    let login = workflows["deploy-one"].text.find("azure/login@").ok_or("no login")?;
    assert!(proof < login, "a package is proved before anything is opened for it");
    Ok(())
}

#[test]
fn a_packages_checksum_leaves_its_job_before_a_tool_outside_the_lock_file_runs() -> TestResult {
    let workflows = workflows()?;
    let jobs = &workflows["package"].yaml["jobs"];
    let position = |job: &str, fits: &dyn Fn(&Yaml) -> bool| {
        let steps = jobs[job]["steps"].as_vec().ok_or("no steps")?;
        steps.iter().position(fits).ok_or_else(|| format!("{job} lacks a step"))
    };
    let runs = |step: &Yaml, text: &str| step["run"].as_str().is_some_and(|run| run.contains(text));
    let leaves =
        |step: &Yaml| step["id"].as_str() == Some("checksums") && runs(step, "GITHUB_OUTPUT");
    let leaves = position("pack", &leaves)?;
    assert!(leaves < position("pack", &|step| runs(step, "cargo install"))?);
    let sha256 = jobs["pack"]["outputs"]["sha256"].as_str();
    assert_eq!(sha256, Some("${{ steps.checksums.outputs.sha256 }}"));
    let is_compared = |step: &Yaml| {
        let sha256 = step["env"]["SHA256"].as_str() == Some("${{ needs.pack.outputs.sha256 }}");
        sha256 && runs(step, "sha256sum --check --strict")
    };
    let attests =
        |step: &Yaml| step["uses"].as_str().is_some_and(|used| used.starts_with("actions/attest@"));
    assert!(position("attest", &is_compared)? < position("attest", &attests)?);
    Ok(())
}

/// The stage `registrations` and the check at the end ask Graph when GitHub's assertion is long over.
#[test]
fn a_deployment_asks_for_its_token_for_graph_right_after_signing_in() -> TestResult {
    let workflows = workflows()?;
    let steps = workflows["deploy-one"].steps()?;
    let signs_in =
        |step: &&Yaml| step["uses"].as_str().is_some_and(|it| it.starts_with("azure/login@"));
    let next = steps.iter().skip_while(|step| !signs_in(step)).nth(1).ok_or("no step")?;
    let asks = "az account get-access-token --resource-type ms-graph --output none";
    assert_eq!(next["run"].as_str(), Some(asks));
    Ok(())
}

#[test]
fn the_rules_ask_for_two_reviewers_and_for_checks_that_exist() -> TestResult {
    let rules = fs::read_to_string(root().join(".github/rulesets/main.json"))?;
    let rules: serde_json::Value = serde_json::from_str(&rules)?;
    let rule = |kind: &str| {
        let rules = rules["rules"].as_array().into_iter().flatten();
        let mut found = rules.filter(|rule| rule["type"] == kind).map(|rule| &rule["parameters"]);
        found.next().ok_or_else(|| format!("no rule {kind}"))
    };
    let review = rule("pull_request")?;
    assert_eq!(review["required_approving_review_count"], 2);
    assert_eq!(review["require_code_owner_review"], true);
    assert_eq!(rules["bypass_actors"], serde_json::json!([]));
    let mut checks = BTreeSet::new();
    for workflow in
        workflows()?.values().filter(|workflow| workflow.triggers().contains("pull_request"))
    {
        for (name, job) in workflow.jobs()? {
            checks.insert(job["name"].as_str().unwrap_or(name).to_owned());
        }
    }
    let required = rule("required_status_checks")?["required_status_checks"].as_array();
    for check in required.ok_or("no checks")? {
        let check = check["context"].as_str().ok_or("no name")?;
        assert!(checks.contains(check), "{check} never runs on a pull request");
    }
    Ok(())
}

#[test]
fn updates_are_looked_for_where_there_is_something_to_update() -> TestResult {
    let dependabot = read(&root().join(".github/dependabot.yml"))?;
    let updates = dependabot.yaml["updates"].as_vec().ok_or("no updates")?;
    let mut kinds = BTreeSet::new();
    for update in updates {
        let kind = update["package-ecosystem"].as_str().ok_or("no kind")?;
        let folder =
            root().join(update["directory"].as_str().ok_or("no folder")?.trim_start_matches('/'));
        let file = match kind {
            "cargo" => "Cargo.lock",
            "npm" => "package.json",
            _ => ".github/workflows/ci.yml",
        };
        assert!(folder.join(file).is_file(), "{kind}: no {file} in {}", folder.display());
        kinds.insert(kind);
    }
    assert_eq!(kinds, BTreeSet::from(["cargo", "github-actions", "npm"]));
    Ok(())
}

#[test]
fn one_compiler_builds_everything() -> TestResult {
    let mut compilers = BTreeSet::new();
    for workflow in workflows()?.values() {
        compilers.extend(workflow.yaml["env"]["RUSTUP_TOOLCHAIN"].as_str().map(str::to_owned));
    }
    assert_eq!(compilers.len(), 1, "{compilers:?}");
    Ok(())
}
