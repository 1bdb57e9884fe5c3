//! The connection and its account: what is taken, what is refused, and where it is kept.

use http::StatusCode;
use roombridge::domain::booking_system::SystemId;
use roombridge::domain::ids::TenantId;
use world::log_capture;
use world::test_world::{INVITED_TENANT, TOPDESK_URL};

use super::{FIRST, PASSWORD, connect_topdesk, connection_form, name_of_topdesk, version};
use crate::TestResult;
use crate::consent::unconnected_contoso;

#[tokio::test]
async fn the_built_in_system_is_in_use_until_an_administrator_decides_otherwise() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let page = browser.get("booking-system").await?;
    assert!(page.text_of_id("in-use").contains("built into Roombridge"), "{}", page.text);
    assert!(page.text.contains("From the beginning"));
    connect_topdesk(&browser).await?;
    let page = browser.get("booking-system?saved").await?;
    assert!(page.text_of_id("in-use").contains("built into Roombridge"), "{}", page.text);
    for words in ["Saved.", TOPDESK_URL, "This system is not in use.", "0 of 0 managed rooms"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let systems = contoso.systems().await?;
    assert_eq!((systems.current, systems.last), (SystemId::BUILT_IN, FIRST));
    assert_eq!(contoso.system_decisions().await?, [("connected", name_of_topdesk())]);
    Ok(())
}

#[tokio::test]
async fn an_account_is_in_the_vault_and_in_no_row_page_register_or_log() -> TestResult {
    let log = log_capture::install();
    log.add_secret(PASSWORD);
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let wrong = connection_form(&[("requester", ""), ("ends", "tomorrow")]);
    let refused = browser.post("booking-system-connection", &wrong).await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("the password is not filled in again"), "{}", refused.text);
    assert_eq!(contoso.world.system_credentials.count(), 0);
    connect_topdesk(&browser).await?;
    let overview = browser.get("booking-system?saved").await?;
    let form = browser.get("booking-system-connection?system=1").await?;
    let checked = browser.post("booking-system-check", &[("system", "1")]).await?;
    let register = browser.get("register").await?;
    let csv = browser.get("register.csv").await?;
    let pages = [&refused, &overview, &form, &checked, &register, &csv];
    contoso.assert_account_is_in_the_vault_alone(&pages).await?;
    assert_eq!(log.leaked_lines(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_address_that_the_operator_does_not_allow_gets_no_account() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    for address in [
        "topdesk=https://evil.example/tas/api",
        "topdesk=https://contoso.topdesk.net/tas/api/",
        "topdesk=http://contoso.topdesk.net/tas/api",
        "librebooking=https://contoso.topdesk.net/tas/api",
        "topdesk=https://contoso.topdesk.net.evil.example/tas/api",
        "https://contoso.topdesk.net/tas/api",
        "",
    ] {
        let form = connection_form(&[("address", address)]);
        let page = browser.post("booking-system-connection", &form).await?;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{address}");
    }
    // What is connected keeps its address: the account is sent where it was meant for.
    connect_topdesk(&browser).await?;
    let version = version(&browser).await?;
    let elsewhere = connection_form(&[
        ("version", &version),
        ("address", "topdesk=https://evil.example/tas/api"),
    ]);
    assert_eq!(browser.post("booking-system-connection", &elsewhere).await?.status, 303);
    assert_eq!(contoso.systems().await?.all[0].base_url, TOPDESK_URL);
    Ok(())
}

#[tokio::test]
async fn a_form_that_is_sent_again_connects_nothing_twice_and_brings_no_old_password_back()
-> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    connect_topdesk(&browser).await?;
    let version = version(&browser).await?;
    contoso.advance_minutes(1);
    let change = connection_form(&[("version", &version), ("password", "new password")]);
    assert_eq!(browser.post("booking-system-connection", &change).await?.status, 303);
    for replay in [connection_form(&[]), connection_form(&[("system", "3")]), change] {
        let page = browser.post("booking-system-connection", &replay).await?;
        assert_eq!((page.status, page.heading()), (409, "Somebody else changed this"));
    }
    let kept = contoso.world.system_credentials.peek(TenantId(INVITED_TENANT), FIRST);
    assert_eq!(kept.ok_or("an account")?.password.reveal(), "new password");
    assert_eq!(contoso.systems().await?.all.len(), 1);
    Ok(())
}

