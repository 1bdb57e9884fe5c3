//! What fails silently: notifications that vanish, answers that take their time, handshakes that time out.

use std::time::Duration;

use super::*;
use crate::graph::Scope;

#[tokio::test]
async fn while_losing_is_on_changes_leave_no_trace() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.subscribe(&story.aurora).await;
    let (graph, everything) = (&story.ms.graph, Scope::Everything);
    story.meeting.rename("On its way").unwrap();
    graph.set_dropping(&everything, true);
    story.meeting.rename("Lost").unwrap();
    graph.set_dropping(&everything, false);
    story.meeting.rename("Delivered").unwrap();
    assert_eq!(graph.deliver_due().await.delivered, 12, "three for each copy, twice");
    assert_eq!(graph.dropped_and_lost(), (6, 0));

    let room = Scope::Mailbox(story.aurora.id().to_owned());
    graph.set_dropping(&room, true);
    story.meeting.rename("In the person's calendar").unwrap();
    assert_eq!(graph.deliver_due().await.delivered, 3);
    graph.set_dropping(&Scope::Tenant(story.tenant.id().to_owned()), true);
    story.meeting.rename("Nowhere").unwrap();
    assert_eq!(graph.deliver_due().await.delivered, 0);
    assert!(story.receiver.take().iter().all(|item| item.get("lifecycleEvent").is_none()));
    assert_eq!(graph.subscriptions().len(), 2, "the subscriptions look healthy");
}

#[tokio::test]
async fn a_storm_can_come_in_separate_posts_in_any_order() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.ms.graph.set_max_items_per_post(1);
    story.ms.graph.set_shuffled(true);
    story.ms.graph.duplicate_next(1);
    story.tenant.meet(&story.anna, Invitation::new("New", at(12), at(13))).unwrap();
    let done = story.ms.graph.deliver_due().await;
    assert!(done.posts.len() == 5 && done.posts.iter().all(|post| post.items == 1));
}

#[tokio::test(start_paused = true)]
async fn answers_to_one_tenant_can_take_long_without_a_wait_for_another() {
    let mut story = graph_fixture();
    story.ms.graph.set_answer_time(story.tenant.id(), Duration::from_secs(30));
    let path = format!("{}?$select=id", story.path(&story.anna));
    let began = tokio::time::Instant::now();
    assert_eq!(story.get(&path).await.0, StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    let nine = (0..9).map(|n| {
        let headers = json!({ "Prefer": PREFER });
        json!({ "id": n.to_string(), "method": "GET", "url": path, "headers": headers })
    });
    let nine: Vec<_> = nine.collect();
    let (_, body) = story.call("POST", "/$batch", json!({ "requests": nine })).await;
    assert!(body["responses"].as_array().unwrap().iter().all(|r| r["status"] == 200));
    assert_eq!(began.elapsed(), Duration::from_mins(2), "four at a time, three times");
    story.tenant = story.ms.tenant("Fabrikam");
    assert_eq!(story.get("/subscriptions").await.0, StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::from_mins(2));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_takes_more_than_three_seconds_is_counted_as_slow() {
    let story = graph_fixture();
    let slowly = axum::routing::post(|Query(query): Query<Vec<(String, String)>>| async move {
        if let Some((_, token)) = query.into_iter().find(|(name, _)| name == "validationToken") {
            return (StatusCode::OK, token);
        }
        // paused clock: an endpoint that is too slow.
        tokio::time::sleep(Duration::from_secs(4)).await;
        (StatusCode::SERVICE_UNAVAILABLE, String::new())
    });
    story.ms.network.register("hook.example", Router::new().route("/notify", slowly));
    story.subscribe(&story.anna).await;
    story.meeting.rename("Other").unwrap();
    story.ms.graph.deliver_due().await;
    assert_eq!(story.ms.graph.slow_responses(), 1);
    story.clock.set(story.ms.graph.next_delivery().unwrap());
    assert_eq!(story.ms.graph.deliver_due().await.posts.len(), 1);
    assert_eq!(story.ms.graph.slow_responses(), 1, "a retry may take ten");
}

#[tokio::test]
async fn handshakes_time_out_at_creation_and_at_renewal() {
    let story = graph_fixture();
    story.ms.graph.time_out_handshakes(1);
    let (status, error) = story.subscribe(&story.anna).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error["error"]["message"], "Subscription validation request timed out.");
    assert!(story.ms.graph.subscriptions().is_empty());
    let (_, made) = story.subscribe(&story.anna).await;
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    story.ms.graph.set_validation_on_renewal(true);
    story.ms.graph.time_out_handshakes(1);
    let renew = json!({ "expirationDateTime": at(24).to_string() });
    assert_eq!(story.call("PATCH", &path, renew.clone()).await.0, StatusCode::BAD_REQUEST);
    assert_ne!(story.ms.graph.subscriptions()[0].expires, at(24));
    assert_eq!(story.call("PATCH", &path, renew).await.0, StatusCode::OK);
}

#[tokio::test]
async fn reads_and_notifications_give_the_same_etag() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.meeting.rename("Other").unwrap();
    story.ms.graph.deliver_due().await;
    let etag = story.receiver.take()[0]["resourceData"]["@odata.etag"].clone();
    let (_, read) = story.get(&format!("{}?$select=id", story.path(&story.anna))).await;
    assert_eq!(read["@odata.etag"], etag);
    let window = format!("startDateTime={}&endDateTime={}", at(0), at(24));
    let view = format!("/users/{}/calendarView?$select=id&{window}", story.anna.id());
    assert_eq!(story.get(&view).await.1["value"][0]["@odata.etag"], etag);
}
