//! What Graph's metadata allows and nobody expects, what is said of an event that is gone, and answers
//! that are none of Graph's.

use roombridge::domain::appointment::DesiredState;
use roombridge::store::tables::Table;
use serde_json::{Value, json};
use world::exchange::{Invitation, Mailbox, Meeting, Response, RoomRules};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};

use crate::contoso::{Contoso, at, hours, minutes};
use crate::{TestError, TestResult};

const EVENT: &str = "/users/{id}/events/{id}";

fn event_of(meeting: &Meeting, mailbox: &Mailbox) -> Result<String, TestError> {
    Ok(meeting.copy_in(mailbox).ok_or("there is a copy")?.event)
}

#[tokio::test]
async fn an_event_without_an_ical_uid_books_nothing_and_is_taken_for_no_other() -> TestResult {
    for odd in [Value::Null, json!(""), json!(" ")] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, cleo, aurora, .. } = &contoso;
        for (person, from, until) in [(anna, "09:00", "10:00"), (cleo, "09:00", "10:00")] {
            let draft = Invitation::new("Odd", at(from), at(until)).room(aurora);
            let event = person.import("", draft)?;
            person.show_field(&event, "iCalUId", odd.clone());
        }
        contoso.run_for(minutes(30)).await;
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 0, "{odd}");
        assert_eq!(contoso.count(Table::Bookings).await?, 0, "{odd}");
        let failures = contoso.failures().await?;
        assert_eq!(failures.len(), 2, "each is named: {failures:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_odd_event_without_a_room_leaves_no_trace() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, .. } = &contoso;
    let fields = [
        ("iCalUId", Value::Null),
        ("attendees", Value::Null),
        ("isOrganizer", Value::Null),
        ("type", json!("holiday")),
        ("type", Value::Null),
        ("start", Value::Null),
        ("sensitivity", Value::Null),
        ("isCancelled", Value::Null),
        ("isAllDay", Value::Null),
        ("originalStart", json!("soon")),
        ("seriesMasterId", json!("..")),
    ];
    for (name, value) in fields {
        let meeting = tenant.meet(anna, Invitation::new("Dentist", at("09:00"), at("10:00")))?;
        anna.show_field(&event_of(&meeting, anna)?, name, value);
    }
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.count(Table::Appointments).await?, 0);
    assert_eq!(contoso.count(Table::Failures).await?, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_booked_meeting_that_cannot_be_read_for_a_while_stays_booked() -> TestResult {
    for (name, value) in
        [("attendees", Value::Null), ("isOrganizer", Value::Null), ("type", json!("holiday"))]
    {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        anna.show_field(&event_of(&meeting, anna)?, name, value);
        contoso.run_for(minutes(30)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert!(matches!(booking.desired, DesiredState::Wanted(_)), "{name}");
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_meeting_without_a_time_asks_for_nothing_and_releases_what_it_had() -> TestResult {
    let time = |text: &str| json!({ "dateTime": text, "timeZone": "UTC" });
    let times = [
        ("2026-11-24T13:00:00.0000000", "2026-11-24T13:00:00.0000000"),
        ("1601-01-01T00:00:00.0000000", "1601-01-01T00:00:00.0000000"),
        ("2026-11-24T13:00:00.0000000", "2026-11-24T12:00:00.0000000"),
    ];
    for (start, end) in times {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        for mailbox in [anna, aurora] {
            let event = event_of(&meeting, mailbox)?;
            mailbox.show_field(&event, "start", time(start));
            mailbox.show_field(&event, "end", time(end));
        }
        contoso.run_for(minutes(30)).await;
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 0, "{start} {end}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_that_was_deleted_has_ended_whatever_its_read_is_answered() -> TestResult {
    for (status, code) in [
        (404, "ErrorItemNotFound"),
        (404, "SomethingElse"),
        (404, ""),
        (410, "Gone"),
        (400, "ErrorInvalidMailboxItemId"),
        (400, "ErrorInvalidIdMalformed"),
    ] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, ben, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        contoso.world.microsoft.graph.set_missing_event(status, code);
        aurora.set_rules(RoomRules { keeps_cancelled: false, ..RoomRules::default() });
        meeting.cancel()?;
        contoso.run_for(minutes(5)).await;
        let next = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        assert_eq!(next.response_of(aurora), Some(Response::Accepted), "{status} {code}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_copy_that_can_still_be_read_by_its_id_has_ended() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    contoso.world.microsoft.graph.set_serves_deleted(true);
    aurora.set_rules(RoomRules { keeps_cancelled: false, ..RoomRules::default() });
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    meeting.cancel()?;
    contoso.run_for(minutes(5)).await;
    let next = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(next.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nonsense_is_waited_for_like_an_outage() -> TestResult {
    let answers = [
        (200, r#"{"id":"#),
        (200, ""),
        (404, ""),
        (400, ""),
        (502, "<html>"),
        (200, "<html>"),
        (302, ""),
    ];
    for (status, body) in answers {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, .. } = &contoso;
        // For more than an hour.
        for nth in 1..=11 {
            contoso.world.microsoft.graph.plan_fault(RequestFault {
                method: "GET",
                template: EVENT,
                nth,
                moment: Fault::Before,
                outcome: FaultOutcome::Raw(status, body),
            });
        }
        let meeting = contoso.meet(anna, ("19:00", "20:00"), aurora)?;
        contoso.run_for(hours(8)).await;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "{status} {body}");
        assert_eq!(contoso.count(Table::Failures).await?, 0, "{status} {body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_declined_copy_that_is_gone_is_not_asked_for_again_and_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, world, .. } = &contoso;
    world.microsoft.graph.set_missing_event(404, "");
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(1)).await;
    let refused = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(refused.response_of(aurora), Some(Response::Declined));
    world.microsoft.graph.clear_requests();
    contoso.run_for(hours(2)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_write_that_finds_nothing_and_a_read_without_a_word_end_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let plan = |method, template, nth, body| {
        world.microsoft.graph.plan_fault(RequestFault {
            method,
            template,
            nth,
            moment: Fault::Before,
            outcome: FaultOutcome::Raw(404, body),
        });
    };
    let not_found = r#"{"error":{"code":"ErrorItemNotFound","message":"It is not there."}}"#;
    plan("POST", "/users/{id}/events/{id}/accept", 1, not_found);
    meeting.move_to(at("11:00"), at("12:00"))?;
    // The reads that the move causes are right; those that the write causes are not.
    world.run_until_idle().await;
    (1..=3).for_each(|nth| plan("GET", EVENT, nth, ""));
    contoso.run_for(minutes(3)).await;
    assert!(meeting.copy_in(aurora).is_some());
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    contoso.run_for(hours(1)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}
