//! The webhook: the handshake, what is taken, how it is packed, and what is refused until later.

use std::sync::Arc;

use axum::body::Body;
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::identity::keys::client_state::{self, KeySet, SecretKey};
use roombridge::messages::EventChanges;
use roombridge::messages::Message as _;
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use world::exchange::Response;
use world::fault_injection::Fault;
use world::memory::{MemoryKeys, QueueKind};
use world::test_world::APP_HOST;

use crate::contoso::{Contoso, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(a_post_of_many_is_taken_at_once_and_worked_off);

/// A change notification as Graph sends it.
fn change_notification(state: &str, tenant: &str, event: &str) -> Value {
    json!({
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "clientState": state,
        "tenantId": tenant,
        "changeType": "updated",
        "resource": format!("Users/x/Events/{event}"),
        "resourceData": { "id": event },
    })
}

fn notification_body(items: &[Value]) -> String {
    json!({ "value": items }).to_string()
}

#[tokio::test]
async fn the_handshake_is_answered_at_any_time_decoded_and_as_plain_text() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.world.table_faults.reset();
    let long = "x".repeat(2_049);
    for (encoded, expected) in [
        ("Validation%3a+Testing", Some("Validation: Testing")),
        ("a%2Bb%25c", Some("a+b%c")),
        ("Z%C3%BCrich%2F%E4%BC%9A%E8%AD%B0", Some("Zürich/会議")),
        ("a%26b%3D%3Cscript%3E", Some("a&b=<script>")),
        (&long[1..], Some(&long[1..])),
        (&long, None),
        ("", None),
    ] {
        let url = format!("https://{APP_HOST}/api/notifications?validationToken={encoded}");
        let request = http::Request::post(url).header("content-type", "text/plain");
        let request = request.body(bytes::Bytes::new())?;
        let answer =
            roombridge::base::http::Http::send(&contoso.world.microsoft.network, request).await?;
        let Some(expected) = expected else {
            assert_eq!(answer.status(), 400);
            continue;
        };
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, expected.as_bytes()));
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(contoso.world.table_faults.count(), 0, "nothing is looked up");
    Ok(())
}

async fn a_post_of_many_is_taken_at_once_and_worked_off(contoso: Contoso) -> TestResult {
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    let state = contoso.client_state(anna).await?;
    let mut items = vec![change_notification(&state, contoso.tenant.id(), &event)];
    let unknown = |n: u32| {
        change_notification(&state, contoso.tenant.id(), &format!("AAMkNoSuchEvent{n:04}"))
    };
    items.extend((0..99).map(unknown));
    // Only this POST reports the change.
    world.microsoft.graph.set_on_hold(true);
    world.table_faults.reset();
    world.queue_faults.reset();
    assert_eq!(contoso.post(notification_body(&items)).await?, 202);
    assert_eq!(world.table_faults.count(), 0, "nothing is looked up");
    assert_eq!(world.queue_faults.count(), 1, "a hundred items of one tenant are one message");
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    // Anna's copy, and the room's, which was looked up to be answered.
    assert_eq!(contoso.count(Table::Appointments).await?, 2, "the others leave no trace");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn items_are_packed_into_as_few_messages_as_fit() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = contoso.client_state(&contoso.anna).await?;
    for (count, messages) in [(1, 1), (100, 1), (1_000, 8)] {
        let before = contoso.queue_len(Queue::FetchEvent);
        let items: Vec<Value> = (0..count)
            .map(|n| change_notification(&state, contoso.tenant.id(), &format!("AAMk{:0>144}", n)))
            .collect();
        assert_eq!(contoso.post(notification_body(&items)).await?, 202);
        let now = contoso.world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
        assert!(now.len() - before <= messages, "{count}: {}", now.len() - before);
        let mut notified = 0;
        for message in &now[before..] {
            notified += EventChanges::from_text(&message.text)?.items.len();
        }
        assert_eq!(notified, count);
    }
    Ok(())
}

#[tokio::test]
async fn items_of_many_tenants_and_subscriptions_come_in_one_post_and_repeats_are_merged()
-> TestResult {
    let contoso = Contoso::open().await?;
    let key = SecretKey::new("k1".parse()?, &[7; 32]);
    let fabrikam: TenantId = "3a1f1b9e-7f3f-4a53-9a5e-0c8f0a6ce1aa".parse()?;
    let zoe: MailboxId = "9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11".parse()?;
    let theirs = client_state::issue(&key, fabrikam, zoe, 7);
    let (anna, cleo) =
        (contoso.client_state(&contoso.anna).await?, contoso.client_state(&contoso.cleo).await?);
    let ours = contoso.tenant.id();
    let mut items = vec![
        change_notification(&anna, ours, "AAMkOne"),
        change_notification(&theirs, &fabrikam.to_string(), "AAMkOne"),
        change_notification(&cleo, ours, "AAMkTwo"),
        change_notification(&anna, ours, "AAMkOne"),
        change_notification(&anna, ours, "AAMkOne"),
    ];
    items[3]["changeType"] = json!("deleted");
    items.push(json!({ "clientState": anna, "tenantId": ours, "lifecycleEvent": "missed" }));
    items.push(json!({ "clientState": anna, "tenantId": ours, "lifecycleEvent": "missed" }));
    contoso.world.queue_faults.reset();
    assert_eq!(contoso.post(notification_body(&items)).await?, 202);
    let sent: Vec<&str> =
        contoso.world.queue_faults.calls().iter().map(|call| call.target).collect();
    assert_eq!(sent, ["fetch-event", "fetch-event", "maintain-mailbox"]);
    let messages = contoso.world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
    let mut notified = Vec::new();
    for message in messages {
        let changes = EventChanges::from_text(&message.text)?;
        notified.push((changes.tenant.to_string(), changes.items.len()));
    }
    notified.sort();
    let mut expected = [(fabrikam.to_string(), 1), (ours.to_owned(), 2)];
    expected.sort();
    assert_eq!(notified, expected);
    Ok(())
}

