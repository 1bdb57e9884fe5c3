//! Layers: which room of the handler may know which other room.

use std::collections::BTreeSet;

use super::{Source, handlers, none};

/// Every room and small file of `handlers/`, and the rooms it may use. A room may only use rooms
/// that stand above it, so there are no circles. Tests inside a file may use more.
const ROOMS: &[(&str, &[&str])] = &[
    // Small files that know nothing of the job.
    ("clock", &[]),
    ("rng", &[]),
    ("retry_after", &[]),
    ("telemetry", &[]),
    ("http", &[]),
    ("settings", &["http"]),
    // The rules, pure.
    ("domain", &[]),
    // What is written down about a call.
    ("trail", &["domain"]),
    // What passes between functions, and on what. A queue carries text; a message knows its queue.
    ("queue", &["clock", "http"]),
    ("messages", &["domain", "queue"]),
    // The outside world, one room each.
    ("identity", &["clock", "domain", "http", "retry_after", "rng"]),
    ("graph", &["clock", "domain", "http", "identity", "retry_after", "trail"]),
    ("store", &["clock", "domain", "http", "messages", "queue", "rng", "trail"]),
    ("booking", &["clock", "domain", "rng", "store", "trail"]),
    // How a step ends, and what then happens to it.
    ("step", &["booking", "graph", "messages", "queue", "store"]),
    ("carry", &["clock", "domain", "messages", "queue", "rng", "step", "store", "trail"]),
    // What people see, and what they must prove.
    ("pages", &["domain", "graph", "identity", "queue", "store"]),
    // The work itself.
    (
        "functions",
        &[
            "booking", "clock", "domain", "graph", "identity", "messages", "pages", "queue", "rng",
            "step", "store", "trail",
        ],
    ),
    // The Functions host's protocol. It knows queues by name, and nothing of the job.
    ("host", &["clock", "queue"]),
    // Between the host's calls and the functions.
    ("work", &["carry", "domain", "functions", "host", "messages", "step", "trail"]),
    // Everything put together.
    (
        "app",
        &[
            "booking",
            "carry",
            "clock",
            "domain",
            "functions",
            "graph",
            "host",
            "http",
            "identity",
            "pages",
            "queue",
            "rng",
            "store",
            "work",
        ],
    ),
    ("lib", &[]),
];

/// The room a file is in.
fn room(source: &Source) -> String {
    source.segments().get(1).map(|room| (*room).to_owned()).unwrap_or_default()
}

/// What `code` in `source` takes from the crate: the first two names of each path.
fn taken(source: &Source, code: &str) -> BTreeSet<(String, String)> {
    let mut taken = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
            firsts(&code[at + start.len()..], &mut taken);
        }
    }
    // `super::` as often as the file is deep leads to the crate, too.
    let segments = source.segments();
    let deep = segments.len() - 1 - usize::from(segments.last() == Some(&"mod"));
    for (at, chain) in code.match_indices(&"super::".repeat(deep.max(1))) {
        if !code[..at].ends_with("super::") && deep > 0 {
            firsts(&code[at + chain.len()..], &mut taken);
        }
    }
    taken
}

