//! A booking as its row has it. Personal text is in `IcalUid`, `OrganizerCopy`, `RoomCopy` and
//! `Desired`, and nowhere else.
//!
//! The wire types mirror the domain's field by field; the compiler refuses them when one is missing.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    domain::{
        appointment::{
            Copies, CopyAt, Desired, Details, Ended, Facts, OrganizerCopy, RoomCopy, Wish,
        },
        booking::{
            Answer, Booking, Held, Intent, Observed, Outcome, Refusal, RefusalReason, RoomTold,
            Shown, Told,
        },
        ids::{BookingId, CorrelationId, EventId, MailboxId, RoomId, TenantId},
        interval::Interval,
        keys::{BookingKey, Digest},
        personal::Personal,
    },
    store::wire::{JsonText, Stretch, as_text, count, stretch},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BookingRow {
    #[serde(with = "as_text")]
    tenant: TenantId,
    #[serde(with = "as_text")]
    appointment: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_start: Option<Timestamp>,
    #[serde(with = "as_text")]
    room: RoomId,
    #[serde(with = "as_text")]
    booking: BookingId,
    #[serde(with = "count")]
    generation: u32,
    #[serde(with = "personal")]
    ical_uid: Personal,
    organizer_copy: JsonText<OrganizerCopyText>,
    room_copy: JsonText<RoomCopyText>,
    #[serde(with = "count")]
    asked: u32,
    desired: JsonText<DesiredText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<JsonText<IntentWire>>,
    observed: JsonText<ObservedText>,
    shown: JsonText<ShownWire>,
    #[serde(with = "as_text")]
    correlation: CorrelationId,
    #[serde(with = "count")]
    changes: u32,
    pointers: JsonText<Vec<CopyAtText>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsettled_due: Option<Timestamp>,
    purge_due: Timestamp,
}

