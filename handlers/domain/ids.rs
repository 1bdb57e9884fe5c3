//! Names of things: each kind of id is a type of its own, so that none is taken for another.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

uuid_id! {
    /// An Entra tenant.
    TenantId
}
uuid_id! {
    /// A mailbox: the Entra object id of a person or of a room.
    MailboxId
}
uuid_id! {
    /// A managed room. A room with a mailbox has its mailbox's id.
    RoomId
}
uuid_id! {
    /// A group of people in Entra.
    GroupId
}
uuid_id! {
    /// One booking for as long as its row lives: the match id that is shown in Outlook.
    BookingId
}

impl RoomId {
    /// The room's own mailbox.
    pub fn mailbox(self) -> MailboxId {
        MailboxId(self.0)
    }
}

/// The longest event id we take. Graph's are below 200 characters; no limit is published.
const MAX_EVENT_ID_LEN: usize = 512;

/// An immutable event id: opaque, case-sensitive, another one in every mailbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(String);

impl EventId {
    /// The id as Graph wrote it; percent-encode it before it goes into an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    /// Takes what Graph uses (base64 letters of either alphabet); anything else could change the
    /// meaning of an address.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = !text.is_empty() && text.len() <= MAX_EVENT_ID_LEN;
        let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'=' | b'+');
        if fits && text.bytes().all(known) { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name of one of our own keys: it is part of every client state.
const MAX_KEY_ID_LEN: usize = 16;

/// Names one of our own keys: 1 to 16 letters, digits or hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        let fits = (1..=MAX_KEY_ID_LEN).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name of a content key
/// (learn.microsoft.com/graph/api/resources/subscription, `encryptionCertificateId`: 128).
const MAX_CONTENT_KEY_ID_LEN: usize = 128;

/// Names one of the keys that Graph seals the content of rich notifications with: letters, digits
/// and hyphens, so that it is part of a secret's name in the vault as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKeyId(String);

impl ContentKeyId {
    /// The name as Graph repeats it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentKeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        let fits = (1..=MAX_CONTENT_KEY_ID_LEN).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for ContentKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ties everything one change caused together, from the change notification to the write-back: a
/// W3C trace id (32 hex digits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CorrelationId(pub u128);

impl CorrelationId {
    /// The W3C `traceparent` that carries this id with a span of its own (never zero).
    pub fn traceparent(self, span: u64) -> String {
        format!("00-{self}-{:016x}-01", span.max(1))
    }

    /// The id within a `traceparent`; the sampled flag and the span do not matter.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        if version.len() != 2 || parts.next()?.len() != 16 {
            return None;
        }
        trace.parse().ok()
    }

    /// The same id as a GUID, which is how Graph wants `client-request-id`.
    pub fn as_uuid(self) -> Uuid {
        Uuid::from_u128(self.0)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hex = text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = if hex { u128::from_str_radix(text, 16).unwrap_or(0) } else { 0 };
        if number == 0 { Err(InvalidId) } else { Ok(Self(number)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_that_could_leave_their_path_segment_are_refused() {
        for bad in ["", "../x", "a/b", "a?b", "a#b", "a%2Fb", "a b", "a\nb", "é", "a\\b"] {
            assert_eq!(bad.parse::<EventId>(), Err(InvalidId), "{bad:?}");
        }
        assert!("x".repeat(513).parse::<EventId>().is_err());
        let id: EventId = "AAkALgAAAAAAHYQDEapmEc2byACqAC_EWg-0AbCd==".parse().unwrap();
        assert_eq!(id.as_str(), "AAkALgAAAAAAHYQDEapmEc2byACqAC_EWg-0AbCd==");
    }

    #[test]
    fn a_traceparent_carries_the_correlation_there_and_back() {
        let id = CorrelationId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        let header = id.traceparent(7);
        assert_eq!(header, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000007-01");
        assert_eq!(CorrelationId::from_traceparent(&header), Some(id));
        assert_eq!(CorrelationId::from_traceparent("00-0-1-01"), None);
        assert_eq!(CorrelationId::from_traceparent(""), None);
    }
}
