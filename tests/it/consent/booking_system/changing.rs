//! The dry run, going live, changing back, and disconnecting: no booking is lost or made twice on the way.

use http::StatusCode;
use roombridge::domain::booking_system::SystemId;
use roombridge::domain::ids::TenantId;
use world::exchange::{Meeting, Response};
use world::test_world::{INVITED_TENANT, LIBREBOOKING_URL};

use super::{ACCOUNT, FIRST, WithLibreBooking};
use crate::contoso::{at, hours, minutes};
use crate::{TestError, TestResult};

const SURE: &[(&str, &str)] = &[("sure", "yes")];
const UNMAPPED: &[(&str, &str)] = &[("sure", "yes"), ("unmapped", "yes")];

impl WithLibreBooking {
    fn meet_in_aurora(&self, from: &str, to: &str) -> Result<Meeting, TestError> {
        self.contoso.meet(&self.contoso.anna, (from, to), &self.contoso.aurora)
    }

    async fn held_in(&self, meeting: &Meeting) -> Result<Option<SystemId>, TestError> {
        let booking = self.contoso.expect_booking(meeting, &self.contoso.aurora).await?;
        Ok(booking.confirmed().map(|held| held.system))
    }

    fn name(&self) -> String {
        format!("LibreBooking {LIBREBOOKING_URL}")
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_booked_and_what_is_in_the_way() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let WithLibreBooking { contoso, libre, aurora, .. } = &with;
    with.meet_in_aurora("09:00", "10:00")?;
    with.meet_in_aurora("11:00", "12:00")?;
    contoso.meet(&contoso.anna, ("13:00", "14:00"), &contoso.borealis)?;
    contoso.run_for(minutes(10)).await;
    libre.reserve(*aurora, 2, (at("11:30"), at("12:30")), "Board <script>");
    libre.reserve(*aurora, 2, (at("2027-01-20T11:30"), at("2027-01-20T12:30")), "Board");
    let browser = contoso.signed_in_admin().await?;
    with.map(&browser, ["1", ""]).await?;
    let before = libre.all_reservations();
    let page = browser.post("booking-system-dry-run", &[("system", "1"), ("from", "0")]).await?;
    let counts = ["would-be-booked", "would-collide", "left-out"].map(|id| page.text_of_id(id));
    assert_eq!(counts, ["1", "1", "1"], "{}", page.text);
    assert!(page.text.contains("<td>2</td><td>1</td><td>2</td>"), "{}", page.text);
    assert!(!page.text.contains("Board") && !page.text.contains("Quarterly"), "numbers alone");
    assert_eq!(libre.all_reservations(), before);
    Ok(())
}

#[tokio::test]
async fn bookings_follow_to_another_system_and_back_and_none_is_lost() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let WithLibreBooking { contoso, libre, aurora, .. } = &with;
    let meeting = with.meet_in_aurora("09:00", "10:00")?;
    contoso.run_for(minutes(10)).await;
    let browser = contoso.signed_in_admin().await?;
    with.map(&browser, ["1", "2"]).await?;
    let done = with.change_to(&browser, "1", SURE).await?;
    assert_eq!(done.location(), "/api/consent/booking-system?in-use", "{}", done.text);
    let page = browser.get(done.location()).await?;
    assert!(page.text.contains("This system is in use."), "{}", page.text);
    assert!(page.text.contains("id=\"moving\""), "{}", page.text);
    contoso.run_for(minutes(30)).await;
    assert_eq!(with.held_in(&meeting).await?, Some(FIRST));
    assert_eq!(libre.reservations(*aurora).len(), 1);
    let later = with.meet_in_aurora("15:00", "16:00")?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(with.held_in(&later).await?, Some(FIRST));
    assert_eq!(later.response_of(&contoso.aurora), Some(Response::Accepted));

