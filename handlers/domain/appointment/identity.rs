//! Who organizes an appointment.
//!
//! A client chooses the `iCalUId` of what it imports (ActiveSync, EWS, `.ics` files), so any mailbox may
//! hold an item that looks like the organizer's copy. The room was invited by the organizer: whom the
//! room's copy names is the organizer. Without a room's copy it is the mailbox that was read first.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CopyReading, Observation};
use crate::domain::{
    keys::{Digest, DigestKey},
    personal::Personal,
};

/// An organizer's address, digested with the appointment's `iCalUId`, so that nothing links the
/// appointments of one person. `None` where it is no SMTP address.
pub fn organizer_digest(
    key: &DigestKey,
    ical_uid: &Personal,
    address: &Personal,
) -> Option<Digest> {
    let (uid, address) = (ical_uid.reveal(), address.reveal().trim().to_ascii_lowercase());
    let parts = [b"organizer".as_slice(), uid.as_bytes(), address.as_bytes()];
    address.contains('@').then(|| key.digest(&parts))
}

/// Why a copy does not speak for the appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignCopy {
    #[error("another mailbox organizes the appointment with this iCalUId")]
    Organizer,
    #[error("somebody else invited the room with this iCalUId")]
    Invitation,
    #[error("the calendar holds another event with this iCalUId")]
    Second,
    #[error("the appointment has had too many copies")]
    TooMany,
}

/// Who organizes the appointment, as far as its copies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrganizerIdentity {
    /// The one mailbox whose copy is taken for the organizer's, see [`DigestKey::owner`]. It stays when
    /// that copy ends, and when its owner is erased, so that no other mailbox takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Digest>,
    /// Since when that copy has asked for the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The organizer's address, digested, in that copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Digest>,
    /// The organizer's address, digested, in the room's copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invited_by: Option<Digest>,
}

impl OrganizerIdentity {
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The one mailbox whose copy is the organizer's, digested.
    pub fn owner(&self) -> Option<Digest> {
        self.owner
    }

    /// The organizer's address, digested, as both copies name it.
    pub fn address(&self) -> Option<Digest> {
        self.address
    }

    /// Who invited the room.
    pub fn invited_by(&self) -> Option<Digest> {
        self.invited_by
    }

    /// Whether the reading is of the organizer's mailbox. One of an event must name whom the room's
    /// copy names: no address at all, or one in another form, proves nothing.
    pub(super) fn check_organizer(&self, reading: &CopyReading) -> Result<(), ForeignCopy> {
        let another = self.owner.is_some_and(|owner| owner != reading.owner);
        let unproved = reading.observation.is_of_event()
            && self.invited_by.is_some_and(|by| reading.organizer != Some(by));
        if another || unproved { Err(ForeignCopy::Organizer) } else { Ok(()) }
    }

    /// Whether the room was invited by the organizer, where both copies agreed on who that is.
    pub(super) fn check_invitation(&self, reading: &CopyReading) -> Result<(), ForeignCopy> {
        let is_known = self.address.is_some() && self.address == self.invited_by;
        if reading.observation.holds_room() && is_known && reading.organizer != self.address {
            return Err(ForeignCopy::Invitation);
        }
        Ok(())
    }

    /// The reading is of the organizer's copy; `is_new` says that it has just begun to ask for the room.
    pub(super) fn bind(&mut self, reading: &CopyReading, is_new: bool) {
        self.owner = Some(reading.owner);
        self.address = reading.organizer.or(self.address);
        if is_new {
            self.since = Some(reading.read_at);
        }
    }

    /// Learns from the room's copy who invited it; answers whether the mailbox that was taken for the
    /// organizer's is another's, which is forgotten then.
    pub(super) fn learn_invitation(&mut self, reading: &CopyReading) -> bool {
        match reading.observation {
            Observation::WithRoom(_) => self.invited_by = reading.organizer.or(self.invited_by),
            // A room that is no longer followed names nobody.
            Observation::Withdrawn | Observation::Released => self.invited_by = None,
            Observation::WithoutRoom | Observation::Cancelled | Observation::Gone => {}
        }
        let is_another =
            self.owner.is_some() && self.invited_by.is_some() && self.address != self.invited_by;
        if is_another {
            *self = Self { invited_by: self.invited_by, ..Self::default() };
        }
        is_another
    }
}
