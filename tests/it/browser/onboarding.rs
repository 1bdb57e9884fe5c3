//! An organisation comes, its people decide, and it leaves.

use std::sync::Arc;

use roombridge::domain::booking::Observed;
use roombridge::store::register::Register;
use roombridge::store::tables::Table;
use world::exchange::{Meeting, Response};

use super::driver::{Browser, DESK, PHONE};
use super::northwind::Northwind;
use crate::{Failure, Outcome};

#[tokio::test]
async fn an_organisation_connects_a_person_decides_and_all_leave_again() -> Outcome {
    let northwind = Northwind::open().await?;
    let Northwind { world, ada, anna, aurora, .. } = &northwind;
    let admin = connected(&northwind, ada).await?;
    northwind.followed(1).await?;
    // From now on only those who agreed are booked.
    admin.press("Policy").await?;
    admin.picture("consent-policy").await?;
    admin.tick("form", "rooms-subscribed", "yes").await?;
    admin.tick("form", "subject", "keep").await?;
    admin.press("Save").await?;
    admin.reads("Calendars are being brought in line.").await?;
    northwind.followed(0).await?;

    // What can really be reached is tried, not believed.
    admin.press("Reach").await?;
    admin.fill("inside", anna.address()).await?;
    admin.fill("outside", aurora.address()).await?;
    admin.press("Try").await?;
    admin.reads("With the organisation-wide way every calendar can be reached.").await?;
    admin.picture("consent-reach").await?;

    let employee = northwind.signed_in(anna.id(), "my-calendar", DESK).await?;
    employee.reads("Your calendar is not followed.").await?;
    employee.picture("my-calendar-before").await?;
    employee.press("Agree").await?;
    employee.reads("Tick the box if you agree.").await?;
    employee.tick("#agree-form", "agree", "yes").await?;
    employee.press("Agree").await?;
    employee.reads("Your calendar is followed.").await?;
    northwind.followed(1).await?;

    // What is posted now becomes a booking.
    let meeting = northwind.meet("Quarterly numbers", 11)?;
    northwind.booked(&meeting).await?;
    assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
    employee.go(&northwind.page("my-calendar")).await?;
    employee.reads("Quarterly numbers").await?;
    employee.picture("my-calendar-followed").await?;

    looked_after(&northwind, &admin, ada).await?;
    withdraws(&northwind, &employee).await?;
    erases(&northwind, &employee, &meeting).await?;

    // The record of it all, and the end.
    admin.press("Register").await?;
    admin.reads(anna.id()).await?;
    admin.picture("consent-register").await?;
    admin.press("Disconnect").await?;
    admin.tick("form", "sure", "yes").await?;
    admin.picture("consent-disconnect").await?;
    admin.press("Disconnect").await?;
    admin.reads("Disconnected").await?;
    assert_eq!(world.microsoft.graph.subscriptions().len(), 0);
    for table in Table::ALL {
        let kept = matches!(table, Table::Tenants | Table::Register | Table::Audit);
        let rows = northwind.rows(table).await?;
        assert!(kept || rows.is_empty(), "{table:?}: {rows:?}");
    }
    let register = Register::new(Arc::clone(&world.tables));
    assert!(register.all(northwind.tenant.id().parse()?).await?.len() >= 7);
    Ok(())
}

/// Ada connects Northwind, and has Aurora managed.
/// How well calendars are followed, and what was asked: at a desk, and on a phone at night.
async fn looked_after(northwind: &Northwind, admin: &Browser, ada: &str) -> Outcome {
    admin.press("Health").await?;
    admin.reads("How calendars are followed").await?;
    admin.press("Compare now").await?;
    admin.reads("Every calendar is being compared.").await?;
    admin.picture("consent-health").await?;
    assert!(admin.fits().await?);
    admin.press("Audit").await?;
    admin.reads("Forbidden fields asked of Microsoft").await?;
    admin.picture("consent-audit").await?;
    assert!(admin.fits().await?);
    admin.fill("from", "2026-13-01").await?;
    admin.press("Show these days").await?;
    admin.reads("This is no day.").await?;
    let phone = northwind.signed_in(ada, "consent", PHONE).await?;
    for (link, words, name) in [
        ("Health", "What the last comparison found", "consent-health-phone"),
        ("Audit", "What this cannot say", "consent-audit-phone"),
    ] {
        phone.press(link).await?;
        phone.reads(words).await?;
        phone.picture(name).await?;
        assert!(phone.fits().await?, "nobody scrolls sideways");
    }
    phone.close().await
}

