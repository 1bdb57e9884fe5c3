//! Keys: what names a booking, and hashes that stand for ids where raw ids must not be.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::ids::{EventId, MailboxId, RoomId, TenantId};

/// The first 128 bits of a hash: enough that no two ids of a tenant ever meet.
///
/// The digest of an id or of content in a row is made with a [`DigestKey`], so that the row alone does
/// not allow to try out what it is the digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// The SHA-256 of these parts, each preceded by its length. Anybody can try out what it is of, so
    /// it is for what is no secret, and for keyed digests that are put together.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        with_lengths(parts, |bytes| context.update(bytes));
        Self::first_half(context.finish().as_ref())
    }

    /// The digest of an event's `@odata.etag`: it names a version. It travels beside the event's id,
    /// and is never stored.
    pub fn of_etag(etag: &str) -> Self {
        Self::of(&[b"etag", etag.as_bytes()])
    }

    fn first_half(hash: &[u8]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// Spreads subjects over `count` shards (up to 256).
    pub fn shard(self, count: u16) -> u8 {
        u8::try_from(self.0 % u128::from(count.clamp(1, 256))).unwrap_or(0)
    }
}

/// The one key of a deployment that digests are made with. Rows are found by what it makes, so it is
/// never replaced; without it the digests in them say nothing to anybody.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// The key with these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The HMAC-SHA-256 of these parts, each preceded by its length.
    pub fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        with_lengths(parts, |bytes| context.update(bytes));
        Digest::first_half(context.sign().as_ref())
    }

    /// The digest of an event id; ids are case-sensitive, and so is this.
    pub fn event(&self, event: &EventId) -> Digest {
        self.digest(&[b"event", event.as_str().as_bytes()])
    }

    /// The digest of an `iCalUId`, the one id that all copies of an appointment share.
    pub fn appointment(&self, ical_uid: &str) -> Digest {
        self.digest(&[b"iCalUId", ical_uid.as_bytes()])
    }

    /// The digest of one occurrence that is an appointment of its own for those who were invited to it
    /// alone: its own `iCalUId`, and when it was to start, because `iCalUId`s of occurrences have been
    /// seen to be the series' own (microsoftgraph/microsoft-graph-docs issue 17479, 2022).
    pub fn occurrence(&self, ical_uid: &str, original_start: Timestamp) -> Digest {
        let start = original_start.as_second().to_be_bytes();
        self.digest(&[b"occurrence", ical_uid.as_bytes(), &start])
    }

    /// The digest of a mailbox for one appointment, so that nothing links the appointments of one
    /// person.
    pub fn owner(&self, appointment: Digest, mailbox: MailboxId) -> Digest {
        self.digest(&[b"owner", &appointment.0.to_be_bytes(), mailbox.0.as_bytes()])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

/// Hashes each part after its length, so that no part can be shifted into another.
fn with_lengths(parts: &[&[u8]], mut update: impl FnMut(&[u8])) {
    for part in parts {
        update(&(part.len() as u64).to_be_bytes());
        update(part);
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
    /// The master's (or single's) `iCalUId`, see [`DigestKey::appointment`].
    pub appointment: Digest,
    /// Which occurrence of a series; `None` for a single appointment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_start: Option<Timestamp>,
    pub room: RoomId,
}

/// Names all bookings of one series, of every occurrence and room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    pub tenant: TenantId,
    /// The master's `iCalUId`, see [`DigestKey::appointment`].
    pub series: Digest,
}

impl SeriesKey {
    /// The partition that holds its bookings.
    pub fn partition(&self) -> String {
        format!("{}_{}", self.tenant, self.series)
    }
}

impl BookingKey {
    /// The series that it is an occurrence of; `None` for a single appointment.
    pub fn series(&self) -> Option<SeriesKey> {
        let series = SeriesKey { tenant: self.tenant, series: self.appointment };
        self.original_start.map(|_| series)
    }

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

    fn key() -> DigestKey {
        DigestKey::new(&[7; 32])
    }

    #[test]
    fn keys_hold_no_raw_id_and_no_forbidden_character() {
        let key = BookingKey {
            tenant: "3a1f1b9e-7f3f-4a53-9a5e-0c8f0a6ce1aa".parse().unwrap(),
            appointment: key().appointment("040000008200E00074C5B7101A82E008/?#\\"),
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
        assert_ne!(key().event(&a), key().event(&b));
    }

    #[test]
    fn nobody_finds_out_without_the_key_what_a_digest_is_of() {
        let parts: [&[u8]; 2] = [b"iCalUId", b"0400"];
        assert_eq!(key().appointment("0400"), key().digest(&parts));
        assert_ne!(key().digest(&parts), Digest::of(&parts));
        assert_ne!(key().digest(&parts), DigestKey::new(&[8; 32]).digest(&parts));
        assert_eq!(format!("{:?}", key()), "DigestKey(..)");
        let (anna, other) = (MailboxId(uuid::Uuid::from_u128(1)), Digest(1));
        assert_ne!(key().owner(Digest(2), anna), key().owner(other, anna), "nothing links the two");
    }
}
