//! Forms: what a browser posted, read strictly, and the errors shown at each field.

use url::form_urlencoded;

use super::{
    error::PageError,
    texts::{Texts, fill},
};

/// The longest address of a mailbox, in characters (RFC 5321, 4.5.3.1: 64 + 1 + 255).
pub(crate) const MAX_ADDRESS_CHARS: usize = 320;

/// What one field of a form may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    name: &'static str,
    max_chars: usize,
    multiline: bool,
    repeatable: bool,
}

impl Field {
    /// One line of at most `max_chars` characters.
    pub(crate) const fn single_line(name: &'static str, max_chars: usize) -> Self {
        Self { name, max_chars, multiline: false, repeatable: false }
    }

    /// Several lines of at most `max_chars` characters together.
    pub(crate) const fn multiline(name: &'static str, max_chars: usize) -> Self {
        Self { name, max_chars, multiline: true, repeatable: false }
    }

    /// A field that may come several times, each a line of at most `max_chars` characters.
    pub(crate) const fn repeatable(name: &'static str, max_chars: usize) -> Self {
        Self { name, max_chars, multiline: false, repeatable: true }
    }
}

/// An error in one field: shown next to it and in the summary above the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The `id` of the field on its page.
    pub(crate) field: String,
    /// What is wrong and what to do, in one sentence. Escaped where it is shown.
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { field: field.into(), message: text.into() }
    }

    /// What `errors` say about the field with the id `field`.
    pub(crate) fn message_for<'a>(errors: &'a [Self], field: &str) -> Option<&'a str> {
        errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// A posted form: only known fields, every value as it was typed.
///
/// No `Debug`: what people type is theirs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Form {
    fields: Vec<(String, String)>,
    /// Fields whose value is longer than it may be, and the most characters they take.
    pub(crate) too_long: Vec<(&'static str, usize)>,
    invalid_chars: Vec<&'static str>,
}

impl Form {
    /// The form as a page shows it at first, with these values.
    pub(crate) fn of<const N: usize>(fields: [(&str, String); N]) -> Self {
        let fields = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { fields, too_long: Vec::new(), invalid_chars: Vec::new() }
    }

    /// Types `value` into the field `name`.
    #[cfg(test)]
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    /// Reads `body`. A value that is too long, or holds what nobody can type, stays as it came and is
    /// reported by [`Form::input_errors`], so that the user loses nothing. A field that is not among
    /// `known`, or comes twice and must not, is an error.
    pub(crate) fn parse(body: &[u8], known: &[Field]) -> Result<Self, PageError> {
        let mut form = Self::of([]);
        // The parser would silently replace bytes that are not UTF-8.
        if std::str::from_utf8(body).is_err() {
            return Err(PageError::MalformedForm);
        }
        for (name, value) in form_urlencoded::parse(body) {
            let field =
                known.iter().find(|field| field.name == name).ok_or(PageError::MalformedForm)?;
            // Of two values one check might see the first, and another the second.
            if !field.repeatable && form.fields.iter().any(|(known, _)| *known == name) {
                return Err(PageError::MalformedForm);
            }
            // Browsers end a line with CR LF (HTML, 4.10.21.8).
            let value = value.replace("\r\n", "\n");
            // Kept and reported later, so that a page can show what was typed.
            if value.chars().count() > field.max_chars {
                form.too_long.push((field.name, field.max_chars));
            }
            // U+FFFD is what the parser makes of percent-encoded bytes that are not UTF-8.
            let line_end = |c: char| field.multiline && matches!(c, '\n' | '\t');
            if value.chars().any(|c| c.is_control() && !line_end(c) || c == '\u{FFFD}') {
                form.invalid_chars.push(field.name);
            }
            form.fields.push((name.into_owned(), value));
        }
        Ok(form)
    }

    /// The value of `name`, as it was typed; empty when the field is missing, like a box that is not
    /// ticked.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All values of `name`, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the box `name` is ticked.
    pub(crate) fn is_checked(&self, name: &str) -> bool {
        self.text(name) == "yes"
    }

    /// What is too long, or holds control characters or broken text, each at its field.
    pub(crate) fn input_errors(&self, t: &Texts) -> Vec<FieldError> {
        let too_long = self.too_long.iter().map(|(field, max)| {
            FieldError::new(*field, fill(t.layout.too_long, &[("max", &max.to_string())]))
        });
        let invalid = self.invalid_chars.iter();
        let invalid = invalid.map(|field| FieldError::new(*field, t.layout.invalid_chars));
        too_long.chain(invalid).collect()
    }
}

/// The query of a page that shows a list: `?from=n` for what is listed from the n-th on, and whether
/// it has the word `flag`, by which a form says that it is done.
pub(crate) fn parse_list_query(query: Option<&str>, flag: &str) -> (usize, bool) {
    let mut parts = query.unwrap_or_default().split('&');
    let from = parts.clone().find_map(|part| part.strip_prefix("from=")?.parse().ok());
    (from.unwrap_or(0), parts.any(|part| part == flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Field] = &[
        Field::single_line("name", 5),
        Field::multiline("list", 20),
        Field::repeatable("room", 10),
    ];

    #[test]
    fn what_was_typed_comes_through_as_it_is() {
        let body = b"name=J%C3%BCrg&list=one%0D%0Atwo&room=a&room=b+c";
        let form = Form::parse(body, KNOWN).ok().unwrap();
        assert_eq!((form.text("name"), form.text("list")), ("Jürg", "one\ntwo"));
        assert_eq!(form.all("room").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!((form.text("other"), form.is_checked("name")), ("", false));
        assert!(form.too_long.is_empty() && form.invalid_chars.is_empty());
    }

    #[test]
    fn a_field_nobody_asked_for_and_one_that_comes_twice_are_refused() {
        for body in ["name=a&admin=yes", "name=a&name=b", "Name=a"] {
            let read = Form::parse(body.as_bytes(), KNOWN);
            assert_eq!(read.err(), Some(PageError::MalformedForm), "{body}");
        }
        assert_eq!(Form::parse(b"name=\xff", KNOWN).err(), Some(PageError::MalformedForm));
    }

    #[test]
    fn what_is_too_long_or_hostile_is_named_and_kept() {
        let form = Form::parse(b"name=aaaaaa&list=a%00b&room=a%0Ab", KNOWN).ok().unwrap();
        assert_eq!(form.too_long, [("name", 5)]);
        assert_eq!(form.invalid_chars, ["list", "room"]);
        assert_eq!(form.text("name"), "aaaaaa");
        let broken = Form::parse(b"name=%ff", KNOWN).ok().unwrap();
        assert_eq!(broken.invalid_chars, ["name"]);
    }
}
