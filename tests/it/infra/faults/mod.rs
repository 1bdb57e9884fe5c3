//! Faults seeded into the templates, each of which the compiler or the policy must notice.

mod further;
mod policy;
mod seeded;

use std::fmt::Write;

use super::compiler::{Compiler, compiler};
use super::policy::objections;
use super::snapshot::{ENVIRONMENTS, deployments_of};
use crate::generated::{assert_whole_file, table};
use crate::{TestError, TestResult};
use further::FURTHER;
use policy::PROMISES;
use seeded::{FIRST, Fault};

/// Every fault, in the order of the list.
fn faults() -> impl Iterator<Item = &'static Fault> {
    FIRST.iter().chain(FURTHER).chain(PROMISES)
}

/// What notices a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The compiler and its linter.
    Compiler,
    /// The rules of this project, in `policy`: the templates compile, but deploy something else than was promised.
    Policy,
    /// Nothing here.
    Nothing,
}

impl By {
    fn in_words(self) -> &'static str {
        match self {
            Self::Compiler => "compiler",
            Self::Policy => "policy",
            Self::Nothing => "**nothing**",
        }
    }
}

/// What notices a fault, and all that it says.
fn noticed(compiler: &Compiler, fault: &Fault) -> Result<(By, String), TestError> {
    let templates = compiler.copy()?;
    templates.edit(fault.file, fault.find, fault.put)?;
    let environment =
        ENVIRONMENTS.into_iter().find(|name| fault.file.ends_with(&format!("{name}.bicepparam")));
    let file = templates.path(fault.file);
    // The compiler is asked of the one file: what another says because of it comes to the same.
    let problems = match environment {
        Some(_) => compiler.compile_params(&file)?,
        None => compiler.compile(&file)?,
    };
    if !problems.is_empty() {
        return Ok((By::Compiler, problems.join("\n")));
    }
    let environment = environment.unwrap_or("prod");
    let said = objections(&deployments_of(compiler, &templates, &[environment])?);
    let by = if said.is_empty() { By::Nothing } else { By::Policy };
    Ok((by, said.join("\n")))
}

#[test]
fn seeded_faults_are_noticed_by_the_check_that_is_there_for_them() -> TestResult {
    let Some(compiler) = compiler()? else { return Ok(()) };
    let mut wrong = String::new();
    for (number, fault) in (1..).zip(faults()) {
        if fault.file.starts_with("entra/") && !compiler.knows_graph() {
            continue;
        }
        let (by, said) = noticed(compiler, fault)?;
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
    assert!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

#[test]
fn the_list_of_faults_is_the_one_in_the_file() -> TestResult {
    assert_whole_file("tests/it/infra/faults/list.txt", &listed()?)
}

fn listed() -> Result<String, TestError> {
    let count = |by: By| faults().filter(|it| it.by == by).count();
    let rows = (1..).zip(faults()).map(|(number, fault)| {
        let file = format!("`{}`", fault.file);
        vec![number.to_string(), fault.what.into(), file, fault.by.in_words().into()]
    });
    let mut text = table(&["", "Fault", "In", "Noticed by"], rows);
    writeln!(
        text,
        "\n{} faults: {} noticed by the compiler, {} by the policy, {} by nothing.",
        faults().count(),
        count(By::Compiler),
        count(By::Policy),
        count(By::Nothing)
    )?;
    Ok(text)
}
