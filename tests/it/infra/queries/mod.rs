//! The operators' queries ask for what the handler really logs, of tables that exist, and each is
//! used by an alert or by the workbook.

mod kusto;
mod lines;
mod use_of;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use world::test_world::repository_root;

pub(super) use self::kusto::needed_tables;
use crate::TestError;

/// Every query by the name of its file.
fn queries() -> Result<BTreeMap<String, String>, TestError> {
    let mut queries = BTreeMap::new();
    for entry in std::fs::read_dir(infra("queries"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or("a name")?.to_owned();
        assert!(path.extension().is_some_and(|kind| kind == "kql"), "{path:?}");
        queries.insert(name, std::fs::read_to_string(&path)?);
    }
    assert!(queries.len() > 20, "they were found");
    Ok(queries)
}

fn infra(path: &str) -> PathBuf {
    repository_root().join("infra").join(path)
}

fn read(path: &str) -> Result<String, TestError> {
    Ok(std::fs::read_to_string(infra(path))?)
}

/// A query without its comments.
fn code(query: &str) -> String {
    let lines = query.lines().filter(|line| !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What is between double quotes.
fn literals(code: &str) -> BTreeSet<&str> {
    code.split('"').skip(1).step_by(2).collect()
}

/// What follows each `start` up to `end`.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(start).skip(1);
    parts.filter_map(|part| part.split_once(end).map(|(inside, _)| inside)).collect()
}

#[test]
fn every_query_says_its_question_and_can_be_read() -> crate::TestResult {
    for (name, text) in queries()? {
        let question = text.lines().next().and_then(|line| line.strip_prefix("// "));
        assert!(question.is_some_and(|question| question.contains('?')), "{name} asks nothing");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}");
        assert!(!text.contains(['\t', '\r']), "{name}: no tabs, Unix lines");
        assert!(!text.lines().any(|line| line.ends_with(' ')), "{name}: spaces at an end");
        let code = code(&text);
        assert_eq!(code.matches('"').count() % 2, 0, "{name}: quotes");
        for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
            let bare: String = code.split('"').step_by(2).collect();
            assert_eq!(bare.matches(open).count(), bare.matches(close).count(), "{name}: {open}");
        }
    }
    Ok(())
}

/// A caller, an address, a user: what logs of Azure hold about people.
#[test]
fn no_query_asks_who_somebody_is() -> crate::TestResult {
    let personal = ["Caller", "Claims", "Upn", "ClientIP", "CallerIpAddress", "UserId", "Url"];
    for (name, text) in queries()? {
        let code = code(&text);
        let words: BTreeSet<&str> = code.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for word in personal {
            assert!(!words.contains(word), "{name} asks for {word}");
        }
        assert!(!code.contains("project-away") && !code.contains("arg_max("), "{name}: by name");
    }
    Ok(())
}
