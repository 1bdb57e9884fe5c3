//! What becomes of a reservation that is made, changed and ended, also by others.

use roombridge::booking::BookingSystemError;
use roombridge::domain::booking_system::{BookingQuery, BookingRequest, SystemBookingStatus};
use roombridge::domain::personal::Personal;
use uuid::Uuid;
use world::topdesk::ReservationStatus;

use super::{Installation, at, between, query, rejected, room};
use crate::TestResult;

#[tokio::test]
async fn a_conflict_that_topdesk_has_stored_is_taken_back() -> TestResult {
    let here = Installation::open().await?;
    let theirs = here.topdesk.reserve(here.aurora, here.desk, (at("09:00")?, at("10:00")?));
    let refused = here.put(&here.request(1, "09:30", "10:30")?).await;
    assert_eq!(refused, Err(BookingSystemError::Conflict));
    assert_eq!(here.only(here.aurora)?.id, theirs);
    let made = here.topdesk.reservations().pop().map(|one| one.status);
    assert_eq!(made, Some(ReservationStatus::Cancelled));
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_booking_that_moves_to_another_time_and_room_keeps_its_number() -> TestResult {
    let here = Installation::open().await?;
    let before = here.request(1, "09:00", "10:00")?;
    let reference = here.put(&before).await?;
    let made = here.only(here.aurora)?;
    assert_eq!(made.brief_description.as_deref(), Some("Budget"));
    assert_eq!((made.requester, made.number_of_persons), (here.anna, Some(2)));
    let after = BookingRequest {
        room: room(here.borealis),
        subject: Some(Personal::new("x".repeat(120))),
        attendee_count: 5,
        ..here.request(1, "11:00", "12:00")?
    };
    let moved = here.writer().put(&here.invocation, &after, &query(&before)).await?;
    assert_eq!(moved, reference);
    let moved = here.only(here.borealis)?;
    assert_eq!((&moved.number, moved.start), (&made.number, at("11:00")?));
    assert_eq!(moved.brief_description, Some("x".repeat(100)));
    assert_eq!(moved.number_of_persons, Some(5));
    assert_eq!(here.topdesk.reservations().len(), 1);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn only_what_differs_is_written() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    let writes = || here.topdesk.requests().iter().filter(|one| !one.starts_with("GET")).count();
    assert_eq!(writes(), 1);
    here.put(&request).await?;
    assert_eq!(writes(), 1);
    let renamed = BookingRequest { subject: None, ..request };
    here.put(&renamed).await?;
    assert_eq!((writes(), here.count("PATCH /reservations/{identifier}")), (2, 1));
    assert_eq!(here.only(here.aurora)?.brief_description.as_deref(), Some(""));
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn seconds_are_cut_and_the_booking_is_still_recognised() -> TestResult {
    let here = Installation::open().await?;
    let second = |text: &str| format!("2026-12-07T{text}Z").parse();
    let interval =
        roombridge::domain::interval::Interval::new(second("09:00:30")?, second("10:00:45")?);
    let request = BookingRequest {
        interval: interval.ok_or("an interval")?,
        ..here.request(1, "09:00", "10:00")?
    };
    let first = here.put(&request).await?;
    assert_eq!(here.put(&request).await?, first);
    assert_eq!(here.only(here.aurora)?.end, at("10:00")?);
    assert_eq!(here.count("POST /reservations/{identifier}/reschedule"), 0);
    Ok(())
}

#[tokio::test]
async fn what_a_rule_of_topdesk_forbids_leaves_the_booking_as_it_was() -> TestResult {
    let here = Installation::open().await?;
    here.topdesk.set_service_window(here.borealis, 8 * 60, 11 * 60);
    let before = here.request(1, "09:00", "10:00")?;
    here.put(&before).await?;
    let after = BookingRequest { room: room(here.borealis), ..here.request(1, "11:00", "12:00")? };
    let held = here.held(&before).await?;
    let refused = here.system.api.change(&here.invocation, &held, &after).await;
    assert_eq!(refused, Err(rejected("The reservation is outside the service window")));
    assert_eq!(here.held(&before).await?, held);
    let another = BookingRequest { key: here.request(2, "09:00", "10:00")?.key, ..after };
    let refused = here.put(&another).await;
    assert!(matches!(refused, Err(BookingSystemError::Rejected { .. })), "{refused:?}");
    assert_eq!(here.topdesk.live(here.borealis), []);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_booking_does_not_move_onto_another_one() -> TestResult {
    let here = Installation::open().await?;
    let before = here.request(1, "09:00", "10:00")?;
    here.put(&before).await?;
    here.topdesk.reserve(here.aurora, here.desk, (at("11:00")?, at("12:00")?));
    let held = here.held(&before).await?;
    let onto = here.request(1, "11:30", "12:30")?;
    let refused = here.system.api.change(&here.invocation, &held, &onto).await;
    assert_eq!(refused, Err(BookingSystemError::Conflict));
    assert_eq!(here.held(&before).await?, held);
    Ok(())
}

#[tokio::test]
async fn a_booking_whose_link_an_administrator_removed_is_found_by_its_name() -> TestResult {
    let here = Installation::open().await?;
    let before = here.request(1, "09:00", "10:00")?;
    let reference = here.put(&before).await?;
    let made = here.only(here.aurora)?;
    assert!(made.external_link.is_some());
    here.topdesk.edit(made.id, |one| one.external_link = None);
    let after = here.request(1, "11:00", "12:00")?;
    let known = BookingQuery { reference: Some(reference.clone()), ..query(&before) };
    assert_eq!(here.writer().put(&here.invocation, &after, &known).await?, reference);
    let moved = here.only(here.aurora)?;
    assert_eq!((moved.start, moved.external_link), (at("11:00")?, made.external_link));
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn what_topdesk_will_not_change_is_made_again() -> TestResult {
    let here = Installation::open().await?;
    // Somebody has made it an occurrence of a series, which cannot change its room.
    let before = here.request(1, "09:00", "10:00")?;
    here.put(&before).await?;
    let made = here.only(here.aurora)?;
    here.topdesk.edit(made.id, |one| one.series = Some(Uuid::from_u128(9)));
    let after = BookingRequest { room: room(here.borealis), ..before.clone() };
    here.writer().put(&here.invocation, &after, &query(&before)).await?;
    assert_eq!(here.topdesk.live(here.aurora), []);
    let again = here.only(here.borealis)?;
    assert_ne!(again.id, made.id);
    // One that conflicts cannot change its time.
    here.topdesk.edit(again.id, |one| one.status = ReservationStatus::ConflictingPlanned);
    let later = BookingRequest { interval: between("15:00", "16:00")?, ..after.clone() };
    here.writer().put(&here.invocation, &later, &query(&after)).await?;
    let third = here.only(here.borealis)?;
    assert_eq!((third.start, third.status), (at("15:00")?, ReservationStatus::Planned));
    assert_eq!(third.external_link, again.external_link);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_booking_that_lost_its_room_there_gets_it_back() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    let reference = here.put(&request).await?;
    let made = here.only(here.aurora)?;
    here.topdesk.edit(made.id, |one| one.rooms.clear());
    assert_eq!(here.put(&request).await?, reference);
    assert_eq!(here.only(here.aurora)?.id, made.id);
    here.assert_described();
    Ok(())
}

// === How it ends ===

#[tokio::test]
async fn a_cancellation_has_the_reason_that_the_connection_names() -> TestResult {
    for by_id in [false, true] {
        let unnamed = Installation::open().await?;
        let id = unnamed.topdesk.add_cancellation_reason("Cancelled in Outlook");
        let request = unnamed.request(1, "09:00", "10:00")?;
        unnamed.put(&request).await?;
        let refused = unnamed.cancel(&request).await;
        assert_eq!(refused, Err(rejected("A cancellation reason is required")));
        // The same draws follow from the same seed, so the reason has the same id there.
        let reason = if by_id { id.to_string() } else { "Cancelled in Outlook".to_owned() };
        let here = Installation::open_with(|one| one.cancellation_reason = Some(reason)).await?;
        assert_eq!(here.topdesk.add_cancellation_reason("Cancelled in Outlook"), id);
        let request = here.request(1, "09:00", "10:00")?;
        here.put(&request).await?;
        here.cancel(&request).await?;
        let ended = here.topdesk.reservations().pop().ok_or("it was made")?;
        assert_eq!(ended.status, ReservationStatus::Cancelled);
        assert_eq!(ended.cancellation_reason.as_deref(), Some("Cancelled in Outlook"));
        here.assert_described();
    }
    Ok(())
}

#[tokio::test]
async fn services_whose_lead_time_has_passed_refuse_a_booking_but_not_its_end() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    here.topdesk.set_lead_time(here.aurora, jiff::SignedDuration::from_hours(24 * 60));
    let late = here.put(&here.request(2, "11:00", "12:00")?).await;
    assert_eq!(late, Err(rejected("The lead time of one or more services has passed")));
    here.cancel(&request).await?;
    assert_eq!(here.topdesk.live(here.aurora), []);
    Ok(())
}

#[tokio::test]
async fn a_reservation_that_became_a_request_is_held_and_then_rejected() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    let made = here.only(here.aurora)?;
    let planned = here.held(&request).await?;
    here.topdesk.edit(made.id, |one| one.status = ReservationStatus::Request);
    let held = here.held(&request).await?;
    assert_eq!(held.status, SystemBookingStatus::AwaitsApproval);
    // It became a request after it was found.
    here.system.api.cancel(&here.invocation, &planned).await?;
    let ended = here.topdesk.reservation(made.id).map(|one| one.status);
    assert_eq!(ended, Some(ReservationStatus::RejectedRequest));
    // It was approved after it was found.
    here.topdesk.edit(made.id, |one| one.status = ReservationStatus::Planned);
    here.system.api.cancel(&here.invocation, &held).await?;
    assert_eq!(here.topdesk.live(here.aurora), []);
    here.assert_described();
    Ok(())
}

#[tokio::test]
async fn a_reservation_that_was_handed_out_cannot_be_ended_and_says_so() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    let made = here.only(here.aurora)?;
    here.topdesk.edit(made.id, |one| one.issued = true);
    let refused = here.cancel(&request).await;
    assert_eq!(refused, Err(rejected("The reservation cannot be cancelled")));
    Ok(())
}

// === Races ===

#[tokio::test]
async fn of_many_that_book_one_slot_at_once_one_stays() -> TestResult {
    let here = Installation::open().await?;
    for race in 0..50 {
        let keys = (1..=4).map(|key| here.request(race * 10 + key, "09:00", "10:00"));
        let requests = keys.collect::<Result<Vec<_>, _>>()?;
        let puts = requests.iter().map(|request| here.put(request));
        let ended = futures::future::join_all(puts).await;
        let kept: Vec<_> = ended.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
        assert_eq!([here.only(here.aurora)?.id.to_string()].as_slice(), kept, "{ended:?}");
        here.topdesk.cancel(kept[0].parse()?);
    }
    Ok(())
}
