//! A rehearsal: read first, book later.

use http::StatusCode;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Response};

use super::deciding::policy_form;
use super::unconnected_contoso;
use crate::contoso::{Contoso, at, hours, minutes};
use crate::{TestError, TestResult};

/// How often anything was written into a calendar.
fn calendar_writes(contoso: &Contoso) -> usize {
    let asked = contoso.world.microsoft.graph.requests();
    let writes = asked
        .iter()
        .filter(|request| request.method != "GET" && request.template.contains("/events"));
    writes.count()
}

#[tokio::test]
async fn what_would_be_booked_is_counted_and_booked_when_the_rehearsal_ends() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let Contoso { tenant, anna, aurora, world, .. } = &contoso;
    let meet = |n: i64| -> Result<_, TestError> {
        let start = at("08:00") + hours(n);
        let invitation = Invitation::new("Quarterly numbers", start, start + hours(1));
        Ok(tenant.meet(anna, invitation.room(aurora))?)
    };
    let meetings = (0..12).map(meet).collect::<Result<Vec<_>, _>>()?;
    let browser = contoso.signed_in_admin().await?;
    let choices = [("mode", "organisation-wide"), ("rehearsal", "yes")];
    let back = contoso.grant_with_choices(&browser, &choices, &contoso.ada).await?;
    assert_eq!(browser.get(&back).await?.location(), "/api/consent");
    assert!(contoso.tenant_row().await?.ok_or("a row")?.policy.rehearsal);
    browser.get("").await?;
    contoso.manage_aurora(&browser, "exchange").await?;
    world.run_for(minutes(5)).await;

    let page = browser.get("health").await?;
    assert!(page.text.contains("12 appointments would be booked"), "{}", page.text);
    assert_eq!((page.text_of_id("rooms-missing"), page.text_of_id("rooms-basic")), ("12", "1"));
    assert!(page.text.contains(&aurora.address().to_lowercase()));
    // A change that is notified is not read, and not booked.
    world.microsoft.graph.clear_requests();
    meet(12)?;
    world.run_for(minutes(5)).await;
    assert_eq!(world.microsoft.graph.requests(), []);
    assert_eq!(browser.post("health", &[]).await?.location(), "/api/consent/health?comparing");
    world.run_for(minutes(5)).await;
    let page = browser.get("health?comparing").await?;
    assert!(page.text.contains("13 appointments would be booked"));
    assert!(page.text.contains("Every calendar is being compared."));
    for table in [Table::Bookings, Table::Appointments] {
        assert!(world.rows(table).await?.is_empty(), "{table:?}");
    }
    assert_eq!(calendar_writes(&contoso), 0);

    let version = browser.get("policy").await?.value("version");
    let page = browser.post("policy", &policy_form(&version, &[])).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    world.run_for(minutes(5)).await;
    assert_eq!(world.rows(Table::Bookings).await?.len(), 13);
    for meeting in &meetings {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    }
    browser.get("health").await?;
    browser.post("health", &[]).await?;
    world.run_for(minutes(5)).await;
    let page = browser.get("health").await?;
    assert_eq!(page.text_of_id("rooms-missing"), "0");
    assert!(!page.text.contains("would be booked"));
    let changes: Vec<_> = contoso.policy_changes().await?;
    let changes: Vec<_> =
        changes.iter().map(|(name, old, new)| [&**name, &**old, &**new]).collect();
    assert_eq!(changes, [["rehearsal", "no", "yes"], ["rehearsal", "yes", "no"]]);
    assert_eq!(world.microsoft.graph.violations(), []);
    Ok(())
}

#[tokio::test]
async fn connecting_again_keeps_what_was_decided() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let choices = [("mode", "scoped"), ("rehearsal", "yes")];
    let back = contoso.grant_with_choices(&browser, &choices, &contoso.ada).await?;
    browser.get(&back).await?;
    assert!(!contoso.tenant_row().await?.ok_or("a row")?.policy.rehearsal);
    assert_eq!(contoso.policy_changes().await?, []);
    Ok(())
}
