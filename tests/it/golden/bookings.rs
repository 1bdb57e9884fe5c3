//! The rows of `Bookings`, the one table with content: every word of a booking's life.

use roombridge::domain::appointment::{
    Copies, CopyAt, Desired, Details, Ended, Facts, OrganizerCopy, RoomCopy, Wish,
};
use roombridge::domain::booking::{
    Answer, Booking, Held, Intent, Observed, Outcome as Told, Refusal, RefusalReason, RoomTold,
    Shown, Telling, Told as OrganizerTold,
};
use roombridge::domain::ids::{BookingId, CorrelationId};
use roombridge::domain::interval::Interval;
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::domain::personal::Personal;
use roombridge::store::bookings::Bookings;
use uuid::Uuid;

use super::rows::hold;
use super::{ROOM, at, interval, mailbox, occurrence, parsed, single};
use crate::Outcome;

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
    Facts { interval: nine(), people: 3, private: false, details }
}

/// As little as possible.
fn closed() -> Facts {
    Facts { interval: nine(), people: u16::MAX, private: true, details: Details::default() }
}

fn in_annas() -> CopyAt {
    CopyAt { mailbox: mailbox(1), event: parsed("AAMkO+==") }
}

fn in_the_rooms() -> CopyAt {
    CopyAt { mailbox: ROOM.mailbox(), event: parsed("AAMkR_-=") }
}

fn live(facts: Facts, answerable: bool) -> RoomCopy {
    RoomCopy::Live { at: in_the_rooms(), facts, answerable }
}

fn copies(organizer: OrganizerCopy, room: RoomCopy) -> Copies {
    Copies { organizer, room, asked: 0 }
}

fn wanted(facts: Facts, asked: u32) -> Desired {
    Desired::Wanted(Wish { facts, asked })
}

fn held(interval: Interval) -> Observed {
    Observed::Booked(Held {
        interval,
        generation: 1,
        reference: "R-2026/1".to_owned(),
        wish: Digest(0x3154),
    })
}

fn refused(reason: RefusalReason) -> Observed {
    Observed::Refused(Refusal { asking: Digest(0xa5c), reason })
}

fn told(outcome: Told) -> Option<OrganizerTold> {
    Some(OrganizerTold { event: Digest::of_event(&in_annas().event), outcome })
}

fn answered(answer: Answer) -> Option<RoomTold> {
    Some(RoomTold { answer, interval: nine(), asked: 1 })
}

/// Nothing is known, wanted or done.
fn empty() -> Booking {
    Booking {
        key: single(),
        id: BookingId(Uuid::from_u128(5)),
        generation: 1,
        ical_uid: Personal::new("040000008200E00074C5B7101A82E008"),
        copies: Copies::default(),
        desired: Desired::Unwanted(Ended::GivenUp),
        intent: None,
        observed: Observed::Nothing,
        shown: Shown::default(),
        telling: None,
        correlation: CorrelationId(1),
        changes: 0,
        pointers: vec![],
        unsettled_due: None,
        purge_due: at("2026-11-24T10:00:00Z"),
    }
}

/// Everything is there.
fn booked() -> Booking {
    Booking {
        key: occurrence(),
        copies: copies(OrganizerCopy::Live(in_annas(), open()), live(closed(), true)),
        desired: wanted(open(), 0),
        intent: Some(Intent {
            worker: 0x1a2b,
            lease_until: at("2026-11-24T08:02:00Z"),
            claims: Some(nine()),
            stale: vec![nine(), ten()],
            generation: 2,
        }),
        observed: held(nine()),
        shown: Shown { organizer: told(Told::Booked), room: answered(Answer::Accept) },
        telling: Some(Telling { worker: u64::MAX, until: at("2026-11-24T08:01:00Z") }),
        correlation: CorrelationId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        pointers: vec![in_annas(), in_the_rooms()],
        unsettled_due: Some(at("2026-11-24T08:05:00.123456789Z")),
        ..empty()
    }
}

/// A no, and the room has said so.
fn declined(reason: RefusalReason) -> Booking {
    Booking {
        copies: Copies {
            asked: 1,
            ..copies(OrganizerCopy::Live(in_annas(), closed()), RoomCopy::Gone)
        },
        desired: wanted(closed(), 1),
        observed: refused(reason),
        shown: Shown { organizer: told(Told::Refused(reason)), room: answered(Answer::Decline) },
        ..empty()
    }
}

/// The room was had, and is not wanted any more.
fn ended(organizer: OrganizerCopy, room: RoomCopy, because: Ended) -> Booking {
    Booking { copies: copies(organizer, room), desired: Desired::Unwanted(because), ..empty() }
}

/// A worker is about to cancel.
fn cancelling() -> Booking {
    let intent = Intent {
        worker: 1,
        lease_until: at("2026-11-24T08:02:00Z"),
        claims: None,
        stale: vec![],
        generation: 1,
    };
    Booking {
        intent: Some(intent),
        observed: held(ten()),
        shown: Shown { organizer: told(Told::Booked), room: None },
        ..ended(OrganizerCopy::WithoutRoom(in_annas()), live(open(), false), Ended::RoomRemoved)
    }
}

/// Numbers that are text in a row.
fn largest() -> Booking {
    let held = Held {
        interval: nine(),
        generation: u32::MAX,
        reference: String::new(),
        wish: Digest(u128::MAX),
    };
    Booking {
        key: BookingKey { appointment: Digest(u128::MAX), ..single() },
        generation: u32::MAX,
        copies: Copies { asked: u32::MAX, ..Copies::default() },
        desired: wanted(closed(), u32::MAX),
        observed: Observed::Booked(held),
        correlation: CorrelationId(u128::MAX),
        changes: u32::MAX,
        ..empty()
    }
}

#[tokio::test]
async fn bookings() -> Outcome {
    let released = Booking {
        shown: Shown { organizer: told(Told::Released), room: None },
        ..ended(OrganizerCopy::Cancelled, RoomCopy::Gone, Ended::Cancelled)
    };
    let annas = OrganizerCopy::Live(in_annas(), closed());
    let room_left = ended(annas.clone(), RoomCopy::Gone, Ended::RoomLeft);
    let not_accepted = ended(annas, RoomCopy::Unseen, Ended::NotAccepted);
    let cases = vec![
        ("empty", empty()),
        ("booked", booked()),
        ("declined-conflict", declined(RefusalReason::Conflict)),
        ("declined-too-long", declined(RefusalReason::TooLong)),
        ("cancelling", cancelling()),
        ("released", released),
        ("room-left", room_left),
        ("not-accepted", not_accepted),
        ("gone", ended(OrganizerCopy::Gone, RoomCopy::Unseen, Ended::Cancelled)),
        ("given-up", ended(OrganizerCopy::GivenUp, live(closed(), true), Ended::GivenUp)),
        ("largest", largest()),
    ];
    hold("bookings", cases, async |tables, booking| {
        let bookings = Bookings::new(tables);
        bookings.insert(booking).await?;
        let read = bookings.of_appointment(booking.key.tenant, booking.key.appointment).await?;
        Ok(read.into_iter().map(|(booking, _)| booking).collect())
    })
    .await
}
