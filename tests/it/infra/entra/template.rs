//! The template, read as it stands.

use std::fs;

use super::path_of;
use crate::Outcome;

#[test]
fn nothing_here_has_room_for_a_secret() -> Outcome {
    for name in ["registrations.bicep", "modules/daemon.bicep"] {
        let text = fs::read_to_string(path_of(name))?;
        for word in ["passwordCredentials", "keyCredentials", "@secure", "secretText"] {
            assert!(!text.contains(word), "{name} names {word}");
        }
    }
    Ok(())
}
