//! The JSON of `create-booking` and `write-back`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InvalidMessage, PassageWire, parse, to_json};
use crate::{
    domain::{
        ids::{RoomId, TenantId},
        keys::BookingKey,
    },
    messages::{BookingJob, BookingRequest, CalendarWrite, JobMeta, Message},
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

impl From<BookingJob> for NudgeWire {
    fn from(nudge: BookingJob) -> Self {
        Self {
            tenant: nudge.key.tenant.0,
            appointment: nudge.key.appointment.to_string(),
            original_start: nudge.key.original_start,
            room: nudge.key.room.0,
            due: nudge.due,
            conflicts: nudge.conflicts,
            passage: nudge.meta.into(),
        }
    }
}

impl TryFrom<NudgeWire> for BookingJob {
    type Error = InvalidMessage;

    fn try_from(wire: NudgeWire) -> Result<Self, InvalidMessage> {
        let key = BookingKey {
            tenant: TenantId(wire.tenant),
            appointment: wire.appointment.parse()?,
            original_start: wire.original_start,
            room: RoomId(wire.room),
        };
        let passage = wire.passage.try_into()?;
        Ok(Self { key, due: wire.due, conflicts: wire.conflicts, meta: passage })
    }
}

impl Message for BookingRequest {
    fn queue(&self) -> Queue {
        Queue::CreateBooking
    }

    fn to_text(&self) -> String {
        to_json(NudgeWire::from(self.0))
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        Ok(Self(parse::<NudgeWire>(text)?.try_into()?))
    }

    fn tenant(&self) -> TenantId {
        self.0.key.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.0.meta)
    }
}

impl Message for CalendarWrite {
    fn queue(&self) -> Queue {
        Queue::WriteBack
    }

    fn to_text(&self) -> String {
        to_json(NudgeWire::from(self.0))
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        Ok(Self(parse::<NudgeWire>(text)?.try_into()?))
    }

    fn tenant(&self) -> TenantId {
        self.0.key.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.0.meta)
    }
}
