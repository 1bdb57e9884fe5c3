//! The parameters of a request, each at most once (RFC 6749, section 3.1).

use std::collections::BTreeMap;

/// Parameters by name.
#[derive(Clone, Default)]
pub(super) struct Fields {
    all: BTreeMap<String, String>,
    twice: bool,
}

impl Fields {
    /// Reads a query or a form.
    pub(super) fn read(encoded: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in url::form_urlencoded::parse(encoded).into_owned() {
            fields.twice |= fields.all.insert(name, value).is_some();
        }
        fields
    }

    /// The value; empty when it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.all.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether it was given, with any value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Whether any was given more than once.
    pub(super) fn twice(&self) -> bool {
        self.twice
    }

    /// The words of a value.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        self.text(name).split_ascii_whitespace().map(str::to_owned).collect()
    }
}
