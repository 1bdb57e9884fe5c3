//! An administrator sets a booking system up, with everything that can be wrong on the way.

use roombridge::domain::tenant::policy::ResponseMode;
use world::exchange::Processing;
use world::librebooking::{Layout, LibreBooking};

use super::driver::{Chromium, PHONE};
use super::northwind::Northwind;
use super::onboarding::connect;
use crate::TestResult;

const ACCOUNT: &str = "roombridge@northwind.example";
const FACILITIES: &str = "facilities@northwind.example";
const PASSWORD: &str = "correct horse";
const SCRIPT: &str = "<script>document.title = 'hacked'</script><img src=x onerror=alert(1)>Atrium";

#[tokio::test]
async fn a_booking_system_is_set_up_used_and_left_again() -> TestResult {
    let Some(northwind) = Northwind::open().await? else { return Ok(()) };
    let Northwind { world, tenant, ada, .. } = &northwind;
    let libre = &world.librebooking;
    // The account is no administrator at first.
    libre.add_user(ACCOUNT, PASSWORD, false);
    libre.add_user(FACILITIES, PASSWORD, false);
    let aurora = libre.add_room("Aurora", Some(8), Layout::ALWAYS);
    libre.add_room(SCRIPT, None, Layout::ALWAYS);
    let admin = connect(&northwind, ada).await?;
    let borealis = tenant.room("Borealis", Processing::AutoUpdate);
    world.fixtures.manage_room(&borealis, ResponseMode::RoombridgeDecides).await?;
    northwind.wait_for_subscriptions(2).await?;

    admin.click("Booking system").await?;
    admin.wait_for_text("The booking system built into Roombridge.").await?;
    admin.assert_accessible().await?;
    connect_with_mistakes(&admin, libre).await?;
    map_half_of_the_rooms(&admin).await?;
    check_on_a_phone(&northwind, ada).await?;
    go_live(&admin).await?;

    let meeting = northwind.invite_aurora("Quarterly numbers", 11)?;
    let booked = async || Ok((libre.reservations(aurora).len() == 1).then_some(()));
    world.wait_for("LibreBooking has the meeting", booked).await?;
    leave(&admin).await?;
    let ended = async || Ok(libre.reservations(aurora).is_empty().then_some(()));
    world.wait_for("the booking has followed", ended).await?;
    assert_eq!(world.bookings_of(&meeting).await?.len(), 1);
    admin.goto(&northwind.page("consent/booking-system")).await?;
    admin.click("Disconnect this system").await?;
    admin.wait_for_text("The account is deleted from the vault.").await?;
    admin.assert_accessible().await?;
    admin.press_option("form", "sure", "yes").await?;
    admin.click("Disconnect this system").await?;
    admin.wait_for_text("The booking system was disconnected.").await?;
    admin.click("Register").await?;
    admin.wait_for_text("booking system").await?;
    assert!(!admin.text().await?.contains(PASSWORD));
    admin.close().await
}

/// A wrong password, then a missing right, then it works.
async fn connect_with_mistakes(admin: &Chromium, libre: &LibreBooking) -> TestResult {
    admin.click("Connect a booking system").await?;
    admin.wait_for_text("Only addresses that the people who run Roombridge have allowed.").await?;
    admin.click("Save").await?;
    admin.wait_for_text("Enter the login.").await?;
    admin.assert_accessible().await?;
    admin.fill("login", ACCOUNT).await?;
    admin.fill("password", "wrong").await?;
    admin.fill("requester", FACILITIES).await?;
    admin.screenshot("booking-system-connection").await?;
    admin.click("Save").await?;
    admin.wait_for_text("This system is not in use.").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system").await?;
    admin.click("Test the connection").await?;
    admin.wait_for_text("LibreBooking refuses the account").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-wrong-password").await?;
    admin.click("Account and settings").await?;
    admin.wait_for_text("No page shows them again").await?;
    for field in ["login", "password"] {
        let value = format!("document.querySelector('[name={field}]').value");
        assert_eq!(admin.evaluate(&value).await?, "", "{field}");
    }
    admin.fill("login", ACCOUNT).await?;
    admin.fill("password", PASSWORD).await?;
    admin.click("Save").await?;
    admin.click("Test the connection").await?;
    admin.wait_for_text("Application Administrator").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-missing-right").await?;
    libre.set_administrator(ACCOUNT, true);
    admin.click("Test the connection").await?;
    admin.wait_for_text("The account has everything that Roombridge needs.").await?;
    admin.wait_for_text("alert(1)").await?;
    assert_no_script(admin).await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-check").await?;
    admin.click("Back to the booking system").await
}

