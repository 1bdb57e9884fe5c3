//! Shapes that the guard's rules share: an object of these members, an id.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::refusal::{Refusal, Rule};

/// The object, if it has no other members than these, and at least one.
pub(super) fn object<'a>(
    value: &'a Value,
    members: &[&str],
) -> Result<&'a Map<String, Value>, Refusal> {
    let object = value.as_object().ok_or(Refusal(Rule::Body))?;
    if !object.is_empty() && object.keys().all(|name| members.contains(&name.as_str())) {
        Ok(object)
    } else {
        Err(Refusal(Rule::Body))
    }
}

/// The object, if it has all of these members and no others.
pub(super) fn exactly(value: &Value, members: &[&str]) -> Result<(), Refusal> {
    let found = object(value, members)?.len();
    if found == members.len() { Ok(()) } else { Err(Refusal(Rule::Body)) }
}

/// Passes an object id.
pub(super) fn guid(text: &str) -> Result<(), Refusal> {
    Uuid::try_parse(text).map(drop).map_err(|_| Refusal(Rule::Unknown))
}
