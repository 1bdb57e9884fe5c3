//! Reading the tree: its files, and what of a Rust file is code.

use std::path::Path;

/// One file of the project.
pub(super) struct Source {
    /// Its path from the root, with `/`.
    pub(super) path: String,
    /// Its text; empty when it is not UTF-8.
    pub(super) text: String,
}

impl Source {
    /// The path's segments, the last one without its extension.
    pub(super) fn segments(&self) -> Vec<&str> {
        let stem = self.path.rsplit_once('.').map_or(self.path.as_str(), |(stem, _)| stem);
        stem.split('/').collect()
    }

    /// Whether the whole file is tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.starts_with("tests/it/")
            || self.path.starts_with("tests/world/tests/")
            || self.segments().contains(&"tests") && !self.path.starts_with("tests/")
            || self
                .path
                .strip_prefix("tests/world/src/")
                .is_some_and(|path| path.split(['/', '.']).any(|segment| segment == "tests"))
    }

    /// The text without its `#[cfg(test)]` modules.
    pub(super) fn without_tests(&self) -> String {
        let mut kept = String::new();
        let mut lines = self.text.lines().peekable();
        while let Some(line) = lines.next() {
            let module = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
            if line == "#[cfg(test)]" && lines.peek().is_some_and(module) {
                // rustfmt ends a module of the first level with a brace of its own.
                lines.by_ref().find(|line| *line == "}");
                continue;
            }
            kept.push_str(line);
            kept.push('\n');
        }
        kept
    }

    /// The code alone: no tests, no comments, no contents of literals.
    pub(super) fn code(&self) -> String {
        strip_comments_and_literals(&self.without_tests())
    }
}

/// Every file of the project in the order of paths, without what Cargo and git keep beside it.
pub(super) fn tree() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// One file by its path from the root.
pub(super) fn file(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(full).unwrap_or_default()
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if name == ".git" || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(relative) = path.strip_prefix(root) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            found.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

/// The identifiers of a text, in order.
pub(super) fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `text` without comments and without the contents of string and character literals.
fn strip_comments_and_literals(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            raw_string_len(rest)
        } else if first == '"' {
            string_len(rest)
        } else if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && first == '\'' {
            1 + rest.get(2..).and_then(|rest| rest.find('\'')).map_or(1, |at| at + 2)
        } else {
            0
        };
        let plain = first.len_utf8();
        if skipped == 0 {
            out.push(first);
        }
        rest = rest.get(skipped.max(plain)..).unwrap_or_default();
    }
    out
}

/// How long the raw string at the beginning of `rest` is; 0 when there is none.
fn raw_string_len(rest: &str) -> usize {
    let hashes = rest.chars().skip(1).take_while(|c| *c == '#').count();
    let body = rest.get(1 + hashes..).and_then(|rest| rest.strip_prefix('"'));
    let end = format!("\"{}", "#".repeat(hashes));
    body.and_then(|body| body.find(&end)).map_or(0, |at| 2 + hashes + at + end.len())
}

/// How long the string at the beginning of `rest` is.
fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

#[test]
fn only_code_is_read_as_code() {
    let text = r##"use crate::a; // crate::b
let x = "crate::c \" crate::d"; let y = r#"crate::e"#; let c = '"'; crate::f::<'static>();
"##;
    let code = strip_comments_and_literals(text);
    let found: Vec<_> = code.match_indices("crate::").collect();
    assert_eq!(found.len(), 2, "{code}");
}

#[test]
fn modules_of_tests_are_left_out() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n".to_owned();
    let source = Source { path: "handlers/x.rs".to_owned(), text };
    assert_eq!(source.without_tests(), "fn a() {}\nfn c() {}\n");
}
