//! The audit: every call to Graph and to the booking system, and never what was in it.

use std::collections::BTreeMap;

use roombridge::domain::api_call::ApiCall;
use roombridge::domain::ids::CorrelationId;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, RequestFault, Scope, ThrottleEnd};

use crate::TestResult;
use crate::contoso::{Contoso, at, hours, minutes, on_both, seconds};

on_both!(every_call_is_in_the_audit_once_and_nothing_else_is);

/// Method, path, status and correlation id of a call.
type AuditLine = (String, String, u16, String);

fn correlation_guid(correlation: CorrelationId) -> String {
    correlation.as_uuid().to_string()
}

fn count_lines(lines: impl Iterator<Item = AuditLine>) -> BTreeMap<AuditLine, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

/// A day with everything in it.
async fn busy_day(contoso: &Contoso) -> TestResult {
    let Contoso { tenant, anna, ben, cleo, aurora, borealis, world, .. } = contoso;
    let graph = &world.microsoft.graph;
    graph.plan_fault(RequestFault {
        method: "PATCH",
        template: "/users/{id}/events/{id}",
        nth: 1,
        moment: Fault::After,
        outcome: Answer::Broken,
    });
    let invitation = Invitation::new("Merger", at("09:00"), at("10:00")).with(ben).body("the plan");
    let meeting = tenant.meet(anna, invitation.room(aurora).room(borealis))?;
    contoso.run_for(minutes(1)).await;
    graph.throttle(Scope::Everything, ThrottleEnd::Requests(3), 429);
    contoso.meet(cleo, ("09:30", "10:30"), aurora)?;
    contoso.meet(ben, ("14:00", "15:00"), aurora)?;
    contoso.run_for(minutes(3)).await;
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.run_for(minutes(1)).await;
    meeting.cancel()?;
    world.fixtures().withdraw(cleo).await?;
    contoso.run_for(minutes(5)).await;
    Ok(())
}

async fn every_call_is_in_the_audit_once_and_nothing_else_is(contoso: Contoso) -> TestResult {
    busy_day(&contoso).await?;
    let audit = assert_audit_matches_graph(&contoso).await?;
    assert!(
        audit.iter().any(|call| call.status == 0) && audit.iter().any(|call| call.status == 429)
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn what_never_left_is_not_in_the_audit() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, borealis, world, .. } = &contoso;
    // The token has expired, and there is no other one.
    contoso.run_for(hours(2)).await;
    world.microsoft.entra.set_outage(true);
    let meetings = [
        contoso.meet(anna, ("09:00", "10:00"), aurora)?,
        contoso.meet(anna, ("10:00", "11:00"), borealis)?,
    ];
    contoso.run_for(minutes(3)).await;
    assert_audit_matches_graph(&contoso).await?;
    world.microsoft.entra.set_outage(false);
    // Nor is a batch whose one mailbox is to be left alone.
    let until = ThrottleEnd::Instant(contoso.now() + minutes(5));
    world.microsoft.graph.throttle(Scope::Mailbox(anna.id().to_owned()), until, 429);
    contoso.run_for(minutes(30)).await;
    assert_audit_matches_graph(&contoso).await?;
    for (meeting, room) in meetings.iter().zip([aurora, borealis]) {
        assert_eq!(contoso.outcome_on_copy(meeting, anna, room)?.as_deref(), Some("booked"));
    }
    contoso.assert_healthy().await
}

/// What the audit holds of Graph is what Graph has received.
async fn assert_audit_matches_graph(contoso: &Contoso) -> Result<Vec<ApiCall>, crate::TestError> {
    let audit = contoso.audit().await?;
    let audited = audit.iter().filter(|call| call.system == "graph").map(|call| {
        let correlation = correlation_guid(call.correlation);
        (call.method.to_string(), call.path.to_string(), call.status, correlation)
    });
    let received = contoso.world.microsoft.graph.requests().into_iter().map(|request| {
        (request.method, request.template, request.status, request.correlation.unwrap_or_default())
    });
    assert_eq!(count_lines(audited), count_lines(received));
    Ok(audit)
}

#[tokio::test]
async fn the_audit_names_fields_and_never_their_values() -> TestResult {
    let contoso = Contoso::open().await?;
    busy_day(&contoso).await?;
    for call in contoso.audit().await? {
        let expected: &[&str] = match (&*call.method, &*call.path) {
            ("GET", "/users/{id}/events/{id}") => &["id", "iCalUId", "attendees", "isOrganizer"],
            ("PATCH", "/users/{id}/events/{id}") => &["singleValueExtendedProperties"],
            ("POST", "/subscriptions") => &["clientState", "resource"],
            _ => &[],
        };
        for field in expected {
            assert!(call.fields.split(',').any(|named| named == *field), "{field}: {call:?}");
        }
    }
    let Contoso { anna, ben, aurora, .. } = &contoso;
    let secrets =
        ["Merger", "the plan", anna.id(), ben.id(), aurora.id(), "@contoso", "AAMk", "0400000082"];
    for row in contoso.rows(Table::Audit).await? {
        let text = format!("{:?} {:?}", row.key, row.properties);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    Ok(())
}

fn calls_of(audit: &[ApiCall], correlation: CorrelationId) -> Vec<(&str, &str)> {
    let own = audit.iter().filter(|call| call.correlation == correlation);
    // Calls of one instant have no order.
    let mut calls: Vec<_> = own.map(|call| (&*call.method, &*call.path)).collect();
    calls.sort_unstable();
    calls
}

#[tokio::test]
async fn one_id_leads_from_the_notification_to_the_rooms_answer() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    let known: Vec<_> = contoso.audit().await?.iter().map(|call| call.correlation).collect();
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    let audit = contoso.audit().await?;
    let correlation = contoso.expect_booking(&meeting, aurora).await?.correlation;
    assert!(!known.contains(&correlation));
    assert_eq!(
        calls_of(&audit, correlation),
        [("GET", "/users/{id}/events/{id}"), ("POST", "/users/{id}/events/{id}/accept"),]
    );
    Ok(())
}

#[tokio::test]
async fn one_id_leads_to_the_outcome_on_the_organizers_copy_when_many_are_read_at_once()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    for hour in ["09", "10", "11"] {
        let (start, end) = (format!("{hour}:00"), format!("{hour}:30"));
        contoso.meet(anna, (&start, &end), aurora)?;
    }
    graph.clear_requests();
    contoso.run_for(minutes(2)).await;
    // Every event that was written was read before under the same id, in the batch.
    let asked = graph.requests();
    let writes = asked.iter().enumerate().filter(|(_, request)| request.method == "PATCH");
    for (place, write) in writes {
        let is_its_read = |request: &world::graph::RecordedRequest| {
            request.method == "GET" && request.correlation == write.correlation
        };
        assert!(
            asked[..place].iter().any(|request| request.in_batch && is_its_read(request)),
            "{write:?}"
        );
    }
    assert_eq!(contoso.graph_requests("PATCH", "/users/{id}/events/{id}").len(), 3);
    contoso.assert_healthy().await
}
