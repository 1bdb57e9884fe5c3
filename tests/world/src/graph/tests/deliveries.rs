//! Notifications: storms, batches, retries, losses.

use super::*;
use crate::graph::{LifecycleKind, NotificationPost};

fn kinds(items: &[Value]) -> Vec<&str> {
    items.iter().map(|i| i["changeType"].as_str().unwrap_or("lifecycle")).collect()
}

#[tokio::test]
async fn each_change_causes_the_documented_storm() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    assert_eq!(story.ms.graph.pending_notifications(), 0, "what was there before is not notified");
    let invitation = Invitation::new("New", at(12), at(13));
    let meeting = story.tenant.meet(&story.anna, invitation).unwrap();
    story.ms.graph.deliver_due().await;
    let items = story.receiver.take();
    assert_eq!(kinds(&items), ["created", "updated", "updated", "updated"]);
    let event = meeting.copy_in(&story.anna).unwrap();
    assert_eq!(items[0]["resourceData"]["id"], event.event);
    assert_eq!(items[0]["resourceData"]["@odata.etag"], event.etag);
    let resource = format!("Users/{}/Events/{}", story.anna.id(), event.event);
    assert_eq!(items[0]["resource"], resource);
    assert_eq!(items[0]["tenantId"], story.tenant.id());
    assert_eq!(items[0]["clientState"], "proof");
    meeting.rename("Newer").unwrap();
    story.ms.graph.deliver_due().await;
    assert_eq!(kinds(&story.receiver.take()), ["updated", "updated", "updated"]);
    meeting.cancel().unwrap();
    story.ms.graph.deliver_due().await;
    assert_eq!(kinds(&story.receiver.take()), ["deleted", "updated", "updated"]);
}

#[tokio::test]
async fn own_writes_come_back_too() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.subscribe(&story.aurora).await;
    let path = format!("{}/accept", story.path(&story.aurora));
    story.call("POST", &path, json!({})).await;
    let done = story.ms.graph.deliver_due().await;
    assert_eq!(
        done.posts,
        [NotificationPost { items: 6, status: Some(202) }],
        "both copies changed, one POST"
    );
    let body = json!({ "singleValueExtendedProperties": [{ "id": PROPERTY, "value": "x" }] });
    story.call("PATCH", &story.path(&story.anna), body).await;
    assert_eq!(story.ms.graph.deliver_due().await.delivered, 3);
}

#[tokio::test]
async fn a_refused_post_is_tried_again_for_four_hours() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.receiver.answer(503);
    story.meeting.rename("Other").unwrap();
    assert_eq!(story.ms.graph.deliver_due().await.retried, 3);
    assert!(story.ms.graph.deliver_due().await.posts.is_empty(), "not before its time");
    story.clock.set(story.ms.graph.next_delivery().unwrap());
    story.receiver.answer(202);
    assert_eq!(story.ms.graph.deliver_due().await.delivered, 3);
    story.receiver.answer(500);
    story.meeting.rename("Third").unwrap();
    let (start, mut lost) = (story.clock.clone(), 0);
    let began = roombridge::base::clock::Clock::now(&start);
    while lost == 0 {
        lost = story.ms.graph.deliver_due().await.lost;
        if let Some(next) = story.ms.graph.next_delivery() {
            story.clock.set(next);
        }
    }
    let passed = roombridge::base::clock::Clock::now(&start) - began;
    assert!(lost == 3 && passed.get_hours() < 4);
    assert_eq!(story.ms.graph.dropped_and_lost(), (0, 3));
}

#[tokio::test]
async fn a_test_can_drop_double_hold_and_split() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.ms.graph.drop_next(2);
    story.ms.graph.duplicate_next(1);
    story.ms.graph.set_max_items_per_post(1);
    story.ms.graph.set_on_hold(true);
    story.meeting.rename("Other").unwrap();
    assert!(story.ms.graph.deliver_due().await.posts.is_empty());
    story.ms.graph.set_on_hold(false);
    let done = story.ms.graph.deliver_due().await;
    assert_eq!((done.posts.len(), done.delivered), (2, 2));
}

#[tokio::test]
async fn expired_subscriptions_are_silent_and_lifecycle_events_are_raised() {
    let story = graph_fixture();
    let (_, made) = story.subscribe(&story.anna).await;
    let id = made["id"].as_str().unwrap();
    assert!(story.ms.graph.send_lifecycle(id, LifecycleKind::Missed));
    story.ms.graph.deliver_due().await;
    let items = story.receiver.take();
    assert_eq!(items[0]["lifecycleEvent"], "missed");
    assert!(items[0].get("resource").is_none());
    story.clock.set(at(24 * 6));
    story.meeting.rename("Late").unwrap();
    assert_eq!(story.ms.graph.pending_notifications(), 0);
    assert!(!story.ms.graph.send_lifecycle(id, LifecycleKind::Missed));
}

#[tokio::test]
async fn delivery_pauses_without_consent_and_waits_for_its_latency() {
    let story = graph_fixture();
    story.subscribe(&story.anna).await;
    story.ms.entra.revoke(story.tenant.id(), crate::microsoft::DAEMON_APP);
    story.meeting.rename("Unheard").unwrap();
    assert_eq!(story.ms.graph.deliver_due().await.delivered, 1);
    assert_eq!(story.receiver.take()[0]["lifecycleEvent"], "reauthorizationRequired");
    assert_eq!(story.ms.graph.pending_notifications(), 0);
    story.ms.entra.consent(story.tenant.id(), crate::microsoft::DAEMON_APP, &["Calendars.Read"]);
    story.ms.graph.set_latency(SignedDuration::from_secs(30));
    story.meeting.rename("Delivered").unwrap();
    assert!(story.ms.graph.deliver_due().await.posts.is_empty());
    story.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(story.ms.graph.deliver_due().await.delivered, 3);
}

#[tokio::test]
async fn tenants_that_share_an_address_share_a_post() {
    let mut story = graph_fixture();
    story.subscribe(&story.anna).await;
    let first = story.tenant.clone();
    let other = story.ms.tenant("Fabrikam");
    let eve = other.person("Eve");
    story.tenant = other;
    story.subscribe(&eve).await;
    first.meet(&story.anna, Invitation::new("A", at(12), at(13))).unwrap();
    story.tenant.meet(&eve, Invitation::new("B", at(12), at(13))).unwrap();
    story.ms.graph.set_shuffled(true);
    let done = story.ms.graph.deliver_due().await;
    assert_eq!(done.posts, [NotificationPost { items: 8, status: Some(202) }]);
    let tenants: std::collections::BTreeSet<_> =
        story.receiver.take().iter().map(|i| i["tenantId"].to_string()).collect();
    assert_eq!(tenants.len(), 2);
}
