//! What a table takes, checked before anything is sent, by both stores alike.
//!
//! Numbers are from learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
//! and learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions.

use std::collections::BTreeSet;

use serde_json::Value;

use super::port::{RowChange, RowKey, StoreError, TableRow};

/// The most changes of one transaction.
const MAX_CHANGES: usize = 100;
/// The most bytes of one transaction.
const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// The most bytes of one row.
const MAX_ROW_BYTES: usize = 1024 * 1024;
/// The most bytes of one text, which is stored as UTF-16.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The most bytes of one key, which is stored as UTF-16.
const MAX_KEY_BYTES: usize = 1024;
/// The most properties of one row, keys and time stamp not counted.
const MAX_PROPERTIES: usize = 252;
/// The most characters of a property's name.
const MAX_NAME_LEN: usize = 255;
/// Names that the service uses itself.
const RESERVED_NAMES: [&str; 3] = ["PartitionKey", "RowKey", "Timestamp"];

/// Refuses what the table service would: in full before the first change.
///
/// # Errors
/// [`StoreError::Refused`] with the rule that is broken, never with what was in the row.
pub(in crate::store) fn check_changes(changes: &[RowChange]) -> Result<(), StoreError> {
    let refuse = |rule: &str| Err(StoreError::Refused(rule.to_owned()));
    let Some(first) = changes.first() else { return refuse("no changes") };
    if changes.len() > MAX_CHANGES {
        return refuse("more than 100 changes in one transaction");
    }
    if changes.iter().any(|change| change.key().partition != first.key().partition) {
        return refuse("changes of several partitions in one transaction");
    }
    let rows: BTreeSet<&str> = changes.iter().map(|change| change.key().row.as_str()).collect();
    if rows.len() != changes.len() {
        return refuse("two changes of one row in one transaction");
    }
    let mut bytes = 0;
    for change in changes {
        check_keys(change.key())?;
        bytes += match change {
            RowChange::Insert(row) | RowChange::Replace(row, _) | RowChange::Upsert(row) => {
                check_row(row)?
            }
            RowChange::Delete(..) => 0,
        };
    }
    if bytes > MAX_TRANSACTION_BYTES {
        refuse("more than 4 MiB in one transaction")
    } else {
        Ok(())
    }
}

/// Refuses keys the table service would.
pub(in crate::store) fn check_keys(keys: &RowKey) -> Result<(), StoreError> {
    for key in [&keys.partition, &keys.row] {
        if key.chars().any(|c| matches!(c, '/' | '\\' | '#' | '?') || c.is_control()) {
            return Err(StoreError::Refused("a key contains a forbidden character".to_owned()));
        }
        if utf16_bytes(key) > MAX_KEY_BYTES {
            return Err(StoreError::Refused("a key is longer than 1 KiB".to_owned()));
        }
    }
    Ok(())
}

/// Answers about how many bytes the row takes, as the service counts: 4 for the row, 2 for each
/// character of keys, names and texts, 8 for each property and its value's own size.
fn check_row(row: &TableRow) -> Result<usize, StoreError> {
    let refuse = |rule: &str| Err(StoreError::Refused(rule.to_owned()));
    if row.properties.len() > MAX_PROPERTIES {
        return refuse("a row has more than 252 properties");
    }
    let mut bytes = 4 + utf16_bytes(&row.key.partition) + utf16_bytes(&row.key.row);
    for (name, value) in &row.properties {
        if !is_name(name) {
            return refuse("a property's name is not allowed");
        }
        bytes += 8 + utf16_bytes(name) + check_value(value)?;
    }
    if bytes > MAX_ROW_BYTES { refuse("a row is larger than 1 MiB") } else { Ok(bytes) }
}

fn check_value(value: &Value) -> Result<usize, StoreError> {
    let refuse = |rule: &str| Err(StoreError::Refused(rule.to_owned()));
    match value {
        Value::String(text) if utf16_bytes(text) > MAX_TEXT_BYTES => {
            refuse("a text is larger than 64 KiB")
        }
        Value::String(text) => Ok(4 + utf16_bytes(text)),
        Value::Bool(_) => Ok(1),
        Value::Number(number) if number.is_f64() => Ok(8),
        Value::Number(number) => match number.as_i64().map(i32::try_from) {
            Some(Ok(_)) => Ok(4),
            Some(Err(_)) | None => refuse("a number does not fit 32 bits"),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            refuse("a property is neither text, number nor boolean")
        }
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let continues = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    starts && continues && name.len() <= MAX_NAME_LEN && !RESERVED_NAMES.contains(&name)
}

fn utf16_bytes(text: &str) -> usize {
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    units * 2
}
