//! What becomes of a booking when its appointment changes, or goes, or cannot be read.

use roombridge::domain::appointment::{Desired, Ended};
use roombridge::messages::Task;
use serde_json::json;
use world::exchange::{Mailbox, Meeting, Response, RoomRules};
use world::microsoft::DAEMON_APP;

use super::{EVENT, wanted};
use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(a_meeting_that_changes_room_frees_one_and_takes_the_other);

/// A booked meeting of Anna's in Aurora.
async fn booked(contoso: &Contoso) -> Result<Meeting, Failure> {
    let meeting = contoso.meet(&contoso.anna, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-24").await?.len(), 1);
    Ok(meeting)
}

/// The booking has ended for this reason, and the room is free.
async fn ended(contoso: &Contoso, meeting: &Meeting, why: Ended) -> Outcome {
    contoso.pass(minutes(5)).await;
    let booking = contoso.booked(meeting, &contoso.aurora).await?;
    assert_eq!(booking.desired, Desired::Unwanted(why));
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-24").await?, []);
    contoso.is_well().await
}

#[tokio::test]
async fn a_cancelled_meeting_ends_its_booking() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    meeting.cancel()?;
    ended(&contoso, &meeting, Ended::Cancelled).await
}

#[tokio::test]
async fn a_meeting_marked_cancelled_ends_its_booking_though_both_copies_stay() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.aurora.set_rules(RoomRules { keeps_cancelled: true, ..RoomRules::default() });
    let meeting = booked(&contoso).await?;
    meeting.cancel_keeping_copy()?;
    ended(&contoso, &meeting, Ended::Cancelled).await
}

#[tokio::test]
async fn a_cancelled_meeting_of_somebody_who_has_not_agreed_ends_its_booking() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    meeting.cancel()?;
    ended(&contoso, &meeting, Ended::Cancelled).await
}

#[tokio::test]
async fn a_room_taken_out_of_the_meeting_is_free_even_if_its_name_stays_as_location() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    meeting.change_rooms_keeping_location(&[])?;
    ended(&contoso, &meeting, Ended::RoomRemoved).await
}

#[tokio::test]
async fn a_room_whose_copy_an_administrator_removed_is_free() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    meeting.delete_from(&contoso.aurora)?;
    ended(&contoso, &meeting, Ended::RoomLeft).await
}

#[tokio::test]
async fn an_organizers_copy_that_vanished_without_a_cancellation_does_not_free_the_room() -> Outcome
{
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    meeting.delete_silently()?;
    contoso.pass(minutes(5)).await;
    wanted(&contoso.booked(&meeting, &contoso.aurora).await?)?;
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-24").await?.len(), 1);
    // The room's calendar still holds it, and when that goes too, the room is free.
    meeting.delete_from(&contoso.aurora)?;
    ended(&contoso, &meeting, Ended::Cancelled).await
}

async fn a_meeting_that_changes_room_frees_one_and_takes_the_other(contoso: Contoso) -> Outcome {
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let meeting = booked(&contoso).await?;
    meeting.change_rooms(&[borealis])?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?, []);
    assert_eq!(contoso.taken(borealis, "2026-11-24").await?.len(), 1);
    assert_eq!(meeting.answer_of(borealis), Some(Response::Accepted));
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("released"));
    assert_eq!(contoso.outcome(&meeting, anna, borealis)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_change_that_does_not_concern_the_booking_changes_nothing() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    let before = contoso.booked(&meeting, &contoso.aurora).await?;
    let answers = contoso.asked("POST", "/users/{id}/events/{id}/accept").len();
    meeting.rename("Something else")?;
    meeting.change_location_text("Somewhere else")?;
    contoso.pass(minutes(10)).await;
    assert!(contoso.booked(&meeting, &contoso.aurora).await? == before);
    assert_eq!(contoso.asked("POST", "/users/{id}/events/{id}/accept").len(), answers);
    contoso.is_well().await
}

/// Tells us, in the words of Graph, that `mailbox`'s copy is different.
async fn tell(contoso: &Contoso, mailbox: &Mailbox, event: &str, change: &str) -> Outcome {
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
async fn a_copy_that_cannot_be_found_is_looked_for_again_after_ten_seconds() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    let meeting = booked(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    office.microsoft.graph.drop_next(1_000);
    meeting.cancel()?;
    contoso.pass(seconds(5)).await;
    office.microsoft.graph.drop_next(0);
    office.microsoft.graph.clear_requests();
    tell(&contoso, anna, &event, "updated").await?;
    contoso.pass(seconds(9)).await;
    assert_eq!(contoso.asked("GET", EVENT).len(), 1);
    assert_eq!(contoso.asked("GET", "/users/{id}/calendar"), []);
    wanted(&contoso.booked(&meeting, &contoso.aurora).await?)?;
    contoso.pass(seconds(6)).await;
    assert_eq!(contoso.asked("GET", EVENT).len(), 2);
    assert_eq!(
        contoso.asked("GET", "/users/{id}/calendar").len(),
        1,
        "it can be read, so it is gone"
    );
    // The room's copy is known, and lives as far as anybody knows.
    office.seeding().task(&contoso.aurora, Task::Resync).await?;
    ended(&contoso, &meeting, Ended::Cancelled).await
}

#[tokio::test]
async fn a_mailbox_that_is_gone_says_nothing_about_its_meetings() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = booked(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    anna.delete_mailbox();
    tell(&contoso, anna, &event, "deleted").await?;
    contoso.pass(minutes(30)).await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?.len(), 1, "never taken for cancelled");
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].function.as_str(), failures[0].subject.as_str()),
        ("fetch-event", anna.id())
    );
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_took_its_consent_back_is_not_taken_for_one_without_meetings() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, office, .. } = &contoso;
    let meeting = booked(&contoso).await?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    contoso.pass(hours(2)).await; // tokens run out
    tell(&contoso, anna, &event, "deleted").await?;
    contoso.pass(minutes(30)).await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?.len(), 1);
    office.microsoft.entra.consent(
        tenant.id(),
        DAEMON_APP,
        &["Calendars.Read", "Calendars.ReadWrite"],
    );
    contoso.pass(hours(2)).await;
    assert_eq!(contoso.taken(aurora, "2026-11-24").await?.len(), 1);
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    contoso.is_well().await
}

#[tokio::test]
async fn a_meeting_that_is_moved_keeps_its_booking_and_takes_the_new_time() -> Outcome {
    let contoso = Contoso::open().await?;
    let meeting = booked(&contoso).await?;
    let before = contoso.booked(&meeting, &contoso.aurora).await?;
    meeting.move_to(at("2026-11-25T09:00"), at("2026-11-25T10:00"))?;
    contoso.pass(minutes(2)).await;
    let after = contoso.booked(&meeting, &contoso.aurora).await?;
    assert_eq!((after.id, after.generation), (before.id, before.generation));
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-24").await?, []);
    assert_eq!(contoso.taken(&contoso.aurora, "2026-11-25").await?.len(), 1);
    contoso.is_well().await
}
