//! One member of a JSON object from outside, where nothing else of the object matters.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The member `name` of the object `json`; an absent one counts as `null`. `None` when `json` is no
/// object, or the member is no `T`: the parser's own message repeats values, so it is dropped.
pub(crate) fn json_member<T: DeserializeOwned>(json: &[u8], name: &str) -> Option<T> {
    let mut object: Map<String, Value> = serde_json::from_slice(json).ok()?;
    serde_json::from_value(object.remove(name).unwrap_or_default()).ok()
}

/// `json` as a strict parser takes it: a control character becomes a space, and half of a surrogate
/// pair the replacement character. A name that a client wrote so would otherwise spoil everything
/// around it.
pub(crate) fn repair(json: &[u8]) -> Vec<u8> {
    let mut repaired: Vec<u8> =
        json.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).collect();
    let unit = |at: usize, bytes: &[u8]| -> Option<u16> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    while at < repaired.len() {
        at += match (unit(at, &repaired), unit(at + 6, &repaired)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                repaired[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            // Whatever is escaped is passed over, so that `\\\\ud800` stays a text.
            _ if repaired[at] == b'\\' => 2,
            _ => 1,
        };
    }
    repaired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_name_does_not_spoil_the_rest() {
        let read = |json: &[u8]| serde_json::from_slice::<Value>(&repair(json)).unwrap();
        assert_eq!(
            read(br#"{"a":"\ud83d","b":1}"#),
            serde_json::json!({ "a": "\u{fffd}", "b": 1 })
        );
        assert_eq!(read(br#"{"a":"\udc00\ud83d\ude00"}"#)["a"], "\u{fffd}\u{1f600}");
        assert_eq!(read(br#"{"a":"\\ud800"}"#)["a"], "\\ud800");
        assert_eq!(read(b"{\"a\":\"x\x01y\"}")["a"], "x y");
    }

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