async fn connected(northwind: &Northwind, ada: &str) -> Result<Browser, Failure> {
    let admin = northwind.signed_in(ada, "consent", DESK).await?;
    admin.reads("Which way?").await?;
    admin.picture("consent-start").await?;
    admin.tick("form", "mode", "organisation-wide").await?;
    admin.press("Go on").await?;
    admin.reads("The next page is Microsoft's").await?;
    admin.press("Go on to Microsoft").await?;
    admin.reads("Calendars.ReadWrite").await?;
    admin.choose("user", ada).await?;
    admin.reads("Your organisation is connected.").await?;
    admin.picture("consent-overview").await?;
    admin.press("Rooms").await?;
    admin.reads("Aurora").await?;
    admin.select("mode", "roombridge").await?;
    admin.fill("zone", "Europe/Atlantis").await?;
    admin.press("Save these rooms").await?;
    admin.reads("this is no time zone").await?;
    admin.fill("zone", "Europe/Amsterdam").await?;
    admin.press("Save these rooms").await?;
    admin.reads("Saved.").await?;
    admin.picture("consent-rooms").await?;
    Ok(admin)
}

async fn withdraws(northwind: &Northwind, employee: &Browser) -> Outcome {
    employee.tick("#withdraw-form", "bookings", "released").await?;
    employee.press("Withdraw").await?;
    employee.reads("You have withdrawn.").await?;
    northwind.followed(0).await?;
    let later = northwind.meet("Not theirs to know", 14)?;
    // Nobody is told of it, so nobody ever reads it; the next step gives it time to be wrong.
    employee.tick("#agree-form", "agree", "yes").await?;
    assert_eq!(northwind.world.bookings_of(&later).await?, []);
    later.cancel()?;
    Ok(())
}

/// Agrees again, has a meeting booked, and then everything deleted.
async fn erases(northwind: &Northwind, employee: &Browser, earlier: &Meeting) -> Outcome {
    employee.press("Agree").await?;
    employee.reads("Your calendar is followed.").await?;
    northwind.followed(1).await?;
    let meeting = northwind.meet("Redundancies", 16)?;
    northwind.booked(&meeting).await?;
    employee.go(&northwind.page("my-calendar")).await?;
    employee.tick("#erase-form", "bookings", "released").await?;
    employee.tick("#erase-form", "confirm", "yes").await?;
    employee.press("Delete everything about me").await?;
    employee.reads("is being deleted").await?;
    northwind.followed(0).await?;
    northwind.nothing_names_anna(&[earlier, &meeting]).await?;
    employee.go(&northwind.page("my-calendar")).await?;
    employee.reads("No appointment of yours is stored.").await?;
    employee.picture("my-calendar-erased").await?;
    Ok(())
}

impl Northwind {
    /// Waits until the meeting is booked.
    async fn booked(&self, meeting: &Meeting) -> Outcome {
        let look = async || {
            let found = self.world.bookings_of(meeting).await?.into_iter().next();
            let booked = |booking: &roombridge::domain::booking::Booking| {
                matches!(booking.observed, Observed::Booked(_)) && booking.unsettled_due.is_none()
            };
            Ok(found.filter(booked).map(drop))
        };
        Ok(self.world.until("the booking is settled", look).await?)
    }

    /// Waits until no row names Anna but those that may: the register, and the tombstone with what
    /// ends it.
    async fn nothing_names_anna(&self, meetings: &[&Meeting]) -> Outcome {
        let mut words: Vec<String> =
            [self.anna.id(), self.anna.address(), "Anna", "Quarterly", "Redundancies"]
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
                        && row.keys.row.ends_with(self.anna.id());
                    let text = format!("{row:?}");
                    if !own && words.iter().any(|word| text.contains(word.as_str())) {
                        return Ok(None);
                    }
                }
            }
            Ok(Some(()))
        };
        Ok(self.world.until("nothing names Anna", look).await?)
    }
}
