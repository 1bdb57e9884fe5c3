//! The rules of the code, as tests that read the tree: what a lint cannot check is checked here.
//!
//! Each test collects everything that breaks its rule and names all of it at once.

mod documents;
mod features;
mod files;
mod layers;
mod names;
mod source;
mod words;

use std::fmt::Display;

use source::{Source, tree};

/// Fails with every line of `broken`, under the rule that it breaks.
fn assert_no_violations<T: Display>(rule: &str, broken: impl IntoIterator<Item = T>) {
    let broken: Vec<String> = broken.into_iter().map(|line| line.to_string()).collect();
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

/// The Rust files of the tree.
fn rust_sources() -> Vec<Source> {
    let rust: Vec<_> = tree().into_iter().filter(|source| source.path.ends_with(".rs")).collect();
    assert!(rust.len() > 100, "the walk found the sources");
    rust
}

/// The Rust files of the handler.
fn handler_sources() -> Vec<Source> {
    rust_sources().into_iter().filter(|source| source.path.starts_with("handlers/")).collect()
}