/// [`Personal`] in clear.
mod personal {
    use super::{Deserialize, Deserializer, Personal, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Personal, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(text.reveal())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Personal, D::Error> {
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
    people: u16,
    private: bool,
    #[serde(with = "details")]
    details: Details,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct CopyAtText(#[serde(with = "CopyAtWire")] CopyAt);

#[derive(Serialize, Deserialize)]
#[serde(remote = "CopyAt")]
struct CopyAtWire {
    #[serde(with = "as_text")]
    mailbox: MailboxId,
    #[serde(with = "as_text")]
    event: EventId,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct OrganizerCopyText(#[serde(with = "OrganizerCopyWire")] OrganizerCopy);

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrganizerCopy")]
enum OrganizerCopyWire {
    Unseen,
    Live(#[serde(with = "CopyAtWire")] CopyAt, #[serde(with = "FactsWire")] Facts),
    WithoutRoom(#[serde(with = "CopyAtWire")] CopyAt),
    Cancelled,
    Gone,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct RoomCopyText(#[serde(with = "RoomCopyWire")] RoomCopy);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RoomCopy")]
enum RoomCopyWire {
    Unseen,
    Live {
        #[serde(with = "CopyAtWire")]
        at: CopyAt,
        #[serde(with = "FactsWire")]
        facts: Facts,
        answerable: bool,
    },
    Gone,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct DesiredText(#[serde(with = "DesiredWire")] Desired);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Desired")]
enum DesiredWire {
    Wanted(#[serde(with = "WishWire")] Wish),
    Unwanted(#[serde(with = "EndedWire")] Ended),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Wish")]
struct WishWire {
    #[serde(with = "FactsWire")]
    facts: Facts,
    asked: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ended")]
enum EndedWire {
    RoomRemoved,
    Cancelled,
    RoomLeft,
    NotAccepted,
}

#[derive(Serialize, Deserialize)]
struct IntentWire {
    /// As hex text: JSON numbers lose precision beyond 53 bits in other readers.
    worker: String,
    lease_until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claims: Option<Stretch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stale: Vec<Stretch>,
    generation: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ObservedText(#[serde(with = "ObservedWire")] Observed);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Observed")]
enum ObservedWire {
    Nothing,
    Booked(#[serde(with = "HeldWire")] Held),
    Refused(#[serde(with = "RefusalWire")] Refusal),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Held")]
struct HeldWire {
    #[serde(with = "stretch")]
    interval: Interval,
    generation: u32,
    reference: String,
    #[serde(with = "as_text")]
    wish: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Refusal")]
struct RefusalWire {
    #[serde(with = "as_text")]
    wish: Digest,
    #[serde(with = "RefusalReasonWire")]
    reason: RefusalReason,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RefusalReason")]
enum RefusalReasonWire {
    Conflict,
    TooLong,
}

#[derive(Serialize, Deserialize)]
struct ShownWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organizer: Option<ToldText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomToldText>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ToldText(#[serde(with = "ToldWire")] Told);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Told")]
struct ToldWire {
    #[serde(with = "as_text")]
    event: Digest,
    #[serde(with = "OutcomeWire")]
    outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome")]
enum OutcomeWire {
    Booked,
    Refused(#[serde(with = "RefusalReasonWire")] RefusalReason),
    Released,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct RoomToldText(#[serde(with = "RoomToldWire")] RoomTold);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RoomTold")]
struct RoomToldWire {
    #[serde(with = "AnswerWire")]
    answer: Answer,
    #[serde(with = "stretch")]
    interval: Interval,
    asked: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Answer")]
enum AnswerWire {
    Accept,
    Decline,
}

impl From<Intent> for IntentWire {
    fn from(intent: Intent) -> Self {
        let Intent { worker, lease_until, claims, stale, generation } = intent;
        let stale = stale.into_iter().map(Stretch).collect();
        let worker = format!("{worker:016x}");
        Self { worker, lease_until, claims: claims.map(Stretch), stale, generation }
    }
}

impl From<IntentWire> for Intent {
    fn from(wire: IntentWire) -> Self {
        let IntentWire { worker, lease_until, claims, stale, generation } = wire;
        // A worker that cannot be read is nobody's: its lease ends like any other.
        let worker = u64::from_str_radix(&worker, 16).unwrap_or(0);
        let claims = claims.map(|Stretch(interval)| interval);
        let stale = stale.into_iter().map(|Stretch(interval)| interval).collect();
        Self { worker, lease_until, claims, stale, generation }
    }
}

impl From<Booking> for BookingRow {
    fn from(booking: Booking) -> Self {
        let Booking { key, id, generation, ical_uid, copies, desired, intent, observed, .. } =
            booking;
        let Booking { shown, correlation, changes, pointers, unsettled_due, purge_due, .. } =
            booking;
        let BookingKey { tenant, appointment, original_start, room } = key;
        let Copies { organizer, room: room_copy, asked } = copies;
        let Shown { organizer: told, room: answered } = shown;
        Self {
            tenant,
            appointment,
            original_start,
            room,
            booking: id,
            generation,
            ical_uid,
            organizer_copy: JsonText(OrganizerCopyText(organizer)),
            room_copy: JsonText(RoomCopyText(room_copy)),
            asked,
            desired: JsonText(DesiredText(desired)),
            intent: intent.map(|intent| JsonText(intent.into())),
            observed: JsonText(ObservedText(observed)),
            shown: JsonText(ShownWire {
                organizer: told.map(ToldText),
                room: answered.map(RoomToldText),
            }),
            correlation,
            changes,
            pointers: JsonText(pointers.into_iter().map(CopyAtText).collect()),
            unsettled_due,
            purge_due,
        }
    }
}

/// A booking read back.
#[derive(Deserialize)]
#[serde(from = "BookingRow")]
pub(super) struct Stored(pub(super) Booking);

impl From<BookingRow> for Stored {
    fn from(row: BookingRow) -> Self {
        let BookingRow { tenant, appointment, original_start, room, .. } = row;
        let JsonText(OrganizerCopyText(organizer)) = row.organizer_copy;
        let JsonText(RoomCopyText(room_copy)) = row.room_copy;
        let JsonText(DesiredText(desired)) = row.desired;
        let JsonText(ObservedText(observed)) = row.observed;
        let JsonText(ShownWire { organizer: told, room: answered }) = row.shown;
        Self(Booking {
            key: BookingKey { tenant, appointment, original_start, room },
            id: row.booking,
            generation: row.generation,
            ical_uid: row.ical_uid,
            copies: Copies { organizer, room: room_copy, asked: row.asked },
            desired,
            intent: row.intent.map(|JsonText(intent)| intent.into()),
            observed,
            shown: Shown {
                organizer: told.map(|ToldText(told)| told),
                room: answered.map(|RoomToldText(told)| told),
            },
            correlation: row.correlation,
            changes: row.changes,
            pointers: row.pointers.0.into_iter().map(|CopyAtText(at)| at).collect(),
            unsettled_due: row.unsettled_due,
            purge_due: row.purge_due,
        })
    }
}