    let browser = contoso.signed_in_admin().await?;
    let page = with.change_to(&browser, "0", &[]).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    with.change_to(&browser, "0", SURE).await?;
    contoso.run_for(minutes(30)).await;
    for meeting in [&meeting, &later] {
        assert_eq!(with.held_in(meeting).await?, Some(SystemId::BUILT_IN));
        assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    }
    assert_eq!(libre.all_reservations(), []);
    let decided = contoso.system_decisions().await?;
    let expected =
        [("connected", with.name()), ("in use", with.name()), ("in use", "built-in".to_owned())];
    assert_eq!(decided, expected);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn going_live_by_accident_twice_or_with_a_useless_account_is_refused() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    with.map(&browser, ["1", ""]).await?;
    let page = browser.get("booking-system-use?system=1").await?;
    assert!(page.text.contains("Managed rooms that are not mapped: 1"), "{}", page.text);
    let version = page.value("version");
    for (ticked, words) in [
        (&[][..], "Tick the box to change the booking system."),
        (SURE, "tick the box if they are not to be booked"),
    ] {
        let page = with.change_to(&browser, "1", ticked).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text.contains(words), "{}", page.text);
    }
    with.libre.set_administrator(ACCOUNT, false);
    let page = with.change_to(&browser, "1", UNMAPPED).await?;
    assert!(page.text.contains("Application Administrator"), "{}", page.text);
    with.libre.set_administrator(ACCOUNT, true);
    with.libre.set_breakdown(world::librebooking::Breakdown::Overloaded(60));
    let page = with.change_to(&browser, "1", UNMAPPED).await?;
    assert!(page.text.contains("LibreBooking does not answer"), "{}", page.text);
    with.libre.set_breakdown(world::librebooking::Breakdown::Working);
    assert!(with.contoso.systems().await?.current.is_built_in());
    for system in ["7", "x", ""] {
        assert_eq!(browser.get(&format!("booking-system-use?system={system}")).await?.status, 404);
    }

    assert_eq!(with.change_to(&browser, "1", UNMAPPED).await?.status, StatusCode::SEE_OTHER);
    with.contoso.run_for(minutes(1)).await;
    with.change_to(&browser, "0", SURE).await?;
    // A form from before does not change it once more.
    let replay = [&[("system", "1"), ("version", &*version)], UNMAPPED].concat();
    assert_eq!(browser.post("booking-system-use", &replay).await?.status, StatusCode::CONFLICT);
    assert!(with.contoso.systems().await?.current.is_built_in());
    Ok(())
}

#[tokio::test]
async fn a_room_that_holds_bookings_is_not_mapped_elsewhere() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    with.map(&browser, ["1", ""]).await?;
    with.change_to(&browser, "1", UNMAPPED).await?;
    let meeting = with.meet_in_aurora("09:00", "10:00")?;
    with.contoso.run_for(minutes(10)).await;
    for rooms in [["2", ""], ["", "1"]] {
        let page = with.map(&browser, rooms).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{rooms:?}");
        assert!(page.text.contains("holds bookings of this room (1)"), "{}", page.text);
    }
    // One that had none gets its bookings now.
    assert_eq!(with.map(&browser, ["1", "2"]).await?.status, StatusCode::SEE_OTHER);
    meeting.cancel()?;
    with.contoso.run_for(minutes(10)).await;
    assert_eq!(with.libre.all_reservations(), []);
    assert_eq!(with.map(&browser, ["", "2"]).await?.status, StatusCode::SEE_OTHER);
    Ok(())
}

#[tokio::test]
async fn disconnecting_deletes_the_account_and_leaves_bookings_only_where_that_is_said()
-> TestResult {
    let with = WithLibreBooking::open().await?;
    let WithLibreBooking { contoso, libre, aurora, .. } = &with;
    let browser = contoso.signed_in_admin().await?;
    with.map(&browser, ["1", "2"]).await?;
    with.change_to(&browser, "1", SURE).await?;
    let meeting = with.meet_in_aurora("09:00", "10:00")?;
    contoso.run_for(minutes(10)).await;
    let page = browser.get("booking-system-remove?system=1").await?;
    assert!(page.text.contains("Change to another one first."), "{}", page.text);
    let version = browser.get("booking-system-connection?system=1").await?.value("version");
    let form = [("system", "1"), ("version", &*version), ("sure", "yes"), ("leave", "yes")];
    assert_eq!(browser.post("booking-system-remove", &form).await?.status, StatusCode::CONFLICT);
    // Away from a system that does not answer: its booking is left there.
    libre.set_breakdown(world::librebooking::Breakdown::Overloaded(60));
    with.change_to(&browser, "0", SURE).await?;
    contoso.run_for(minutes(5)).await;
    let page = browser.get("booking-system-remove?system=1").await?;
    assert!(page.text_of_id("left").ends_with(": 1"), "{}", page.text);
    let page = browser.post("booking-system-remove", &form[..3]).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(contoso.world.system_credentials.count(), 1);
    let page = browser.submit("booking-system-remove", &form).await?;
    assert!(page.text.contains("The booking system was disconnected."), "{}", page.text);
    assert_eq!(contoso.world.system_credentials.count(), 0);
    let decided = contoso.system_decisions().await?;
    assert_eq!(decided.last(), Some(&("disconnected", with.name())));

    // Here the meeting keeps its room; what is there nobody touches, and its number is never given again.
    libre.set_breakdown(world::librebooking::Breakdown::Working);
    contoso.run_for(hours(30)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Accepted));
    assert_eq!(libre.reservations(*aurora).len(), 1);
    assert_eq!(contoso.systems().await?.next_id(), SystemId(2));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_organisation_that_leaves_takes_its_accounts_out_of_the_vault() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    browser.submit("disconnect", SURE).await?;
    with.contoso.run_for(minutes(20)).await;
    let kept = with.contoso.world.system_credentials.peek(TenantId(INVITED_TENANT), FIRST);
    assert_eq!(kept, None);
    let systems = with.contoso.systems().await?;
    assert!(systems.all.is_empty() && systems.next_id() == SystemId(2));
    Ok(())
}
