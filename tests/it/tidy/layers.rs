//! Layers: in which direction the folders of the handler use each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, assert_no_violations, handler_sources};

/// The folders and files at the top of `handlers/`, each of which may use only those before it.
const ORDER: [&str; 14] = [
    "domain", "base", "settings", "queue", "host", "messages", "identity", "graph", "store",
    "booking", "jobs", "web", "app", "lib",
];

/// The modules of which only messages may pass from one to another, by the folder they are in, with
/// what they may share.
const FUNCTIONS: [(&str, &str); 2] = [("jobs", "runner"), ("web", "layout")];

/// The module that a file is, from the root of the crate: `["store", "due"]`.
pub(super) fn module(source: &Source) -> Vec<String> {
    let mut segments: Vec<String> =
        source.segments().iter().skip(1).map(|s| (*s).to_owned()).collect();
    if segments.last().is_some_and(|last| last == "mod") {
        segments.pop();
    }
    segments
}

/// Every path into the crate that `code` names, as segments from the root of the crate.
pub(super) fn paths(source: &Source, code: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
            flatten(&code[at + start.len()..], &mut Vec::new(), &mut found);
        }
    }
    for (at, start) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let (mut from, mut rest) = (module(source), &code[at..]);
        while let Some(above) = rest.strip_prefix(start) {
            from.pop();
            rest = above;
        }
        flatten(rest, &mut from, &mut found);
    }
    found
}

/// Adds each path that `rest` begins with, behind `prefix`: one, or as many as its braces hold.
fn flatten(rest: &str, prefix: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    for branch in branches(rest) {
        let branch = branch.trim_start();
        let name: String =
            branch.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let after = branch.get(name.len()..).unwrap_or_default();
        prefix.push(name);
        match after.strip_prefix("::") {
            Some(more) => flatten(more, prefix, found),
            None => drop(found.insert(prefix.clone())),
        }
        prefix.pop();
    }
}

