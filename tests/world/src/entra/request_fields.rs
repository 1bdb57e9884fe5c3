//! The parameters of a request, each at most once (RFC 6749, section 3.1).

use std::collections::BTreeMap;

/// Parameters by name.
#[derive(Clone, Default)]
pub(super) struct RequestFields {
    all: BTreeMap<String, String>,
    has_duplicates: bool,
}

impl RequestFields {
    /// Reads a query or a form.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in url::form_urlencoded::parse(encoded).into_owned() {
            fields.has_duplicates |= fields.all.insert(name, value).is_some();
        }
        fields
    }

    /// The value; empty when it is missing.
    pub(super) fn value(&self, name: &str) -> &str {
        self.all.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether it was given, with any value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Whether any was given more than once.
    pub(super) fn has_duplicates(&self) -> bool {
        self.has_duplicates
    }

    /// The words of a value.
    pub(super) fn split_value(&self, name: &str) -> Vec<String> {
        self.value(name).split_ascii_whitespace().map(str::to_owned).collect()
    }
}
