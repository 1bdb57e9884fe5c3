//! What was asked for the organisation, as its administrator can prove it.

use std::sync::Arc;

use http::StatusCode;
use roombridge::domain::api_call::{ALLOW_LIST, ApiCall};
use roombridge::domain::ids::{CorrelationId, TenantId};
use roombridge::store::audit::Audit;
use world::exchange::Invitation;
use world::graph::{Scope, ThrottleEnd};
use world::test_world::INVITED_TENANT;

use super::unconnected_contoso;
use crate::contoso::{Contoso, at, hours, minutes};
use crate::http_browser::Page;
use crate::{TestError, TestResult};

const DAYS: [&str; 2] = ["2026-11-23", "2026-11-24"];

fn number(page: &Page, what: &str, day: &str) -> usize {
    page.text_of_id(&format!("{what}-{day}")).parse().unwrap_or_default()
}

fn sum(page: &Page, what: &str) -> usize {
    DAYS.iter().map(|day| number(page, what, day)).sum()
}

/// Some meetings, some of which Graph throttles, until the next morning.
async fn busy_day(contoso: &Contoso) -> TestResult {
    let Contoso { tenant, anna, aurora, world, .. } = contoso;
    for n in 0..5 {
        let start = at("08:00") + hours(n);
        let invitation = Invitation::new("Merger", start, start + hours(1)).room(aurora);
        tenant.meet(anna, invitation)?;
    }
    world.run_for(minutes(2)).await;
    world.microsoft.graph.throttle(Scope::Everything, ThrottleEnd::Requests(2), 429);
    let start = at("18:00");
    tenant.meet(anna, Invitation::new("Merger", start, start + hours(1)).room(aurora))?;
    world.run_for(hours(20)).await;
    Ok(())
}

#[tokio::test]
async fn reads_are_counted_as_graph_has_served_them() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.manage_aurora(&browser, "exchange").await?;
    busy_day(&contoso).await?;
    // The session is over by now.
    let browser = contoso.signed_in_admin().await?;
    let page = browser.get("audit?from=2026-11-23&to=2026-11-24").await?;
    let journal = contoso.world.microsoft.graph.requests();
    let reads: Vec<_> = journal
        .iter()
        .filter(|request| {
            let path = request.template.as_str();
            let calendar = ["/users/{id}/calendar", "/users/{id}/calendarView"].contains(&path);
            request.method == "GET" && (calendar || path.starts_with("/users/{id}/events"))
        })
        .collect();
    assert!(reads.len() > 7, "{}", reads.len());
    assert_eq!(sum(&page, "reads"), reads.len());
    let served = reads.iter().filter(|request| request.status == 200).count();
    assert_eq!(sum(&page, "answered"), served);
    assert!(served < reads.len(), "some were throttled");
    assert_eq!((sum(&page, "forbidden"), sum(&page, "stopped")), (0, 0));
    for field in ["iCalUId", "attendees"] {
        assert!(page.text.contains(&format!("<code>{field}</code>")), "{field}");
    }
    for secret in ["Merger", contoso.anna.id(), contoso.aurora.id(), "AAMk"] {
        assert!(!page.text.contains(secret), "{secret}");
    }

    // The downloads hold the same rows.
    let rows = sum(&page, "calls");
    let csv = browser.get(&page.link_starting_with("/api/consent/audit.csv")).await?;
    assert_eq!(csv.text.lines().count(), rows + 1);
    let json = browser.get(&page.link_starting_with("/api/consent/audit.json")).await?;
    let calls: Vec<serde_json::Value> = serde_json::from_str(&json.text)?;
    assert_eq!(calls.len(), rows);
    let correlation = calls[0]["correlation"].as_str().ok_or("a correlation")?;
    assert_eq!(correlation.len(), 36);
    Ok(())
}

#[tokio::test]
async fn a_stopped_request_is_shown_as_stopped() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let stopped = ApiCall {
        sent_at: contoso.world.now(),
        tenant: TenantId(INVITED_TENANT),
        system: ALLOW_LIST.into(),
        method: "GET".into(),
        path: "/users/{id}/events/{id}".into(),
        fields: "a field is not on the list".to_owned(),
        status: 0,
        duration_ms: 0,
        correlation: CorrelationId(1),
    };
    let numbered = Audit::assign_keys(vec![stopped], contoso.world.rng.as_ref());
    Audit::new(Arc::clone(&contoso.world.raw_tables)).write(&numbered).await?;
    let page = browser.get("audit").await?;
    assert_eq!((number(&page, "stopped", DAYS[0]), number(&page, "forbidden", DAYS[0])), (1, 0));
    assert!(page.text.contains("a field is not on the list"));
    assert!(page.text.contains("What this cannot say"));
    Ok(())
}

#[tokio::test]
async fn invalid_days_are_reported_at_their_field() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let cases = [
        ("from=yesterday", "from"),
        ("to=%22%3E%3Cscript%3E", "to"),
        ("from=2026-11-24&to=2026-11-23", "to"),
        ("from=2026-10-01&to=2026-11-01", "to"),
        ("from=-009999-01-01&to=9999-12-31", "to"),
    ];
    for (query, field) in cases {
        let page = browser.get(&format!("audit?{query}")).await?;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(page.text.contains(&format!("id=\"{field}-error\"")), "{query}");
        assert!(!page.text.contains("<script>"), "{query}");
        let download = browser.get(&format!("audit.csv?{query}")).await?;
        assert_eq!(download.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let month = browser.get("audit?from=2026-11-01&to=2026-12-01").await?;
    assert_eq!(month.status, StatusCode::OK);
    Ok::<(), TestError>(())
}
