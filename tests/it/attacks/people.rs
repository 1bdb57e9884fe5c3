//! Somebody who has signed in, and asks for more than anybody needs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request};
use jiff::SignedDuration;
use roombridge::domain::ids::MailboxId;
use roombridge::domain::tenant::decision::{ConsentCapacity, Decision, DecisionKind};
use roombridge::domain::tenant::policy::ContentPolicy;
use roombridge::store::register::Register;
use roombridge::store::tables::Table;
use serde_json::json;
use tower::ServiceExt as _;
use uuid::Uuid;
use world::entra::ApiTokenSpec;
use world::test_world::APP_HOST;

use crate::contoso::{Contoso, decisions, minutes, seconds};
use crate::http_browser::{Browser, Page, send};
use crate::{TestError, TestResult};

/// Ben agrees (`PUT`) or withdraws (`DELETE`).
async fn change_mind(contoso: &Contoso, method: Method) -> Result<Page, TestError> {
    let ben = &contoso.ben;
    let entra = &contoso.world.microsoft.entra;
    let token = entra.api_token(ben.tenant_id(), ben.id(), &ApiTokenSpec::default());
    let (query, body) = match method {
        Method::PUT => ("", json!({ "text_version": "2026-12" }).to_string()),
        _ => ("?bookings=released", String::new()),
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{APP_HOST}/api/my-calendar/api{query}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    send(&contoso.world, request, body).await
}

fn administrator(contoso: &Contoso) -> String {
    contoso.world.microsoft.add_administrator(&contoso.tenant, "Ada")
}

#[tokio::test]
async fn two_hundred_changes_of_mind_cost_what_twenty_do() -> TestResult {
    let contoso = Contoso::open().await?;
    let count = async |table| contoso.count(table).await;
    let before = (count(Table::Register).await?, count(Table::Due).await?);
    contoso.world.microsoft.graph.clear_requests();
    let mut refused = Vec::new();
    for _ in 0..100 {
        for method in [Method::PUT, Method::DELETE] {
            let answer = change_mind(&contoso, method).await?;
            if answer.status != 200 {
                assert_eq!((answer.status, &*answer.problem_code()?), (429, "too_many_requests"));
                refused.push(answer.header("retry-after").parse::<i64>()?);
            }
            contoso.world.clock.advance(SignedDuration::from_millis(5));
        }
    }
    assert_eq!(refused.len(), 180);
    assert_eq!(count(Table::Register).await? - before.0, 20);
    assert!(count(Table::Due).await? - before.1 <= 2, "one due entry a mailbox and kind");
    let wait = refused.last().copied().unwrap_or_default();
    assert!((1..=7).contains(&wait), "{wait}");
    contoso.world.clock.advance(seconds(wait));
    assert_eq!(change_mind(&contoso, Method::PUT).await?.status, 200, "after what it was asked to");
    contoso.run_for(minutes(15)).await;
    assert!(contoso.world.microsoft.graph.requests().len() <= 60);
    assert_eq!(contoso.subscriptions(&contoso.ben), 1, "what was decided last");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_page_that_is_asked_for_too_often_says_when_to_come_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let (ben, anna) =
        (Browser::new(&contoso.world, "my-calendar"), Browser::new(&contoso.world, "my-calendar"));
    ben.sign_in(contoso.ben.id()).await?;
    anna.sign_in(contoso.anna.id()).await?;
    let mut pages = Vec::new();
    for _ in 0..200 {
        pages.push(ben.get("data.json").await?);
    }
    let refused: Vec<_> = pages.iter().filter(|page| page.status == 429).collect();
    assert!((75..=85).contains(&refused.len()), "{}", refused.len());
    assert_eq!(refused[0].heading(), "That was too often");
    assert_eq!(refused[0].header("retry-after"), "1");
    assert_eq!(anna.get("data.json").await?.status, 200, "others are not kept waiting");
    contoso.world.clock.advance(seconds(2));
    assert_eq!(ben.get("data.json").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_register_of_any_length_is_read_in_pages() -> TestResult {
    let contoso = Contoso::open().await?;
    let register = Register::new(Arc::clone(&contoso.world.raw_tables));
    let before = decisions(&contoso.world.raw_tables, contoso.tenant_id()?).await?.len();
    for n in 0..2_500_u32 {
        let about = Some(MailboxId(Uuid::from_u128(u128::from(n % 50))));
        let (text_version, capacity) = (format!("{n}"), ConsentCapacity::Own);
        let kind = DecisionKind::ConsentGranted { capacity, text_version };
        let at = contoso.now() + seconds(i64::from(n));
        let decision = Decision { tenant: contoso.tenant_id()?, at, by: about, about, kind };
        register.add(&decision).await?;
    }
    let browser = Browser::new(&contoso.world, "consent");
    browser.sign_in(&administrator(&contoso)).await?;
    let first = browser.get("register").await?;
    assert_eq!(first.text.matches("<tr><th scope=\"row\">").count(), 200);
    assert!(first.text.contains("<td>2499</td>") && !first.text.contains("<td>2299</td>"));
    let next = browser.get("register?from=200").await?;
    assert!(next.text.contains("<td>2299</td>") && next.text.contains("register?from=400"));
    let csv = browser.get("register.csv").await?;
    assert_eq!(csv.text.lines().count(), 1 + before + 2_500);
    assert_eq!(
        browser.get("register.json").await?.json()?.as_array().map(Vec::len),
        Some(before + 2_500)
    );
    Ok(())
}

#[tokio::test]
async fn a_register_too_long_for_a_page_is_shown_without_people() -> TestResult {
    let contoso = Contoso::open().await?;
    let register = Register::new(Arc::clone(&contoso.world.raw_tables));
    let (tenant, kind) = (contoso.tenant_id()?, DecisionKind::Erased { released: false });
    for n in 0..20_001_u32 {
        let about = Some(MailboxId(Uuid::from_u128(u128::from(n))));
        let decision = Decision { tenant, at: contoso.now(), by: about, about, kind: kind.clone() };
        register.add(&decision).await?;
    }
    let kind = DecisionKind::Resumed;
    register.add(&Decision { tenant, at: contoso.now(), by: None, about: None, kind }).await?;
    let browser = Browser::new(&contoso.world, "consent");
    browser.sign_in(&administrator(&contoso)).await?;
    contoso.world.table_faults.reset();
    let page = browser.get("register").await?;
    let calls = contoso.world.table_faults.calls();
    let scans = calls.iter().filter(|call| (call.method, call.target) == ("scan", "Register"));
    assert_eq!(scans.count(), 22, "21 pages, and the organisation's own entries");
    assert!(
        page.text.contains("more than 20,000 entries") && page.text.contains("<td>resumed</td>")
    );
    assert!(!page.text.contains("<td>erased</td>"));
    Ok(())
}

#[tokio::test]
async fn another_organisations_cookie_posts_no_form_of_this_one() -> TestResult {
    let contoso = Contoso::open().await?;
    let world = &contoso.world;
    let fabrikam = world.microsoft.tenant("Fabrikam");
    world.fixtures().connect(&fabrikam, ContentPolicy::default()).await?;
    let zoe = fabrikam.person("Zoe");
    let [ours, theirs, swapped] = [0; 3].map(|_| Browser::new(world, "my-calendar"));
    ours.sign_in(contoso.ben.id()).await?;
    theirs.sign_in(zoe.id()).await?;
    let before = world.rows(Table::Mailboxes).await?;
    let agree = [("agree", "yes"), ("text_version", "2026-12")];
    for (session, form) in [(&ours, &theirs), (&theirs, &ours)] {
        swapped.set_cookies(session.cookies());
        let csrf = form.last_csrf();
        let fields = [&[("csrf", csrf.as_str())], &agree[..]].concat();
        let page = swapped.post_without_csrf("agree", &fields).await?;
        assert_eq!((page.status, page.heading()), (403, "This form is from an earlier session"));
    }
    assert_eq!(world.rows(Table::Mailboxes).await?, before);
    theirs.submit("agree", &agree).await?;
    let after = world.rows(Table::Mailboxes).await?;
    let changed: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(changed.len(), 1);
    assert!(changed[0].key.partition.starts_with(fabrikam.id()), "{changed:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() -> TestResult {
    let contoso = Contoso::open().await?;
    let ben = Browser::new(&contoso.world, "my-calendar");
    ben.sign_in(contoso.ben.id()).await?;
    let cookies = ben.cookies();
    let cookies: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let entra = &contoso.world.microsoft.entra;
    let (tenant, person) = (contoso.ben.tenant_id(), contoso.ben.id());
    let token = entra.api_token(tenant, person, &ApiTokenSpec::default());
    let router = contoso.world.app.router()?;
    for request in [
        Request::post("/api/my-calendar/withdraw")
            .header("cookie", cookies.join("; "))
            .header("content-type", "application/x-www-form-urlencoded"),
        Request::put("/api/my-calendar/api")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json"),
    ] {
        let request =
            request.body(Body::from_stream(stream::pending::<Result<Bytes, TestError>>()))?;
        let answer = tokio::time::timeout(Duration::from_secs(60), router.clone().oneshot(request));
        assert_eq!(answer.await??.status(), 413);
    }
    Ok(())
}
