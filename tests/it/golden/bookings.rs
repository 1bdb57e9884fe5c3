//! The rows of `Bookings`, the one table with content: every state of a booking.

use roombridge::domain::appointment::{
    BookingSpec, Copies, CopyLocation, CopyRef, DesiredState, Details, EndReason, Facts,
    OrganizerCopy, RoomCopy,
};
use roombridge::domain::booking::{
    Booking, BookingOutcome, BookingRefusal, ConfirmedBooking, Intent, MeetingResponse,
    ObservedState, PublishLease, Published, PublishedOutcome, RefusalReason, RoomResponse,
};
use roombridge::domain::booking_system::{SystemId, SystemRoomId};
use roombridge::domain::ids::{BookingId, CorrelationId};
use roombridge::domain::interval::Interval;
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::domain::personal::Personal;
use roombridge::domain::tenant::policy::ResponseMode;
use roombridge::store::bookings::Bookings;
use uuid::Uuid;
use world::test_world::digest_key;

use super::rows::hold;
use super::{ROOM, at, interval, mailbox, occurrence, parsed, single};
use crate::TestResult;

fn nine() -> Interval {
    interval("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z")
}

fn ten() -> Interval {
    interval("2026-11-24T10:00:00.000000001Z", "2026-11-24T11:00:00Z")
}

/// As much as a tenant may let in.
fn open() -> Facts {
    let details = Details {
        subject: Some(Personal::new("Merger \"Ümlaut\" 😀")),
        organizer: Some(Personal::new("ada@contoso.example")),
        attendees: vec![Personal::new("bob@contoso.example"), Personal::new("")],
    };
    Facts::new(&digest_key(), single().appointment, nine(), 3, false, details)
}

/// As little as possible.
fn closed() -> Facts {
    let appointment = single().appointment;
    Facts::new(&digest_key(), appointment, nine(), u16::MAX, true, Details::default())
}

fn in_annas() -> CopyRef {
    let at = CopyLocation { mailbox: mailbox(1), event: parsed("AAMkO+==") };
    CopyRef::new(&digest_key(), at)
}

fn in_the_rooms() -> CopyRef {
    let at = CopyLocation { mailbox: ROOM.mailbox(), event: parsed("AAMkR_-=") };
    CopyRef::new(&digest_key(), at)
}

fn live(facts: Facts, answerable: bool) -> RoomCopy {
    RoomCopy::Live { at: in_the_rooms(), facts, answerable }
}

fn copies(organizer: OrganizerCopy, room: RoomCopy) -> Copies {
    Copies { organizer, room, ..Copies::default() }
}

fn wanted(facts: Facts, asked: u32) -> DesiredState {
    DesiredState::Wanted(BookingSpec { facts, invitation: asked })
}

fn held(interval: Interval) -> ObservedState {
    ObservedState::Booked(ConfirmedBooking {
        interval,
        generation: 1,
        system: SystemId::BUILT_IN,
        system_room: None,
        reference: "R-2026/1".to_owned(),
        spec_fingerprint: Digest(0x3154),
    })
}

fn refused(reason: RefusalReason) -> ObservedState {
    ObservedState::Refused(BookingRefusal { request_digest: Digest(0xa5c), reason })
}

fn published(outcome: BookingOutcome) -> Option<PublishedOutcome> {
    Some(PublishedOutcome { event_digest: in_annas().key.digest, outcome })
}

fn answered(answer: MeetingResponse) -> Option<RoomResponse> {
    Some(RoomResponse { response: answer, time: closed().digests.time, invitation: 1 })
}

/// Nothing is known, wanted or done.
fn empty() -> Booking {
    Booking {
        key: single(),
        id: BookingId(Uuid::from_u128(5)),
        generation: 1,
        ical_uid: Some(Personal::new("040000008200E00074C5B7101A82E008")),
        copies: Copies::default(),
        desired: DesiredState::Unwanted(EndReason::Abandoned),
        released: None,
        intent: None,
        observed: ObservedState::Nothing,
        published: Published::default(),
        unconfirmed: None,
        publish_lease: None,
        publish_failed: None,
        correlation: CorrelationId(1),
        change_count: 0,
        known_copies: vec![],
        unsettled_due: None,
        unsettled_since: None,
        purge_due: at("2026-11-24T10:00:00Z"),
    }
}

/// Every field is set.
fn booked() -> Booking {
    Booking {
        key: occurrence(),
        copies: copies(OrganizerCopy::Live(in_annas(), open()), live(closed(), true)),
        desired: wanted(open(), 0),
        intent: Some(Intent {
            worker: 0x1a2b,
            lease_until: at("2026-11-24T08:02:00Z"),
            claim: Some(nine()),
            stale: vec![nine(), ten()],
            generation: 2,
        }),
        observed: held(nine()),
        published: Published {
            organizer: published(BookingOutcome::Booked),
            room: answered(MeetingResponse::Accept),
        },
        publish_lease: Some(PublishLease {
            worker: u64::MAX,
            lease_until: at("2026-11-24T08:01:00Z"),
        }),
        correlation: CorrelationId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        known_copies: vec![in_annas().key, in_the_rooms().key],
        unsettled_due: Some(at("2026-11-24T08:05:00.123456789Z")),
        ..empty()
    }
}

