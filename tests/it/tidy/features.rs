//! What the programs and the tests both need is built once: it is asked for with the same features.

use std::collections::BTreeSet;
use std::process::Command;

use super::assert_no_violations;
use crate::{TestError, TestResult};

/// Every crate that Cargo builds along these edges, with its features.
fn crates(edges: &str) -> Result<BTreeSet<String>, TestError> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--prefix", "none"])
        .args(["--edges", edges, "--format", "{p} with {f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned());
    Ok(names.collect())
}

#[test]
fn a_crate_has_the_same_features_in_programs_and_in_tests() -> TestResult {
    let (programs, tests) = (crates("normal,build")?, crates("normal,build,dev")?);
    assert!(programs.len() > 100, "the crates were found");
    assert_no_violations(
        "`cargo local` and `cargo test` build these twice: name the features that tests add, in tests/world/Cargo.toml.",
        programs.difference(&tests),
    );
    Ok(())
}
