//! An organisation comes, its people decide, and it leaves.

use roombridge::domain::booking::ObservedState;
use roombridge::store::tables::Table;
use world::exchange::{Meeting, Response};

use super::driver::{Chromium, DESKTOP, PHONE};
use super::northwind::Northwind;
use crate::contoso::decisions;
use crate::{TestError, TestResult};

#[tokio::test]
async fn an_organisation_connects_a_person_decides_and_all_leave_again() -> TestResult {
    let Some(northwind) = Northwind::open().await? else { return Ok(()) };
    let Northwind { world, ada, anna, aurora, .. } = &northwind;
    let admin = connect(&northwind, ada).await?;
    northwind.wait_for_subscriptions(1).await?;
    // From now on only those who agreed are booked.
    admin.click("Policy").await?;
    admin.screenshot("consent-policy").await?;
    admin.press_option("form", "rooms-subscribed", "yes").await?;
    admin.press_option("form", "subject", "keep").await?;
    admin.click("Save").await?;
    admin.wait_for_text("Calendars are being brought in line.").await?;
    northwind.wait_for_subscriptions(0).await?;

    // What can really be reached is tried, not believed.
    admin.click("Reach").await?;
    admin.fill("inside", anna.address()).await?;
    admin.fill("outside", aurora.address()).await?;
    admin.click("Try").await?;
    admin.wait_for_text("With organisation-wide access we can reach every calendar.").await?;
    admin.screenshot("consent-reach").await?;

    let employee = northwind.signed_in(anna.id(), "my-calendar", DESKTOP).await?;
    employee.wait_for_text("Your calendar is not followed.").await?;
    employee.screenshot("my-calendar-before").await?;
    employee.click("Agree").await?;
    employee.wait_for_text("Tick the box if you agree.").await?;
    employee.press_option("#agree-form", "agree", "yes").await?;
    employee.click("Agree").await?;
    employee.wait_for_text("Your calendar is followed.").await?;
    northwind.wait_for_subscriptions(1).await?;

    // What is posted now becomes a booking.
    let meeting = northwind.invite_aurora("Quarterly numbers", 11)?;
    northwind.wait_until_booked(&meeting).await?;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    employee.goto(&northwind.page("my-calendar")).await?;
    employee.wait_for_text("Quarterly numbers").await?;
    employee.screenshot("my-calendar-followed").await?;
    // A series is one entry; it is unfolded where a date was not booked.
    let weekly = northwind.invite_aurora_weekly("Weekly numbers", 11)?;
    northwind.wait_until_dates_are_decided(&weekly, 3).await?;
    employee.goto(&northwind.page("my-calendar")).await?;
    employee.wait_for_text("Dates booked: 2, not booked: 1").await?;
    employee.wait_for_text("not booked: another meeting has the room").await?;
    employee.screenshot("my-calendar-series").await?;

    check_health_page(&northwind, &admin, ada).await?;
    withdraw(&northwind, &employee).await?;
    erase_after_new_booking(&northwind, &employee, [&meeting, &weekly]).await?;

    // The record of it all, and the end.
    admin.click("Register").await?;
    admin.wait_for_text(anna.id()).await?;
    admin.screenshot("consent-register").await?;
    admin.click("Disconnect").await?;
    admin.press_option("form", "sure", "yes").await?;
    admin.screenshot("consent-disconnect").await?;
    admin.click("Disconnect").await?;
    admin.wait_for_text("Disconnected").await?;
    assert_eq!(world.microsoft.graph.subscriptions().len(), 0);
    for table in Table::ALL {
        let kept = matches!(table, Table::Tenants | Table::Register | Table::Audit);
        let rows = northwind.rows(table).await?;
        assert!(kept || rows.is_empty(), "{table:?}: {rows:?}");
    }
    assert!(decisions(&world.tables, northwind.tenant.id().parse()?).await?.len() >= 7);
    Ok(())
}

/// How well calendars are followed, and what was asked: at a desk, and on a phone at night.
async fn check_health_page(northwind: &Northwind, admin: &Chromium, ada: &str) -> TestResult {
    admin.click("Health").await?;
    admin.wait_for_text("How calendars are followed").await?;
    admin.click("Compare now").await?;
    admin.wait_for_text("Every calendar is being compared.").await?;
    admin.screenshot("consent-health").await?;
    assert!(admin.fits_viewport().await?);
    admin.click("Audit").await?;
    admin.wait_for_text("Forbidden fields requested from Microsoft").await?;
    admin.screenshot("consent-audit").await?;
    assert!(admin.fits_viewport().await?);
    admin.fill("from", "2026-13-01").await?;
    admin.click("Show these days").await?;
    admin.wait_for_text("This is not a date.").await?;
    let phone = northwind.signed_in(ada, "consent", PHONE).await?;
    for (link, words, name) in [
        ("Health", "What the last comparison found", "consent-health-phone"),
        ("Audit", "What this cannot say", "consent-audit-phone"),
    ] {
        phone.click(link).await?;
        phone.wait_for_text(words).await?;
        phone.screenshot(name).await?;
        assert!(phone.fits_viewport().await?, "nobody scrolls sideways");
    }
    phone.close().await
}