/// The parts of a group in braces; `text` itself when it does not begin with one.
fn branches(text: &str) -> Vec<&str> {
    let Some(inner) = text.strip_prefix('{') else { return vec![text] };
    let (mut depth, mut from, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Which module uses which: the longest part of each path that is a file.
fn uses(sources: &[Source]) -> Vec<(Vec<String>, Vec<String>)> {
    let modules: BTreeSet<Vec<String>> = sources.iter().map(module).collect();
    let mut uses = Vec::new();
    for source in sources {
        for path in paths(source, &source.code()) {
            let used =
                (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|p| modules.contains(p));
            uses.extend(used.map(|used| (module(source), used)));
        }
    }
    uses
}

/// The handler's files, but for `main`, which is a crate of its own.
fn library() -> Vec<Source> {
    handler_sources().into_iter().filter(|source| source.path != "handlers/main.rs").collect()
}

#[test]
fn each_folder_uses_only_those_before_it() {
    let place = |path: &[String]| {
        ORDER.iter().position(|name| path.first().is_some_and(|first| first == name))
    };
    let mut broken = Vec::new();
    for (user, used) in uses(&library()) {
        match (place(&user), place(&used)) {
            (Some(user_at), Some(used_at)) if used_at <= user_at => {}
            _ => broken.push(format!("{} uses {}", user.join("::"), used.join("::"))),
        }
    }
    assert_no_violations("A folder uses only the folders before it in ORDER.", broken);
}

/// For each folder, which of its files and folders uses which other one. A folder's own `mod.rs` is
/// neither: it hands names on.
fn neighbours(sources: &[Source]) -> BTreeMap<Vec<String>, BTreeSet<(String, String)>> {
    let mut folders: BTreeMap<Vec<String>, BTreeSet<(String, String)>> = BTreeMap::new();
    for (user, used) in uses(sources) {
        let common = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (user.get(common), used.get(common)) {
            let pairs = folders.entry(user[..common].to_vec()).or_default();
            pairs.insert((a.clone(), b.clone()));
        }
    }
    folders
}

/// What remains when everything is taken away, again and again, that uses nothing or is used by nothing.
fn circle(mut pairs: BTreeSet<(String, String)>) -> BTreeSet<(String, String)> {
    loop {
        let users: BTreeSet<String> = pairs.iter().map(|(user, _)| user.clone()).collect();
        let used: BTreeSet<String> = pairs.iter().map(|(_, used)| used.clone()).collect();
        let before = pairs.len();
        pairs.retain(|(a, b)| used.contains(a) && users.contains(b));
        if pairs.len() == before {
            return pairs;
        }
    }
}

#[test]
fn no_folder_holds_a_circle() {
    let mut broken = Vec::new();
    for (folder, pairs) in neighbours(&library()) {
        for (user, used) in circle(pairs) {
            broken.push(format!("{}: {user} uses {used}", folder.join("/")));
        }
    }
    assert_no_violations("The files and folders of a folder can be put in an order.", broken);
}

#[test]
fn a_function_is_called_what_its_folder_is_called() {
    let modules: BTreeSet<Vec<String>> = library().iter().map(module).collect();
    let mut broken = Vec::new();
    for function in roombridge::host::FUNCTIONS {
        let name = function.name.replace('-', "_");
        let homes = FUNCTIONS.iter().map(|(folder, _)| vec![(*folder).to_owned(), name.clone()]);
        if homes.filter(|home| modules.contains(home)).count() != 1 {
            broken.push(function.name);
        }
    }
    assert_no_violations("A function has one folder, with its name, in jobs/ or web/.", broken);
}

#[test]
fn functions_never_use_functions() {
    let folders = neighbours(&library());
    let mut broken = Vec::new();
    for (folder, shared) in FUNCTIONS {
        let pairs = folders.get(&vec![folder.to_owned()]).cloned().unwrap_or_default();
        let between = pairs.into_iter().filter(|(a, b)| a != shared && b != shared);
        broken.extend(between.map(|(a, b)| format!("{folder}::{a} uses {folder}::{b}")));
    }
    assert_no_violations("Only messages pass between functions.", broken);
}

#[test]
fn the_domain_is_pure() {
    let words = [
        "async ",
        ".await",
        "tokio",
        "Clock",
        "Rng",
        "now(",
        "std::fs",
        "std::env",
        "std::net",
        "tracing",
        "reqwest",
        "axum",
        "azure",
        "serde_json",
    ];
    let mut broken = Vec::new();
    for source in
        handler_sources().into_iter().filter(|source| source.path.starts_with("handlers/domain/"))
    {
        let code = source.code();
        let with = words.iter().filter(|word| code.contains(**word));
        broken.extend(with.map(|word| format!("{}: {word}", source.path)));
    }
    assert_no_violations("The rules know no IO, no clock and no format.", broken);
}

#[test]
fn only_host_knows_the_hosts_protocol() {
    let words = ["azure-functions", "envelope", "invocationid", "\"dequeuecount\"", "returnvalue"];
    let mut broken = Vec::new();
    for source in
        handler_sources().into_iter().filter(|source| !source.path.starts_with("handlers/host/"))
    {
        let text = source.without_tests().to_lowercase();
        let with = words.iter().filter(|word| text.contains(**word));
        broken.extend(with.map(|word| format!("{}: {word}", source.path)));
    }
    assert_no_violations("The words of the protocol are in handlers/host alone.", broken);
}

#[test]
fn the_table_client_has_nothing_of_ours() {
    let client = |path: &[String]| path.iter().any(|segment| segment == "table_service");
    let all = uses(&library());
    assert!(all.iter().any(|(user, _)| client(user)), "the client was found");
    let out = all.into_iter().filter(|(user, used)| client(user) && !client(used));
    let broken = out.map(|(user, used)| format!("{} uses {}", user.join("::"), used.join("::")));
    assert_no_violations("It must be easy to replace by Microsoft's own crate.", broken);
}

#[test]
fn ports_are_small() {
    const VERBS: usize = 6;
    let mut found = BTreeSet::new();
    let mut broken = Vec::new();
    for source in handler_sources() {
        let code = source.code();
        for (at, _) in code.match_indices("trait ") {
            let rest = &code[at..];
            let body = rest.split("\n}").next().unwrap_or(rest);
            let name: String = rest[6..].chars().take_while(|c| c.is_alphanumeric()).collect();
            let verbs = body.lines().filter(|line| {
                let line = line.trim_start();
                line.starts_with("fn ") || line.starts_with("async fn ")
            });
            let verbs = verbs.count();
            if verbs > VERBS {
                broken.push(format!("{}: {name} has {verbs} verbs", source.path));
            }
            found.insert(name);
        }
    }
    for port in ["Tables", "Outbox", "Http", "BookingSystem", "KeySource", "Clock", "Rng"] {
        assert!(found.contains(port), "the port {port} was found");
    }
    assert_no_violations("A port has at most six verbs.", broken);
}

#[test]
fn paths_are_found_in_every_form() {
    let text =
        "use crate::{a, b::{c, d::e}, f};\nlet x = crate::g::h();\nuse super::super::i::j;\n";
    let source = Source { path: "handlers/x/y.rs".to_owned(), text: text.to_owned() };
    let found: Vec<String> = paths(&source, text).into_iter().map(|path| path.join(".")).collect();
    assert_eq!(found, ["a", "b.c", "b.d.e", "f", "g.h", "i.j"]);
}

#[test]
fn a_circle_is_what_remains() {
    let pairs = |all: &[(&str, &str)]| {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    };
    let found = circle(pairs(&[("top", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "ground")]));
    assert_eq!(found, pairs(&[("a", "b"), ("b", "c"), ("c", "a")]));
}
