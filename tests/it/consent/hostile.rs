//! Hostile input: what somebody might type or send that no page asked for.

use std::sync::Arc;

use http::StatusCode;
use jiff::SignedDuration;
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::memory::QueueKind;
use world::test_world::APP_HOST;

use super::unconnected_contoso;
use crate::TestResult;

const CONNECT: &[(&str, &str)] = &[("mode", "organisation-wide")];

#[tokio::test]
async fn nothing_hostile_in_any_field_gets_through() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let version = browser.get("policy").await?.value("version");
    let room = contoso.aurora.address().to_lowercase();
    let forms: [(&str, &[(&str, &str)]); 5] = [
        ("connect", CONNECT),
        (
            "policy",
            &[
                ("version", &version),
                ("consent", "opt-in"),
                ("scope-group", ""),
                ("excluded", ""),
                ("subject", "replace"),
                ("subject-text", "Taken"),
                ("people", "count"),
                ("private", "anonymous"),
                ("series", "per-date"),
                ("series-conflicts", "10"),
                ("series-percentage", "50"),
                ("mail", ""),
                ("audit-days", "365"),
                ("add-in-property", ""),
            ],
        ),
        ("rooms", &[("address", &room), ("mode", "exchange"), ("zone", "UTC")]),
        ("reach", &[("inside", ""), ("outside", "")]),
        ("disconnect", &[("sure", "")]),
    ];
    let before = (contoso.tenant_row().await?, contoso.decisions().await?);
    let long = "x".repeat(31_000);
    let script = "\"><script>alert(1)</script>";
    let values = [script, &long, "a\u{0}b", "a\r\nSet-Cookie: x=y", "$(calc)\u{2019}", "\u{202e}"];
    for (step, good) in forms {
        for (field, _) in good {
            for value in values {
                // A subject's replacement may be any line that is short enough.
                let free = *field == "subject-text" && (value == script || value.starts_with('$'));
                if free || (*field == "subject-text" && value == "\u{202e}") {
                    continue;
                }
                let other = |(name, good)| (name, if name == *field { value } else { good });
                let fields: Vec<_> = good.iter().copied().map(other).collect();
                // Nobody sends twenty forms at once.
                contoso.world.clock.advance(SignedDuration::from_secs(6));
                let page = browser.post(step, &fields).await?;
                let status = page.status;
                let refused = matches!(status, 400 | 409 | 422);
                assert!(refused, "{step} {field} {value:.20}: {status}");
                assert!(!page.text.contains("<script>"), "{step} {field}");
                assert!(page.header("set-cookie").is_empty(), "{step} {field}");
            }
        }
    }
    assert_eq!((contoso.tenant_row().await?, contoso.decisions().await?), before);
    assert!(contoso.world.rows(Table::Rooms).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_invalid_position_in_the_list_of_rooms_shows_its_beginning() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let room = contoso.aurora.address().to_lowercase();
    for from in ["18446744073709551615", "18446744073709551600", "-1", "x", "999999999999999999999"]
    {
        assert_eq!(browser.get(&format!("rooms?from={from}")).await?.status, StatusCode::OK);
        for (zone, status) in [("Nowhere/Land", 422), ("UTC", 303)] {
            let fields = [("from", from), ("address", &room), ("mode", "exchange"), ("zone", zone)];
            let page = browser.post("rooms", &fields).await?;
            assert_eq!(page.status, status, "{from}");
            assert!(page.location().is_empty() || page.location().ends_with("?from=0&saved"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_excluded_mailbox_is_not_followed_as_a_room_either() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let mut row = contoso.tenant_row().await?.ok_or("a row")?;
    row.policy.excluded_mailboxes = [contoso.aurora.id().parse()?].into();
    let clock = Arc::new(contoso.world.clock.clone());
    Tenants::new(Arc::clone(&contoso.world.raw_tables), clock).upsert(&row).await?;
    let room = contoso.aurora.address().to_lowercase();
    let fields = [("address", room.as_str()), ("mode", "exchange"), ("zone", "UTC")];
    assert_eq!(browser.post("rooms", &fields).await?.status, StatusCode::SEE_OTHER);
    assert_eq!(contoso.world.memory_outbox.messages(QueueKind::Main(Queue::MaintainMailbox)), []);
    Ok(())
}

#[tokio::test]
async fn a_form_with_an_unknown_field_is_refused() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.signed_in_admin().await?;
    for extra in [("tenant", "another"), ("administrator", "yes"), ("mode", "scoped")] {
        let page = browser.post("connect", &[CONNECT, &[extra]].concat()).await?;
        assert_eq!((page.status, page.heading()), (400, "This form cannot be read"));
    }
    let page = browser.post("connect", &[("mode", "everything")]).await?;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let page = browser.post("connect", &[("mode", &"x".repeat(70_000))]).await?;
    assert_eq!((page.status, page.heading()), (413, "This form is too large"));
    contoso.assert_nothing_stored_or_sent().await
}

#[tokio::test]
async fn nothing_a_browser_sends_chooses_where_it_is_redirected() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.browser();
    let queries = ["redirect=https://evil.example", "return_to=//evil.example", "next=/%5Cevil"];
    for query in queries {
        let page = browser.get(&format!("sign-in?{query}")).await?;
        assert!(page.location().starts_with("https://login.microsoftonline.com/organizations/"));
        assert!(!page.location().contains("evil"), "{query}");
    }
    let browser = contoso.connect("scoped").await?;
    let evil = "\"><script>alert(1)</script>";
    let page = browser
        .get(&format!("https://{APP_HOST}/api/consent/policy?saved=%22%3E%3Cscript%3E"))
        .await?;
    assert!(!page.text.contains("<script>"));
    let page = browser.post("reach", &[("inside", evil), ("outside", "")]).await?;
    assert!(!page.text.contains("<script>"), "what was typed is escaped");
    assert!(page.text.contains("&#60;script&#62;"), "and not lost");
    Ok(())
}
