//! Each way that does not lead in ends on a page that says what happened and what to do.

use fantoccini::key::Key;
use roombridge::store::tables::Table;

use super::driver::{DESK, PHONE};
use super::northwind::Northwind;
use crate::Outcome;

#[tokio::test]
async fn who_may_not_connect_or_does_not_want_to_is_told_so_and_leaves_no_row() -> Outcome {
    let northwind = Northwind::open().await?;
    let entra = &northwind.world.microsoft.entra;
    let fabrikam = northwind.world.microsoft.stranger("Fabrikam");
    let fay = northwind.world.microsoft.administrator(&fabrikam, "Fay");

    // Not invited.
    let browser = northwind.signed_in(&fay, "consent", DESK).await?;
    browser.reads("Your organisation is not invited").await?;
    browser.picture("not-invited").await?;
    // Not an administrator.
    let browser = northwind.signed_in(northwind.anna.id(), "consent", DESK).await?;
    browser.reads("You cannot decide for your organisation").await?;

    // The administrator of another organisation accepts in place of one's own.
    let browser = northwind.signed_in(&northwind.ada, "consent", DESK).await?;
    browser.press("Go on").await?;
    browser.press("Go on to Microsoft").await?;
    browser.choose("user", &fay).await?;
    browser.reads("Your organisation was not connected").await?;
    // And refusing is refusing.
    browser.go(&northwind.page("consent")).await?;
    browser.press("Go on").await?;
    browser.press("Go on to Microsoft").await?;
    browser.press("Cancel").await?;
    browser.reads("Your organisation was not connected").await?;
    browser.picture("consent-refused").await?;

    for table in Table::ALL {
        assert_eq!(northwind.rows(table).await?, [], "{table:?}");
    }
    let scoped = world::microsoft::SCOPED_APP;
    assert!(!entra.is_consented(northwind.tenant.id(), scoped));
    Ok(())
}

#[tokio::test]
async fn the_pages_serve_a_keyboard_and_a_phone_at_night() -> Outcome {
    let northwind = Northwind::open().await?;
    let browser = super::driver::Browser::open(PHONE).await?;
    browser.go(&northwind.page("consent")).await?;
    browser.picture("consent-phone").await?;
    browser.key(Key::Tab).await?;
    assert_eq!(browser.focused().await?, "Skip to the content");
    browser.go(&northwind.page("my-calendar")).await?;
    browser.picture("my-calendar-phone").await?;
    // Nobody scrolls sideways.
    assert!(browser.fits().await?);
    browser.go(&northwind.page("nowhere")).await?;
    assert!(browser.address().await?.ends_with("/api/nowhere"));
    browser.close().await
}
