//! Entities as the service writes them in JSON.

use std::fmt;

use azure_core::http::RawResponse;
use azure_core::http::headers::ETAG;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::TableServiceError;

/// An entity to write or as read: two keys and its properties in the service's JSON, without keys,
/// time stamp and OData's own members.
///
/// Strings, booleans, 32-bit numbers and doubles are JSON's own; for every other type a string
/// is beside a member `name@odata.type` that names it, such as `Edm.Int64`
/// (learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations).
#[derive(Clone, PartialEq)]
pub struct Entity {
    pub partition: String,
    pub row: String,
    pub properties: Map<String, Value>,
}

impl fmt::Debug for Entity {
    /// Names the entity; its properties may be somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entity")
            .field("partition", &self.partition)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

impl Entity {
    /// An entity without properties.
    pub fn new(partition: impl Into<String>, row: impl Into<String>) -> Self {
        Self { partition: partition.into(), row: row.into(), properties: Map::new() }
    }

    /// Adds a property that JSON has a type for.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The body of a write.
    pub(super) fn to_json(&self) -> Value {
        let mut members = self.properties.clone();
        members.insert("PartitionKey".to_owned(), self.partition.clone().into());
        members.insert("RowKey".to_owned(), self.row.clone().into());
        Value::Object(members)
    }
}

/// The entity in the response to a read of one, and its ETag.
pub(super) fn entity_from_response(
    answer: &RawResponse,
) -> Result<(Entity, String), TableServiceError> {
    let members = serde_json::from_slice(answer.body())
        .map_err(|_| TableServiceError::Unreadable("an entity is not JSON"))?;
    parse_entity(members, answer.headers().get_optional_string(&ETAG))
}

/// The part of a listing's response that matters.
#[derive(Deserialize)]
struct Listing {
    value: Vec<Map<String, Value>>,
}

/// The entities in the response to a listing, each with its ETag.
pub(super) fn entities_from_listing(
    answer: &RawResponse,
) -> Result<Vec<(Entity, String)>, TableServiceError> {
    let listing: Listing = serde_json::from_slice(answer.body())
        .map_err(|_| TableServiceError::Unreadable("a listing is not JSON"))?;
    listing.value.into_iter().map(|members| parse_entity(members, None)).collect()
}

fn parse_entity(
    mut members: Map<String, Value>,
    header: Option<String>,
) -> Result<(Entity, String), TableServiceError> {
    let mut text = |name: &str| match members.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let keys = (text("PartitionKey"), text("RowKey"));
    let etag = text("odata.etag").or(header);
    let ((Some(partition), Some(row)), Some(etag)) = (keys, etag) else {
        return Err(TableServiceError::Unreadable("an entity has no keys or no ETag"));
    };
    members.retain(|name, _| !name.starts_with("odata.") && !name.starts_with("Timestamp"));
    Ok((Entity { partition, row, properties: members }, etag))
}
