//! Names of things: each kind of id is a type of its own, so that none is taken for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

/// Serialises a type as the text that it displays as and is parsed from.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use serde_as_text;

/// For `#[serde(with = "hex")]`: a nonce, as 16 hex digits.
pub(crate) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(nonce: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{nonce:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }

    /// The same for a nonce that may be missing.
    pub(crate) mod optional {
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        pub(crate) fn serialize<S: Serializer>(
            nonce: &Option<u64>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            nonce.map(|nonce| format!("{nonce:016x}")).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<u64>, D::Error> {
            let text = Option::<String>::deserialize(from)?;
            text.map(|hex| u64::from_str_radix(&hex, 16)).transpose().map_err(D::Error::custom)
        }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
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

/// An id that somebody else writes: `$allowed` are its letters, apart from ASCII letters and digits.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, max $max:literal, allowed $allowed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || $allowed.contains(c);
                let valid = (1..=$max).contains(&text.len()) && text.chars().all(allowed);
                if valid { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_text!($name);
    };
}

text_id! {
    /// An immutable event id: opaque, case-sensitive, another one in every mailbox. Graph writes
    /// base64 of either alphabet, below 200 characters (no limit is published); any other letter
    /// could change the meaning of an address. Percent-encode it before you put it into one.
    EventId, max 512, allowed "-_=+"
}
text_id! {
    /// A subscription's id: Graph's are GUIDs; any short plain text is taken.
    SubscriptionId, max 128, allowed "-_"
}
text_id! {
    /// Names one of our own keys. It is part of every client state, so it is short.
    KeyId, max 16, allowed "-"
}
text_id! {
    /// Names one of the keys that Graph encrypts the content of rich notifications with. It is part
    /// of a secret's name in the vault as it is. Graph allows 128 characters
    /// (learn.microsoft.com/graph/api/resources/subscription, `encryptionCertificateId`).
    ContentKeyId, max 128, allowed "-"
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

serde_as_text!(CorrelationId);

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
