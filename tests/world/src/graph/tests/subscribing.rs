//! Subscriptions: the handshake, their life and their limits.

use super::*;

#[tokio::test]
async fn a_subscription_is_made_after_two_handshakes() {
    let story = graph_fixture();
    let (status, body) = story.subscribe(&story.aurora).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(body["clientState"], "proof");
    assert_eq!(story.ms.network.requests("hook.example"), 2);
    let path = format!("/subscriptions/{}", body["id"].as_str().unwrap());
    assert_eq!(story.get(&path).await.1["clientState"], Value::Null);
    assert_eq!(story.call("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (status, error) = story.call("DELETE", &path, Value::Null).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("ResourceNotFound"))
    );
}

#[tokio::test]
async fn an_endpoint_that_does_not_echo_the_token_gets_none() {
    let story = graph_fixture();
    let encoded = axum::routing::post(|uri: http::Uri| async move {
        let query = uri.query().unwrap_or_default().to_owned();
        query.split_once("validationToken=").map(|(_, t)| t.to_owned()).unwrap_or_default()
    });
    let closed = axum::routing::post(|| async { StatusCode::FORBIDDEN });
    let html = axum::routing::post(|Query(q): Query<Vec<(String, String)>>| async move {
        axum::response::Html(q[0].1.clone())
    });
    let routes = Router::new().route("/encoded", encoded).route("/closed", closed);
    story.ms.network.register("bad.example", routes.route("/html", html));
    for (path, words) in [
        ("encoded", "Must respond with 200 OK"),
        ("html", "Must respond with 200 OK"),
        ("closed", "HTTP status code is 'Forbidden'"),
    ] {
        let mut new_subscription = story.subscription_body(&story.aurora);
        new_subscription["notificationUrl"] = json!(format!("https://bad.example/{path}"));
        let (status, error) = story.call("POST", "/subscriptions", new_subscription).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{path}");
    }
    assert!(story.ms.graph.subscriptions().is_empty());
}

#[tokio::test]
async fn a_second_one_for_the_same_is_a_conflict_that_names_the_first() {
    let story = graph_fixture();
    let (_, first) = story.subscribe(&story.aurora).await;
    let (status, error) = story.subscribe(&story.aurora).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let id = first["id"].as_str().unwrap();
    let text = format!("Subscription Id {id} already exists for the requested combination");
    assert_eq!(error["error"]["message"], text);
    let mut other = story.subscription_body(&story.aurora);
    other["changeType"] = json!("updated");
    assert_eq!(story.call("POST", "/subscriptions", other).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn life_is_bounded_and_renewed_by_patch() {
    let story = graph_fixture();
    let mut new_subscription = story.subscription_body(&story.aurora);
    new_subscription["expirationDateTime"] =
        json!((at(0) + SignedDuration::from_mins(10_081)).to_string());
    assert_eq!(
        story.call("POST", "/subscriptions", new_subscription).await.0,
        StatusCode::BAD_REQUEST
    );
    let (_, made) = story.subscribe(&story.aurora).await;
    let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    let state = json!({ "clientState": "other" });
    assert_eq!(story.call("PATCH", &path, state).await.0, StatusCode::BAD_REQUEST);
    story.clock.set(at(24 * 5));
    let renew = json!({ "expirationDateTime": at(24 * 11).to_string() });
    assert_eq!(story.call("PATCH", &path, renew.clone()).await.0, StatusCode::OK);
    story.clock.set(at(24 * 11));
    assert_eq!(story.call("PATCH", &path, renew).await.0, StatusCode::NOT_FOUND);
    assert_eq!(story.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn invalid_subscriptions_are_refused() {
    let story = graph_fixture();
    for (name, value) in [
        ("notificationUrl", json!("http://hook.example/notify")),
        ("lifecycleNotificationUrl", Value::Null),
        ("clientState", json!("x".repeat(129))),
        ("changeType", json!("moved")),
        ("resource", json!("users/x/events/y")),
        ("expirationDateTime", json!("2020-01-01T00:00:00Z")),
    ] {
        let mut new_subscription = story.subscription_body(&story.aurora);
        new_subscription[name] = value;
        let status = story.call("POST", "/subscriptions", new_subscription).await.0;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn lists_are_paced() {
    let story = graph_fixture();
    for _ in 0..25 {
        assert_eq!(story.get("/subscriptions").await.0, StatusCode::OK);
    }
    assert_eq!(story.get("/subscriptions").await.0, StatusCode::TOO_MANY_REQUESTS);
    story.clock.advance(SignedDuration::from_secs(20));
    assert_eq!(story.get("/subscriptions").await.0, StatusCode::OK);
}
