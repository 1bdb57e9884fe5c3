//! Faults seeded into the templates, and which of them the checks notice.

mod further;
mod seeded;

use std::fmt::Write;

use bicep::{Project, Types};

use super::say;
use super::types::{environment, project, slice};
use crate::generated::{Section, table};
use crate::{TestError, TestResult};
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
    /// The rules of this project, in `policy`: the templates are sound, but not what was promised.
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

/// The project with one fault in it. The text to be replaced must stand in the file exactly once, so that a fault
/// never silently stops being one.
fn with(sound: &Project, fault: &Fault) -> Result<Project, TestError> {
    let text =
        sound.text(fault.file).ok_or_else(|| format!("{}: there is no such file", fault.file))?;
    let found = text.matches(fault.find).count();
    if found != 1 {
        return Err(
            format!("{}: {:?} is there {found} times, not once", fault.file, fault.find).into()
        );
    }
    let mut faulty = sound.clone();
    faulty.replace(fault.file, text.replacen(fault.find, fault.put, 1));
    Ok(faulty)
}

/// The first check that notices something, and all that it says but `anyway`, without the fault too.
fn noticed(project: &Project, types: &Types, anyway: &[String]) -> Result<(By, String), TestError> {
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
    let mut objections = super::policy::objections(project)?;
    objections.retain(|said| !anyway.contains(said));
    Ok(objections
        .into_iter()
        .next()
        .map_or((By::Nothing, String::new()), |said| (By::Policy, said)))
}

#[test]
fn seeded_faults_are_noticed_by_the_check_that_is_there_for_them() -> TestResult {
    let sound = project()?;
    let Some(types) = slice()? else {
        for fault in faults() {
            with(&sound, fault)?;
        }
        say("NOT CHECKED AGAINST TYPES: the seeded faults were put in and not looked for.");
        return Ok(());
    };
    let anyway = super::policy::objections(&sound)?;
    let (mut wrong, mut of_the_first) = (String::new(), 0);
    for (number, fault) in (1..).zip(faults()) {
        let (by, said) = noticed(&with(&sound, fault)?, &types, &anyway)?;
        of_the_first += usize::from(number <= FIRST.len() && by != By::Nothing);
        if by != fault.by {
            writeln!(
                wrong,
                "{number}. {}: meant for {:?}, noticed by {by:?}: {said}",
                fault.what, fault.by
            )?;
        } else if !said.contains(fault.says) {
            writeln!(wrong, "{number}. {}: noticed for another reason: {said}", fault.what)?;
        }
    }
    assert!(of_the_first >= 18, "{of_the_first} of the first {} were noticed", FIRST.len());
    assert!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

#[test]
fn the_list_of_faults_is_the_one_in_the_readme() -> TestResult {
    Section::new("tests/bicep/README.md", "faults", listed()?).assert_up_to_date()
}

fn listed() -> Result<String, TestError> {
    let count = |by: By| faults().filter(|it| it.by == by).count();
    let rows = (1..).zip(faults()).map(|(number, fault)| {
        let file = format!("`{}`", fault.file);
        vec![number.to_string(), fault.what.into(), file, fault.by.in_words().into()]
    });
    let mut text = table(&["", "Fault", "In", "Noticed by"], rows);
    let (check, values, policy) = (count(By::Check), count(By::Values), count(By::Policy));
    writeln!(
        text,
        "\n{} faults: {check} noticed by types and linter, {values} with the values in place, {policy} by the policy, {} by nothing.",
        faults().count(),
        count(By::Nothing)
    )?;
    Ok(text)
}
