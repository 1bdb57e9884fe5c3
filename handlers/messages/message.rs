//! What all messages share: a version, a queue, and how an item has fared.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::ids::{CorrelationId, TenantId};

/// What a queue carries.
pub trait Message: Serialize + DeserializeOwned {
    /// The tenant that it is for.
    fn tenant(&self) -> TenantId;

    /// How its first item has fared; `None` when it has no items.
    fn meta(&self) -> Option<JobMeta>;

    /// Its text.
    fn to_text(&self) -> String {
        to_json(&VersionedMessage::V1(self))
    }

    /// Reads a message back.
    ///
    /// # Errors
    /// [`InvalidMessage`] when the text is no such message.
    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        from_json(text)
    }
}

#[derive(Serialize, Deserialize)]
enum VersionedMessage<T> {
    #[serde(rename = "v1")]
    V1(T),
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    // Nothing here fails: the keys of all maps are strings.
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, InvalidMessage> {
    let VersionedMessage::V1(message) = serde_json::from_str(text)?;
    Ok(message)
}

/// The text is not a message of this queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this queue: {0}")]
pub struct InvalidMessage(String);

impl From<serde_json::Error> for InvalidMessage {
    fn from(error: serde_json::Error) -> Self {
        // The category and place alone: serde's own words repeat the text, which can be anybody's.
        Self(format!("{:?} at column {}", error.classify(), error.column()))
    }
}

/// Travels with every item: what it belongs to and how it has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMeta {
    /// Ties everything that one change causes together.
    #[serde(rename = "traceparent", with = "traceparent")]
    pub correlation: CorrelationId,
    /// How often a fault of our own has stopped it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How often it has waited for others: throttling, outages, another worker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferrals: u32,
    /// How often the chain of jobs that led here has gone back to an earlier step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returns: u32,
    pub first_seen: Timestamp,
}

impl JobMeta {
    /// Whether the item has not been tried before.
    pub fn is_first_try(&self) -> bool {
        (self.attempts, self.deferrals) == (0, 0)
    }

    /// A fresh start at `now`.
    pub fn new(correlation: CorrelationId, now: Timestamp) -> Self {
        Self { correlation, attempts: 0, deferrals: 0, returns: 0, first_seen: now }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

mod traceparent {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::domain::ids::{CorrelationId, InvalidId};

    pub(super) fn serialize<S: Serializer>(id: &CorrelationId, to: S) -> Result<S::Ok, S::Error> {
        // Any span id: the message has no span of its own.
        to.serialize_str(&id.traceparent(1))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<CorrelationId, D::Error> {
        let id = CorrelationId::from_traceparent(&String::deserialize(from)?);
        id.ok_or(InvalidId).map_err(D::Error::custom)
    }
}
