//! What people see of themselves, and never of others.

use std::sync::Arc;

use http::Method;
use jiff::civil::Weekday;
use roombridge::domain::tenant::policy::ContentPolicy;
use roombridge::store::failures::{Failure, Failures};
use serde_json::Value;
use world::entra::ApiTokenSpec;
use world::exchange::{Invitation, Meeting, Processing, Recurrence, Response};

use super::contoso_keeping_content;
use crate::contoso::{Contoso, at, minutes};
use crate::{TestError, TestResult};

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

/// Anna's meeting at nine in Aurora, on three Tuesdays from 1 December on. Cleo has Aurora on those of them.
async fn series_with_conflicts(contoso: &Contoso, taken: &[&str]) -> Result<Meeting, TestError> {
    let Contoso { tenant, anna, cleo, aurora, .. } = contoso;
    for date in taken {
        let (from, to) = (format!("{date}T09:30"), format!("{date}T10:30"));
        contoso.meet(cleo, (&from, &to), aurora)?;
    }
    contoso.run_for(minutes(10)).await;
    let (start, end) = (at("2026-12-01T09:00"), at("2026-12-01T10:00"));
    let rule = Recurrence::weekly(&[Weekday::Tuesday]).times(3);
    let invitation = Invitation::new("Standup", start, end).room(aurora).series(rule);
    let meeting = tenant.meet(anna, invitation)?;
    contoso.run_for(minutes(10)).await;
    Ok(meeting)
}

#[tokio::test]
async fn a_series_is_one_entry_that_says_which_dates_failed_and_why() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { anna, cleo, .. } = &contoso;
    series_with_conflicts(&contoso, &["2026-12-08"]).await?;
    let browser = contoso.signed_in(anna).await?;
    let page = browser.get("").await?.text;
    for words in [
        "Your appointments with a managed room (1)",
        "<details open><summary>A series. Dates booked: 2, not booked: 1</summary>",
        "8 December 2026, 09:00 UTC",
        "not booked: another meeting has the room",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let data = browser.get("data.json").await?;
    let stored = data.json()?;
    let [series] = stored["appointments"].as_array().ok_or("no list")?.as_slice() else {
        return Err(format!("not one entry: {stored}").into());
    };
    assert_eq!(series["series"], true);
    let dates = series["bookings"].as_array().ok_or("no dates")?.iter();
    let shown: Vec<_> = dates.map(|b| (&b["original_start"], &b["published_outcome"])).collect();
    let (first, second, third) = (
        "2026-12-01T09:00:00Z".into(),
        "2026-12-08T09:00:00Z".into(),
        "2026-12-15T09:00:00Z".into(),
    );
    let (booked, taken) = ("booked".into(), "taken".into());
    assert_eq!(shown, [(&first, &booked), (&second, &taken), (&third, &booked)]);
    for text in [page, data.text] {
        assert!(!text.contains(cleo.id()) && !text.contains(cleo.address()), "{text}");
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_series_that_was_declined_whole_says_so_at_the_dates_that_were_free() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    series_with_conflicts(&contoso, &["2026-12-01", "2026-12-08"]).await?;
    let page = contoso.signed_in(&contoso.anna).await?.get("").await?.text;
    assert!(page.contains("A series. Dates booked: 0, not booked: 3"), "{page}");
    assert_eq!(page.matches("not booked: another meeting has the room").count(), 2, "{page}");
    assert_eq!(page.matches("too many dates of the series are taken").count(), 1, "{page}");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn work_on_a_series_that_failed_is_shown_to_its_organizer_alone() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let series = series_with_conflicts(&contoso, &["2026-12-08"]).await?;
    Failures::new(Arc::clone(&contoso.world.raw_tables))
        .record(&Failure {
            tenant: Some(contoso.tenant_id()?),
            function: "write-back".to_owned(),
            subject: contoso.booking_key(&series, aurora)?.partition(),
            cause: "Graph answered 400".to_owned(),
            attempts: 5,
            first_seen: contoso.now(),
            failed_at: contoso.now(),
            correlation: None,
            message: None,
        })
        .await?;
    for (person, is_theirs) in [(anna, true), (cleo, false)] {
        let page = contoso.signed_in(person).await?.get("").await?.text;
        assert_eq!(page.contains("Graph answered 400"), is_theirs, "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_date_in_another_room_is_shown_with_its_series() -> TestResult {
    let both = (Processing::AutoUpdate, Processing::AutoUpdate);
    let contoso = Contoso::builder().rooms(both.0, both.1).open().await?;
    let Contoso { anna, aurora, borealis, .. } = &contoso;
    let series = series_with_conflicts(&contoso, &[]).await?;
    let date = series.occurrence(at("2026-12-08T09:00"));
    date.change_rooms(&[borealis])?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(date.response_of(borealis), Some(Response::Accepted));
    let browser = contoso.signed_in(anna).await?;
    let page = browser.get("").await?.text;
    assert!(page.contains("<details><summary>A series. Dates booked: 3</summary>"), "{page}");
    let data = browser.get("data.json").await?.json()?;
    assert_eq!(data["appointments"].as_array().map(Vec::len), Some(1), "{data}");
    let rows = data["appointments"][0]["bookings"].as_array().ok_or("no dates")?;
    let shown = rows.iter().map(|b| (b["room"].as_str(), b["published_outcome"].as_str()));
    let (aurora, borealis) = (Some(aurora.address()), Some(borealis.address()));
    let expected = [
        (aurora, Some("booked")),
        (aurora, Some("released")),
        (borealis, Some("booked")),
        (aurora, Some("booked")),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
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
