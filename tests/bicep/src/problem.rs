//! What is wrong, where, and what to do about it.
use std::cmp::Ordering;
use std::fmt;

/// A place in a file: line and column, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the project's folder, with forward slashes.
    pub file: String,
    /// Where in the file.
    pub place: Place,
    /// A short stable name of the rule, e.g. `unknown-property`.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of `answering_rule` at a place.
    #[must_use]
    pub fn new(file: &str, place: Place, rule: &'static str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place, rule, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{}:{line}:{column}: {} [{}]", self.file, self.message, self.rule)
    }
}

impl std::error::Error for Problem {}

/// The order in which a reader goes through problems: by file, then by place.
pub(crate) fn by_place(a: &Problem, b: &Problem) -> Ordering {
    (&a.file, a.place, a.rule, &a.message).cmp(&(&b.file, b.place, b.rule, &b.message))
}

/// The name among `known` that somebody who wrote `given` most likely meant, as a sentence to append.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let length = given.chars().count();
    let limit = if length < 4 { 1 } else { (length / 3).max(2) };
    known
        .map(|name| (distance(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| format!(" Did you mean \"{name}\"?"))
        .unwrap_or_default()
}

/// How many letters must be put in, taken out or changed to get from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_a_different_word_is_not() {
        let known = ["clientId", "principalId", "tenantId"];
        assert_eq!(did_you_mean("clientID", known.into_iter()), " Did you mean \"clientId\"?");
        assert_eq!(did_you_mean("pricipalId", known.into_iter()), " Did you mean \"principalId\"?");
        assert_eq!(did_you_mean("colour", known.into_iter()), "");
    }
}