#[tokio::test]
async fn a_post_that_the_queue_refuses_is_refused_and_graph_retries_it() -> TestResult {
    for fault in [Fault::Before, Fault::After] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        world.queue_faults.fail_next(fault);
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        let first = world.microsoft.graph.deliver_due().await;
        assert_eq!(first.posts[0].status, Some(503), "{fault:?}");
        contoso.run_for(minutes(3)).await;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.count(Table::Bookings).await?, 1);
        contoso.assert_healthy().await?;
    }
    Ok(())
}

fn key(id: &str, byte: u8) -> Result<SecretKey, TestError> {
    Ok(SecretKey::new(id.parse()?, &[byte; 32]))
}

/// The first key, and `others` that prove as well.
fn key_set(others: Vec<SecretKey>) -> Result<KeySet, TestError> {
    Ok(KeySet::new(key("k1", 7)?, others))
}

/// A notification of Anna's calendar made with the second key.
async fn with_second_key(contoso: &Contoso, event: &str) -> Result<String, TestError> {
    let row = contoso.mailbox(&contoso.anna).await?;
    let nonce = row.nonce.ok_or("never subscribed")?;
    let state = client_state::issue(&key("k2", 8)?, row.tenant, row.id, nonce);
    Ok(notification_body(&[change_notification(&state, contoso.tenant.id(), event)]))
}

#[tokio::test]
async fn without_keys_nothing_is_dropped_and_graph_retries() -> TestResult {
    let vault = MemoryKeys::read_only(key_set(vec![])?);
    let contoso = Contoso::builder().keys(Arc::new(vault.clone())).open().await?;
    vault.put(None);
    contoso.run_for(minutes(1)).await;
    let notified = with_second_key(&contoso, "AAMkOne").await?;
    assert_eq!(contoso.post(notified.clone()).await?, 503, "perhaps it is ours");
    // The first key is still held, and what it proves is taken.
    let state = contoso.client_state(&contoso.anna).await?;
    let known = notification_body(&[change_notification(&state, contoso.tenant.id(), "AAMkOne")]);
    assert_eq!(contoso.post(known).await?, 202);
    vault.put(Some(key_set(vec![key("k2", 8)?])?));
    contoso.run_for(seconds(31)).await;
    contoso.world.queue_faults.reset();
    assert_eq!(contoso.post(notified).await?, 202);
    assert_eq!(contoso.world.queue_faults.count(), 1);
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_is_loaded_at_most_every_half_minute() -> TestResult {
    let vault = MemoryKeys::read_only(key_set(vec![])?);
    let contoso = Contoso::builder().keys(Arc::new(vault.clone())).open().await?;
    contoso.run_for(minutes(1)).await;
    let notified = with_second_key(&contoso, "AAMkOne").await?;
    let before = vault.loads();
    for _ in 0..20 {
        assert_eq!(contoso.post(notified.clone()).await?, 202, "it is not ours, and is dropped");
        contoso.run_for(seconds(1)).await;
    }
    assert_eq!(vault.loads() - before, 1);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    vault.put(Some(key_set(vec![key("k2", 8)?])?));
    contoso.run_for(seconds(11)).await;
    assert_eq!(contoso.post(notified).await?, 202);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 1, "the new key has arrived");
    Ok(())
}

#[tokio::test]
async fn the_handlers_router_answers_requests_as_the_host_passes_them_on() -> TestResult {
    let contoso = Contoso::open().await?;
    let router = contoso.world.app.router()?;
    let ask = async |method: &str, path: &str, body: &str| -> Result<u16, TestError> {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body.to_owned()))?;
        Ok(router.clone().oneshot(request).await?.status().as_u16())
    };
    assert_eq!(ask("POST", "/api/notifications?validationToken=x", "").await?, 200);
    assert_eq!(ask("POST", "/api/notifications", r#"{"value":[]}"#).await?, 202);
    assert_eq!(ask("POST", "/api/notifications", "{").await?, 400);
    assert_eq!(ask("GET", "/api/notifications", "").await?, 405);
    assert_eq!(ask("PUT", "/api/notifications", "{}").await?, 405);
    assert!(ask("POST", "/fetch-event", "{}").await? >= 400, "nobody poses as the host");
    assert_eq!(ask("POST", "/api/fetch-event", "{}").await?, 404);
    Ok(())
}
