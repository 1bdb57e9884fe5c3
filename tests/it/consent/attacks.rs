//! What somebody might try, each refused with its answer and without any effect.

use http::StatusCode;
use world::office::APP_HOST;

use super::Newcomer;
use crate::Outcome;

const CONNECT: &[(&str, &str)] = &[("mode", "organisation-wide")];

#[tokio::test]
async fn a_consent_is_taken_once() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let back = contoso.granted(&mut browser, "organisation-wide", &contoso.ada).await?;
    let pending = browser.cookies.clone();
    assert_eq!(browser.get(&back).await?.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get(&back).await?.heading(), "This consent was not begun here");
    // Even with the cookie kept.
    browser.cookies = pending;
    let page = browser.get(&back).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (409, "This consent was used before"));
    assert_eq!((contoso.decisions().await?.len(), contoso.told().len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_consent_of_another_browser_is_refused() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut theirs = contoso.ada().await?;
    let back = contoso.granted(&mut theirs, "organisation-wide", &contoso.ada).await?;
    let mut ours = contoso.ada().await?;
    ours.post("connect", CONNECT).await?;
    let page = ours.get(&back).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (403, "This consent was not begun here"));
    contoso.nothing_happened().await
}

#[tokio::test]
async fn a_consent_for_another_tenant_than_the_one_that_signed_in_is_refused() -> Outcome {
    let contoso = Newcomer::open()?;
    let fabrikam = contoso.office.microsoft.stranger("Fabrikam");
    let mut browser = contoso.ada().await?;
    let back = contoso.granted(&mut browser, "organisation-wide", &contoso.ada).await?;
    let swapped = back.replace(contoso.tenant.id(), fabrikam.id());
    let page = browser.get(&swapped).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (403, "Another organisation consented"));
    contoso.nothing_happened().await
}

#[tokio::test]
async fn success_beside_an_error_is_an_error() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let back = contoso.granted(&mut browser, "organisation-wide", &contoso.ada).await?;
    let page = browser.get(&format!("{back}&error=server_error")).await?;
    assert_eq!(page.heading(), "Your organisation was not connected");
    contoso.nothing_happened().await
}

#[tokio::test]
async fn what_took_too_long_is_over() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    let back = contoso.granted(&mut browser, "organisation-wide", &contoso.ada).await?;
    contoso.pass(10);
    let page = browser.get(&back).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (400, "The consent took too long"));

    let there = browser.leave_to_sign_in().await?;
    let back = contoso.office.microsoft.entra.authorize(&there, &contoso.ada);
    contoso.pass(10);
    let page = browser.get(back.map_err(|page| page.text)?.as_str()).await?;
    assert_eq!(page.heading(), "The sign-in took too long");

    let mut browser = contoso.ada().await?;
    contoso.pass(60);
    assert_eq!(browser.get("policy").await?.heading(), "You are not signed in");
    let page = browser.post("connect", CONNECT).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (401, "Your session is over"));
    contoso.nothing_happened().await
}

#[tokio::test]
async fn a_sign_in_is_good_for_one_browser_and_one_time() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.browser();
    let there = browser.leave_to_sign_in().await?;
    let back = contoso.office.microsoft.entra.authorize(&there, &contoso.ada);
    let back = back.map_err(|page| page.text)?;
    let mut victim = contoso.browser();
    assert_eq!(victim.get(back.as_str()).await?.heading(), "This sign-in was not begun here");
    assert!(victim.cookies.is_empty());
    let pending = browser.cookies.clone();
    assert_eq!(browser.get(back.as_str()).await?.status, StatusCode::SEE_OTHER);
    browser.cookies = pending;
    assert_eq!(browser.get(back.as_str()).await?.status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn a_post_of_another_site_or_without_the_token_changes_nothing() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.connected("organisation-wide").await?;
    let before = (contoso.row().await?, contoso.told());
    let steps = ["sign-out", "connect", "policy", "rooms", "reach", "disconnect"];
    for step in steps {
        for (site, origin) in
            [("cross-site", "null"), ("same-site", "null"), ("same-origin", "https://evil.example")]
        {
            (browser.site, browser.origin) = (site, origin);
            let page = browser.post(step, &[("sure", "yes")]).await?;
            assert_eq!((page.status.as_u16(), page.heading()), (403, "Another site sent this"));
        }
        (browser.site, browser.origin) = ("same-origin", "null");
        for token in ["", "x", &"A".repeat(43)] {
            let page = browser.post_bare(step, &[("csrf", token), ("sure", "yes")]).await?;
            assert_eq!(page.heading(), "This form is of an earlier session", "{step}");
        }
        let page = browser.post_bare(step, &[("sure", "yes")]).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{step}");
    }
    assert_eq!((contoso.row().await?, contoso.told()), before);
    Ok(())
}

#[tokio::test]
async fn a_form_with_a_field_of_nobody_is_refused() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.ada().await?;
    for extra in [("tenant", "another"), ("administrator", "yes"), ("mode", "scoped")] {
        let page = browser.post("connect", &[CONNECT, &[extra]].concat()).await?;
        assert_eq!((page.status.as_u16(), page.heading()), (400, "This form cannot be read"));
    }
    let page = browser.post("connect", &[("mode", "everything")]).await?;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let page = browser.post("connect", &[("mode", &"x".repeat(70_000))]).await?;
    assert_eq!((page.status.as_u16(), page.heading()), (413, "This form is too large"));
    contoso.nothing_happened().await
}

#[tokio::test]
async fn nothing_a_browser_sends_chooses_where_it_goes() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.browser();
    let queries = ["redirect=https://evil.example", "return_to=//evil.example", "next=/%5Cevil"];
    for query in queries {
        let page = browser.get(&format!("sign-in?{query}")).await?;
        assert!(page.location().starts_with("https://login.microsoftonline.com/organizations/"));
        assert!(!page.location().contains("evil"), "{query}");
    }
    let mut browser = contoso.connected("scoped").await?;
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

#[tokio::test]
async fn a_page_does_not_take_other_methods() -> Outcome {
    let contoso = Newcomer::open()?;
    let mut browser = contoso.connected("scoped").await?;
    let page = browser.get("connect").await?;
    assert_eq!((page.status.as_u16(), page.heading()), (405, "This page cannot be used like this"));
    assert_eq!(browser.post("register", &[]).await?.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}
