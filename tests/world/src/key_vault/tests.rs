//! The vault's rules, through its HTTP face.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::signing::SigningKey;

/// A vault, its clock, and a token that it takes for a year.
struct VaultFixture {
    clock: ManualClock,
    key: SigningKey,
    vault: KeyVault,
    token: String,
}

fn vault_fixture() -> VaultFixture {
    let now = Timestamp::from_second(1_795_510_800).unwrap();
    let clock = ManualClock::new(now);
    let time: Arc<dyn Clock> = Arc::new(clock.clone());
    let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(1));
    let key = SigningKey::generate().unwrap();
    let entra = Entra::new(key.clone(), "home", Arc::clone(&time), Arc::clone(&rng));
    let vault = KeyVault::new("https://kv.vault.azure.net", entra, time, rng);
    let exp = now.as_second() + 365 * 24 * 3600;
    let token = key.sign(&json!({ "aud": VAULT, "exp": exp })).unwrap();
    VaultFixture { clock, key, vault, token }
}

impl VaultFixture {
    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Value,
        token: Option<&str>,
    ) -> (Response, Value) {
        let joint = if target.contains('?') { '&' } else { '?' };
        let mut request =
            http::Request::builder().method(method).uri(format!("{target}{joint}api-version=7.6"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.vault.router().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let parsed = serde_json::from_slice(&body).unwrap_or_default();
        (Response::from_parts(parts, Body::empty()), parsed)
    }

    async fn call(&self, method: Method, target: &str, body: Value) -> (StatusCode, Value) {
        let (answer, body) = self.send(method, target, body, Some(&self.token)).await;
        (answer.status(), body)
    }

    async fn get(&self, target: &str) -> (StatusCode, Value) {
        self.call(Method::GET, target, Value::Null).await
    }
}

#[tokio::test]
async fn a_secret_is_read_with_a_token_for_vaults_only() {
    let story = vault_fixture();
    let old = story.vault.set("client-state", "first");
    story.vault.set("client-state", "second");
    let claims = json!({ "aud": "https://storage.azure.com", "exp": 1_795_514_400 });
    let wrong = story.key.sign(&claims).unwrap();

    let path = "/secrets/client-state";
    let (refused, _) = story.send(Method::GET, path, Value::Null, None).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("authorization=\"https://login.microsoftonline.com/home\""));
    assert_eq!(story.send(Method::GET, path, Value::Null, Some(&wrong)).await.0.status(), 401);
    assert_eq!(story.get(path).await.1["value"], "second");
    let version = format!("{path}/{old}");
    assert_eq!(story.get(&version).await.1["value"], "first");
    assert_eq!(story.get("/secrets/none").await.0, 404);
    story.vault.set_outage(true);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(story.call(method, path, json!({ "value": "x" })).await.0, 503);
    }
    assert_eq!(story.get("/secrets").await.0, 503);
    assert_eq!(story.vault.reads(), 2);
}

#[tokio::test]
async fn a_secret_is_set_with_what_is_known_of_it_and_dated_by_the_clock() {
    let story = vault_fixture();
    let body = json!({
        "value": "k1", "contentType": "application/x-pem-file",
        "tags": { "purpose": "notifications" }, "attributes": { "exp": 1_800_000_000 },
    });
    assert_eq!(
        story.send(Method::PUT, "/secrets/cert-1", body.clone(), None).await.0.status(),
        401
    );
    let (status, made) = story.call(Method::PUT, "/secrets/cert-1", body).await;
    assert_eq!((status, &made["value"]), (StatusCode::OK, &json!("k1")));
    assert_eq!(made["attributes"]["created"], 1_795_510_800);
    assert_eq!(made["attributes"]["exp"], 1_800_000_000);
    story.clock.advance(SignedDuration::from_hours(1));
    let id = made["id"].as_str().unwrap().strip_prefix("https://kv.vault.azure.net").unwrap();
    let change = json!({ "attributes": { "enabled": false } });
    let (_, changed) = story.call(Method::PATCH, id, change).await;
    assert_eq!(changed["attributes"]["updated"], 1_795_514_400);
    assert_eq!(changed["tags"]["purpose"], "notifications");
    let (status, error) = story.get(id).await;
    assert_eq!(
        (status, &error["error"]["innererror"]["code"]),
        (StatusCode::FORBIDDEN, &json!("SecretDisabled"))
    );
    for (name, body) in [
        ("under_score", json!({ "value": "x" })),
        ("no-value", json!({})),
        ("too-long", json!({ "value": "x".repeat(25_001) })),
        ("odd-tag", json!({ "value": "x", "tags": { "a": "y".repeat(257) } })),
    ] {
        let target = format!("/secrets/{name}");
        assert_eq!(story.call(Method::PUT, &target, body).await.0, 400, "{name}");
    }
    assert_eq!(story.vault.names(), ["cert-1"]);
    assert_eq!((story.vault.value("cert-1").as_deref(), story.vault.writes()), (Some("k1"), 2));
}

