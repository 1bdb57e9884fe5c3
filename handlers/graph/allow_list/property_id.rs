//! The name of a single-value extended property, in the one form that may be asked for.

use std::{fmt, str::FromStr};

use uuid::{Uuid, uuid};

use crate::domain::ids::{InvalidId, RoomId};

/// The property set that is ours alone.
const OWN_PROPERTY_SET: Uuid = uuid!("6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2");

/// Exchange's own property sets end like this ([MS-OXPROPS] section 1.3.2): appointment, meeting,
/// internet headers and so on. They hold content.
const EXCHANGE_SET_SUFFIX: &str = "-0000-0000-c000-000000000046";

/// The longest name of a property.
const NAME_MAX: usize = 64;

/// Names one extended property: `String {guid} Name X`, in this form only, and never in one of
/// Exchange's own property sets, so that no content can be read by this way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PropertyId {
    set: Uuid,
    name: String,
}

impl PropertyId {
    /// What became of `room`: outcome and match id. Each room has a property of its own, so that
    /// two rooms of one appointment never overwrite each other's word.
    pub fn outcome(room: RoomId) -> Self {
        Self { set: OWN_PROPERTY_SET, name: format!("RoombridgeOutcome.{room}") }
    }

    /// Whether it is one of ours, and may be written.
    pub fn is_ours(&self) -> bool {
        self.set == OWN_PROPERTY_SET
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "String {{{}}} Name {}", self.set, self.name)
    }
}

impl FromStr for PropertyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rest = text.strip_prefix("String {").ok_or(InvalidId)?;
        let (set, name) = rest.split_once("} Name ").ok_or(InvalidId)?;
        let set = Uuid::try_parse(set).map_err(|_| InvalidId)?;
        let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let fits = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(known);
        if !fits || set.to_string().ends_with(EXCHANGE_SET_SUFFIX) {
            return Err(InvalidId);
        }
        Ok(Self { set, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_string_properties_outside_exchanges_own_sets_can_be_named() {
        let id = "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name RoombridgeOutcome.00000000-0000-0000-0000-000000000000";
        assert_eq!(id.parse::<PropertyId>().unwrap(), PropertyId::outcome(RoomId(Uuid::nil())));
        assert_eq!(PropertyId::outcome(RoomId(Uuid::nil())).to_string(), id);
        for bad in [
            "",
            "String 0x0037",
            "String 0x1000",
            "String {00020329-0000-0000-C000-000000000046} Name Keywords",
            "Integer {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name X",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Id 0x8012",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name ",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name X' or id eq 'String 0x0037",
        ] {
            assert!(bad.parse::<PropertyId>().is_err(), "{bad}");
        }
    }
}