/// Refused, and the room has declined.
fn declined(reason: RefusalReason) -> Booking {
    Booking {
        copies: Copies {
            invitation: 1,
            ..copies(OrganizerCopy::Live(in_annas(), closed()), RoomCopy::Gone)
        },
        desired: wanted(closed(), 1),
        observed: refused(reason),
        published: Published {
            organizer: published(BookingOutcome::Refused(reason)),
            room: answered(MeetingResponse::Decline),
        },
        ..empty()
    }
}

/// The room was booked, and is not wanted any more.
fn ended(organizer: OrganizerCopy, room: RoomCopy, because: EndReason) -> Booking {
    Booking { copies: copies(organizer, room), desired: DesiredState::Unwanted(because), ..empty() }
}

/// The same once it is settled: nothing is left of what was asked.
fn redacted(booking: Booking) -> Booking {
    let booking = booking.redact_if_over(Some(ResponseMode::RoombridgeDecides));
    assert!(booking.is_redacted());
    booking
}

/// A worker is about to cancel.
fn cancelling() -> Booking {
    let intent = Intent {
        worker: 1,
        lease_until: at("2026-11-24T08:02:00Z"),
        claim: None,
        stale: vec![],
        generation: 1,
    };
    Booking {
        intent: Some(intent),
        observed: held(ten()),
        published: Published { organizer: published(BookingOutcome::Booked), room: None },
        ..ended(OrganizerCopy::WithoutRoom(in_annas()), live(open(), false), EndReason::RoomRemoved)
    }
}

/// Numbers that are text in a row.
fn largest() -> Booking {
    let held = ConfirmedBooking {
        interval: nine(),
        generation: u32::MAX,
        system: SystemId(u32::MAX),
        system_room: Some(SystemRoomId("room".to_owned())),
        reference: String::new(),
        spec_fingerprint: Digest(u128::MAX),
    };
    Booking {
        key: BookingKey { appointment: Digest(u128::MAX), ..single() },
        generation: u32::MAX,
        copies: Copies { invitation: u32::MAX, ..Copies::default() },
        desired: wanted(closed(), u32::MAX),
        observed: ObservedState::Booked(held),
        correlation: CorrelationId(u128::MAX),
        change_count: u32::MAX,
        ..empty()
    }
}

#[tokio::test]
async fn bookings() -> TestResult {
    let released = Booking {
        published: Published { organizer: published(BookingOutcome::Released), room: None },
        ..ended(OrganizerCopy::Cancelled, RoomCopy::Gone, EndReason::Cancelled)
    };
    let annas = OrganizerCopy::Live(in_annas(), closed());
    let marked = Published { organizer: published(BookingOutcome::Released), room: None };
    let room_left_at_last =
        Booking { published: marked, ..ended(annas.clone(), RoomCopy::Gone, EndReason::RoomLeft) };
    let spec = BookingSpec { facts: closed(), invitation: 1 };
    let refusal = Booking {
        observed: ObservedState::Refused(BookingRefusal {
            request_digest: spec.request_digest(),
            reason: RefusalReason::Conflict,
        }),
        ..declined(RefusalReason::Conflict)
    };
    let without = OrganizerCopy::WithoutRoom(in_annas());
    let room_removed = Booking {
        published: marked,
        ..ended(without, live(closed(), true), EndReason::RoomRemoved)
    };
    let room_left = ended(annas.clone(), RoomCopy::Gone, EndReason::RoomLeft);
    let agreed_again = Booking {
        released: Some(closed().digests.time),
        published: Published {
            organizer: published(BookingOutcome::Released),
            room: answered(MeetingResponse::Decline),
        },
        copies: Copies { stays_tentative: true, ..copies(annas.clone(), RoomCopy::Gone) },
        ..ended(annas.clone(), RoomCopy::Gone, EndReason::Abandoned)
    };
    let not_accepted = ended(annas, RoomCopy::Unknown, EndReason::NotAccepted);
    let cases = vec![
        ("empty", empty()),
        ("booked", booked()),
        ("declined-conflict", declined(RefusalReason::Conflict)),
        ("declined-too-long", declined(RefusalReason::TooLong)),
        ("cancelling", cancelling()),
        ("released", released),
        ("room-left", room_left),
        ("not-accepted", not_accepted),
        ("gone", ended(OrganizerCopy::Gone, RoomCopy::Unknown, EndReason::Cancelled)),
        ("given-up", ended(OrganizerCopy::Released, live(closed(), true), EndReason::Abandoned)),
        ("agreed-again", agreed_again),
        ("largest", largest()),
        ("redacted-refusal", redacted(refusal)),
        ("redacted-room-left", redacted(room_left_at_last)),
        ("redacted-room-removed", redacted(room_removed)),
    ];
    hold("bookings", cases, async |tables, booking| {
        let bookings = Bookings::new(tables);
        bookings.insert(booking).await?;
        let read =
            bookings.list_by_appointment(booking.key.tenant, booking.key.appointment).await?;
        Ok(read.into_iter().map(|(booking, _)| booking).collect())
    })
    .await
}
