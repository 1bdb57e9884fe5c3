//! Names: one type, one name; words of the field; no two functions whose names differ by one inflection.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{module, paths};
use super::source::{Source, identifiers};
use super::{assert_no_violations, handler_sources, tree};

/// The type names that several modules may use, each for its own: never imported into another part of
/// the handler, so that a reader always sees whose it is.
const SHARED: [&str; 4] = ["Deps", "Error", "Page", "State"];

/// Words that nobody says any more, and words of our own for what the field has a name for.
const PRIVATE_WORDS: [&str; 22] = [
    "anew",
    "whoever",
    "besides",
    "at the most",
    "stands",
    "goes",
    "told",
    "thereby",
    "henceforth",
    "farewell",
    "keeper",
    "shelf",
    "sighting",
    "errand",
    "glance",
    "nudge",
    "nudges",
    "passage",
    "vouched",
    "heard",
    "wish",
    "patience",
];

/// The names of the types that a file defines, inside of nothing.
fn types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        if line.starts_with(' ') {
            return None;
        }
        let line = line.strip_prefix("pub").unwrap_or(line);
        let line = line.strip_prefix("(crate)").or(line.strip_prefix("(super)")).unwrap_or(line);
        let item = line.strip_prefix(' ').unwrap_or(line);
        let (kind, rest) = item.split_once(' ')?;
        let known = matches!(kind, "struct" | "enum" | "union" | "trait" | "type");
        known.then(|| identifiers(rest).next()).flatten()
    })
}

#[test]
fn a_type_has_a_name_of_its_own() {
    let sources = handler_sources();
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut broken = Vec::new();
    for source in &sources {
        let code = source.code();
        for name in types(&code) {
            places.entry(name.to_owned()).or_default().push(&source.path);
        }
        for import in code.split("\nuse ").skip(1).filter_map(|rest| rest.split(';').next()) {
            for path in paths(source, import) {
                let shared = path.last().is_some_and(|name| SHARED.contains(&name.as_str()));
                if shared && module(source).first() != path.first() {
                    broken.push(format!("{}: imports {}", source.path, path.join("::")));
                }
            }
        }
    }
    assert!(places.len() > 300, "the types were found");
    let several = places.into_iter().filter(|(_, places)| places.len() > 1);
    let several = several.filter(|(name, _)| !SHARED.contains(&name.as_str()));
    broken.extend(several.map(|(name, places)| format!("{name}: {}", places.join(", "))));
    assert_no_violations("A type's name is unique, or is always written with its module.", broken);
}

/// A function's name without what an inflection changes: `look_at`, `looked_at` and `is_looking_at`
/// are one.
fn stem(name: &str) -> String {
    let words = name.strip_prefix("is_").unwrap_or(name).split('_').map(|word| {
        let stems = ["ing", "ed", "e"].map(|ending| word.strip_suffix(ending));
        stems.into_iter().flatten().find(|stem| stem.len() > 3).unwrap_or(word)
    });
    words.collect::<Vec<_>>().join("_")
}

#[test]
fn no_two_functions_of_a_file_differ_by_an_inflection() {
    let mut broken = Vec::new();
    for source in handler_sources() {
        let mut stems: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for rest in source.code().split("fn ").skip(1) {
            if let Some(name) = identifiers(rest).next() {
                stems.entry(stem(name)).or_default().insert(name.to_owned());
            }
        }
        let alike = stems.into_values().filter(|names| names.len() > 1);
        broken.extend(alike.map(|names| format!("{}: {names:?}", source.path)));
    }
    assert_no_violations("Two functions of a file differ by more than an ending.", broken);
}

#[test]
fn only_words_that_a_colleague_would_say() {
    let mut broken = Vec::new();
    let read = |source: &Source| {
        let ends = |endings: &[&str]| endings.iter().any(|ending| source.path.ends_with(ending));
        let list = source.path.ends_with("tidy/names.rs");
        let read = ["handlers/", "tests/it/", "tests/world/", "benches/"];
        !list
            && read.iter().any(|folder| source.path.starts_with(folder))
            && ends(&[".rs", ".html"])
            || !source.path.contains("fixtures") && ends(&[".md"])
            || source.path.starts_with("infra/") && ends(&[".bicep", ".kql", ".sh"])
    };
    for Source { path, text } in tree().into_iter().filter(read) {
        for (at, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace(['_', '‑'], " ");
            let found = PRIVATE_WORDS.iter().filter(|word| {
                line.match_indices(**word).any(|(from, _)| {
                    let letter = |c: char| c.is_alphanumeric();
                    !line[..from].ends_with(letter)
                        && !line[from + word.len()..].starts_with(letter)
                })
            });
            broken.extend(found.map(|word| format!("{path}:{}: {word}", at + 1)));
        }
    }
    assert_no_violations("Say it as a colleague would.", broken);
}

#[test]
fn inflections_are_recognised() {
    assert_eq!(stem("look_at"), stem("looked_at"));
    assert_eq!(stem("is_updated"), stem("update"));
    assert_ne!(stem("read"), stem("reader"));
}
