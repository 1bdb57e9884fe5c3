//! The JSON of the messages: what all of them share.

mod event_changes;
mod nudge;
mod task;
mod tenant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::JobMeta;
use crate::domain::ids::InvalidId;

pub use event_changes::pack;

/// The text is not a message of this queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this queue: {0}")]
pub struct InvalidMessage(String);

impl From<serde_json::Error> for InvalidMessage {
    fn from(error: serde_json::Error) -> Self {
        // The category and place, without the text itself.
        Self(format!("{:?} at column {}", error.classify(), error.column()))
    }
}

impl From<InvalidId> for InvalidMessage {
    fn from(error: InvalidId) -> Self {
        Self(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
enum Versioned<T> {
    #[serde(rename = "v1")]
    V1(T),
}

fn to_json<T: Serialize>(wire: T) -> String {
    // Maps with string keys and plain values always serialise.
    serde_json::to_string(&Versioned::V1(wire)).unwrap_or_default()
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, InvalidMessage> {
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

impl From<JobMeta> for PassageWire {
    fn from(p: JobMeta) -> Self {
        // The span id is of no use to anybody: the message has no span of its own.
        let traceparent = p.correlation.traceparent(1);
        Self { traceparent, tries: p.attempts, waits: p.deferrals, first_seen: p.first_seen }
    }
}

impl TryFrom<PassageWire> for JobMeta {
    type Error = InvalidMessage;

    fn try_from(wire: PassageWire) -> Result<Self, InvalidMessage> {
        let correlation = crate::domain::ids::CorrelationId::from_traceparent(&wire.traceparent);
        let correlation = correlation.ok_or(InvalidId)?;
        Ok(Self {
            correlation,
            attempts: wire.tries,
            deferrals: wire.waits,
            first_seen: wire.first_seen,
        })
    }
}

fn parse_nonce(hex: &str) -> Result<u64, InvalidMessage> {
    u64::from_str_radix(hex, 16).map_err(|_| InvalidId.into())
}
