//! Files: what each one says first, how long it may be, what it may be called.

use std::collections::BTreeMap;

use super::{
    assert_no_violations, handler_sources, rust_sources, source::Source, source::file, tree,
};

/// The longest a file of code may be, its tests not counted.
const MAX_CODE_LINES: usize = 500;
/// The longest a file of tests may be.
const MAX_TEST_LINES: usize = 600;
/// Prose, not code: a language is translated as one file, however much there is to say.
const UNLIMITED_FILE: &str = "handlers/web/layout/texts.rs";

#[test]
fn every_file_says_what_it_is() {
    let silent = rust_sources().into_iter().filter(|source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.strip_prefix("//! ").is_none_or(|words| words.len() < 12)
    });
    assert_no_violations(
        "A file opens with a `//!` sentence about itself.",
        silent.map(|source| source.path),
    );
}

#[test]
fn files_can_be_read_in_one_go() {
    let code = rust_sources().into_iter().filter(|source| source.path != UNLIMITED_FILE);
    let long = code.filter_map(|source| {
        let (lines, most) = match source.is_test() {
            true => (source.text.lines().count(), MAX_TEST_LINES),
            false => (source.without_tests().lines().count(), MAX_CODE_LINES),
        };
        (lines > most).then(|| format!("{}: {lines} lines, {most} at most", source.path))
    });
    assert_no_violations("A file is split before it is too long.", long);
}

/// The most Rust files that may be directly in one folder of the handler.
const FILES_PER_FOLDER: usize = 12;

#[test]
fn a_folder_holds_at_most_twelve_files() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for source in handler_sources() {
        let folder = source.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        *folders.entry(folder.unwrap_or_default()).or_default() += 1;
    }
    let full = folders.into_iter().filter(|(_, files)| *files > FILES_PER_FOLDER);
    let broken = full.map(|(folder, files)| format!("{folder}: {files} files"));
    assert_no_violations("A folder holds at most twelve files.", broken);
}

#[test]
fn no_drawers() {
    let drawers = [
        "util",
        "utils",
        "common",
        "helper",
        "helpers",
        "manager",
        "managers",
        "misc",
        "shared_code",
    ];
    let named = tree().into_iter().filter(|source| {
        let names = source.segments();
        names.iter().any(|name| drawers.contains(&name.to_lowercase().as_str()))
    });
    assert_no_violations(
        "Code lives with its noun, not in a drawer.",
        named.map(|source| source.path),
    );
    let inline = rust_sources().into_iter().filter(|source| {
        let code = source.code();
        drawers.iter().any(|name| code.contains(&format!("mod {name} {{")))
    });
    assert_no_violations("An inline module is no drawer either.", inline.map(|source| source.path));
}

#[test]
fn a_module_with_a_folder_is_its_mod_rs() {
    let sources = rust_sources();
    let beside = sources.iter().filter(|source| {
        let folder = source.path.trim_end_matches(".rs");
        let crate_root = ["/lib", "/main"].iter().any(|root| folder.ends_with(root));
        !crate_root && sources.iter().any(|other| other.path.starts_with(&format!("{folder}/")))
    });
    assert_no_violations("A module's folder holds its mod.rs.", beside.map(|source| &source.path));
}

#[test]
fn nothing_is_put_off() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let left = tree().into_iter().filter(|source| {
        source.path != "Cargo.lock" && marks.iter().any(|mark| source.text.contains(mark))
    });
    assert_no_violations(
        "What is left to do is an issue, not a comment.",
        left.map(|source| source.path),
    );
}

#[test]
fn every_number_of_the_rules_says_why() {
    let mut silent = Vec::new();
    for source in handler_sources() {
        let rules = ["handlers/domain/", "handlers/jobs/", "handlers/web/"];
        if !rules.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        let text = source.without_tests();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let words = line.trim_start().trim_start_matches("pub(super) ");
            let words = words.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let numbered = words.starts_with("const ")
                && words.split_once('=').is_some_and(|(_, value)| value.contains(char::is_numeric));
            let before =
                at.checked_sub(1).and_then(|at| lines.get(at)).map_or("", |line| line.trim());
            if numbered && !before.starts_with("///") {
                silent.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    assert_no_violations("A constant with a number has a sentence above it.", silent);
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let mut silent = Vec::new();
    let manifests = tree().into_iter().filter(|source| source.path.ends_with("Cargo.toml"));
    for Source { path, text } in manifests {
        let (mut inside, mut dependencies) = (false, 0);
        for line in text.lines() {
            if line.starts_with('[') {
                inside = line.trim_end_matches(']').ends_with("dependencies");
                continue;
            }
            let named = inside && line.contains('=');
            dependencies += usize::from(named);
            // One that several members use says it once, beside its version.
            if named && !line.contains("workspace = true") && !line.contains(".workspace") {
                let why = line.split_once(" # ").map_or("", |(_, why)| why);
                if why.len() < 4 {
                    silent.push(format!("{path}: {line}"));
                }
            }
        }
        assert!(dependencies > 2, "{path}: the dependencies were found");
    }
    assert_no_violations("A dependency's line ends with what it is for.", silent);
}

#[test]
fn the_licences_are_there() {
    assert!(file("LICENSE-MIT").contains("Permission is hereby granted"));
    assert!(file("LICENSE-APACHE").contains("Apache License"));
    assert!(file("Cargo.toml").contains(r#"license = "MIT OR Apache-2.0""#));
}
