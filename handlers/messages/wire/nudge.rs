//! The JSON of `booking-requests` and `calendar-writes`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NotAMessage, PassageWire, read, text_of};
use crate::{
    domain::{
        ids::{RoomId, TenantId},
        keys::BookingKey,
    },
    messages::{BookingNudge, BookingRequest, CalendarWrite, Message},
    queue::Queue,
};

#[derive(Serialize, Deserialize)]
struct NudgeWire {
    tenant: Uuid,
    appointment: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_start: Option<Timestamp>,
    room: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(default)]
    conflicts: u8,
    #[serde(flatten)]
    passage: PassageWire,
}

impl From<BookingNudge> for NudgeWire {
    fn from(nudge: BookingNudge) -> Self {
        Self {
            tenant: nudge.key.tenant.0,
            appointment: nudge.key.appointment.to_string(),
            original_start: nudge.key.original_start,
            room: nudge.key.room.0,
            due: nudge.due,
            conflicts: nudge.conflicts,
            passage: nudge.passage.into(),
        }
    }
}

impl TryFrom<NudgeWire> for BookingNudge {
    type Error = NotAMessage;

    fn try_from(wire: NudgeWire) -> Result<Self, NotAMessage> {
        let key = BookingKey {
            tenant: TenantId(wire.tenant),
            appointment: wire.appointment.parse()?,
            original_start: wire.original_start,
            room: RoomId(wire.room),
        };
        let passage = wire.passage.try_into()?;
        Ok(Self { key, due: wire.due, conflicts: wire.conflicts, passage })
    }
}

impl Message for BookingRequest {
    fn queue(&self) -> Queue {
        Queue::BookingRequests
    }

    fn to_text(&self) -> String {
        text_of(NudgeWire::from(self.0))
    }
}

impl BookingRequest {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        Ok(Self(read::<NudgeWire>(text)?.try_into()?))
    }
}

impl Message for CalendarWrite {
    fn queue(&self) -> Queue {
        Queue::CalendarWrites
    }

    fn to_text(&self) -> String {
        text_of(NudgeWire::from(self.0))
    }
}

impl CalendarWrite {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        Ok(Self(read::<NudgeWire>(text)?.try_into()?))
    }
}
