//! The documents say what the code does: their lists of functions and settings are compared with it,
//! and everything that a document names exists.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::SignedDuration;
use roombridge::domain::retention::FAILURE_RETENTION;
use roombridge::domain::tenant::TenantPolicy;
use roombridge::host::{FUNCTIONS, Trigger, functions::PREFIX};

use super::source::{Source, file, tree};
use crate::infra::retention::RETENTION_RULES;

fn marked_section(document: &str, name: &str) -> String {
    let text = file(document);
    let after = text.split_once(&format!("<!-- {name} -->")).map(|(_, after)| after);
    let inside = after.and_then(|after| after.split_once(&format!("<!-- /{name} -->")));
    assert!(inside.is_some(), "{document} has <!-- {name} --> and <!-- /{name} -->");
    inside.map_or_else(String::new, |(inside, _)| inside.to_owned())
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

#[test]
fn what_is_said_to_be_kept_is_what_the_code_keeps() {
    let days = |table: &str| {
        let kept = RETENTION_RULES.iter().find(|kept| kept.table == table);
        let days = kept.and_then(|kept| kept.retention.split_once(" days")?.0.parse().ok());
        days.map(|days: i64| SignedDuration::from_hours(24 * days))
    };
    assert_eq!(days("Failures"), Some(FAILURE_RETENTION));
    let usual = TenantPolicy::default().audit_days;
    assert_eq!(days("Audit"), Some(SignedDuration::from_hours(24 * i64::from(usual))));
}

#[test]
fn the_functions_are_those_of_the_router() {
    let functions: Vec<String> = FUNCTIONS
        .iter()
        .map(|function| {
            let trigger = match function.trigger {
                Trigger::Http { route, methods } => {
                    format!("{} `/{PREFIX}/{route}`", methods.join(", ").to_uppercase())
                }
                Trigger::Queue { queue } => format!("queue `{}`", queue.name()),
                Trigger::Timer { schedule } => format!("timer `{schedule}`"),
            };
            format!("- {}, {trigger}", code(function.name))
        })
        .collect();
    let list = marked_section("docs/architecture.md", "functions");
    let points = list.lines().filter_map(|line| line.split_once(": "));
    assert_eq!(points.map(|(function, _)| function).collect::<Vec<_>>(), functions);
}

#[test]
fn the_settings_are_those_that_are_read() {
    let read: BTreeSet<String> = super::handler_sources()
        .iter()
        .filter(|source| {
            source.path.starts_with("handlers/settings/") || source.path == "handlers/main.rs"
        })
        .flat_map(|source| variables(&source.without_tests()))
        .collect();
    assert!(read.len() > 10, "the names were found in the sources");
    let list = marked_section("docs/settings.md", "settings");
    let points = list.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(" ("));
    let written: Vec<String> = points.map(|(name, _)| name.to_owned()).collect();
    let unique: BTreeSet<String> = written.iter().cloned().collect();
    assert_eq!(written.len(), unique.len(), "each setting has one point");
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
fn the_two_commands_are_the_ones_that_ci_runs() {
    let (readme, ci) = (file("README.md"), file(".ci/run"));
    for command in ["cargo local", "cargo test"] {
        assert!(readme.lines().any(|line| line.trim() == command), "README: {command}");
        assert!(ci.contains(command), ".ci/run: {command}");
    }
    assert!(file(".cargo/config.toml").contains("local = "), "`cargo local` is an alias");
}

/// Every document of the tree.
fn documents() -> Vec<Source> {
    let of_prose = |source: &Source| Path::new(&source.path).extension().is_some_and(|e| e == "md");
    let found: Vec<Source> = tree().into_iter().filter(of_prose).collect();
    assert!(found.len() > 2, "the walk found the documents");
    found
}

/// The prose of a document: what is between fences is for a shell or a picture.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// What the links of a document lead to, other sites left out.
fn links(text: &str) -> Vec<String> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).map(str::to_owned).collect()
}

