//! What protects the forms: signing in, and no posting in somebody else's name.

use http::Method;
use roombridge::store::mailboxes::MailboxState;
use world::test_world::APP_HOST;

use super::{TEXT, address};
use crate::TestResult;
use crate::contoso::{Contoso, minutes, seconds};
use crate::http_browser::send;

#[tokio::test]
async fn a_sign_in_is_good_once_for_the_browser_that_began_it() -> TestResult {
    let contoso = Contoso::open().await?;
    let anna = contoso.visitor();
    let back = anna.start_sign_in(contoso.anna.id()).await?;
    let stranger = contoso.visitor();
    assert_eq!(stranger.get(back.as_str()).await?.status, 403, "a foreign browser");
    assert!(stranger.cookies().is_empty());
    let swapped = back.as_str().replace("state=", "state=x");
    assert_eq!(anna.get(&swapped).await?.status, 403, "another state");
    assert_eq!(anna.get(back.as_str()).await?.status, 403, "the pending flow was forgotten");

    let back = anna.start_sign_in(contoso.anna.id()).await?;
    assert_eq!(anna.get(back.as_str()).await?.status, 303);
    assert_eq!(anna.get(back.as_str()).await?.status, 403, "a replay");
    let late = contoso.visitor();
    let back = late.start_sign_in(contoso.anna.id()).await?;
    contoso.run_for(minutes(11)).await;
    assert_eq!(late.get(back.as_str()).await?.status, 400);
    let back = late.start_sign_in(contoso.anna.id()).await?;
    let refused = late.get(&format!("{back}&error=access_denied")).await?;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("access_denied"), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn a_session_ends_by_signing_out_and_by_itself() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    assert_eq!(browser.post("sign-out", &[]).await?.status, 303);
    assert_eq!(browser.get("data.json").await?.status, 401);
    let browser = contoso.signed_in(&contoso.anna).await?;
    contoso.run_for(minutes(61)).await;
    assert_eq!(browser.get("data.json").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn another_sites_form_does_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let anna = contoso.signed_in(&contoso.anna).await?;
    let csrf = anna.csrf().await?;
    let bens = contoso.signed_in(&contoso.ben).await?.csrf().await?;
    let own = format!("https://{APP_HOST}");
    let good = format!("csrf={csrf}&bookings=released");
    for (what, site, origin, body) in [
        ("another site", "cross-site", "https://evil.example", good.clone()),
        ("a sibling", "same-site", "https://other.example", good.clone()),
        ("no token", "same-origin", own.as_str(), "bookings=released".into()),
        ("another's token", "same-origin", &own, format!("csrf={bens}&bookings=released")),
    ] {
        let request = http::Request::post(address("withdraw"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .header("sec-fetch-site", site);
        assert_eq!(anna.send(request, body).await?.status, 403, "{what}");
    }
    let json = http::Request::post(address("withdraw")).header("content-type", "text/plain");
    assert_eq!(anna.send(json, good).await?.status, 415);
    for step in ["agree", "withdraw", "erase", "delegate", "sign-out"] {
        assert_eq!(anna.get(step).await?.status, 405, "{step}");
    }
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn no_form_takes_a_post_of_another_site_or_without_its_token() -> TestResult {
    let contoso = Contoso::open().await?;
    let anna = contoso.signed_in(&contoso.anna).await?;
    let csrf = anna.csrf().await?;
    let own = format!("https://{APP_HOST}");
    for step in ["agree", "withdraw", "erase", "delegate", "sign-out"] {
        let rest = "agree=yes&confirm=yes&bookings=released";
        for (site, origin, body) in [
            ("cross-site", "https://evil.example", format!("csrf={csrf}&{rest}")),
            ("cross-site", "null", format!("csrf={csrf}&{rest}")),
            ("same-site", own.as_str(), format!("csrf={csrf}&{rest}")),
            ("same-origin", &own, rest.to_owned()),
            ("same-origin", &own, format!("csrf=&csrf={csrf}&{rest}")),
        ] {
            let request = http::Request::post(address(step))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", origin)
                .header("sec-fetch-site", site);
            assert_eq!(anna.send(request, body).await?.status, 403, "{step} {site} {origin}");
        }
    }
    assert_eq!(anna.get("data.json").await?.status, 200, "nor was anybody signed out");
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nothing_hostile_in_any_field_gets_through() -> TestResult {
    let contoso = Contoso::open().await?;
    let sender = contoso.cleo.id().parse()?;
    contoso
        .set_policy(|policy| (policy.delegate_consent, policy.mail_sender) = (true, Some(sender)))
        .await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    let forms: [(&str, &[(&str, &str)]); 4] = [
        ("agree", &[("agree", "yes"), ("text_version", TEXT)]),
        ("withdraw", &[("bookings", "released")]),
        ("erase", &[("bookings", "released"), ("confirm", "yes")]),
        ("delegate", &[("owner", "x"), ("agree", "yes"), ("text_version", TEXT)]),
    ];
    let long = "x".repeat(10_000);
    let script = r#""><script>alert(1)</script>"#;
    let values =
        [script, &long, "a\u{0}b", "a\r\nSet-Cookie: x=y", "../../users", "{delegate}", ""];
    for (step, good) in forms {
        for (field, _) in good {
            for value in values {
                let other = |(name, good)| (name, if name == *field { value } else { good });
                let fields: Vec<_> = good.iter().copied().map(other).collect();
                // Nobody sends twenty forms at once.
                contoso.world.clock.advance(seconds(6));
                let answer = browser.post(step, &fields).await?;
                let refused = matches!(answer.status, 400 | 409 | 422);
                assert!(refused, "{step} {field} {value:.20}: {}", answer.status);
                assert!(!answer.text.contains("<script"), "{step} {field}");
                assert!(
                    answer.headers.get("x").is_none() && answer.header("set-cookie").is_empty()
                );
            }
        }
    }
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    assert!(contoso.world.microsoft.graph.mails().is_empty());
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nothing_a_browser_sends_chooses_where_it_is_redirected() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.visitor();
    for query in ["redirect=https://evil.example", "return_to=//evil.example", "next=/%5Cevil"] {
        let sent = browser.get(&format!("sign-in?{query}")).await?;
        let there = sent.header("location");
        assert!(there.starts_with("https://login.microsoftonline.com/organizations/"), "{there}");
        assert!(!there.contains("evil"), "{there}");
        let back = browser.start_sign_in(contoso.anna.id()).await?;
        let answer = browser.get(&format!("{back}&{query}")).await?;
        assert_eq!(answer.header("location"), "/api/my-calendar");
    }
    Ok(())
}

#[tokio::test]
async fn requests_without_a_session_cost_no_storage_and_no_call() -> TestResult {
    let contoso = Contoso::open().await?;
    let microsoft = &contoso.world.microsoft;
    contoso.world.table_faults.reset();
    contoso.world.queue_faults.reset();
    microsoft.graph.clear_requests();
    let tokens = microsoft.entra.token_requests();
    let forged = "__Host-roombridge-session=k1.AAAA; __Host-roombridge-pending=k1.AAAA";
    for step in ["", "sign-in", "signed-in?code=a&state=b", "data.json", "agree", "api", "x"] {
        for page in ["my-calendar", "consent"] {
            for cookie in ["", forged] {
                let url = format!("https://{APP_HOST}/api/{page}/{step}");
                let url = url.trim_end_matches('/');
                let request = http::Request::get(url).header("cookie", cookie);
                assert!(send(&contoso.world, request, "").await?.status < 500, "{url}");
            }
        }
    }
    let request = http::Request::get(address("api")).header("authorization", "Bearer a.b.c");
    assert_eq!(send(&contoso.world, request, "").await?.status, 401);
    assert_eq!((contoso.world.table_faults.count(), contoso.world.queue_faults.count()), (0, 0));
    assert_eq!(microsoft.graph.requests(), []);
    assert_eq!(microsoft.entra.token_requests(), tokens);
    Ok(())
}

#[tokio::test]
async fn hostile_input_is_refused_or_shown_as_text() -> TestResult {
    let contoso = Contoso::open().await?;
    let sender = contoso.cleo.id().parse()?;
    contoso
        .set_policy(|policy| (policy.delegate_consent, policy.mail_sender) = (true, Some(sender)))
        .await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    let script = r#""><script>alert(1)</script>"#;
    let long = format!("{}@contoso.example", "x".repeat(400));
    for owner in [script, &long, "a\u{0}b", ""] {
        let fields = [("owner", owner), ("text_version", TEXT)];
        let answer = browser.post("delegate", &fields).await?;
        assert_eq!(answer.status, 422, "{owner}");
        assert!(!answer.text.contains("<script"), "{}", answer.text);
    }
    for body in ["bookings=released&admin=yes", "bookings=released&bookings=anonymous", "%ff=1"] {
        let csrf = browser.csrf().await?;
        let request = http::Request::post(address("withdraw"))
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = browser.send(request, format!("csrf={csrf}&{body}")).await?;
        assert_eq!(answer.status, 400, "{body}");
    }
    let big = http::Request::post(address("withdraw"))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(browser.send(big, "x".repeat(100_000)).await?.status, 413);
    for step in ["nowhere", "api/x", "%2e%2e/consent", "agree"] {
        assert!(matches!(browser.get(step).await?.status, 404 | 405), "{step}");
    }
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn pages_may_load_nothing_and_be_framed_nowhere() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    for step in ["", "data.json", "nowhere"] {
        let answer = browser.get(step).await?;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{step} {policy}");
        assert!(policy.starts_with("default-src 'none'"), "{step} {policy}");
        assert!(answer.header("strict-transport-security").starts_with("max-age="), "{step}");
        assert_eq!(answer.header("cache-control"), "no-store", "{step}");
        assert!(!answer.text.contains("<script") && !answer.text.contains("style="), "{step}");
    }
    assert_eq!(browser.get("style.css").await?.header("content-type"), "text/css; charset=utf-8");
    let request = http::Request::builder().method(Method::HEAD).uri(address(""));
    assert!(send(&contoso.world, request, "").await?.text.is_empty());
    Ok(())
}
