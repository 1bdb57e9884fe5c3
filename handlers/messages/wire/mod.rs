//! The JSON of the messages: what all of them share.

mod event_changes;
mod nudge;
mod task;
mod tenant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Passage;
use crate::domain::ids::InvalidId;

pub use event_changes::packed;

/// The text is not a message of this queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this queue: {0}")]
pub struct NotAMessage(String);

impl From<serde_json::Error> for NotAMessage {
    fn from(error: serde_json::Error) -> Self {
        // The category and place, without the text itself.
        Self(format!("{:?} at column {}", error.classify(), error.column()))
    }
}

impl From<InvalidId> for NotAMessage {
    fn from(error: InvalidId) -> Self {
        Self(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
enum Versioned<T> {
    #[serde(rename = "v1")]
    V1(T),
}

fn text_of<T: Serialize>(wire: T) -> String {
    // Maps with string keys and plain values always serialise.
    serde_json::to_string(&Versioned::V1(wire)).unwrap_or_default()
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, NotAMessage> {
    let Versioned::V1(wire) = serde_json::from_str(text)?;
    Ok(wire)
}

#[derive(Serialize, Deserialize)]
struct PassageWire {
    traceparent: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    tries: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    waits: u32,
    first_seen: Timestamp,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<Passage> for PassageWire {
    fn from(p: Passage) -> Self {
        // The span id is of no use to anybody: the message has no span of its own.
        let traceparent = p.correlation.traceparent(1);
        Self { traceparent, tries: p.tries, waits: p.waits, first_seen: p.first_seen }
    }
}

impl TryFrom<PassageWire> for Passage {
    type Error = NotAMessage;

    fn try_from(wire: PassageWire) -> Result<Self, NotAMessage> {
        let correlation = crate::domain::ids::CorrelationId::of_traceparent(&wire.traceparent);
        let correlation = correlation.ok_or(InvalidId)?;
        Ok(Self { correlation, tries: wire.tries, waits: wire.waits, first_seen: wire.first_seen })
    }
}

fn nonce_of(hex: &str) -> Result<u64, NotAMessage> {
    u64::from_str_radix(hex, 16).map_err(|_| InvalidId.into())
}
