//! Each way that does not lead in ends on a page that says what happened and what to do.

use roombridge::store::tables::Table;

use super::driver::{DESKTOP, PHONE};
use super::northwind::Northwind;
use crate::TestResult;

#[tokio::test]
async fn refusing_or_missing_the_role_shows_why_and_leaves_no_row() -> TestResult {
    let Some(northwind) = Northwind::open().await? else { return Ok(()) };
    let entra = &northwind.world.microsoft.entra;
    let fabrikam = northwind.world.microsoft.unconnected_tenant("Fabrikam");
    let fay = northwind.world.microsoft.add_administrator(&fabrikam, "Fay");

    // Not invited.
    let browser = northwind.signed_in(&fay, "consent", DESKTOP).await?;
    browser.wait_for_text("Your organisation is not invited").await?;
    browser.screenshot("not-invited").await?;
    // Not an administrator.
    let browser = northwind.signed_in(northwind.anna.id(), "consent", DESKTOP).await?;
    browser.wait_for_text("You cannot decide for your organisation").await?;

    // The administrator of another organisation accepts in place of one's own.
    let browser = northwind.signed_in(&northwind.ada, "consent", DESKTOP).await?;
    browser.click("Continue").await?;
    browser.click("Continue to Microsoft").await?;
    browser.click_value("user", &fay).await?;
    browser.wait_for_text("Your organisation was not connected").await?;
    // And refusing is refusing.
    browser.goto(&northwind.page("consent")).await?;
    browser.click("Continue").await?;
    browser.click("Continue to Microsoft").await?;
    browser.click("Cancel").await?;
    browser.wait_for_text("Your organisation was not connected").await?;
    browser.screenshot("consent-refused").await?;

    for table in Table::ALL {
        assert_eq!(northwind.rows(table).await?, [], "{table:?}");
    }
    let scoped = world::microsoft::SCOPED_APP;
    assert!(!entra.is_consented(northwind.tenant.id(), scoped));
    Ok(())
}

#[tokio::test]
async fn the_pages_serve_a_keyboard_and_a_phone_at_night() -> TestResult {
    let Some(northwind) = Northwind::open().await? else { return Ok(()) };
    let browser = northwind.new_browser(PHONE).await?;
    browser.goto(&northwind.page("consent")).await?;
    browser.screenshot("consent-phone").await?;
    browser.press_tab().await?;
    assert_eq!(browser.focused_text().await?, "Skip to the content");
    browser.goto(&northwind.page("my-calendar")).await?;
    browser.screenshot("my-calendar-phone").await?;
    // Nobody scrolls sideways.
    assert!(browser.fits_viewport().await?);
    browser.goto(&northwind.page("nowhere")).await?;
    assert!(browser.address().await?.ends_with("/api/nowhere"));
    browser.close().await
}