/// The path from the root that `link` means in the document at `from`.
fn from_root(from: &str, link: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments: Vec<&str> = Vec::new();
    for segment in folder.split('/').chain(link.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    segments.join("/")
}

/// What headings of a document are called in a link, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

fn exists(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

/// Words that Mermaid keeps for itself: a node of that name makes the whole picture an error.
const MERMAID_KEYWORDS: [&str; 8] =
    ["graph", "end", "subgraph", "flowchart", "style", "class", "click", "default"];

#[test]
fn every_picture_in_the_documents_can_be_drawn() {
    let (mut wrong, mut pictures) = (Vec::new(), 0);
    for Source { path, text } in documents() {
        for picture in
            text.split("```mermaid\n").skip(1).filter_map(|rest| rest.split("```").next())
        {
            pictures += 1;
            let node =
                |line: &str| line.trim().split(['[', '(', '{', ' ']).next().map(str::to_owned);
            // The first line says which kind of picture it is.
            let nodes = picture.lines().skip(1).filter(|line| line.contains(['[', '(', '{']));
            let taken = nodes.filter(|line| !line.trim().starts_with("subgraph ")).filter_map(node);
            let taken = taken.filter(|name| MERMAID_KEYWORDS.contains(&name.as_str()));
            wrong.extend(taken.map(|name| format!("{path}: a node is called {name}")));
            if picture.contains("\\n") {
                wrong.push(format!("{path}: a new line in a label is <br/>"));
            }
        }
    }
    assert!(pictures >= 2, "the pictures were found");
    super::assert_no_violations("A picture is one that GitHub draws.", wrong);
}

/// The links of these documents that lead to no file, or to no heading of it.
fn broken_links(documents: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for Source { path, text } in documents {
        for link in links(&prose(text)) {
            let (file_part, anchor) = match link.split_once('#') {
                Some((file_part, anchor)) => (file_part, Some(anchor)),
                None => (link.as_str(), None),
            };
            let target = match file_part {
                "" => path.clone(),
                other => from_root(path, other),
            };
            let there = || anchor.is_none_or(|anchor| anchors(&file(&target)).contains(anchor));
            if !exists(&target) || !there() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    broken
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    super::assert_no_violations(
        "A link in the documents leads to a file, and to a heading of it.",
        broken_links(&documents()),
    );
}

#[test]
fn a_broken_link_is_found() {
    let good = "[a](../README.md) [b](limits.md#limits) [c](https://example.com/#no)";
    let bad = "[a](no-such-file.md) [b](limits.md#no-such-heading) ![c](../tests/no-such.png)";
    let of = |text: &str| broken_links(&[Source { path: "docs/x.md".into(), text: text.into() }]);
    assert_eq!(of(good), Vec::<String>::new());
    assert_eq!(of(bad).len(), 3, "{:?}", of(bad));
}

#[test]
fn every_path_in_the_documents_leads_somewhere() {
    let folders = ["handlers/", "tests/", "function-app/", "infra/", "docs/", ".github/", ".ci/"];
    let mut broken = Vec::new();
    for Source { path, text } in documents() {
        let text = prose(&text);
        let named = text.split('`').skip(1).step_by(2);
        let named = named.filter(|word| folders.iter().any(|folder| word.starts_with(folder)));
        let lost = named.filter(|word| !word.contains(['<', ' ', '*', '{', '…'])).filter(|word| {
            let stem = word.trim_end_matches('/');
            !exists(stem) && !exists(&format!("{stem}.rs"))
        });
        broken.extend(lost.map(|word| format!("{path}: {word}")));
    }
    super::assert_no_violations("A path in the documents exists.", broken);
}

#[test]
fn every_document_is_linked_from_the_readme() {
    let mut known = BTreeSet::from(["README.md".to_owned()]);
    let mut next: Vec<String> = known.iter().cloned().collect();
    while let Some(path) = next.pop() {
        for link in links(&prose(&file(&path))) {
            let target = from_root(&path, link.split('#').next().unwrap_or_default());
            if known.insert(target.clone()) && Path::new(&target).extension() == Some("md".as_ref())
            {
                next.push(target);
            }
        }
    }
    let lost = documents().into_iter().map(|source| source.path);
    super::assert_no_violations(
        "Links lead from the README to every document.",
        lost.filter(|path| !known.contains(path)),
    );
}

/// The commands in a document that begin with `command`: the rest of the line of each.
fn commands<'a>(text: &'a str, command: &'a str) -> impl Iterator<Item = &'a str> {
    let ends = |c: char| matches!(c, '`' | '\n' | '|' | '#');
    text.split(command).skip(1).filter_map(move |rest| rest.split(ends).next())
}

/// The file of the module `path` below `folder`.
fn module(folder: &str, path: &[&str]) -> Option<String> {
    let stem = format!("{folder}/{}", path.join("/"));
    [format!("{stem}.rs"), format!("{stem}/mod.rs")].into_iter().find(|place| exists(place))
}

/// Whether a filter names stories: modules, and in the last of them perhaps one test.
fn matches_a_test(folder: &str, filter: &str) -> bool {
    let path: Vec<&str> = filter.split("::").filter(|segment| !segment.is_empty()).collect();
    if module(folder, &path).is_some() {
        return true;
    }
    let Some((test, modules)) = path.split_last() else { return false };
    let place = module(folder, modules);
    place.is_some_and(|place| file(&place).contains(&format!("fn {test}(")))
}

/// The filters in the points below a command that leaves them open, `cargo test … -- …`: the last code
/// of each point.
fn filters_below<'a>(text: &'a str, command: &str) -> Vec<&'a str> {
    let opening = format!("`{command} -- …`:\n");
    let lists = text.split(&opening).skip(1);
    let points = lists.flat_map(|list| {
        list.trim_start().lines().map_while(|line| line.strip_prefix("- ")).collect::<Vec<_>>()
    });
    points.filter_map(|point| point.rsplit('`').nth(1)).flat_map(str::split_whitespace).collect()
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let mut broken = Vec::new();
    let kinds =
        [("cargo test --test it", "tests/it"), ("cargo test -p roombridge --lib", "handlers")];
    for Source { path, text } in documents() {
        for (command, folder) in kinds {
            for rest in commands(&text, command) {
                let words: Vec<&str> = rest.split_whitespace().collect();
                // Cargo itself takes one filter; several come after its two hyphens.
                let several = words.len() > 1 && words.first() != Some(&"--");
                let filters = words.iter().filter(|word| !word.starts_with('-') && **word != "…");
                let lost = filters.filter(|filter| !matches_a_test(folder, filter));
                broken.extend(lost.map(|filter| format!("{path}: {command} {filter}")));
                if several {
                    broken.push(format!("{path}: {command}{rest} needs `--` before its filters"));
                }
            }
            let below = filters_below(&text, command).into_iter();
            let lost = below.filter(|filter| !matches_a_test(folder, filter));
            broken.extend(lost.map(|filter| format!("{path}: {command} -- {filter}")));
        }
    }
    super::assert_no_violations("A test that the documents name exists.", broken);
}

#[test]
fn filters_in_a_list_are_found() {
    let text = "With `cargo test --test it -- …`:\n\n- `a`, b: `c d::e`\n- f: `g`\n\n- h: `i`\n";
    assert_eq!(filters_below(text, "cargo test --test it"), ["c", "d::e", "g"]);
}

#[test]
fn headings_are_called_what_links_call_them() {
    let text = "# A `b`: c, d\n```sh\n# no heading\n```\n## What it is held against\n";
    let expected = ["a-b-c-d".to_owned(), "what-it-is-held-against".to_owned()];
    assert_eq!(anchors(text), expected.into());
    assert_eq!(from_root("infra/x.md", "../handlers/lib.rs"), "handlers/lib.rs");
    assert_eq!(from_root("README.md", "infra/x.md"), "infra/x.md");
}
