//! The table of attacks says what is there: each function that refuses one, and each test that shows it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{TestError, TestResult};

/// The tests in the Rust files below `folder`, by name, and how many have it.
fn count_tests(folder: &Path, tests: &mut BTreeMap<String, usize>) -> TestResult {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            count_tests(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let after = text.split("#[test]").skip(1);
            for rest in after.chain(text.split("#[tokio::test").skip(1)) {
                let name = rest.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                let name = name.ok_or_else(|| format!("no test in {}", path.display()))?.0;
                *tests.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(())
}

#[test]
fn every_attack_names_a_function_that_refuses_it_and_a_test_that_shows_it() -> TestResult {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeMap::new();
    for folder in ["handlers", "tests/it"] {
        count_tests(&root.join(folder), &mut tests)?;
    }
    let table = fs::read_to_string(root.join("docs/attacks.md"))?;
    let (mut attacks, mut wrong) = (0, Vec::new());
    for row in table.lines().filter(|line| line.starts_with('|') && line.ends_with("`|")) {
        let cells: Vec<&str> = row.split('|').collect();
        let [_, attack, refused, shown, _] = cells[..] else { return Err(row.into()) };
        let code: Vec<&str> = refused.split('`').collect();
        let [_, path, _, function, _] = code[..] else { return Err(refused.into()) };
        let text: Result<String, TestError> =
            fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}").into());
        let text = text?;
        if ![format!("fn {function}("), format!("fn {function}<")].iter().any(|f| text.contains(f))
        {
            wrong.push(format!("{attack}: no {function} in {path}"));
        }
        if tests.get(shown.trim_matches('`')) != Some(&1) {
            wrong.push(format!("{attack}: {shown} is not one test"));
        }
        attacks += 1;
    }
    assert!(attacks >= 30, "{attacks}");
    assert_eq!(wrong, [""; 0]);
    Ok(())
}
