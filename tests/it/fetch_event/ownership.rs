//! Who speaks for an appointment: a client chooses the `iCalUId` of what it imports, so another
//! calendar may hold an item that looks like the organizer's copy, or like the room's.

use roombridge::domain::appointment::{DesiredState, EndReason};
use serde_json::json;
use world::exchange::{Invitation, Mailbox, Meeting, Response, Role};

use super::wanted_facts;
use crate::TestResult;
use crate::contoso::{Contoso, Who, at, hours, minutes};

const FOREIGN_ORGANIZER: &str = "another mailbox organizes the appointment with this iCalUId";

/// Everybody is followed, Ben too.
const EVERYBODY: [Who; 5] = [Who::Anna, Who::Ben, Who::Cleo, Who::Aurora, Who::Borealis];

#[tokio::test]
async fn a_colleagues_import_with_the_same_ical_uid_neither_moves_nor_releases_the_room()
-> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let before = contoso.expect_booking(&meeting, aurora).await?;

    let elsewhere = Invitation::new("Mine", at("15:00"), at("16:00")).room(aurora);
    let forged = ben.import(meeting.ical(), elsewhere)?;
    contoso.run_for(minutes(30)).await;
    ben.remove_event(&forged);
    ben.import(meeting.ical(), Invitation::new("Mine", at("09:00"), at("10:00")))?;
    contoso.run_for(minutes(30)).await;

    let after = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!((&after.desired, &after.observed), (&before.desired, &before.observed));
    assert_eq!(after.known_copies, before.known_copies);
    assert_eq!(contoso.appointment_count(ben).await?, 0, "Ben's item leaves nothing behind");
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].cause.ends_with(FOREIGN_ORGANIZER), "{failures:?}");
    Ok(())
}

#[tokio::test]
async fn withdrawing_gives_up_no_room_that_a_colleague_has() -> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    ben.import(meeting.ical(), Invitation::new("Mine", at("09:00"), at("10:00")).room(aurora))?;
    contoso.run_for(minutes(5)).await;
    let browser = crate::http_browser::Browser::new(&contoso.world, "my-calendar");
    browser.sign_in(ben.id()).await?;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    contoso.run_for(hours(1)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn where_rooms_are_not_followed_the_first_calendar_keeps_the_appointment() -> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
    contoso.run_for(minutes(5)).await;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    ben.import(meeting.ical(), Invitation::new("Mine", at("15:00"), at("16:00")).room(aurora))?;
    contoso.run_for(minutes(30)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&booking)?.interval.start(), at("09:00"));
    let failures = contoso.failures().await?;
    assert!(failures.iter().any(|f| f.cause.ends_with(FOREIGN_ORGANIZER)), "{failures:?}");
    Ok(())
}

#[tokio::test]
async fn the_rooms_copy_says_who_the_organizer_is_though_an_import_was_read_first() -> TestResult {
    let contoso = Contoso::builder().followed(&[Who::Ben, Who::Aurora]).open().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    contoso.world.microsoft.exchange.set_propagation_delay(minutes(2));
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    ben.import(meeting.ical(), Invitation::new("Mine", at("15:00"), at("16:00")).room(aurora))?;
    contoso.run_for(minutes(1)).await;
    let first = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&first)?.interval.start(), at("15:00"), "Ben is read first");
    contoso.run_for(minutes(30)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&booking)?.interval.start(), at("09:00"));
    assert!(booking.published.room.is_some(), "Anna is answered");
    Ok(())
}

#[tokio::test]
async fn a_second_event_in_the_rooms_calendar_does_not_replace_the_living_one() -> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let before = contoso.expect_booking(&meeting, aurora).await?;
    let invitation = Invitation::new("Numbers", at("15:00"), at("16:00")).room(aurora);
    let second = aurora.import_invitation(cleo, meeting.ical(), invitation)?;
    contoso.run_for(minutes(30)).await;
    aurora.remove_event(&second);
    contoso.run_for(minutes(30)).await;
    let after = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!((after.desired, after.copies), (before.desired, before.copies));
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    Ok(())
}

