//! The rules that a request can break, and the checks that several of them share.

use serde_json::{Map, Value};
use uuid::Uuid;

/// The rule that a request broke. It was stopped before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It leaves the Graph base address.
    #[error("the address is outside Graph's base URL")]
    Address,
    /// Its method and path are none of those we make.
    #[error("the method and path are not on the list")]
    Unknown,
    /// It has an option that is not on the list, or one twice.
    #[error("an option is not on the list")]
    Option,
    /// It reads a calendar without choosing fields, or chooses one that is not on the list.
    #[error("a field is not on the list")]
    Field,
    /// It expands something else than one extended property.
    #[error("an expansion is not on the list")]
    Expansion,
    /// It names an extended property that is not ours to read or write.
    #[error("an extended property is not on the list")]
    Property,
    /// Its body holds something that is not on the list.
    #[error("the body is not on the list")]
    Body,
    /// It subscribes to something else than the events of one mailbox.
    #[error("a subscription is for the events of one mailbox")]
    Resource,
}

/// The object, if it has no other members than these, and at least one.
pub(in crate::graph) fn require_object<'a>(
    value: &'a Value,
    members: &[&str],
) -> Result<&'a Map<String, Value>, Violation> {
    let object = value.as_object().ok_or(Violation::Body)?;
    if !object.is_empty() && object.keys().all(|name| members.contains(&name.as_str())) {
        Ok(object)
    } else {
        Err(Violation::Body)
    }
}

/// The object, if it has all of these members and no others.
pub(in crate::graph) fn require_exact_members(
    value: &Value,
    members: &[&str],
) -> Result<(), Violation> {
    let found = require_object(value, members)?.len();
    if found == members.len() { Ok(()) } else { Err(Violation::Body) }
}

/// Passes an object id.
pub(in crate::graph) fn require_guid(text: &str) -> Result<(), Violation> {
    Uuid::try_parse(text).map(drop).map_err(|_| Violation::Unknown)
}
