//! The runbook says what the templates and scripts have: every alert, every variable, every heading
//! that a script sends its reader to.

use std::collections::BTreeSet;

use super::script::infra;
use crate::generated::read;
use crate::{TestError, TestResult};

const RUNBOOK: &str = "docs/operators.md";

fn file(name: &str) -> Result<String, TestError> {
    Ok(std::fs::read_to_string(infra().join(name))?)
}

/// What is between `from` and `to`, each time.
fn between<'a>(text: &'a str, from: &str, to: &str) -> BTreeSet<&'a str> {
    text.split(from).skip(1).filter_map(|rest| Some(rest.split_once(to)?.0)).collect()
}

fn headings(runbook: &str) -> BTreeSet<&str> {
    let lines = runbook.lines().filter(|line| line.starts_with("##"));
    lines.map(|line| line.trim_start_matches('#').trim()).collect()
}

/// The points of the runbook that begin with names, and what is in brackets behind the names: of an
/// alert its severity.
fn points(runbook: &str) -> impl Iterator<Item = (&str, &str)> {
    let points = runbook.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(" ("));
    let named = points.filter(|(names, _)| names.starts_with('`'));
    named.filter_map(|(names, rest)| Some((names, rest.split_once("): ")?.0)))
}

#[test]
fn every_alert_has_its_point() -> TestResult {
    let (runbook, alerts, main) =
        (read(RUNBOOK)?, file("modules/alerts.bicep")?, file("main.bicep")?);
    let mut names: BTreeSet<String> =
        between(&alerts, "queries/", ".kql").into_iter().map(str::to_owned).collect();
    // One query for all of these, and a rule for each.
    assert!(names.remove("poison-queue"));
    names.retain(|name| !name.contains(['{', '$']));
    let poison = main.split('\'').filter(|name| name.ends_with("-poison"));
    names.extend(poison.map(str::to_owned));
    assert!(names.len() >= 20, "{names:?}");
    let points: Vec<_> = points(&runbook).collect();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !points.iter().any(|(first, _)| first.contains(&format!("`{name}`"))))
        .collect();
    assert!(missing.is_empty(), "no point in docs/operators.md: {missing:?}");
    Ok(())
}

/// The severity that follows `place` in the template.
fn severity_after<'a>(alerts: &'a str, place: &str) -> Option<&'a str> {
    let rest = alerts.split_once(place)?.1.split_once("severity: ")?.1;
    rest.split_whitespace().next()
}

#[test]
fn every_alert_is_as_urgent_as_its_point_says() -> TestResult {
    let (runbook, alerts) = (read(RUNBOOK)?, file("modules/alerts.bicep")?);
    let mut seen = 0;
    for (names, severity) in points(&runbook) {
        for name in names.split('`').skip(1).step_by(2) {
            let rule = severity_after(&alerts, &format!("name: '{name}'"));
            let rule = rule.or_else(|| severity_after(&alerts, &format!("-{name}'\n")));
            let queue = || severity_after(&alerts, "-${queue}'\n");
            let rule = if name.ends_with("-poison") { queue() } else { rule };
            seen += usize::from(rule.is_some());
            assert!(rule.is_none_or(|rule| rule == severity), "{name}: {rule:?}, not {severity}");
        }
    }
    assert!(seen >= 20, "only {seen} rules were found");
    Ok(())
}

#[test]
fn every_variable_of_the_parameter_files_is_explained() -> TestResult {
    let runbook = read(RUNBOOK)?;
    for name in ["dev", "test", "prod"] {
        let text = file(&format!("env/{name}.bicepparam"))?;
        for variable in between(&text, "readEnvironmentVariable('", "'") {
            assert!(runbook.contains(&format!("`{variable}`")), "{variable} of {name}");
        }
    }
    Ok(())
}

#[test]
fn every_heading_that_a_script_names_exists() -> TestResult {
    let runbook = read(RUNBOOK)?;
    let headings = headings(&runbook);
    for script in ["deploy.sh", "check.sh"] {
        let text = file(script)?;
        for heading in between(&text, "docs/operators.md, \"", "\"") {
            assert!(headings.contains(heading), "{script} sends to {heading:?}");
        }
    }
    Ok(())
}

/// Whether the words follow each other in this order.
fn in_order(text: &str, words: &[&str]) -> bool {
    let next = |rest: Option<usize>, word: &&str| {
        let from = rest?;
        text[from..].find(word).map(|at| from + at + word.len())
    };
    words.iter().fold(Some(0), next).is_some()
}

/// What is deleted too early holds a name or a subnet, and a name is bound to an app that is there.
#[test]
fn what_azure_takes_in_one_order_only_is_described_in_it() -> TestResult {
    let runbook = read(RUNBOOK)?;
    let (_, down) = runbook.split_once("\n### Tear-down\n").ok_or("no tear-down")?;
    let order =
        ["vnet-integration remove", "ad app delete", "deletedItems/OBJECT-ID", "az group delete"];
    assert!(in_order(down, &order));
    let (_, names) = runbook.split_once("**Names of your own,**").ok_or("no names")?;
    assert!(in_order(names, &["`site`;", "certificate", "variable", "`site` again"]));
    assert!(runbook.contains("between the subnets `app`, `pages` and `endpoints` shuts 443"));
    Ok(())
}

#[test]
fn every_stage_is_described() -> TestResult {
    let (runbook, script) = (read(RUNBOOK)?, file("deploy.sh")?);
    let stages = between(&script, "case $stage in all | ", ") ;;");
    let stages: Vec<&str> = stages.into_iter().flat_map(|all| all.split(" | ")).collect();
    assert_eq!(stages.len(), 6);
    for stage in stages {
        assert!(runbook.contains(&format!("\n- `{stage}`: ")), "{stage}");
    }
    Ok(())
}