#[tokio::test]
async fn lists_come_in_pages_and_never_show_a_value() {
    let story = vault_fixture();
    for n in 0..30 {
        story.vault.set(&format!("key-{n:02}"), "TOP-SECRET");
    }
    story.vault.set("key-07", "TOP-SECRET again");
    let (mut target, mut ids) = ("/secrets?maxresults=12".to_owned(), Vec::new());
    loop {
        let (status, page) = story.get(&target).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!page.to_string().contains("TOP-SECRET"));
        let items = page["value"].as_array().unwrap().clone();
        assert!(items.iter().all(|i| i["attributes"]["created"].is_i64()));
        ids.extend(items.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextLink"].as_str() else { break };
        let next = next.strip_prefix("https://kv.vault.azure.net").unwrap();
        target = next.replace("api-version=7.6&", "");
    }
    assert_eq!((ids.len(), story.vault.lists()), (30, 3));
    assert_eq!(ids[7], "https://kv.vault.azure.net/secrets/key-07");
    assert_eq!(story.get("/secrets").await.1["value"].as_array().unwrap().len(), 25);
    assert_eq!(story.get("/secrets?maxresults=26").await.0, 400);
    let (_, versions) = story.get("/secrets/key-07/versions").await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 2);
    assert_eq!(story.vault.reads(), 0);
}

#[tokio::test]
async fn a_deleted_secret_blocks_its_name_until_it_is_purged() {
    let story = vault_fixture();
    story.vault.set("cert-1", "first");
    let path = "/secrets/cert-1";
    let (status, gone) = story.call(Method::DELETE, path, Value::Null).await;
    assert_eq!((status, &gone["deletedDate"]), (StatusCode::OK, &json!(1_795_510_800)));
    assert_eq!(story.get(path).await.0, 404);
    assert_eq!(story.get("/secrets").await.1["value"], json!([]));
    let again = json!({ "value": "second" });
    let (status, error) = story.call(Method::PUT, path, again.clone()).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("Conflict")));
    assert_eq!(story.get("/deletedsecrets/cert-1").await.0, 200);
    let recover = "/deletedsecrets/cert-1/recover";
    assert_eq!(story.call(Method::POST, recover, Value::Null).await.0, 200);
    assert_eq!(story.get(path).await.1["value"], "first");
    story.call(Method::DELETE, path, Value::Null).await;
    let early = story.call(Method::DELETE, "/deletedsecrets/cert-1", Value::Null).await;
    assert_eq!(
        (early.0, &early.1["error"]["innererror"]["code"]),
        (StatusCode::CONFLICT, &json!("ObjectIsBeingDeleted"))
    );
    story.clock.advance(SignedDuration::from_secs(20));
    let purge = story.call(Method::DELETE, "/deletedsecrets/cert-1", Value::Null).await;
    assert_eq!((purge.0, story.vault.deleted_names()), (StatusCode::NO_CONTENT, vec![]));
    assert_eq!(story.call(Method::PUT, path, again.clone()).await.0, 200);

    story.call(Method::DELETE, path, Value::Null).await;
    story.clock.advance(SignedDuration::from_hours(24 * 90));
    assert_eq!(story.call(Method::PUT, path, again).await.0, 200, "purged by time");
}

#[tokio::test]
async fn a_secret_can_be_lost_and_writing_can_be_forbidden() {
    let story = vault_fixture();
    story.vault.set("cert-1", "first");
    story.vault.set_read_only(true);
    let (status, error) = story.call(Method::PUT, "/secrets/b", json!({ "value": "x" })).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::FORBIDDEN, &json!("Forbidden")));
    assert_eq!(story.call(Method::DELETE, "/secrets/cert-1", Value::Null).await.0, 403);
    assert_eq!(story.get("/secrets/cert-1").await.0, 200);
    story.vault.set_read_only(false);
    assert!(story.vault.remove_without_trace("cert-1"));
    assert_eq!(story.get("/secrets/cert-1").await.0, 404);
    assert_eq!(story.call(Method::PUT, "/secrets/cert-1", json!({ "value": "x" })).await.0, 200);
    assert_eq!(story.vault.writes(), 1);
}
