//! How a value is written as a row's properties, whatever its type.
//!
//! Each field is a property, its name in `PascalCase`: a text, a word (a variant without data), a
//! boolean or a number as it is, anything with structure as JSON text. `None` is left out. A number
//! property holds 32 bits, so a larger number is text.

use serde::{
    Deserializer, Serialize,
    de::{DeserializeOwned, IntoDeserializer, Visitor, value::MapDeserializer},
    forward_to_deserialize_any,
};
use serde_json::{Error, Map, Value, value::RawValue};
use std::collections::BTreeMap;

/// The most UTF-16 units that are put into one property. A property holds 64 KiB of UTF-16, source:
/// learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model, 2026-11.
const MAX_TEXT_UNITS: usize = 30_000;

/// What a text with structure begins with.
const STRUCTURE: [char; 2] = ['{', '['];

/// The properties that hold `row`, which must be a struct.
pub(super) fn encode<R: Serialize>(row: &R) -> Result<Map<String, Value>, Error> {
    // By way of its text, which keeps structures in the order of their fields.
    let text = serde_json::to_string(row)?;
    let mut properties = Map::new();
    for (name, raw) in serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text)? {
        let value = if raw.get().starts_with(STRUCTURE) {
            Value::String(raw.get().to_owned())
        } else {
            match serde_json::from_str(raw.get())? {
                Value::Null => continue,
                Value::Number(n) if n.as_i64().is_none_or(|n| i32::try_from(n).is_err()) => {
                    Value::String(n.to_string())
                }
                plain @ (Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_)) => plain,
            }
        };
        properties.insert(property_name(&name), value);
    }
    Ok(split_long_texts(properties))
}

/// What these properties hold.
pub(super) fn decode<R: DeserializeOwned>(properties: Map<String, Value>) -> Result<R, Error> {
    let fields = join_split_texts(properties).into_iter();
    let fields = fields.map(|(name, value)| (field_name(&name), Property(value)));
    R::deserialize(MapDeserializer::new(fields))
}

/// A property's value, read as what its field's type asks for.
struct Property(Value);

impl Property {
    /// The value, parsed where its text is that of a structure or of a large number. A flattened
    /// struct's fields are asked for without their types, so a text is taken for a number only if
    /// it is written as a number is: a digest begins with zeros or is longer.
    fn parsed(self) -> Result<Value, Error> {
        match self.0 {
            Value::String(text) if text.starts_with(STRUCTURE) => serde_json::from_str(&text),
            Value::String(text) => match text.parse::<u64>() {
                Ok(number) if number.to_string() == text => Ok(number.into()),
                Ok(_) | Err(_) => Ok(Value::String(text)),
            },
            plain @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)) => Ok(plain),
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Property {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Property {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.parsed()?.deserialize_any(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.parsed()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

/// `ical_uid` is the property `IcalUid`.
fn property_name(field: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    };
    field.split('_').map(word).collect::<Vec<String>>().concat()
}

/// Undoes [`property_name`].
fn field_name(property: &str) -> String {
    let mut field = String::new();
    for letter in property.chars() {
        if letter.is_ascii_uppercase() && !field.is_empty() {
            field.push('_');
        }
        field.push(letter.to_ascii_lowercase());
    }
    field
}

/// Spreads texts that are too long for one property over `Name`, `Name_2`, `Name_3` ...
fn split_long_texts(properties: Map<String, Value>) -> Map<String, Value> {
    let mut fitting = Map::new();
    for (name, value) in properties {
        let Some(long) = value.as_str().filter(|text| text.len() > MAX_TEXT_UNITS) else {
            fitting.insert(name, value);
            continue;
        };
        for (piece, number) in pieces(long).into_iter().zip(1..) {
            let name = if number == 1 { name.clone() } else { format!("{name}_{number}") };
            fitting.insert(name, Value::String(piece));
        }
    }
    fitting
}

/// The text in pieces that each fit a property.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut units) = (Vec::new(), String::new(), 0);
    for letter in text.chars() {
        if units + letter.len_utf16() > MAX_TEXT_UNITS {
            pieces.push(std::mem::take(&mut piece));
            units = 0;
        }
        piece.push(letter);
        units += letter.len_utf16();
    }
    pieces.push(piece);
    pieces
}

/// Undoes [`split_long_texts`]. No property's own name ends in an underscore and a number.
fn join_split_texts(mut properties: Map<String, Value>) -> Map<String, Value> {
    let firsts: Vec<String> =
        properties.keys().filter_map(|name| name.strip_suffix("_2").map(str::to_owned)).collect();
    for first in firsts {
        for number in 2.. {
            let Some(Value::String(piece)) = properties.remove(&format!("{first}_{number}")) else {
                break;
            };
            if let Some(Value::String(text)) = properties.get_mut(&first) {
                text.push_str(&piece);
            }
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_too_large_for_a_number_property_becomes_text() {
        #[derive(Debug, PartialEq, Clone, Copy, serde::Serialize, serde::Deserialize)]
        struct Count {
            at_most: u64,
        }
        for (at_most, property) in [
            (0, 0.into()),
            (2_147_483_647, 2_147_483_647.into()),
            (2_147_483_648, "2147483648".into()),
            (u64::MAX, "18446744073709551615".into()),
        ] {
            let properties = encode(&Count { at_most }).unwrap();
            assert_eq!(properties.get("AtMost"), Some::<&Value>(&property));
            assert_eq!(decode::<Count>(properties).unwrap(), Count { at_most });
        }
    }

    #[test]
    fn a_text_that_looks_like_something_else_stays_a_text() {
        #[derive(Debug, PartialEq, Clone, serde::Serialize, serde::Deserialize)]
        struct Texts {
            all: Vec<String>,
            one: String,
            maybe: Option<String>,
        }
        for text in ["{\"v1\":{}}", "[1]", "17", "null", "\"", ""] {
            let one = text.to_owned();
            let texts = Texts { all: vec![one.clone()], one: one.clone(), maybe: Some(one) };
            assert_eq!(decode::<Texts>(encode(&texts).unwrap()).unwrap(), texts);
        }
    }

    #[test]
    fn a_long_text_is_spread_over_properties_that_fit_and_comes_back_whole() {
        let text = "ä😀x".repeat(20_000);
        let mut before = Map::new();
        before.insert("Copies".into(), text.into());
        before.insert("Title".into(), "short".into());
        let row = split_long_texts(before.clone());
        assert_eq!(row.len(), 4);
        for value in row.values() {
            assert!(value.as_str().unwrap().encode_utf16().count() <= MAX_TEXT_UNITS);
        }
        assert_eq!(join_split_texts(row), before);
    }
}