async fn map_half_of_the_rooms(admin: &Chromium) -> TestResult {
    admin.click("Map rooms").await?;
    admin.wait_for_text("Proposal, not saved yet").await?;
    admin.wait_for_text("0 of 2 managed rooms").await?;
    assert_no_script(admin).await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-rooms").await?;
    admin.click("Save these rooms").await?;
    admin.wait_for_text("1 of 2 managed rooms").await?;
    admin.click("Enter the rooms as a file (CSV)").await?;
    admin.fill("csv", "room,system_room\nnobody@northwind.example,1").await?;
    admin.click("Show what would change").await?;
    admin.wait_for_text("Line 2: no managed room has the address").await?;
    admin.assert_accessible().await?;
    admin.fill("csv", "room,system_room\naurora@northwind.example,2").await?;
    admin.click("Show what would change").await?;
    admin.wait_for_text("Save these changes").await?;
    assert_no_script(admin).await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-import").await?;
    admin.click("Back to the rooms").await?;
    admin.wait_for_text("1 of 2 managed rooms").await?;
    admin.click("Back to the booking system").await?;
    admin.click("Dry run").await?;
    admin.wait_for_text("nothing was changed").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-dry-run").await?;
    admin.click("Back to the booking system").await
}

async fn go_live(admin: &Chromium) -> TestResult {
    admin.click("Use this booking system").await?;
    admin.wait_for_text("Managed rooms that are not mapped: 1").await?;
    admin.assert_accessible().await?;
    admin.click("Change").await?;
    admin.wait_for_text("Tick the box to change the booking system.").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-use").await?;
    admin.press_option("form", "unmapped", "yes").await?;
    admin.press_option("form", "sure", "yes").await?;
    admin.click("Change").await?;
    admin.wait_for_text("The change is made.").await?;
    admin.wait_for_text("This system is in use.").await?;
    admin.assert_accessible().await?;
    admin.screenshot("booking-system-in-use").await?;
    Ok(())
}

async fn leave(admin: &Chromium) -> TestResult {
    admin.click("Change back to the built-in booking system").await?;
    admin.wait_for_text("You can change back at any time.").await?;
    admin.assert_accessible().await?;
    admin.press_option("form", "sure", "yes").await?;
    admin.click("Change").await?;
    admin.wait_for_text("The change is made.").await
}

/// The same pages in the dark, where nobody scrolls sideways.
async fn check_on_a_phone(northwind: &Northwind, ada: &str) -> TestResult {
    let phone = northwind.signed_in(ada, "consent", PHONE).await?;
    for (page, name) in [
        ("booking-system", "booking-system-phone"),
        ("booking-system-connection?system=1", "booking-system-connection-phone"),
        ("booking-system-rooms?system=1", "booking-system-rooms-phone"),
        ("booking-system-use?system=1", "booking-system-use-phone"),
    ] {
        phone.goto(&northwind.page(&format!("consent/{page}"))).await?;
        phone.assert_accessible().await?;
        phone.screenshot(name).await?;
        assert!(phone.fits_viewport().await?, "{page}");
    }
    phone.close().await
}

/// What the system calls a room is text.
async fn assert_no_script(browser: &Chromium) -> TestResult {
    assert_ne!(browser.evaluate("document.title").await?, "hacked");
    let made =
        browser.evaluate("document.querySelectorAll('main script, main img').length").await?;
    assert_eq!(made, 0);
    Ok(())
}
