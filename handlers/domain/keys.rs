//! Keys: what names a booking, and hashes that stand for ids where raw ids must not be.

use std::fmt;

use aws_lc_rs::digest;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::ids::{EventId, RoomId, TenantId};

/// The first 128 bits of a SHA-256: enough that no two ids of a tenant ever meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// The digest of these parts, each preceded by its length.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let hash = context.finish();
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_ref()[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// The digest of an event id; ids are case-sensitive, and so is this.
    pub fn of_event(event: &EventId) -> Self {
        Self::of(&[b"event", event.as_str().as_bytes()])
    }

    /// The digest of an event's `@odata.etag`: it names a version, and tells nothing of it.
    pub fn of_etag(etag: &str) -> Self {
        Self::of(&[b"etag", etag.as_bytes()])
    }

    /// The digest of an `iCalUId`, the one id that all copies of an appointment share.
    pub fn of_ical_uid(uid: &str) -> Self {
        Self::of(&[b"iCalUId", uid.as_bytes()])
    }

    /// Spreads subjects over `count` shards (up to 256).
    pub fn shard(self, count: u16) -> u8 {
        u8::try_from(self.0 % u128::from(count.clamp(1, 256))).unwrap_or(0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = super::ids::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 {
            return Err(super::ids::InvalidId);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| super::ids::InvalidId)
    }
}

super::ids::serde_as_text!(Digest);

/// Names one appointment's use of one room: tenant, `iCalUId`, the occurrence's original
/// start, and the room. Never a start that can move, never an event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BookingKey {
    pub tenant: TenantId,
    /// The master's (or single's) `iCalUId`, digested.
    pub appointment: Digest,
    /// Which occurrence of a series; `None` for a single appointment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_start: Option<Timestamp>,
    pub room: RoomId,
}

impl BookingKey {
    /// The partition that holds all bookings of this appointment (of a whole series).
    pub fn partition(&self) -> String {
        format!("{}_{}", self.tenant, self.appointment)
    }

    /// The row within the partition.
    pub fn row(&self) -> String {
        match self.original_start {
            None => format!("-_{}", self.room),
            Some(start) => {
                let utc = start.to_zoned(TimeZone::UTC);
                format!("{}_{}", utc.strftime("%Y%m%dT%H%M%SZ"), self.room)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_no_raw_id_and_no_forbidden_character() {
        let key = BookingKey {
            tenant: "3a1f1b9e-7f3f-4a53-9a5e-0c8f0a6ce1aa".parse().unwrap(),
            appointment: Digest::of_ical_uid("040000008200E00074C5B7101A82E008/?#\\"),
            original_start: Some("2026-11-24T09:00:00Z".parse().unwrap()),
            room: "9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11".parse().unwrap(),
        };
        let text = key.partition() + &key.row();
        assert!(!text.contains(['/', '\\', '#', '?']));
        assert!(!text.contains("0400"));
        assert_eq!(key.row(), "20261124T090000Z_9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11");
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        assert_ne!(Digest::of(&[b"ab", b"c"]), Digest::of(&[b"a", b"bc"]));
        let (a, b): (EventId, EventId) = ("AAa=".parse().unwrap(), "AAA=".parse().unwrap());
        assert_ne!(Digest::of_event(&a), Digest::of_event(&b));
    }
}
