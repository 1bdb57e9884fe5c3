//! What becomes of a booking when its appointment changes, disappears or cannot be read.

use roombridge::domain::appointment::{DesiredState, EndReason};
use roombridge::messages::MailboxTaskKind;
use serde_json::json;
use world::exchange::{Mailbox, Meeting, Response, RoomRules};
use world::microsoft::DAEMON_APP;

use super::{EVENT, wanted_facts};
use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(a_meeting_that_changes_room_frees_one_and_takes_the_other);

/// A booked meeting of Anna's in Aurora.
async fn book_meeting(contoso: &Contoso) -> Result<Meeting, TestError> {
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?.len(), 1);
    Ok(meeting)
}

/// The booking has ended for this reason, and the room is free.
async fn assert_ended(contoso: &Contoso, meeting: &Meeting, why: EndReason) -> TestResult {
    contoso.run_for(minutes(5)).await;
    let booking = contoso.expect_booking(meeting, &contoso.aurora).await?;
    assert_eq!(booking.desired, DesiredState::Unwanted(why));
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_cancelled_meeting_ends_its_booking() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    meeting.cancel()?;
    assert_ended(&contoso, &meeting, EndReason::Cancelled).await
}

#[tokio::test]
async fn a_meeting_marked_cancelled_ends_its_booking_though_both_copies_stay() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.aurora.set_rules(RoomRules { keeps_cancelled: true, ..RoomRules::default() });
    let meeting = book_meeting(&contoso).await?;
    meeting.cancel_keeping_copy()?;
    assert_ended(&contoso, &meeting, EndReason::Cancelled).await
}

#[tokio::test]
async fn a_cancelled_meeting_of_somebody_who_has_not_agreed_ends_its_booking() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    meeting.cancel()?;
    assert_ended(&contoso, &meeting, EndReason::Cancelled).await
}

#[tokio::test]
async fn a_room_taken_out_of_the_meeting_is_free_even_if_its_name_stays_as_location() -> TestResult
{
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    meeting.change_rooms_keeping_location(&[])?;
    assert_ended(&contoso, &meeting, EndReason::RoomRemoved).await
}

#[tokio::test]
async fn a_room_whose_copy_an_administrator_removed_is_free() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    meeting.delete_from(&contoso.aurora)?;
    assert_ended(&contoso, &meeting, EndReason::RoomLeft).await
}

#[tokio::test]
async fn an_organizers_copy_that_vanished_without_a_cancellation_does_not_free_the_room()
-> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    meeting.delete_silently()?;
    contoso.run_for(minutes(5)).await;
    wanted_facts(&contoso.expect_booking(&meeting, &contoso.aurora).await?)?;
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?.len(), 1);
    // The room's calendar still has it; once that copy is gone, too, the room is free.
    meeting.delete_from(&contoso.aurora)?;
    assert_ended(&contoso, &meeting, EndReason::Cancelled).await
}

async fn a_meeting_that_changes_room_frees_one_and_takes_the_other(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    meeting.change_rooms(&[borealis])?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    assert_eq!(contoso.ledger_slots(borealis, "2026-11-24").await?.len(), 1);
    assert_eq!(meeting.response_of(borealis), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("released"));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, borealis)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_change_that_does_not_concern_the_booking_changes_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    let before = contoso.expect_booking(&meeting, &contoso.aurora).await?;
    let answers = contoso.graph_requests("POST", "/users/{id}/events/{id}/accept").len();
    meeting.rename("Something else")?;
    meeting.change_location_text("Somewhere else")?;
    contoso.run_for(minutes(10)).await;
    assert!(contoso.expect_booking(&meeting, &contoso.aurora).await? == before);
    assert_eq!(contoso.graph_requests("POST", "/users/{id}/events/{id}/accept").len(), answers);
    contoso.assert_healthy().await
}

/// Posts a notification, as Graph sends it, that the copy in `mailbox` has changed.
async fn post_change_notification(
    contoso: &Contoso,
    mailbox: &Mailbox,
    event: &str,
    change: &str,
) -> TestResult {
    let item = json!({
        "clientState": contoso.client_state(mailbox).await?,
        "tenantId": contoso.tenant.id(),
        "changeType": change,
        "resourceData": { "id": event },
    });
    assert_eq!(contoso.post(json!({ "value": [item] }).to_string()).await?, 202);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_is_not_found_is_read_again_after_ten_seconds() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    world.microsoft.graph.drop_next(1_000);
    meeting.cancel()?;
    contoso.run_for(seconds(5)).await;
    world.microsoft.graph.drop_next(0);
    world.microsoft.graph.clear_requests();
    post_change_notification(&contoso, anna, &event, "updated").await?;
    contoso.run_for(seconds(9)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1);
    assert_eq!(contoso.graph_requests("GET", "/users/{id}/calendar"), []);
    wanted_facts(&contoso.expect_booking(&meeting, &contoso.aurora).await?)?;
    contoso.run_for(seconds(6)).await;
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 2);
    assert_eq!(
        contoso.graph_requests("GET", "/users/{id}/calendar").len(),
        1,
        "it can be read, so it is gone"
    );
    // The room's copy is known, and lives as far as anybody knows.
    world.fixtures().send_task(&contoso.aurora, MailboxTaskKind::Resync).await?;
    assert_ended(&contoso, &meeting, EndReason::Cancelled).await
}

#[tokio::test]
async fn a_mailbox_that_is_gone_says_nothing_about_its_meetings() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    anna.delete_mailbox();
    post_change_notification(&contoso, anna, &event, "deleted").await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(
        contoso.ledger_slots(aurora, "2026-11-24").await?.len(),
        1,
        "never taken for cancelled"
    );
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].function.as_str(), failures[0].subject.as_str()),
        ("fetch-event", anna.id())
    );
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_took_its_consent_back_is_not_taken_for_one_without_meetings() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, world, .. } = &contoso;
    let meeting = book_meeting(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    world.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    contoso.run_for(hours(2)).await; // tokens run out
    post_change_notification(&contoso, anna, &event, "deleted").await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    world.microsoft.entra.consent(
        tenant.id(),
        DAEMON_APP,
        &["Calendars.Read", "Calendars.ReadWrite"],
    );
    contoso.run_for(hours(2)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_is_moved_keeps_its_booking_and_takes_the_new_time() -> TestResult {
    let contoso = Contoso::open().await?;
    let meeting = book_meeting(&contoso).await?;
    let before = contoso.expect_booking(&meeting, &contoso.aurora).await?;
    meeting.move_to(at("2026-11-25T09:00"), at("2026-11-25T10:00"))?;
    contoso.run_for(minutes(2)).await;
    let after = contoso.expect_booking(&meeting, &contoso.aurora).await?;
    assert_eq!((after.id, after.generation), (before.id, before.generation));
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?, []);
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-25").await?.len(), 1);
    contoso.assert_healthy().await
}
