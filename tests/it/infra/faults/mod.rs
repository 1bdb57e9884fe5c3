//! Faults seeded into the templates, and which of them the checks notice.

mod further;
mod seeded;

use std::fmt::Write;
use std::path::Path;

use bicep::{Project, Types};

use super::types::{environment, project, say, slice};
use crate::{Failure, Outcome};
use further::FURTHER;
use seeded::{FIRST, Fault};

/// Every fault, in the order of the list.
fn faults() -> impl Iterator<Item = &'static Fault> {
    FIRST.iter().chain(FURTHER)
}

/// What notices a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// What the compiler and its linter would say too.
    Check,
    /// The types again, with the values of a parameter file in their places.
    Values,
    /// The rules of this project, in `policy.rs`: the templates are sound, but not what was promised.
    Policy,
    /// Nothing here.
    Nothing,
}

impl By {
    fn in_words(self) -> &'static str {
        match self {
            Self::Check => "types and linter",
            Self::Values => "values in place",
            Self::Policy => "policy",
            Self::Nothing => "**nothing**",
        }
    }
}

/// What the policy says against a project, each as a sentence. `policy.rs` hands its own judgement in here; until it
/// does, faults that are the policy's to notice are listed as such and not tried.
const POLICY: Option<fn(&Project) -> Result<Vec<String>, Failure>> = None;

/// The project with one fault in it. The text to be replaced must stand in the file exactly once, so that a fault
/// never silently stops being one.
fn with(sound: &Project, fault: &Fault) -> Result<Project, Failure> {
    let text =
        sound.text(fault.file).ok_or_else(|| format!("{}: there is no such file", fault.file))?;
    let found = text.matches(fault.find).count();
    if found != 1 {
        return Err(format!(
            "{}: {:?} stands there {found} times, not once",
            fault.file, fault.find
        )
        .into());
    }
    let mut faulty = sound.clone();
    faulty.replace(fault.file, text.replacen(fault.find, fault.put, 1));
    Ok(faulty)
}

/// The first check that notices something, and all that it says.
fn noticed(project: &Project, types: &Types) -> Result<(By, String), Failure> {
    let problems = bicep::check(project, Some(types));
    if !problems.is_empty() {
        return Ok((
            By::Check,
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        ));
    }
    for file in project.files().filter(|it| it.ends_with(".bicepparam")) {
        let said = match bicep::evaluate(project, file, &environment(project, file)) {
            Ok(deployment) => bicep::check_values(&deployment, types),
            Err(problem) => vec![problem.to_string()],
        };
        if !said.is_empty() {
            return Ok((By::Values, said.join("\n")));
        }
    }
    let objections = POLICY.map_or(Ok(Vec::new()), |policy| policy(project))?;
    Ok(objections
        .into_iter()
        .next()
        .map_or((By::Nothing, String::new()), |said| (By::Policy, said)))
}

#[test]
fn seeded_faults_are_noticed_by_the_check_that_is_there_for_them() -> Outcome {
    let sound = project()?;
    let Some(types) = slice()? else {
        for fault in faults() {
            with(&sound, fault)?;
        }
        say("NOT CHECKED AGAINST TYPES: the seeded faults were put in and not looked for.");
        return Ok(());
    };
    let mut wrong = String::new();
    for (number, fault) in (1..).zip(faults()) {
        let (by, said) = noticed(&with(&sound, fault)?, &types)?;
        let left_to_policy = fault.by == By::Policy && by == By::Nothing && POLICY.is_none();
        if by != fault.by && !left_to_policy {
            writeln!(
                wrong,
                "{number}. {}: meant for {:?}, noticed by {by:?}: {said}",
                fault.what, fault.by
            )?;
        } else if !said.contains(fault.says) {
            writeln!(wrong, "{number}. {}: noticed for another reason: {said}", fault.what)?;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

#[test]
fn of_the_first_twenty_faults_at_least_eighteen_are_noticed() {
    assert_eq!(FIRST.len(), 20);
    let noticed = FIRST.iter().filter(|it| it.by != By::Nothing).count();
    assert!(noticed >= 18, "{noticed} of 20");
}

#[test]
fn the_list_of_faults_is_the_one_in_the_readme() -> Outcome {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bicep/README.md");
    let text = std::fs::read_to_string(&path)?;
    let (open, close) = ("<!-- faults -->\n", "<!-- /faults -->");
    let (before, rest) =
        text.split_once(open).ok_or("tests/bicep/README.md has no <!-- faults -->")?;
    let (_, behind) =
        rest.split_once(close).ok_or("tests/bicep/README.md has no <!-- /faults -->")?;
    let wanted = format!("{before}{open}{}{close}{behind}", table()?);
    if writes() {
        std::fs::write(&path, &wanted)?;
        return Ok(());
    }
    assert_eq!(
        text, wanted,
        "ROOMBRIDGE_WRITE=1 cargo test --test it infra::faults writes it anew"
    );
    Ok(())
}

fn table() -> Result<String, Failure> {
    let count = |by: By| faults().filter(|it| it.by == by).count();
    let mut table = String::from("| | Fault | In | Noticed by |\n| --- | --- | --- | --- |\n");
    for (number, fault) in (1..).zip(faults()) {
        writeln!(
            table,
            "| {number} | {} | `{}` | {} |",
            fault.what,
            fault.file,
            fault.by.in_words()
        )?;
    }
    let (check, values, policy) = (count(By::Check), count(By::Values), count(By::Policy));
    writeln!(
        table,
        "\n{} faults: {check} noticed by types and linter, {values} with the values in place, {policy} by the policy, {} by nothing.",
        faults().count(),
        count(By::Nothing)
    )?;
    Ok(table)
}

#[expect(clippy::disallowed_methods, reason = "whoever changed the list asks for it from outside")]
fn writes() -> bool {
    std::env::var("ROOMBRIDGE_WRITE").is_ok_and(|value| value == "1")
}