/// The first two names of the path, or of each path in the braces, that `rest` begins with.
fn firsts(rest: &str, found: &mut BTreeSet<(String, String)>) {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for path in branches(rest) {
        let path = path.trim_start();
        let first = name(path);
        let Some(more) = path.strip_prefix(&first).and_then(|more| more.strip_prefix("::")) else {
            found.insert((first, String::new()));
            continue;
        };
        found.extend(branches(more).into_iter().map(|second| (first.clone(), name(second))));
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

#[test]
fn rooms_use_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for source in handlers() {
        let room = room(&source);
        if room == "main" {
            continue; // It puts everything together, as its own crate.
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{} is in no room of the table", source.path));
            continue;
        };
        for (used, _) in taken(&source, &source.code()) {
            let exists = ROOMS.iter().any(|(name, _)| *name == used);
            if used != room && exists && !allowed.contains(&used.as_str()) {
                broken.push(format!("{} uses {used}", source.path));
            } else if !exists {
                broken.push(format!("{} uses {used}, which is in no room", source.path));
            }
        }
    }
    none("Rooms use only rooms that the table allows.", broken);
}

#[test]
fn the_table_has_no_circle_and_nothing_too_much() {
    let mut broken = Vec::new();
    let sources = handlers();
    for (at, (name, allowed)) in ROOMS.iter().enumerate() {
        let used: BTreeSet<String> = sources
            .iter()
            .filter(|source| room(source) == *name)
            .flat_map(|source| taken(source, &source.code()))
            .map(|(used, _)| used)
            .collect();
        for other in *allowed {
            if !ROOMS[..at].iter().any(|(above, _)| above == other) {
                broken.push(format!("{name} → {other}: {other} does not stand above {name}"));
            }
            if !used.contains(*other) {
                broken.push(format!("{name} → {other} is allowed and not used"));
            }
        }
    }
    none("The table of rooms is in order.", broken);
}

#[test]
fn functions_never_use_functions() {
    let mut broken = Vec::new();
    for source in handlers() {
        let segments = source.segments();
        let ["handlers", "functions", own, ..] = segments.as_slice() else { continue };
        if *own == "mod" {
            continue;
        }
        let code = source.code();
        for (first, second) in taken(&source, &code) {
            if first == "functions" && second != *own {
                broken.push(format!("{} uses functions::{second}", source.path));
            }
        }
        // As many `super`s as the file lies deep in its room's folder stay inside; one more leaves.
        let inside = segments.len() - 3 - usize::from(segments.last() == Some(&"mod"));
        let way_out = "super::".repeat(inside) + if inside == 0 { "super::" } else { "super" };
        if code.contains(&way_out) {
            broken.push(format!("{} leaves its room by `{way_out}`", source.path));
        }
    }
    none("Only messages pass between functions.", broken);
}

#[test]
fn the_domain_is_pure() {
    let words = [
        "serde", "async ", ".await", "tokio", "Clock", "Rng", "now(", "std::fs", "std::env",
        "std::net", "tracing", "reqwest", "axum", "azure",
    ];
    let mut broken = Vec::new();
    for source in handlers().into_iter().filter(|source| room(source) == "domain") {
        let code = source.code();
        let with = words.iter().filter(|word| code.contains(**word));
        broken.extend(with.map(|word| format!("{}: {word}", source.path)));
    }
    none("The rules know no IO, no clock and no serialisation.", broken);
}

#[test]
fn only_host_knows_the_hosts_protocol() {
    let words = ["azure-functions", "envelope", "invocationid", "\"dequeuecount\"", "returnvalue"];
    let mut broken = Vec::new();
    for source in handlers().into_iter().filter(|source| room(source) != "host") {
        let text = source.without_tests().to_lowercase();
        let with = words.iter().filter(|word| text.contains(**word));
        broken.extend(with.map(|word| format!("{}: {word}", source.path)));
    }
    none("The words of the protocol stand in handlers/host alone.", broken);
}

#[test]
fn the_table_client_has_nothing_of_ours() {
    let folder = "handlers/store/table_service/";
    let sources: Vec<_> = handlers().into_iter().filter(|s| s.path.starts_with(folder)).collect();
    assert!(sources.len() > 2, "the client was found");
    let mut broken = Vec::new();
    for source in sources {
        for (first, second) in taken(&source, &source.code()) {
            if first != "store" || second != "table_service" {
                broken.push(format!("{} uses {first}::{second}", source.path));
            }
        }
        if source.code().contains("super::super") {
            broken.push(format!("{} leaves its folder", source.path));
        }
    }
    none("It must be easy to replace by Microsoft's own crate.", broken);
}

#[test]
fn ports_are_small() {
    const VERBS: usize = 6;
    let mut found = BTreeSet::new();
    let mut broken = Vec::new();
    for source in handlers() {
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
    none("A port has at most six verbs.", broken);
}

#[test]
fn paths_are_found_in_every_form() {
    let text =
        "use crate::{a, b::{c, d::e}, f};\nlet x = crate::g::h();\nuse super::super::i::j;\n";
    let source = Source { path: "handlers/x/y.rs".to_owned(), text: text.to_owned() };
    let taken: Vec<String> =
        taken(&source, text).into_iter().map(|(a, b)| format!("{a}.{b}")).collect();
    assert_eq!(taken, ["a.", "b.c", "b.d", "f.", "g.h", "i.j"]);
}
