//! Strangers at the door of the pages and of the API.

use http::{Method, Request};
use roombridge::base::http::Http as _;
use world::entra::{ApiTokenSpec, Signing};
use world::microsoft::LOGIN_HOST;
use world::test_world::APP_HOST;

use crate::TestResult;
use crate::contoso::{Contoso, hours, seconds};
use crate::http_browser::{Browser, send};

fn api(contoso: &Contoso, spec: &ApiTokenSpec) -> http::request::Builder {
    let anna = &contoso.anna;
    let token = contoso.world.microsoft.entra.api_token(anna.tenant_id(), anna.id(), spec);
    Request::builder()
        .method(Method::GET)
        .uri(format!("https://{APP_HOST}/api/my-calendar/api"))
        .header("authorization", format!("Bearer {token}"))
}

#[tokio::test]
async fn requests_that_hang_up_keep_nobody_out_of_a_fresh_instance() -> TestResult {
    let contoso = Contoso::open().await?;
    let network = &contoso.world.microsoft.network;
    network.set_slow(LOGIN_HOST, true);
    let made_up = ApiTokenSpec::default().signed_as(Signing::Foreign);
    for _ in 0..12 {
        let request = api(&contoso, &made_up).body(bytes::Bytes::new())?;
        let mut aborted = Box::pin(network.send(request));
        assert!(futures::poll!(&mut aborted).is_pending());
        drop(aborted);
        let answer = send(&contoso.world, api(&contoso, &ApiTokenSpec::default()), "").await?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        contoso.world.clock.advance(seconds(5));
    }
    assert!(contoso.world.microsoft.entra.key_requests() <= 2);
    let browser = Browser::new(&contoso.world, "my-calendar");
    assert_eq!(browser.sign_in(contoso.ben.id()).await?.status, 200);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn entra_may_be_away_for_hours_before_anybody_is_refused() -> TestResult {
    let contoso = Contoso::open().await?;
    let good = ApiTokenSpec::default;
    assert_eq!(send(&contoso.world, api(&contoso, &good()), "").await?.status, 200);
    for _ in 0..5 {
        contoso.run_for(hours(4)).await;
        assert_eq!(send(&contoso.world, api(&contoso, &good()), "").await?.status, 200);
        contoso.world.run_until_idle().await;
    }
    contoso.world.microsoft.network.set_down(LOGIN_HOST, true);
    contoso.run_for(hours(6)).await;
    assert_eq!(send(&contoso.world, api(&contoso, &good()), "").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_pending_sign_in_costs_one_token_request() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = Browser::new(&contoso.world, "my-calendar");
    let back = browser.start_sign_in(contoso.ben.id()).await?;
    let kept = browser.cookies();
    let before = contoso.world.microsoft.entra.token_requests();
    let mut answers = Vec::new();
    for n in 0..300 {
        browser.set_cookies(kept.clone());
        let code = |(name, value): (_, String)| {
            let value = if name == "code" { format!("{value}{n}") } else { value };
            (name, value)
        };
        let mut guess = back.clone();
        let pairs: Vec<_> = back.query_pairs().into_owned().map(|(n, v)| code((n, v))).collect();
        guess.query_pairs_mut().clear().extend_pairs(pairs);
        answers.push(browser.get(guess.as_str()).await?.status);
    }
    assert_eq!(contoso.world.microsoft.entra.token_requests() - before, 1);
    assert!(answers.iter().all(|status| *status == 403), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn a_link_that_says_no_is_no_answer_of_entras() -> TestResult {
    let contoso = Contoso::open().await?;
    for (function, heading) in [
        ("my-calendar", "This sign-in was not started here"),
        ("consent", "This sign-in was not started here"),
    ] {
        let browser = Browser::new(&contoso.world, function);
        browser.start_sign_in(contoso.ben.id()).await?;
        let kept = browser.cookies();
        for query in ["?error=access_denied", "?error=access_denied&state=x"] {
            browser.set_cookies(kept.clone());
            let page = browser.get(&format!("signed-in{query}")).await?;
            assert_eq!((page.status, page.heading()), (403, heading), "{function}");
        }
    }
    Ok(())
}