/// Ada connects Northwind, and has Aurora managed.
pub(super) async fn connect(northwind: &Northwind, ada: &str) -> Result<Chromium, TestError> {
    let admin = northwind.signed_in(ada, "consent", DESKTOP).await?;
    admin.wait_for_text("Which way?").await?;
    admin.screenshot("consent-start").await?;
    admin.press_option("form", "mode", "organisation-wide").await?;
    admin.click("Continue").await?;
    admin.wait_for_text("The next page is Microsoft's").await?;
    admin.click("Continue to Microsoft").await?;
    admin.wait_for_text("Calendars.ReadWrite").await?;
    admin.click_value("user", ada).await?;
    admin.wait_for_text("Your organisation is connected.").await?;
    admin.screenshot("consent-overview").await?;
    admin.click("Rooms").await?;
    admin.wait_for_text("Aurora").await?;
    admin.select_value("mode", "roombridge").await?;
    admin.fill("zone", "Europe/Atlantis").await?;
    admin.click("Save these rooms").await?;
    admin.wait_for_text("this is not a time zone").await?;
    admin.fill("zone", "Europe/Amsterdam").await?;
    admin.click("Save these rooms").await?;
    admin.wait_for_text("Saved.").await?;
    admin.screenshot("consent-rooms").await?;
    Ok(admin)
}

async fn withdraw(northwind: &Northwind, employee: &Chromium) -> TestResult {
    employee.press_option("#withdraw-form", "bookings", "released").await?;
    employee.click("Withdraw").await?;
    employee.wait_for_text("You have withdrawn.").await?;
    northwind.wait_for_subscriptions(0).await?;
    let later = northwind.invite_aurora("Not theirs to know", 14)?;
    // It is not notified, so nobody ever reads it; the next step gives it time to be wrong.
    employee.press_option("#agree-form", "agree", "yes").await?;
    assert_eq!(northwind.world.bookings_of(&later).await?, []);
    later.cancel()?;
    Ok(())
}

/// Agrees again, has a meeting booked, and then everything deleted.
async fn erase_after_new_booking(
    northwind: &Northwind,
    employee: &Chromium,
    earlier: [&Meeting; 2],
) -> TestResult {
    employee.click("Agree").await?;
    employee.wait_for_text("Your calendar is followed.").await?;
    northwind.wait_for_subscriptions(1).await?;
    let meeting = northwind.invite_aurora("Redundancies", 16)?;
    northwind.wait_until_booked(&meeting).await?;
    employee.goto(&northwind.page("my-calendar")).await?;
    employee.press_option("#erase-form", "bookings", "released").await?;
    employee.press_option("#erase-form", "confirm", "yes").await?;
    employee.click("Delete everything about me").await?;
    employee.wait_for_text("is being deleted").await?;
    northwind.wait_for_subscriptions(0).await?;
    northwind.assert_no_trace_of_anna(&[earlier[0], earlier[1], &meeting]).await?;
    employee.goto(&northwind.page("my-calendar")).await?;
    employee.wait_for_text("No appointment of yours is stored.").await?;
    employee.screenshot("my-calendar-erased").await?;
    Ok(())
}

impl Northwind {
    /// Waits until the meeting is booked.
    async fn wait_until_booked(&self, meeting: &Meeting) -> TestResult {
        let look = async || {
            let found = self.world.bookings_of(meeting).await?.into_iter().next();
            let booked = |booking: &roombridge::domain::booking::Booking| {
                matches!(booking.observed, ObservedState::Booked(_))
                    && booking.unsettled_due.is_none()
            };
            Ok(found.filter(booked).map(drop))
        };
        Ok(self.world.wait_for("the booking is settled", look).await?)
    }

    /// Waits until it is known, and shown in Outlook, what becomes of each date of a series.
    async fn wait_until_dates_are_decided(&self, series: &Meeting, dates: usize) -> TestResult {
        let look = async || {
            let found = self.world.bookings_of(series).await?;
            let is_settled = found.iter().all(|date| date.unsettled_due.is_none());
            Ok((is_settled && found.len() == dates).then_some(()))
        };
        Ok(self.world.wait_for("the series is settled", look).await?)
    }

    /// Waits until no row names Anna but those that may: the register, and the tombstone with what
    /// ends it.
    async fn assert_no_trace_of_anna(&self, meetings: &[&Meeting]) -> TestResult {
        let mut words: Vec<String> =
            [self.anna.id(), self.anna.address(), "Anna", "Quarterly", "Weekly", "Redundancies"]
                .map(str::to_owned)
                .into();
        words.extend(
            meetings
                .iter()
                .filter_map(|meeting| meeting.copy_in(&self.anna))
                .map(|copy| copy.event),
        );
        let look = async || {
            for table in Table::ALL {
                for row in self.world.rows(table).await? {
                    let own = matches!(table, Table::Mailboxes | Table::Due | Table::Register)
                        && row.key.row.ends_with(self.anna.id());
                    let text = format!("{row:?}");
                    if !own && words.iter().any(|word| text.contains(word.as_str())) {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(()))
        };
        Ok(self.world.wait_for("nothing names Anna", look).await?)
    }
}
