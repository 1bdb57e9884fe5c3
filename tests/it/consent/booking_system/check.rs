//! The test of a connection: each way that it fails says what to do.

use http::StatusCode;
use world::librebooking::{Breakdown, Layout};

use super::{ACCOUNT, PASSWORD, WithLibreBooking, connect_topdesk, connection_form, version};
use crate::TestResult;
use crate::consent::unconnected_contoso;

const CHECK: &[(&str, &str)] = &[("system", "1")];

#[tokio::test]
async fn a_test_says_who_we_are_what_is_missing_and_which_rooms_there_are() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    let page = browser.post("booking-system-check", CHECK).await?;
    assert_eq!(page.text_of_id("account"), ACCOUNT, "{}", page.text);
    assert_eq!(page.text_of_id("room-count"), "2");
    assert!(page.text.contains("everything that Roombridge needs"));
    assert!(browser.get("booking-system").await?.text.contains("Passed, "));
    with.libre.set_administrator(ACCOUNT, false);
    let page = browser.post("booking-system-check", CHECK).await?;
    assert!(page.text.contains("<li>Application Administrator</li>"), "{}", page.text);
    assert!(page.text.contains("Ask the administrator of LibreBooking"), "{}", page.text);
    assert!(browser.get("booking-system").await?.text.contains("Something is missing, "));
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_named_and_a_right_one_works_at_once() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    with.libre.set_password(ACCOUNT, "changed there");
    with.libre.end_sessions();
    let page = browser.post("booking-system-check", CHECK).await?;
    assert!(page.text.contains("LibreBooking refuses the account"), "{}", page.text);
    assert!(page.text.contains("enter it again under Account and settings"));
    let overview = browser.get("booking-system").await?;
    assert!(overview.text.contains("The system refused it at the last test"), "{}", overview.text);
    // Corrected there: the next test asks again.
    with.libre.set_password(ACCOUNT, PASSWORD);
    let page = browser.post("booking-system-check", CHECK).await?;
    assert!(page.text.contains("everything that Roombridge needs"), "{}", page.text);
    // Corrected here: the new one is used from the first moment on.
    with.libre.set_password(ACCOUNT, "of next year");
    with.libre.end_sessions();
    let version = version(&browser).await?;
    let form =
        connection_form(&[("version", &version), ("login", ACCOUNT), ("password", "of next year")]);
    browser.submit("booking-system-connection", &form).await?;
    let page = browser.post("booking-system-check", CHECK).await?;
    assert!(page.text.contains("everything that Roombridge needs"), "{}", page.text);
    Ok(())
}

#[tokio::test]
async fn a_system_that_does_not_answer_or_has_enough_is_a_text_that_says_what_to_do() -> TestResult
{
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    for (breakdown, words, short) in [
        (Breakdown::Overloaded(60), "LibreBooking does not answer", "No answer"),
        (Breakdown::NoDatabase, "LibreBooking does not answer", "No answer"),
        (Breakdown::ApiSwitchedOff, "LibreBooking does not answer", "No answer"),
        (Breakdown::Working, "everything that Roombridge needs", "Passed"),
    ] {
        with.libre.set_breakdown(breakdown);
        for page in ["booking-system-check", "booking-system-dry-run"] {
            let page = browser.post(page, CHECK).await?;
            assert_eq!(page.status, StatusCode::OK);
        }
        let page = browser.post("booking-system-check", CHECK).await?;
        assert!(page.text.contains(words), "{breakdown:?}: {}", page.text);
        assert!(browser.get("booking-system").await?.text.contains(&format!("{short}, ")));
        assert_eq!(browser.get("booking-system-rooms?system=1").await?.status, StatusCode::OK);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_system_calls_its_rooms_is_text_and_short() -> TestResult {
    let with = WithLibreBooking::open().await?;
    let browser = with.contoso.signed_in_admin().await?;
    let script = "Aurora <script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    with.libre.add_room(script, None, Layout::ALWAYS);
    with.libre.add_room(&"x".repeat(5_000), None, Layout::ALWAYS);
    let page = browser.post("booking-system-check", CHECK).await?;
    let rooms = browser.get("booking-system-rooms?system=1").await?;
    for page in [page, rooms] {
        assert!(!page.text.contains("<script>") && !page.text.contains("<img"), "{}", page.text);
        assert!(page.text.contains("Aurora &#60;script&#62;"), "{}", page.text);
        assert!(!page.text.contains(&"x".repeat(200)));
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_said_too() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    connect_topdesk(&browser).await?;
    let page = browser.post("booking-system-check", CHECK).await?;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("role=\"alert\""), "{}", page.text);
    Ok(())
}
