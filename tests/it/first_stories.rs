//! The smallest story of each kind. `tests/README.md` shows them as templates, letter by letter.

use world::exchange::Response;
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};

use crate::TestResult;
use crate::contoso::{Contoso, Who, minutes};
use crate::http_browser::Browser;

#[tokio::test]
async fn a_free_room_is_booked() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_person_who_agrees_on_the_page_is_followed() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = Browser::new(&contoso.world, "my-calendar");
    browser.sign_in(contoso.ben.id()).await?;
    let page = browser.submit("agree", &[("agree", "yes"), ("text_version", "2026-12")]).await?;
    assert!(page.text.contains("You agreed."), "{}", page.text);
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_acceptance_whose_response_is_lost_is_recognised() -> TestResult {
    let contoso = Contoso::builder().followed(&[Who::Anna, Who::Aurora]).open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    contoso.world.microsoft.graph.plan_fault(RequestFault {
        method: "POST",
        template: "/users/{id}/events/{id}/accept",
        nth: 1,
        moment: Fault::After,
        outcome: FaultOutcome::Broken,
    });
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(15)).await;
    assert_eq!(contoso.world.microsoft.graph.faults_triggered(), 1);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.expect_booking(&meeting, aurora).await?.unsettled_due, None);
    contoso.assert_healthy().await
}

/// The code below the heading of each kind, without the attribute.
#[test]
fn the_templates_are_these_stories() -> TestResult {
    let root = world::test_world::repository_root();
    let (readme, source) = (
        std::fs::read_to_string(root.join("tests/README.md"))?,
        std::fs::read_to_string(root.join("tests/it/first_stories.rs"))?,
    );
    let blocks: Vec<&str> = readme
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(code, _)| code))
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(source.contains(block), "not in tests/it/first_stories.rs:\n{block}");
    }
    Ok(())
}
