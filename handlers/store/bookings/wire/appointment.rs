//! What a booking's row holds of the appointment: its copies and the wish they make. All of the
//! personal text but the `iCalUId` passes through here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    domain::{
        appointment::{
            BookingSpec, CopyLocation, DesiredState, Details, EndReason, Facts, OrganizerCopy,
            RoomCopy,
        },
        ids::{EventId, MailboxId},
        interval::Interval,
        personal::Personal,
    },
    store::wire::{as_text, stretch},
};

/// [`Personal`] in clear.
pub(super) mod personal {
    use super::{Deserialize, Deserializer, Personal, Serializer};

    pub(in crate::store::bookings) fn serialize<S: Serializer>(
        text: &Personal,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(text.reveal())
    }

    pub(in crate::store::bookings) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Personal, D::Error> {
        String::deserialize(from).map(Personal::new)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PersonalText(#[serde(with = "personal")] Personal);

#[derive(Serialize, Deserialize)]
struct DetailsWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<PersonalText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organizer: Option<PersonalText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attendees: Vec<PersonalText>,
}

/// [`Details`] by way of [`DetailsWire`].
mod details {
    use super::{
        Deserialize, Deserializer, Details, DetailsWire, PersonalText, Serialize, Serializer,
    };

    pub(super) fn serialize<S: Serializer>(details: &Details, to: S) -> Result<S::Ok, S::Error> {
        let Details { subject, organizer, attendees } = details.clone();
        let wire = DetailsWire {
            subject: subject.map(PersonalText),
            organizer: organizer.map(PersonalText),
            attendees: attendees.into_iter().map(PersonalText).collect(),
        };
        wire.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Details, D::Error> {
        let DetailsWire { subject, organizer, attendees } = DetailsWire::deserialize(from)?;
        Ok(Details {
            subject: subject.map(|PersonalText(text)| text),
            organizer: organizer.map(|PersonalText(text)| text),
            attendees: attendees.into_iter().map(|PersonalText(text)| text).collect(),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Facts")]
struct FactsWire {
    #[serde(with = "stretch")]
    interval: Interval,
    attendee_count: u16,
    private: bool,
    #[serde(with = "details")]
    details: Details,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CopyAtText(#[serde(with = "CopyAtWire")] pub(super) CopyLocation);

#[derive(Serialize, Deserialize)]
#[serde(remote = "CopyLocation")]
struct CopyAtWire {
    #[serde(with = "as_text")]
    mailbox: MailboxId,
    #[serde(with = "as_text")]
    event: EventId,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OrganizerCopyText(#[serde(with = "OrganizerCopyWire")] pub(super) OrganizerCopy);

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrganizerCopy")]
enum OrganizerCopyWire {
    Unknown,
    Live(#[serde(with = "CopyAtWire")] CopyLocation, #[serde(with = "FactsWire")] Facts),
    WithoutRoom(#[serde(with = "CopyAtWire")] CopyLocation),
    Cancelled,
    Gone,
    Released,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RoomCopyText(#[serde(with = "RoomCopyWire")] pub(super) RoomCopy);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RoomCopy")]
enum RoomCopyWire {
    Unknown,
    Live {
        #[serde(with = "CopyAtWire")]
        at: CopyLocation,
        #[serde(with = "FactsWire")]
        facts: Facts,
        answerable: bool,
    },
    Gone,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct DesiredText(#[serde(with = "DesiredWire")] pub(super) DesiredState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "DesiredState")]
enum DesiredWire {
    Wanted(#[serde(with = "WishWire")] BookingSpec),
    Unwanted(#[serde(with = "EndedWire")] EndReason),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BookingSpec")]
struct WishWire {
    #[serde(with = "FactsWire")]
    facts: Facts,
    invitation: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "EndReason")]
enum EndedWire {
    RoomRemoved,
    Cancelled,
    RoomLeft,
    NotAccepted,
    Abandoned,
}
