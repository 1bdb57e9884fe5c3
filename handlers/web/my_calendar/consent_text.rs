//! The text that people agree to, and its version.

use super::error::DenialReason;
use crate::web::layout::texts::ENGLISH;

/// The version of the text that people agree to now. A test ties it to the text.
pub(super) const TEXT_VERSION: &str = "2026-12";

pub(super) fn agreement() -> &'static str {
    ENGLISH.my_calendar.agreement
}

/// What we never store, line by line.
pub(super) fn not_stored() -> Vec<&'static str> {
    ENGLISH.my_calendar.not_stored_lines.lines().collect()
}

/// Denies a request that agrees to another version of the text.
pub(super) fn require_current_text(text_version: &str) -> Result<(), DenialReason> {
    if text_version == TEXT_VERSION { Ok(()) } else { Err(DenialReason::TextChanged) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::Digest;

    #[test]
    fn who_changes_the_text_raises_its_version() {
        let digest = Digest::of(&[agreement().as_bytes()]).to_string();
        assert_eq!(
            (TEXT_VERSION, digest.as_str()),
            ("2026-12", "cffe18cef88755c9a9ba6493d57da4bc")
        );
    }
}
