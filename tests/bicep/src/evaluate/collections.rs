//! Functions on arrays and objects.
use serde_json::{Map, Value, json};

/// Functions on arrays and objects; none if this is none of them.
pub(super) fn of_collections(name: &str, values: &[Value]) -> Option<Value> {
    let first = values.first()?;
    let items = || first.as_array().cloned();
    let number = || values.get(1).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok());
    Some(match name {
        "any" => first.clone(),
        "array" => {
            if first.is_array() {
                first.clone()
            } else {
                json!([first])
            }
        }
        "empty" => Value::Bool(match first {
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => first.is_null(),
        }),
        "length" => {
            Value::from(first.as_array().map(Vec::len).or_else(|| first.as_object().map(Map::len))?)
        }
        "contains" => Value::Bool(match first {
            Value::Array(items) => items.contains(values.get(1)?),
            _ => first.as_object()?.contains_key(values.get(1)?.as_str()?),
        }),
        "first" => items()?.first().cloned().unwrap_or_default(),
        "last" => items()?.last().cloned().unwrap_or_default(),
        "take" => Value::Array(items()?.into_iter().take(number()?).collect()),
        "skip" => Value::Array(items()?.into_iter().skip(number()?).collect()),
        "concat" => {
            Value::Array(values.iter().filter_map(Value::as_array).flatten().cloned().collect())
        }
        "flatten" => {
            Value::Array(items()?.iter().filter_map(Value::as_array).flatten().cloned().collect())
        }
        "distinct" => Value::Array(distinct(items()?)),
        "union" if first.is_array() => Value::Array(distinct(
            values.iter().filter_map(Value::as_array).flatten().cloned().collect(),
        )),
        "union" => values.iter().cloned().reduce(merged)?,
        _ => return taken_apart(name, values),
    })
}

/// Functions that make one kind of collection from another.
fn taken_apart(name: &str, values: &[Value]) -> Option<Value> {
    let first = values.first()?;
    Some(match name {
        "range" => {
            let (start, count) = (first.as_i64()?, values.get(1)?.as_i64()?);
            Value::Array((start..start.checked_add(count)?).map(Value::from).collect())
        }
        "objectKeys" => {
            Value::Array(first.as_object()?.keys().map(|it| Value::from(it.as_str())).collect())
        }
        "items" => Value::Array(
            first
                .as_object()?
                .iter()
                .map(|(key, value)| json!({"key": key, "value": value}))
                .collect(),
        ),
        "min" | "max" => {
            let numbers: Vec<i64> = first
                .as_array()
                .cloned()
                .unwrap_or_else(|| values.to_vec())
                .iter()
                .filter_map(Value::as_i64)
                .collect();
            Value::from(if name == "min" {
                numbers.into_iter().min()?
            } else {
                numbers.into_iter().max()?
            })
        }
        _ => return None,
    })
}

fn distinct(items: Vec<Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    items.into_iter().for_each(|it| {
        if !found.contains(&it) {
            found.push(it)
        }
    });
    found
}

/// Two objects together, as `union` does: objects in them too, otherwise the later one counts.
fn merged(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut together), Value::Object(others)) => {
            for (key, value) in others {
                let value = match together.remove(&key) {
                    Some(before) => merged(before, value),
                    None => value,
                };
                together.insert(key, value);
            }
            Value::Object(together)
        }
        (_, second) => second,
    }
}
