//! Shapes that the guard's rules share: an object of these members, an id.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::violation::{Rule, Violation};

/// The object, if it has no other members than these, and at least one.
pub(in crate::graph) fn require_object<'a>(
    value: &'a Value,
    members: &[&str],
) -> Result<&'a Map<String, Value>, Violation> {
    let object = value.as_object().ok_or(Violation(Rule::Body))?;
    if !object.is_empty() && object.keys().all(|name| members.contains(&name.as_str())) {
        Ok(object)
    } else {
        Err(Violation(Rule::Body))
    }
}

/// The object, if it has all of these members and no others.
pub(in crate::graph) fn require_exact_members(
    value: &Value,
    members: &[&str],
) -> Result<(), Violation> {
    let found = require_object(value, members)?.len();
    if found == members.len() { Ok(()) } else { Err(Violation(Rule::Body)) }
}

/// Passes an object id.
pub(in crate::graph) fn require_guid(text: &str) -> Result<(), Violation> {
    Uuid::try_parse(text).map(drop).map_err(|_| Violation(Rule::Unknown))
}
