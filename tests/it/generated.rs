//! What is made from the code and kept in files: sections of documents, and files of their own.
//!
//! Each is compared by a test, and rewritten with `ROOMBRIDGE_WRITE=1 cargo test --test it -- infra counts`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{TestError, TestResult};

/// Stories run side by side, and some write into the same document.
static WRITE_LOCK: Mutex<()> = Mutex::new(());

/// A file of the project, by its path from the root.
pub(crate) fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Its text, never half written.
pub(crate) fn read(file: &str) -> Result<String, TestError> {
    let _turn = WRITE_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::fs::read_to_string(path_of(file))?)
}

/// Whether generated text is to be written instead of compared.
#[expect(clippy::disallowed_methods, reason = "the author of a change asks for it from outside")]
pub(crate) fn is_writing() -> bool {
    std::env::var("ROOMBRIDGE_WRITE").is_ok_and(|value| value == "1")
}

/// The part of a document between `<!-- name -->` and `<!-- /name -->`, which is made from the code.
pub(crate) struct Section {
    document: &'static str,
    name: &'static str,
    text: String,
}

impl Section {
    /// `text` is what must be there.
    pub(crate) fn new(document: &'static str, name: &'static str, text: String) -> Self {
        Self { document, name, text }
    }

    /// Compares; where asked to write, puts the text there instead.
    ///
    /// # Errors
    /// When the document cannot be read, has no such section, or says something else.
    pub(crate) fn assert_up_to_date(&self) -> TestResult {
        self.compare(is_writing())
    }

    fn compare(&self, writes: bool) -> TestResult {
        let Self { document, name, text } = self;
        let _turn = WRITE_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path_of(document);
        let found = std::fs::read_to_string(&path)?;
        let (from, to) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let parts = found.split_once(&from).and_then(|(before, rest)| {
            rest.split_once(&to).map(|(inside, after)| (before, inside, after))
        });
        let Some((before, inside, after)) = parts else {
            return Err(format!("{document} has no {from}").into());
        };
        let text = text.trim();
        if inside.trim() == text {
            return Ok(());
        }
        if writes {
            return Ok(std::fs::write(path, format!("{before}{from}{text}\n{to}{after}"))?);
        }
        Err(format!("{document}, {name}: ROOMBRIDGE_WRITE=1 rewrites it\n{text}").into())
    }
}

/// Compares a whole file with `text`; where asked to write, writes it.
///
/// # Errors
/// When it cannot be read, or says something else.
pub(crate) fn assert_whole_file(file: &str, text: &str) -> TestResult {
    if is_writing() {
        std::fs::write(path_of(file), text)?;
    }
    if read(file)? == text {
        return Ok(());
    }
    Err(format!("{file}: ROOMBRIDGE_WRITE=1 rewrites it\n{text}").into())
}

/// A table of a document: its head, and its rows cell by cell.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let ruler = "|---".repeat(head.len()) + "|\n";
    let body: String = rows.into_iter().map(|row| line(&row)).collect();
    line(&head) + &ruler + &body
}

#[test]
fn a_section_that_is_missing_or_says_something_else_is_an_error() {
    const DOCUMENT: &str = "docs/reviewers.md";
    let missing = Section::new(DOCUMENT, "no such section", String::new()).compare(true);
    assert!(missing.is_err_and(|error| error.to_string().contains("no such section")));
    let other = Section::new(DOCUMENT, "tables", "| table |".into()).compare(false);
    assert!(other.is_err_and(|error| error.to_string().contains("ROOMBRIDGE_WRITE=1")));
}
