//! Writing: answers to invitations, our own property, and Graph's talkative answer.

use super::*;
use crate::exchange::Response;

#[tokio::test]
async fn a_patch_of_our_property_answers_with_everything() {
    let story = graph_fixture();
    let before = story.meeting.copy_in(&story.anna).unwrap().etag;
    let body = json!({ "singleValueExtendedProperties": [{ "id": PROPERTY, "value": "booked" }] });
    let (status, event) = story.call("PATCH", &story.path(&story.anna), body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(event["body"]["content"], "SECRET");
    assert_eq!(event["subject"], "Budget");
    assert_ne!(story.meeting.copy_in(&story.anna).unwrap().etag, before);
    assert_eq!(story.meeting.property_in(&story.anna, PROPERTY).as_deref(), Some("booked"));
    assert_eq!(story.meeting.property_in(&story.aurora, PROPERTY), None);
    assert!(story.broken_rules().is_empty());
    let body = json!({ "subject": "Mine", "categories": ["Booked"] });
    story.call("PATCH", &story.path(&story.anna), body).await;
    assert_eq!(story.broken_rules(), ["a PATCH of subject"]);
}

#[tokio::test]
async fn a_property_is_emptied_and_removed_only_where_null_does_that() {
    let story = graph_fixture();
    let path = story.path(&story.anna);
    let set = async |value: Value| {
        let body = json!({ "singleValueExtendedProperties": [{ "id": PROPERTY, "value": value }] });
        story.call("PATCH", &path, body).await.0
    };
    let property = || story.meeting.property_in(&story.anna, PROPERTY);
    assert_eq!(set(json!("booked")).await, StatusCode::OK);
    assert_eq!(set(Value::Null).await, StatusCode::BAD_REQUEST);
    assert_eq!(property().as_deref(), Some("booked"));
    assert_eq!(set(json!("")).await, StatusCode::OK);
    assert_eq!(property().as_deref(), Some(""));
    story.ms.graph.set_null_removes(true);
    assert_eq!(set(Value::Null).await, StatusCode::OK);
    assert_eq!(property(), None);
}

#[tokio::test]
async fn the_room_accepts_and_the_organizer_sees_it() {
    let story = graph_fixture();
    let path = format!("{}/accept", story.path(&story.aurora));
    let body = json!({ "comment": "See you", "sendResponse": true });
    assert_eq!(story.call("POST", &path, body).await, (StatusCode::ACCEPTED, Value::Null));
    assert_eq!(story.meeting.response_of(&story.aurora), Some(Response::Accepted));
    let answers = story.ms.exchange.responses_from(story.meeting.ical(), &story.aurora);
    assert!(answers.len() == 1 && answers[0].comment == "See you");
}

#[tokio::test]
async fn declining_takes_the_copy_away_and_a_second_time_is_404() {
    let story = graph_fixture();
    let path = format!("{}/decline", story.path(&story.aurora));
    assert_eq!(story.call("POST", &path, json!({})).await.0, StatusCode::ACCEPTED);
    assert_eq!(story.meeting.response_of(&story.aurora), Some(Response::Declined));
    let (status, error) = story.call("POST", &path, json!({})).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("ErrorItemNotFound"))
    );
    let own = format!("{}/accept", story.path(&story.anna));
    assert_eq!(story.call("POST", &own, json!({})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_batch_answers_each_request_for_itself() {
    let story = graph_fixture();
    let select = |mailbox: &Mailbox| format!("{}?$select=id", story.path(mailbox));
    let one = |id: &str, url: String, after: Value| {
        json!({ "id": id, "method": "GET", "url": url, "headers": { "Prefer": PREFER },
            "dependsOn": after })
    };
    let missing = format!("/users/{}/events/AAkNone=?$select=id", story.anna.id());
    let requests = json!({ "requests": [
        one("1", select(&story.anna), json!([])),
        one("2", missing, json!([])),
        one("3", select(&story.aurora), json!(["2"])),
    ] });
    let (status, body) = story.call("POST", "/$batch", requests).await;
    assert_eq!(status, StatusCode::OK);
    let mut answers: Vec<_> = body["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["id"].as_str().unwrap(), r["status"].as_u64().unwrap()))
        .collect();
    answers.sort_unstable();
    assert_eq!(answers, [("1", 200), ("2", 404), ("3", 424)]);
    let many: Vec<_> =
        (0..21).map(|n| one(&n.to_string(), select(&story.anna), json!([]))).collect();
    let full = json!({ "requests": many[..20] });
    let (_, body) = story.call("POST", "/$batch", full).await;
    let all = body["responses"].as_array().unwrap();
    assert!(all.len() == 20 && all.iter().all(|r| r["status"] == 200));
    let over = story.call("POST", "/$batch", json!({ "requests": many })).await;
    assert_eq!(over.0, StatusCode::BAD_REQUEST);
    assert_eq!(story.ms.graph.count("GET", "/users/{id}/events/{id}"), 22);
    assert_eq!(story.ms.graph.http_requests(), 3);
}
