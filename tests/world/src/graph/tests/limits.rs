//! How much the subscription API takes, and how much a mailbox.

use futures::future::join_all;

use super::*;
use crate::graph::Limit;

impl GraphFixture {
    /// A batch of requests for subscriptions.
    async fn batch(&self, requests: Vec<Value>) -> Vec<Value> {
        let (status, body) = self.call("POST", "/$batch", json!({ "requests": requests })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["responses"].as_array().unwrap().clone()
    }

    fn inner(id: usize, method: &str, url: &str, body: Value) -> Value {
        let mut request = json!({ "id": id.to_string(), "method": method, "url": url });
        request["headers"] = json!({ "Prefer": PREFER, "Content-Type": "application/json" });
        if !body.is_null() {
            request["body"] = body;
        }
        request
    }

    fn renewal(&self) -> Value {
        let until = at(0) + SignedDuration::from_hours(24 * 7);
        json!({ "expirationDateTime": until.to_string() })
    }
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    answers.iter().map(|a| a["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn five_hundred_writes_in_twenty_seconds_are_the_most_for_a_tenant() {
    let story = graph_fixture();
    let (_, made) = story.subscribe(&story.anna).await;
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    let mut taken = 1;
    for _ in 0..25 {
        let requests = (0..20).map(|n| GraphFixture::inner(n, "PATCH", &path, story.renewal()));
        let answers = story.batch(requests.collect()).await;
        taken += statuses(&answers).iter().filter(|s| **s == 200).count();
        story.clock.advance(SignedDuration::from_millis(100));
    }
    assert_eq!(taken, 500, "the last one of the last batch was too many");
    let tenant = story.tenant.id();
    assert_eq!(story.ms.graph.peak_subscription_writes(tenant), 501);
    let one = vec![GraphFixture::inner(0, "PATCH", &path, story.renewal())];
    let refused = story.batch(one.clone()).await.remove(0);
    assert_eq!(refused["status"], 429);
    assert_eq!(refused["body"]["error"]["code"], "ApplicationThrottled");
    let wait: i64 = refused["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
    assert_eq!(wait, 18, "2.5 seconds of twenty are over");
    assert_eq!(story.get(&path).await.0, StatusCode::OK, "reads have a limit of their own");
    story.clock.advance(SignedDuration::from_secs(wait));
    assert_eq!(statuses(&story.batch(one).await), [200]);
    assert_eq!(story.ms.graph.throttled(Limit::SubscriptionWrites), 2);
    assert_eq!(story.ms.graph.throttled(Limit::SubscriptionLists), 0);
}

#[tokio::test]
async fn two_thousand_are_the_most_for_an_app_in_all_tenants() {
    let mut story = graph_fixture();
    let mut refused = 0;
    for n in 0..5 {
        story.tenant = story.ms.tenant(&format!("Tenant {n}"));
        for _ in 0..25 {
            let gone =
                (0..20).map(|n| GraphFixture::inner(n, "DELETE", "/subscriptions/x", Value::Null));
            let answers = story.batch(gone.collect()).await;
            refused += statuses(&answers).iter().filter(|s| **s == 429).count();
        }
    }
    assert_eq!(refused, 500, "what was asked in vain counts too");
    assert_eq!(story.ms.graph.total_throttled(), 500);
    assert_eq!(story.ms.graph.peak_subscription_writes(story.tenant.id()), 500);
}

#[tokio::test]
async fn a_batch_subscribes_renews_and_unsubscribes_each_with_an_answer_of_its_own() {
    let story = graph_fixture();
    let (_, made) = story.subscribe(&story.anna).await;
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    let ben = story.tenant.person("Ben");
    let answers = story
        .batch(vec![
            GraphFixture::inner(
                0,
                "POST",
                "/subscriptions",
                story.subscription_body(&story.aurora),
            ),
            GraphFixture::inner(1, "POST", "/subscriptions", story.subscription_body(&story.anna)),
            GraphFixture::inner(2, "PATCH", &path, story.renewal()),
            GraphFixture::inner(3, "PATCH", "/subscriptions/gone", story.renewal()),
            GraphFixture::inner(4, "POST", "/subscriptions", story.subscription_body(&ben)),
            GraphFixture::inner(5, "DELETE", &path, Value::Null),
        ])
        .await;
    let mut by_id: Vec<_> = answers.iter().map(|a| (a["id"].as_str(), &a["status"])).collect();
    by_id.sort_by_key(|(id, _)| *id);
    let expected = [201, 409, 200, 404, 201, 204];
    assert_eq!(by_id.iter().map(|(_, s)| (*s).clone()).collect::<Vec<_>>(), expected);
    let ids = ["0", "1", "2", "3", "4", "5"];
    assert_eq!(by_id.iter().map(|(id, _)| id.unwrap()).collect::<Vec<_>>(), ids);
    let left: Vec<_> = story.ms.graph.subscriptions().into_iter().map(|s| s.mailbox).collect();
    assert!(left.len() == 2 && left.contains(&ben.id().to_owned()));
}

#[tokio::test]
async fn a_mailbox_takes_a_thousand_subscriptions_or_fewer() {
    let story = graph_fixture();
    story.ms.graph.set_subscription_quota(1);
    let (_, made) = story.subscribe(&story.anna).await;
    let mut new_subscription = story.subscription_body(&story.anna);
    new_subscription["changeType"] = json!("updated");
    let (status, error) = story.call("POST", "/subscriptions", new_subscription.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(error["error"]["message"].as_str().unwrap().contains("maximum number of 1 active"));
    assert_eq!(story.subscribe(&story.aurora).await.0, StatusCode::CREATED);
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    story.call("DELETE", &path, Value::Null).await;
    assert_eq!(story.call("POST", "/subscriptions", new_subscription).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn refusals_are_counted_by_what_refused() {
    let story = graph_fixture();
    let path = format!("{}?$select=id", story.path(&story.anna));
    join_all((0..6).map(|_| story.get(&path))).await;
    for _ in 0..26 {
        story.get("/subscriptions").await;
    }
    story.ms.graph.throttle(
        crate::graph::Scope::Everything,
        crate::graph::ThrottleEnd::Requests(3),
        429,
    );
    for _ in 0..4 {
        story.get(&path).await;
    }
    let count = |limit| story.ms.graph.throttled(limit);
    assert_eq!(count(Limit::MailboxConcurrency), 2);
    assert_eq!(count(Limit::SubscriptionLists), 1);
    assert_eq!((count(Limit::Throttle), story.ms.graph.total_throttled()), (3, 6));
}