#[tokio::test]
async fn a_meeting_that_names_its_room_otherwise_stays_booked_while_the_rooms_calendar_holds_it()
-> TestResult {
    for (name, address) in [
        ("Aurora", "/o=ExchangeLabs/ou=Exchange Administrative Group/cn=Recipients/cn=aurora"),
        ("Aurora", "Aurora"),
        ("Aurora", "Aurora <aurora@contoso.example>"),
    ] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, ben, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        meeting.respell_room(name, address)?;
        contoso.run_for(hours(1)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert!(matches!(booking.desired, DesiredState::Wanted(_)), "{address}: {booking:?}");
        let rival = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        assert_eq!(rival.response_of(aurora), Some(Response::Declined), "{address}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_meeting_that_is_forwarded_to_a_room_its_organizer_had_removed_is_answered() -> TestResult
{
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    meeting.change_rooms(&[])?;
    contoso.run_for(minutes(5)).await;
    let removed = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(removed.desired, DesiredState::Unwanted(EndReason::RoomRemoved));
    let forwarded = Invitation::new("Numbers", at("09:00"), at("10:00")).attendee(
        aurora.name(),
        aurora.address(),
        Role::Resource,
    );
    aurora.import_invitation(anna, meeting.ical(), forwarded)?;
    contoso.run_for(minutes(10)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert!(matches!(booking.desired, DesiredState::Wanted(_)), "{booking:?}");
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_meeting_that_was_saved_and_not_sent_holds_no_followed_room_beyond_a_quarter_of_an_hour()
-> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let draft = Invitation::new("Perhaps", at("09:00"), at("10:00")).room(aurora);
    anna.save_draft(draft)?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 0);
    let meeting = contoso.meet(cleo, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

/// What the room's calendar shows: free, and these answers.
fn show_free(contoso: &Contoso, meeting: &Meeting, answers: [(&Mailbox, &str); 2]) -> TestResult {
    let aurora = &contoso.aurora;
    let event = meeting.copy_in(aurora).ok_or("the room has a copy")?.event;
    let line = |(who, answer): (&Mailbox, &str)| {
        let kind = if who.is_room() { "resource" } else { "required" };
        json!({
            "type": kind,
            "status": { "response": answer, "time": "2026-11-23T09:00:00Z" },
            "emailAddress": { "name": who.name(), "address": who.address() },
        })
    };
    aurora.show_field(&event, "attendees", answers.map(line).into_iter().collect());
    aurora.show_field(&event, "showAs", json!("free"));
    Ok(())
}

#[tokio::test]
async fn a_declined_copy_that_stays_in_the_rooms_calendar_does_not_hold_the_room() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    show_free(&contoso, &meeting, [(aurora, "declined"), (cleo, "accepted")])?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 0);
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(booking.desired, DesiredState::Unwanted(EndReason::RoomLeft));
    Ok(())
}

#[tokio::test]
async fn free_alone_releases_nothing_and_nobody_elses_answer_counts() -> TestResult {
    for answer in ["accepted", "none", "tentativelyAccepted"] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, cleo, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        show_free(&contoso, &meeting, [(aurora, answer), (cleo, "declined")])?;
        contoso.run_for(hours(1)).await;
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1, "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_import_that_names_no_organizer_proves_nothing() -> TestResult {
    for organizer in
        [json!(null), json!({ "emailAddress": { "address": "/o=ExchangeLabs/cn=anna" } })]
    {
        // Anna has not agreed: the room's own copy is the only one that is known.
        let contoso = Contoso::builder().followed(&[Who::Ben, Who::Aurora]).open().await?;
        let Contoso { anna, ben, aurora, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        let elsewhere = Invitation::new("Mine", at("15:00"), at("16:00")).room(aurora);
        let forged = ben.import(meeting.ical(), elsewhere)?;
        ben.show_field(&forged, "organizer", organizer.clone());
        contoso.run_for(minutes(30)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(wanted_facts(&booking)?.interval.start(), at("09:00"), "{organizer}");
        assert_eq!(contoso.appointment_count(ben).await?, 0, "{organizer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_organizer_whose_address_is_written_in_two_ways_is_one() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let own = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    let legacy =
        json!({ "emailAddress": { "name": "Anna", "address": "/o=ExchangeLabs/cn=anna" } });
    anna.show_field(&own, "organizer", legacy);
    contoso.run_for(minutes(10)).await;
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(minutes(10)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&booking)?.interval.start(), at("11:00"));
    let outcome = contoso.outcome_property(&meeting, anna, aurora)?.ok_or("it is marked")?;
    assert_eq!(outcome["outcome"], "booked");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_calendar_that_is_imported_again_into_itself_releases_nothing() -> TestResult {
    for followed in [true, false] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, .. } = &contoso;
        contoso.change_policy(|policy| policy.rooms_subscribed = followed).await?;
        contoso.run_for(minutes(5)).await;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(5)).await;
        let again = Invitation::new("Numbers", at("09:00"), at("10:00")).room(aurora);
        let second = anna.import(meeting.ical(), again)?;
        contoso.run_for(minutes(10)).await;
        anna.remove_event(&second);
        contoso.run_for(minutes(10)).await;
        assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1, "{followed}");
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert!(matches!(booking.desired, DesiredState::Wanted(_)), "{followed}: {booking:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stranger_in_one_room_does_not_stop_the_change_of_another() -> TestResult {
    let contoso = Contoso::builder().followed(&EVERYBODY).open().await?;
    let Contoso { anna, ben, aurora, borealis, .. } = &contoso;
    contoso.change_policy(|policy| policy.rooms_subscribed = false).await?;
    contoso.run_for(minutes(5)).await;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    ben.import(meeting.ical(), Invitation::new("Mine", at("09:00"), at("10:00")).room(borealis))?;
    contoso.run_for(minutes(5)).await;
    meeting.move_to(at("14:00"), at("15:00"))?;
    meeting.change_rooms(&[aurora, borealis])?;
    contoso.run_for(minutes(30)).await;
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&booking)?.interval.start(), at("14:00"));
    let slots = contoso.ledger_slots(aurora, "2026-11-24").await?;
    assert_eq!(slots.len(), 1, "{slots:?}");
    let failures = contoso.failures().await?;
    assert!(failures.iter().any(|f| f.cause.ends_with(FOREIGN_ORGANIZER)), "{failures:?}");
    Ok(())
}

#[tokio::test]
async fn a_draft_that_is_sent_after_its_room_was_given_up_is_booked() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let draft = || Invitation::new("Perhaps", at("09:00"), at("10:00")).room(aurora);
    let ical = anna.save_draft(draft())?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 0);
    aurora.import_invitation(anna, &ical, draft())?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    contoso.assert_healthy().await
}
