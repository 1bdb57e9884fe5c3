//! The README says what the code does: its tables are compared with the code, word by word.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use roombridge::domain::retention::{FAILURES, KEPT};
use roombridge::domain::tenancy::TenantPolicy;
use roombridge::host::{FUNCTIONS, Trigger, router::PREFIX};

use super::source::file;

/// The rows of the table between `<!-- name -->` and `<!-- /name -->`, cell by cell, without its
/// head.
fn table(name: &str) -> Vec<Vec<String>> {
    let inside = between(name);
    let rows = inside.lines().filter(|line| line.starts_with('|')).skip(2).map(|line| {
        let cells = line.trim().trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    rows.collect()
}

fn between(name: &str) -> String {
    let readme = file("README.md");
    let after = readme.split_once(&format!("<!-- {name} -->")).map(|(_, after)| after);
    let inside = after.and_then(|after| after.split_once(&format!("<!-- /{name} -->")));
    assert!(inside.is_some(), "the README has <!-- {name} --> and <!-- /{name} -->");
    inside.map_or_else(String::new, |(inside, _)| inside.to_owned())
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

#[test]
fn what_is_kept_is_what_the_readme_says() {
    let kept: Vec<Vec<String>> = KEPT
        .iter()
        .map(|kept| {
            [code(kept.table), kept.what.into(), kept.how_long.into(), kept.why.into()].into()
        })
        .collect();
    assert_eq!(table("retention"), kept);
    let days = |table: &str| {
        let kept = KEPT.iter().find(|kept| kept.table == table);
        let days = kept.and_then(|kept| kept.how_long.split_once(" days")?.0.parse().ok());
        days.map(|days: i64| SignedDuration::from_hours(24 * days))
    };
    assert_eq!(days("Failures"), Some(FAILURES));
    let usual = TenantPolicy::default().audit_days;
    assert_eq!(days("Audit"), Some(SignedDuration::from_hours(24 * i64::from(usual))));
}

#[test]
fn the_functions_are_those_of_the_router() {
    let functions: Vec<Vec<String>> = FUNCTIONS
        .iter()
        .map(|function| {
            let trigger = match function.trigger {
                Trigger::Http { route, methods } => {
                    format!("{} `/{PREFIX}/{route}`", methods.join(", ").to_uppercase())
                }
                Trigger::Queue { queue } => format!("queue `{}`", queue.name()),
                Trigger::Timer { schedule } => format!("timer `{schedule}`"),
            };
            vec![code(function.name), trigger]
        })
        .collect();
    let written: Vec<Vec<String>> =
        table("functions").into_iter().map(|row| row.into_iter().take(2).collect()).collect();
    assert_eq!(written, functions);
}

#[test]
fn the_settings_are_those_that_are_read() {
    let read: BTreeSet<String> = super::handlers()
        .iter()
        .filter(|source| {
            source.path.starts_with("handlers/settings/") || source.path == "handlers/main.rs"
        })
        .flat_map(|source| variables(&source.without_tests()))
        .collect();
    assert!(read.len() > 10, "the names were found in the sources");
    let written: Vec<String> =
        table("settings").iter().filter_map(|row| row.first().cloned()).collect();
    let unique: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(written.len(), unique.len(), "each setting stands once");
    assert_eq!(unique, read.iter().map(|name| code(name)).collect());
}

/// String literals that are the name of a variable.
fn variables(text: &str) -> Vec<String> {
    let name = |word: &&str| {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        word.contains('_') && word.chars().all(plain)
    };
    // `env!` is read by the compiler, not by the process.
    text.replace("env!(\"", "").split('"').filter(name).map(str::to_owned).collect()
}

#[test]
fn the_counts_have_their_place() {
    assert!(!between("counts").trim().is_empty());
}

#[test]
fn the_two_commands_are_the_ones_that_ci_runs() {
    let (readme, ci) = (file("README.md"), file(".ci/run"));
    for command in ["cargo local", "cargo test"] {
        assert!(readme.lines().any(|line| line.trim() == command), "README: {command}");
        assert!(ci.contains(command), ".ci/run: {command}");
    }
    assert!(file(".cargo/config.toml").contains("local = "), "`cargo local` is an alias");
}

#[test]
fn every_path_in_the_documents_leads_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = file(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.starts_with("http") && !link.starts_with('#'));
        let named = text.split('`').skip(1).step_by(2);
        let named = named.filter(|word| {
            ["handlers/", "tests/", "function-app/"].iter().any(|folder| word.starts_with(folder))
        });
        let paths = links.chain(named).filter(|path| !path.contains(['<', ' ']));
        let lost = paths.filter(|path| {
            let stem = path.trim_end_matches('/');
            !root.join(stem).exists() && !root.join(format!("{stem}.rs")).exists()
        });
        broken.extend(lost.map(|path| format!("{document}: {path}")));
    }
    super::none("A path in the documents exists.", broken);
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let mut broken = Vec::new();
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = file(document);
        for rest in text.split("cargo test --test it ").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !file("tests/it/main.rs").contains(&format!("mod {name};")) {
                broken.push(format!("{document}: {name}"));
            }
        }
    }
    super::none("A story that the documents name is told.", broken);
}
