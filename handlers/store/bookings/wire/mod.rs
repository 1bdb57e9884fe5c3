//! A booking as its row has it. Personal text is in `IcalUid`, `OrganizerCopy`, `RoomCopy` and
//! `Desired`, and nowhere else.
//!
//! The wire types mirror the domain's field by field; the compiler refuses them when one is missing.

mod appointment;

use appointment::{CopyAtText, DesiredText, OrganizerCopyText, RoomCopyText, personal};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        appointment::Copies,
        booking::{
            Answer, Booking, Held, Intent, Observed, Outcome, Refusal, RefusalReason, RoomTold,
            Shown, Telling, Told,
        },
        ids::{BookingId, CorrelationId, RoomId, TenantId},
        interval::Interval,
        keys::{BookingKey, Digest},
        personal::Personal,
    },
    store::wire::{AsText, JsonText, Nonce, Stretch, as_text, count, stretch},
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    telling: Option<JsonText<TellingWire>>,
    #[serde(with = "as_text")]
    correlation: CorrelationId,
    #[serde(with = "count")]
    changes: u32,
    pointers: JsonText<Vec<CopyAtText>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsettled_due: Option<Timestamp>,
    purge_due: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct TellingWire {
    worker: AsText<Nonce>,
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct IntentWire {
    worker: AsText<Nonce>,
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
    asking: Digest,
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

impl From<Telling> for TellingWire {
    fn from(telling: Telling) -> Self {
        let Telling { worker, until } = telling;
        Self { worker: AsText(Nonce(worker)), until }
    }
}

impl From<TellingWire> for Telling {
    fn from(wire: TellingWire) -> Self {
        let TellingWire { worker: AsText(Nonce(worker)), until } = wire;
        Self { worker, until }
    }
}

impl From<Intent> for IntentWire {
    fn from(intent: Intent) -> Self {
        let Intent { worker, lease_until, claims, stale, generation } = intent;
        let stale = stale.into_iter().map(Stretch).collect();
        let worker = AsText(Nonce(worker));
        Self { worker, lease_until, claims: claims.map(Stretch), stale, generation }
    }
}

impl From<IntentWire> for Intent {
    fn from(wire: IntentWire) -> Self {
        let IntentWire { worker: AsText(Nonce(worker)), lease_until, claims, stale, generation } =
            wire;
        let claims = claims.map(|Stretch(interval)| interval);
        let stale = stale.into_iter().map(|Stretch(interval)| interval).collect();
        Self { worker, lease_until, claims, stale, generation }
    }
}

impl From<Booking> for BookingRow {
    fn from(booking: Booking) -> Self {
        let Booking { key, id, generation, ical_uid, copies, desired, intent, observed, .. } =
            booking;
        let Booking {
            shown,
            telling,
            correlation,
            changes,
            pointers,
            unsettled_due,
            purge_due,
            ..
        } = booking;
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
            telling: telling.map(|telling| JsonText(telling.into())),
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
            telling: row.telling.map(|JsonText(telling)| telling.into()),
            correlation: row.correlation,
            changes: row.changes,
            pointers: row.pointers.0.into_iter().map(|CopyAtText(at)| at).collect(),
            unsettled_due: row.unsettled_due,
            purge_due: row.purge_due,
        })
    }
}
