//! Tokens, permissions, throttling, planned faults, unknown routes.

use futures::future::join_all;

use super::*;
use crate::fault_injection::Fault;
use crate::graph::{FaultOutcome, RequestFault, Scope, ThrottleEnd};
use crate::microsoft::DAEMON_APP;

#[tokio::test]
async fn no_token_no_answer() {
    let story = graph_fixture();
    story.ms.entra.revoke(story.tenant.id(), DAEMON_APP);
    let (status, error) = story.get("/subscriptions").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(error["error"]["code"], "InvalidAuthenticationToken");
}

#[tokio::test]
async fn roles_and_grants_in_exchange_decide() {
    let story = graph_fixture();
    let tenant = story.tenant.id();
    let read = format!("{}?$select=id", story.path(&story.anna));
    let accept = format!("{}/accept", story.path(&story.aurora));
    story.ms.entra.consent(tenant, DAEMON_APP, &["Calendars.ReadWrite"]);
    assert_eq!(story.get(&read).await.0, StatusCode::OK);
    assert_eq!(story.subscribe(&story.anna).await.0, StatusCode::FORBIDDEN);
    story.ms.entra.consent(tenant, DAEMON_APP, &["Calendars.Read"]);
    assert_eq!(story.call("POST", &accept, json!({})).await.0, StatusCode::FORBIDDEN);
    story.ms.entra.consent(tenant, DAEMON_APP, &[]);
    let (status, error) = story.get(&read).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::FORBIDDEN, &json!("ErrorAccessDenied"))
    );
    story.ms.graph.grant_in_exchange(tenant, DAEMON_APP, true, true, &[&story.aurora]);
    assert_eq!(story.get(&read).await.0, StatusCode::FORBIDDEN);
    assert_eq!(story.call("POST", &accept, json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(story.subscribe(&story.aurora).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn the_fifth_request_at_once_in_a_mailbox_is_throttled() {
    let story = graph_fixture();
    let path = format!("{}?$select=id", story.path(&story.anna));
    let answers = join_all((0..5).map(|_| story.get(&path))).await;
    let throttled: Vec<_> = answers.iter().filter(|(s, _)| *s == 429).collect();
    assert_eq!(throttled.len(), 1);
    assert_eq!(throttled[0].1["error"]["code"], "ApplicationThrottled");
    assert_eq!(story.get(&path).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_throttle_lasts_as_long_as_requested() {
    let story = graph_fixture();
    let anna = format!("{}?$select=id", story.path(&story.anna));
    let aurora = format!("{}?$select=id", story.path(&story.aurora));
    let graph = &story.ms.graph;
    graph.throttle(Scope::Mailbox(story.anna.id().to_owned()), ThrottleEnd::Requests(1), 429);
    assert_eq!(story.get(&aurora).await.0, StatusCode::OK);
    assert_eq!(story.get(&anna).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(story.get(&anna).await.0, StatusCode::OK);
    graph.throttle(Scope::Everything, ThrottleEnd::Instant(at(1)), 503);
    let batch = json!({ "requests": [{ "id": "1", "method": "GET", "url": anna,
        "headers": { "Prefer": PREFER } }] });
    let (status, body) = story.call("POST", "/$batch", batch).await;
    assert_eq!((status, &body["responses"][0]["status"]), (StatusCode::OK, &json!(503)));
    assert_eq!(body["responses"][0]["headers"]["Retry-After"], "3600");
    story.clock.set(at(1));
    assert_eq!(story.get(&anna).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_planned_fault_strikes_before_or_after_the_effect() {
    let story = graph_fixture();
    let path = story.path(&story.aurora);
    let accept = format!("{path}/accept");
    let template = "/users/{id}/events/{id}/accept";
    let plan = |moment, outcome| RequestFault { method: "POST", template, nth: 1, moment, outcome };
    story.ms.graph.plan_fault(plan(Fault::Before, FaultOutcome::Status(503)));
    assert_eq!(story.call("POST", &accept, json!({})).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let given = || story.ms.exchange.responses_from(story.meeting.ical(), &story.aurora).len();
    assert_eq!(given(), 0);
    story.ms.graph.plan_fault(plan(Fault::After, FaultOutcome::Broken));
    let request = Request::post(format!("https://{GRAPH_HOST}/v1.0{accept}"))
        .header("authorization", format!("Bearer {}", story.ms.graph_token(&story.tenant)))
        .header("prefer", PREFER)
        .body(Bytes::new())
        .unwrap();
    assert!(story.ms.network.send(request).await.is_err());
    assert_eq!((given(), story.ms.graph.faults_triggered()), (1, 2));
    let requests = story.ms.graph.requests();
    assert_eq!(requests.iter().map(|s| s.status).collect::<Vec<_>>(), [503, 0]);
    assert_eq!(requests[1].template, template);
}

#[tokio::test]
async fn unknown_routes_are_404_in_graphs_shape() {
    let story = graph_fixture();
    let (status, error) = story.get("/users/x/messages").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(error["error"]["innerError"]["date"].is_string());
    let wrong = story.call("DELETE", &story.path(&story.anna), Value::Null).await;
    assert_eq!(wrong.0, StatusCode::METHOD_NOT_ALLOWED);
}
