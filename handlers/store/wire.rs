//! How several tables write the same things: ids, nonces and counters, an interval, a booking's key.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
};

use crate::domain::{
    decision::ConsentCapacity,
    ids::{InvalidId, RoomId, TenantId},
    interval::{EmptyInterval, Interval},
    keys::{BookingKey, Digest},
    policy::Registration,
    tenancy::SuspensionReason,
};

/// Something that prints as text and parses from it.
pub(super) struct AsText<T>(pub(super) T);

impl<T: Display> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for AsText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom(InvalidId))
    }
}

/// [`AsText`] for `#[serde(with = "as_text")]`.
pub(super) mod as_text {
    use super::{AsText, Deserialize, Deserializer, Display, FromStr, Serializer};

    pub(in crate::store) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::store) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        AsText::deserialize(deserializer).map(|AsText(value)| value)
    }
}

/// The same of something that may be missing.
pub(super) mod maybe_text {
    use super::{AsText, Deserialize, Deserializer, Display, FromStr, Serialize, Serializer};

    pub(in crate::store) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(ToString::to_string).serialize(serializer)
    }

    pub(in crate::store) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<AsText<T>>::deserialize(deserializer)?;
        Ok(text.map(|AsText(value)| value))
    }
}

/// Something with structure, as JSON text in one property.
pub(super) struct JsonText<T>(pub(super) T);

impl<T: Serialize> Serialize for JsonText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for JsonText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A nonce, as 16 hex digits.
pub(super) struct Nonce(pub(super) u64);

impl Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Nonce {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidId)
    }
}

/// A counter: a number as long as it fits 32 signed bits, which is what a number property holds,
/// and text beyond.
pub(super) struct Count(pub(super) u64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i32::try_from(self.0) {
            Ok(number) => serializer.serialize_i32(number),
            Err(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

/// [`Count`] for `#[serde(with = "count")]`.
pub(super) mod count {
    use super::{Count, Deserialize, Deserializer, Serialize, Serializer};
    use serde::de::Error as _;

    pub(in crate::store) fn serialize<T: Copy + Into<u64>, S: Serializer>(
        number: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Count((*number).into()).serialize(serializer)
    }

    pub(in crate::store) fn deserialize<'de, T: TryFrom<u64>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let Count(number) = Count::deserialize(deserializer)?;
        T::try_from(number).map_err(|_| D::Error::custom("a number that is too large"))
    }
}

/// Which registration, by its name.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Registration")]
pub(super) enum RegistrationWire {
    OrganisationWide,
    Scoped,
}

/// How it was noticed that access is lost, by its name.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SuspensionReason")]
pub(super) enum ReasonWire {
    TokenRefused,
    CallRefused,
    CalendarPermissionMissing,
}

/// In which capacity somebody agreed, by its name.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ConsentCapacity")]
pub(super) enum HowWire {
    Own,
    Delegate,
    Organisation,
}

/// An interval, as its two instants.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "FromTo", try_from = "FromTo")]
pub(super) struct Stretch(pub(super) Interval);

#[derive(Serialize, Deserialize)]
struct FromTo {
    from: Timestamp,
    to: Timestamp,
}

impl From<Stretch> for FromTo {
    fn from(Stretch(interval): Stretch) -> Self {
        Self { from: interval.start(), to: interval.end() }
    }
}

impl TryFrom<FromTo> for Stretch {
    type Error = EmptyInterval;

    fn try_from(wire: FromTo) -> Result<Self, EmptyInterval> {
        Interval::new(wire.from, wire.to).map(Self)
    }
}

/// [`Stretch`] for `#[serde(with = "stretch")]`.
pub(super) mod stretch {
    use super::{Deserialize, Deserializer, Interval, Serialize, Serializer, Stretch};

    pub(in crate::store) fn serialize<S: Serializer>(
        interval: &Interval,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Stretch(*interval).serialize(serializer)
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Interval, D::Error> {
        Stretch::deserialize(deserializer).map(|Stretch(interval)| interval)
    }
}

/// A booking's key.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyWire {
    tenant: AsText<TenantId>,
    appointment: AsText<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_start: Option<Timestamp>,
    room: AsText<RoomId>,
}

impl From<BookingKey> for KeyWire {
    fn from(key: BookingKey) -> Self {
        let BookingKey { tenant, appointment, original_start, room } = key;
        Self {
            tenant: AsText(tenant),
            appointment: AsText(appointment),
            original_start,
            room: AsText(room),
        }
    }
}

impl From<KeyWire> for BookingKey {
    fn from(wire: KeyWire) -> Self {
        Self {
            tenant: wire.tenant.0,
            appointment: wire.appointment.0,
            original_start: wire.original_start,
            room: wire.room.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_too_large_for_a_number_property_becomes_text() {
        for (number, json) in
            [(0, "0"), (2_147_483_647, "2147483647"), (2_147_483_648, "\"2147483648\"")]
        {
            assert_eq!(serde_json::to_string(&Count(number)).unwrap(), json);
            let Count(back) = serde_json::from_str(json).unwrap();
            assert_eq!(back, number);
        }
    }

    #[test]
    fn an_interval_that_ends_before_it_starts_is_not_understood() {
        let text = r#"{"from":"2026-11-24T10:00:00Z","to":"2026-11-24T09:00:00Z"}"#;
        assert!(serde_json::from_str::<Stretch>(text).is_err());
    }
}
