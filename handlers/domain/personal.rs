//! Text that says something about a person or a meeting: it cannot be printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A subject, name or address. `Debug` hides it, `Display` is not there; [`Personal::reveal`] is
/// the one way to it and easy to search for. It is stored in clear.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text in clear, for storage and for the systems that must have it; never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell() {
        assert!(!format!("{:?}", Some(Personal::new("Merger"))).contains("Merger"));
    }
}
