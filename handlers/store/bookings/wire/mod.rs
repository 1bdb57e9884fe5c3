//! A booking as its row has it. Personal text is in `IcalUid`, `OrganizerCopy`, `RoomCopy` and
//! `DesiredState`, and nowhere else.
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
            Booking, BookingOutcome, BookingRefusal, ConfirmedBooking, Intent, MeetingResponse,
            ObservedState, PublishLease, Published, PublishedOutcome, RefusalReason, RoomResponse,
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
    invitation: u32,
    desired: JsonText<DesiredText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<JsonText<IntentWire>>,
    observed: JsonText<ObservedText>,
    published: JsonText<ShownWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publish_lease: Option<JsonText<TellingWire>>,
    #[serde(with = "as_text")]
    correlation: CorrelationId,
    #[serde(with = "count")]
    change_count: u32,
    known_copies: JsonText<Vec<CopyAtText>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsettled_due: Option<Timestamp>,
    purge_due: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct TellingWire {
    worker: AsText<Nonce>,
    lease_until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct IntentWire {
    worker: AsText<Nonce>,
    lease_until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Stretch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stale: Vec<Stretch>,
    generation: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ObservedText(#[serde(with = "ObservedWire")] ObservedState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ObservedState")]
enum ObservedWire {
    Nothing,
    Booked(#[serde(with = "HeldWire")] ConfirmedBooking),
    Refused(#[serde(with = "RefusalWire")] BookingRefusal),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ConfirmedBooking")]
struct HeldWire {
    #[serde(with = "stretch")]
    interval: Interval,
    generation: u32,
    reference: String,
    #[serde(with = "as_text")]
    spec_fingerprint: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BookingRefusal")]
struct RefusalWire {
    #[serde(with = "as_text")]
    request_digest: Digest,
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
struct ToldText(#[serde(with = "ToldWire")] PublishedOutcome);

#[derive(Serialize, Deserialize)]
#[serde(remote = "PublishedOutcome")]
struct ToldWire {
    #[serde(with = "as_text")]
    event_digest: Digest,
    #[serde(with = "OutcomeWire")]
    outcome: BookingOutcome,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BookingOutcome")]
enum OutcomeWire {
    Booked,
    Refused(#[serde(with = "RefusalReasonWire")] RefusalReason),
    Released,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct RoomToldText(#[serde(with = "RoomToldWire")] RoomResponse);

#[derive(Serialize, Deserialize)]
#[serde(remote = "RoomResponse")]
struct RoomToldWire {
    #[serde(with = "AnswerWire")]
    response: MeetingResponse,
    #[serde(with = "stretch")]
    interval: Interval,
    invitation: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MeetingResponse")]
enum AnswerWire {
    Accept,
    Decline,
}

impl From<PublishLease> for TellingWire {
    fn from(telling: PublishLease) -> Self {
        let PublishLease { worker, lease_until: until } = telling;
        Self { worker: AsText(Nonce(worker)), lease_until: until }
    }
}

impl From<TellingWire> for PublishLease {
    fn from(wire: TellingWire) -> Self {
        let TellingWire { worker: AsText(Nonce(worker)), lease_until: until } = wire;
        Self { worker, lease_until: until }
    }
}

impl From<Intent> for IntentWire {
    fn from(intent: Intent) -> Self {
        let Intent { worker, lease_until, claim: claims, stale, generation } = intent;
        let stale = stale.into_iter().map(Stretch).collect();
        let worker = AsText(Nonce(worker));
        Self { worker, lease_until, claim: claims.map(Stretch), stale, generation }
    }
}

impl From<IntentWire> for Intent {
    fn from(wire: IntentWire) -> Self {
        let IntentWire {
            worker: AsText(Nonce(worker)),
            lease_until,
            claim: claims,
            stale,
            generation,
        } = wire;
        let claims = claims.map(|Stretch(interval)| interval);
        let stale = stale.into_iter().map(|Stretch(interval)| interval).collect();
        Self { worker, lease_until, claim: claims, stale, generation }
    }
}

impl From<Booking> for BookingRow {
    fn from(booking: Booking) -> Self {
        let Booking { key, id, generation, ical_uid, copies, desired, intent, observed, .. } =
            booking;
        let Booking {
            published: shown,
            publish_lease: telling,
            correlation,
            change_count: changes,
            known_copies: pointers,
            unsettled_due,
            purge_due,
            ..
        } = booking;
        let BookingKey { tenant, appointment, original_start, room } = key;
        let Copies { organizer, room: room_copy, invitation: asked } = copies;
        let Published { organizer: told, room: answered } = shown;
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
            invitation: asked,
            desired: JsonText(DesiredText(desired)),
            intent: intent.map(|intent| JsonText(intent.into())),
            observed: JsonText(ObservedText(observed)),
            published: JsonText(ShownWire {
                organizer: told.map(ToldText),
                room: answered.map(RoomToldText),
            }),
            publish_lease: telling.map(|telling| JsonText(telling.into())),
            correlation,
            change_count: changes,
            known_copies: JsonText(pointers.into_iter().map(CopyAtText).collect()),
            unsettled_due,
            purge_due,
        }
    }
}

/// A booking read back.
#[derive(Deserialize)]
#[serde(from = "BookingRow")]
pub(super) struct StoredBooking(pub(super) Booking);

impl From<BookingRow> for StoredBooking {
    fn from(row: BookingRow) -> Self {
        let BookingRow { tenant, appointment, original_start, room, .. } = row;
        let JsonText(OrganizerCopyText(organizer)) = row.organizer_copy;
        let JsonText(RoomCopyText(room_copy)) = row.room_copy;
        let JsonText(DesiredText(desired)) = row.desired;
        let JsonText(ObservedText(observed)) = row.observed;
        let JsonText(ShownWire { organizer: told, room: answered }) = row.published;
        Self(Booking {
            key: BookingKey { tenant, appointment, original_start, room },
            id: row.booking,
            generation: row.generation,
            ical_uid: row.ical_uid,
            copies: Copies { organizer, room: room_copy, invitation: row.invitation },
            desired,
            intent: row.intent.map(|JsonText(intent)| intent.into()),
            observed,
            published: Published {
                organizer: told.map(|ToldText(told)| told),
                room: answered.map(|RoomToldText(told)| told),
            },
            publish_lease: row.publish_lease.map(|JsonText(telling)| telling.into()),
            correlation: row.correlation,
            change_count: row.change_count,
            known_copies: row.known_copies.0.into_iter().map(|CopyAtText(at)| at).collect(),
            unsettled_due: row.unsettled_due,
            purge_due: row.purge_due,
        })
    }
}
