//! Templates are written as the compiler's own formatter writes them, as far as that can be seen
//! line by line; `.github/bicep.sh` holds them against the formatter itself.

use std::path::{Path, PathBuf};

use world::test_world::repository_root;

use crate::{TestError, TestResult};

/// What fits in a line is put there (Azure/bicep, src/Bicep.Core/PrettyPrintV2, version 0.46).
const WIDTH: usize = 120;

/// What is wrong with the form of a text, each with its line.
fn wrong(text: &str) -> Vec<(usize, &'static str)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, whole) in lines.iter().enumerate() {
        let line = bare(whole);
        let (line, opens) = (line.trim_end(), line.trim_end().ends_with(['{', '[']));
        let begins = line.trim_start();
        if line.contains("[for ") && opens {
            found.push((at + 1, "a loop over several lines begins on a line of its own"));
        }
        if opens && line.contains(" ? ") && !begins.starts_with(['?', ':']) {
            found.push((at + 1, "a choice over several lines has ? and : on lines of their own"));
        }
        if begins.starts_with("}, ") || begins.starts_with("], ") {
            found.push((at + 1, "only the last argument takes several lines beside others"));
        }
        let call = !begins.starts_with('@') && line.contains('(');
        if line.chars().count() > WIDTH && (call || line.contains(" ? ")) {
            found.push((at + 1, "what does not fit is broken at its arguments or its choice"));
        }
        if line.ends_with('(') && would_fit(whole, &lines[at + 1..]) {
            found.push((at + 1, "what fits is on one line"));
        }
    }
    found
}

/// A line without its comment, and with `x` for whatever its texts hold.
fn bare(line: &str) -> String {
    let (mut bare, mut inside, mut rest) = (String::new(), false, line.chars().peekable());
    while let Some(letter) = rest.next() {
        match letter {
            '\\' if inside => {
                rest.next();
                bare.push_str("xx");
            }
            '\'' => {
                inside = !inside;
                bare.push('\'');
            }
            '/' if !inside && rest.peek() == Some(&'/') => return bare,
            _ if inside => bare.push('x'),
            other => bare.push(other),
        }
    }
    bare
}

/// Whether a call whose arguments are on the following lines would have room on its first.
fn would_fit(first: &str, following: &[&str]) -> bool {
    let mut joined = first.to_owned();
    for line in following {
        let text = line.trim();
        if text.ends_with(['{', '[']) || bare(line).len() < line.len() {
            return false;
        }
        if !joined.ends_with('(') && !text.starts_with(')') {
            joined.push(' ');
        }
        joined.push_str(text);
        if text.starts_with(')') {
            return joined.chars().count() <= WIDTH;
        }
    }
    false
}

fn templates(folder: &Path, into: &mut Vec<PathBuf>) -> TestResult {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            templates(&path, into)?;
        } else if path.extension().is_some_and(|kind| kind == "bicep" || kind == "bicepparam") {
            into.push(path);
        }
    }
    Ok(())
}

#[test]
fn templates_have_the_form_that_the_compiler_gives_them() -> TestResult {
    let mut paths = Vec::new();
    templates(&repository_root().join("infra"), &mut paths)?;
    assert!(paths.len() > 15, "they were found");
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        assert_eq!(wrong(&text), [], "{}", path.display());
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", path.display());
        assert!(!text.contains("\n\n\n"), "{}: one empty line is enough", path.display());
        let loose = text.lines().position(|line| line.ends_with(' ') || line.contains('\t'));
        assert_eq!(loose, None, "{}", path.display());
    }
    Ok(())
}

#[test]
fn what_the_formatter_would_change_is_found() -> Result<(), TestError> {
    let long = "a".repeat(WIDTH);
    for text in [
        "var a = [for b in c: {\n  d: b\n}]\n".to_owned(),
        "var a = b ? null : {\n  c: d\n}\n".to_owned(),
        "var a = union({\n  b: c\n}, d)\n".to_owned(),
        format!("output a string = b ? {long} : c\n"),
        "var a = concat(\n  b ? [c] : [],\n  d\n)\n".to_owned(),
    ] {
        assert_eq!(wrong(&text).len(), 1, "{text}{:?}", wrong(&text));
    }
    let right = "var a = b\n  ? {\n      c: 'is it? {'\n    }\n  : {}\nvar d = union(\n  {\n    e: f // (\n  },\n  g\n)\n";
    assert_eq!(wrong(right), []);
    Ok(())
}
