//! One member of a JSON object from outside, where nothing else of the object matters.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The member `name` of the object `json`; an absent one counts as `null`. `None` when `json` is no
/// object, or the member is no `T`: the parser's own message repeats values, so it is dropped.
pub(crate) fn json_member<T: DeserializeOwned>(json: &[u8], name: &str) -> Option<T> {
    let mut object: Map<String, Value> = serde_json::from_slice(json).ok()?;
    serde_json::from_value(object.remove(name).unwrap_or_default()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_another_shape_is_none_and_an_absent_one_is_null() {
        assert_eq!(json_member(br#"{"a":"x","b":7}"#, "a"), Some("x".to_owned()));
        assert_eq!(json_member::<String>(br#"{"a":7}"#, "a"), None);
        assert_eq!(json_member::<String>(b"{}", "a"), None);
        assert_eq!(json_member::<Option<String>>(b"{}", "a"), Some(None));
        for bad in ["[\"x\"]", "\"x\"", "{", ""] {
            assert_eq!(json_member::<Option<String>>(bad.as_bytes(), "a"), None, "{bad}");
        }
    }
}
