//! What people see of themselves, and never of others.

use http::Method;
use roombridge::domain::tenant::policy::ContentPolicy;
use serde_json::Value;
use world::entra::ApiTokenSpec;
use world::exchange::Invitation;

use super::contoso_keeping_content;
use crate::TestResult;
use crate::contoso::{Contoso, at, minutes};

#[tokio::test]
async fn own_data_is_shown_and_downloaded_whole() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { tenant, anna, ben, aurora, .. } = &contoso;
    let invitation = Invitation::new("Quarterly numbers", at("09:00"), at("10:00"));
    tenant.meet(anna, invitation.with(ben).room(aurora))?;
    contoso.run_for(minutes(5)).await;
    let browser = contoso.signed_in(anna).await?;
    let page = browser.get("").await?;
    for words in ["Quarterly numbers", aurora.address(), "24 November 2026, 09:00 UTC"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let file = browser.get("data.json").await?;
    assert!(file.header("content-disposition").starts_with("attachment"), "{:?}", file.headers);
    assert_eq!(file.header("content-type"), "application/json");
    let data = file.json()?;
    assert_eq!(data["person"], anna.id());
    assert_eq!(data["calendar"]["state"], "active");
    assert_eq!(data["calendar"]["has_secret_number"], true);
    let booking = &data["appointments"][0]["bookings"][0];
    assert_eq!(booking["own_copy"]["subject"], "Quarterly numbers");
    assert_eq!(booking["own_copy"]["people"], 2);
    assert_eq!(booking["published_outcome"], "booked");
    assert_eq!(booking["booked"][0], "2026-11-24T09:00:00Z");
    let nonce = contoso.mailbox(anna).await?.nonce.ok_or("never subscribed")?;
    assert!(
        !file.text.contains(&format!("{nonce:016x}")) && !file.text.contains(&nonce.to_string())
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nobody_sees_anything_of_anybody_else() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { tenant, anna, cleo, aurora, .. } = &contoso;
    let invitation = Invitation::new("Merger", at("09:00"), at("10:00"));
    tenant.meet(anna, invitation.with(cleo).room(aurora))?;
    contoso.run_for(minutes(5)).await;
    let browser = contoso.signed_in(cleo).await?;
    for text in [browser.get("").await?.text, browser.get("data.json").await?.text] {
        for word in ["Merger", anna.id(), anna.address(), "Anna"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    let data = browser.get("data.json").await?.json()?;
    assert_eq!(data["appointments"], Value::Array(Vec::new()));
    // Somebody of another organisation, connected or not, sees nothing either, whatever name they give.
    let other = contoso.world.microsoft.tenant("Fabrikam");
    let zoe = other.person("Zoe");
    let browser = contoso.signed_in(&zoe).await?;
    assert_eq!(browser.get("").await?.status, 409, "that organisation is not connected");
    contoso.world.fixtures().connect(&other, ContentPolicy::default()).await?;
    let namesake = ApiTokenSpec::default().with("oid", anna.id());
    let token = contoso.token_with(&zoe, &namesake);
    let all = contoso.call(Method::GET, &token, "", None).await?.json()?;
    assert_eq!(all["stored"]["person"], anna.id());
    assert_eq!(all["eligibility"]["state"], "none", "{all}");
    assert_eq!(all["stored"]["appointments"], Value::Array(Vec::new()));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_visitor_who_is_not_signed_in_learns_what_this_is_and_no_more() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.visitor();
    let page = browser.get("").await?;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Sign in with your work account"), "{}", page.text);
    assert!(!page.text.contains("<form"), "{}", page.text);
    assert_eq!(browser.get("data.json").await?.status, 401);
    let page = browser.get("?done=%3Cscript%3Ealert(1)%3C/script%3E").await?;
    assert!(!page.text.contains("<script"), "{}", page.text);
    contoso.assert_healthy().await
}