#[tokio::test]
async fn of_two_administrators_at_once_one_connects_and_the_other_leaves_no_account() -> TestResult
{
    let contoso = unconnected_contoso().await?;
    let first = contoso.connect("organisation-wide").await?;
    let second = contoso.signed_in_admin().await?;
    second.get("booking-system-connection").await?;
    connect_topdesk(&first).await?;
    let libre = "librebooking=https://rooms.contoso.example/Web/Services/index.php";
    let form = connection_form(&[("address", libre), ("password", "for LibreBooking alone")]);
    assert_eq!(second.post("booking-system-connection", &form).await?.status, StatusCode::CONFLICT);
    let kept = contoso.world.system_credentials.peek(TenantId(INVITED_TENANT), FIRST);
    assert_eq!(kept.ok_or("an account")?.password.reveal(), PASSWORD);
    // With what the page shows now it is the second system.
    let form = connection_form(&[("address", libre), ("system", "2")]);
    assert_eq!(second.post("booking-system-connection", &form).await?.status, 303);
    assert_eq!(contoso.world.system_credentials.count(), 2);
    Ok(())
}

#[tokio::test]
async fn values_change_without_the_account_and_mistakes_are_reported_at_their_fields() -> TestResult
{
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    connect_topdesk(&browser).await?;
    let version = version(&browser).await?;
    let kept = [("version", version.as_str()), ("login", ""), ("password", "")];
    let mistakes = [
        ("login", "only a login", "Enter login and password, or neither of them."),
        ("ends", "2026-11-22", "This day is over."),
        ("ends", "soon", "This is not a date."),
        ("requester", " ", "Enter a person whom the booking system knows."),
        ("per-minute", "0", "Enter a whole number from 1 to 100000."),
        ("reason", &"x".repeat(201), "This is too long"),
        ("requester", "a\u{0}b", "This contains characters that cannot be typed."),
    ];
    for (field, value, words) in mistakes {
        let form = connection_form(&[&kept[..], &[(field, value)]].concat());
        let page = browser.post("booking-system-connection", &form).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}");
        assert!(page.text.contains(words), "{field}: {}", page.text);
    }
    let script = "<script>alert(1)</script>";
    let good = [("ends", "2026-12-20"), ("reason", script), ("per-minute", "300")];
    let form = connection_form(&[&kept[..], &good].concat());
    assert_eq!(browser.post("booking-system-connection", &form).await?.status, 303);
    let connection = contoso.systems().await?.all.remove(0);
    assert_eq!(connection.calls_per_minute, Some(300));
    let kept = contoso.world.system_credentials.peek(TenantId(INVITED_TENANT), FIRST);
    assert_eq!(kept.ok_or("an account")?.password.reveal(), PASSWORD);
    let page = browser.get("booking-system-connection?system=1").await?;
    assert_eq!((page.value("ends"), page.value("reason")), ("2026-12-20".into(), script.into()));
    assert!(!page.text.contains("<script>"));
    let decided = contoso.system_decisions().await?;
    assert_eq!(decided[1], ("account or settings changed", name_of_topdesk()));
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_password_is_announced_for_thirty_days_here_and_under_health() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    // Thirty-one days after the day of the story.
    let form = connection_form(&[("ends", "2026-12-24")]);
    assert_eq!(browser.post("booking-system-connection", &form).await?.status, 303);
    for (days, words) in [(0, None), (1, Some("ends on 24 December 2026")), (31, Some("ended on"))]
    {
        contoso.world.clock.advance(jiff::SignedDuration::from_hours(24 * days));
        let browser = contoso.signed_in_admin().await?;
        for page in ["booking-system", "health"] {
            let page = browser.get(page).await?;
            let is_announced = page.text.contains("the password of our account");
            assert_eq!(is_announced, words.is_some(), "{days}: {}", page.text);
            assert!(words.is_none_or(|words| page.text.contains(words)), "{}", page.text);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_system_of_another_organisation_does_not_exist() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let ada = contoso.connect("organisation-wide").await?;
    connect_topdesk(&ada).await?;
    let before = (contoso.systems().await?, contoso.system_decisions().await?);
    let fabrikam = contoso.world.microsoft.unconnected_tenant("Fabrikam");
    let fay = contoso.world.microsoft.add_administrator(&fabrikam, "Fay");
    let theirs = contoso.browser();
    theirs.sign_in(&fay).await?;
    for page in ["booking-system", "booking-system-connection?system=1"] {
        assert_eq!(theirs.get(page).await?.status, StatusCode::FORBIDDEN, "{page}");
    }
    for page in ["booking-system-connection", "booking-system-check"] {
        let posted = theirs.post_with(page, &ada.last_csrf(), &[("system", "1")]).await?;
        assert_eq!(posted.status, StatusCode::FORBIDDEN, "{page}");
    }
    // No form names a tenant, and none may.
    let forged = connection_form(&[("tenant", contoso.tenant.id())]);
    assert_eq!(ada.post("booking-system-connection", &forged).await?.status, 400);
    for system in ["2", "0", "-1", "4294967296", "x", ""] {
        assert_eq!(ada.post("booking-system-check", &[("system", system)]).await?.status, 404);
    }
    assert_eq!((contoso.systems().await?, contoso.system_decisions().await?), before);
    Ok(())
}
