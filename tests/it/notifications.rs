//! The webhook: the handshake, what is taken, how it is packed, and what is refused until later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::identity::client_state::{self, Key, Keys};
use roombridge::identity::key_ring::{KeySource, KeysUnavailable};
use roombridge::messages::EventChanges;
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::tables::Table;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use world::exchange::Response;
use world::office::APP_HOST;
use world::watched::Fault;

use crate::contoso::{Contoso, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(a_post_of_many_is_taken_at_once_and_worked_off);

/// A change notification as Graph words it.
fn changed(state: &str, tenant: &str, event: &str) -> Value {
    json!({
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "clientState": state,
        "tenantId": tenant,
        "changeType": "updated",
        "resource": format!("Users/x/Events/{event}"),
        "resourceData": { "id": event },
    })
}

fn body(items: &[Value]) -> String {
    json!({ "value": items }).to_string()
}

#[tokio::test]
async fn the_handshake_is_answered_at_any_time_decoded_and_as_plain_text() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.office.tables.reset();
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
            roombridge::base::http::Http::send(&contoso.office.microsoft.network, request).await?;
        let Some(expected) = expected else {
            assert_eq!(answer.status(), 400);
            continue;
        };
        assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, expected.as_bytes()));
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    assert_eq!(contoso.office.tables.count(), 0, "nothing is looked up");
    Ok(())
}

async fn a_post_of_many_is_taken_at_once_and_worked_off(contoso: Contoso) -> Outcome {
    let Contoso { anna, aurora, office, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    let state = contoso.client_state(anna).await?;
    let mut items = vec![changed(&state, contoso.tenant.id(), &event)];
    let unknown = |n: u32| changed(&state, contoso.tenant.id(), &format!("AAMkNoSuchEvent{n:04}"));
    items.extend((0..99).map(unknown));
    // Only this POST is to tell of it.
    office.microsoft.graph.set_held(true);
    office.tables.reset();
    office.queues.reset();
    assert_eq!(contoso.post(body(&items)).await?, 202);
    assert_eq!(office.tables.count(), 0, "nothing is looked up");
    assert_eq!(office.queues.count(), 1, "a hundred items of one tenant are one message");
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    // Anna's copy, and the room's, which was looked up to be answered.
    assert_eq!(contoso.count(Table::Appointments).await?, 2, "the others leave no trace");
    contoso.is_well().await
}

#[tokio::test]
async fn items_are_packed_into_as_few_messages_as_fit() -> Outcome {
    let contoso = Contoso::open().await?;
    let state = contoso.client_state(&contoso.anna).await?;
    for (count, messages) in [(1, 1), (100, 1), (1_000, 8)] {
        let before = contoso.waiting(Queue::EventChanges);
        let items: Vec<Value> = (0..count)
            .map(|n| changed(&state, contoso.tenant.id(), &format!("AAMk{:0>144}", n)))
            .collect();
        assert_eq!(contoso.post(body(&items)).await?, 202);
        let now = contoso.office.outbox.messages(Shelf::Main(Queue::EventChanges));
        assert!(now.len() - before <= messages, "{count}: {}", now.len() - before);
        let mut told = 0;
        for message in &now[before..] {
            told += EventChanges::from_text(&message.text)?.items.len();
        }
        assert_eq!(told, count);
    }
    Ok(())
}

#[tokio::test]
async fn items_of_many_tenants_and_subscriptions_come_in_one_post_and_repeats_are_merged() -> Outcome
{
    let contoso = Contoso::open().await?;
    let key = Key::new("k1".parse()?, &[7; 32]);
    let fabrikam: TenantId = "3a1f1b9e-7f3f-4a53-9a5e-0c8f0a6ce1aa".parse()?;
    let zoe: MailboxId = "9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11".parse()?;
    let theirs = client_state::issue(&key, fabrikam, zoe, 7);
    let (anna, cleo) =
        (contoso.client_state(&contoso.anna).await?, contoso.client_state(&contoso.cleo).await?);
    let ours = contoso.tenant.id();
    let mut items = vec![
        changed(&anna, ours, "AAMkOne"),
        changed(&theirs, &fabrikam.to_string(), "AAMkOne"),
        changed(&cleo, ours, "AAMkTwo"),
        changed(&anna, ours, "AAMkOne"),
        changed(&anna, ours, "AAMkOne"),
    ];
    items[3]["changeType"] = json!("deleted");
    items.push(json!({ "clientState": anna, "tenantId": ours, "lifecycleEvent": "missed" }));
    items.push(json!({ "clientState": anna, "tenantId": ours, "lifecycleEvent": "missed" }));
    contoso.office.queues.reset();
    assert_eq!(contoso.post(body(&items)).await?, 202);
    let sent: Vec<&str> = contoso.office.queues.calls().iter().map(|call| call.target).collect();
    assert_eq!(sent, ["event-changes", "event-changes", "mailbox-tasks"]);
    let messages = contoso.office.outbox.messages(Shelf::Main(Queue::EventChanges));
    let mut told = Vec::new();
    for message in messages {
        let changes = EventChanges::from_text(&message.text)?;
        told.push((changes.tenant.to_string(), changes.items.len()));
    }
    told.sort();
    let mut expected = [(fabrikam.to_string(), 1), (ours.to_owned(), 2)];
    expected.sort();
    assert_eq!(told, expected);
    Ok(())
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_refused_and_graph_comes_back_with_it() -> Outcome {
    for fault in [Fault::Before, Fault::After] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, office, .. } = &contoso;
        office.queues.fail_next(fault);
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        let first = office.microsoft.graph.deliver_due().await;
        assert_eq!(first.posts[0].status, Some(503), "{fault:?}");
        contoso.pass(minutes(3)).await;
        assert_eq!(meeting.answer_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.count(Table::Bookings).await?, 1);
        contoso.is_well().await?;
    }
    Ok(())
}

/// Keys that a test takes away, replaces, and counts the loads of.
struct Vault {
    open: AtomicBool,
    second: AtomicBool,
    loads: AtomicUsize,
}

impl Vault {
    fn opened() -> Arc<Self> {
        Arc::new(Self { open: true.into(), second: false.into(), loads: 0.into() })
    }
}

fn key(id: &str, byte: u8) -> Result<Key, KeysUnavailable> {
    Ok(Key::new(id.parse().map_err(|_| KeysUnavailable)?, &[byte; 32]))
}

#[async_trait]
impl KeySource for Vault {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if !self.open.load(Ordering::SeqCst) {
            return Err(KeysUnavailable);
        }
        let others = if self.second.load(Ordering::SeqCst) { vec![key("k2", 8)?] } else { vec![] };
        Ok(Keys::new(key("k1", 7)?, others))
    }
}

/// A notification of Anna's calendar made with the second key.
async fn with_second_key(contoso: &Contoso, event: &str) -> Result<String, Failure> {
    let row = contoso.mailbox(&contoso.anna).await?;
    let nonce = row.nonce.ok_or("never subscribed")?;
    let state = client_state::issue(&key("k2", 8)?, row.tenant, row.id, nonce);
    Ok(body(&[changed(&state, contoso.tenant.id(), event)]))
}

#[tokio::test]
async fn without_keys_nothing_is_dropped_and_graph_comes_back() -> Outcome {
    let vault = Vault::opened();
    let contoso = Contoso::with_keys(vault.clone()).await?;
    vault.second.store(true, Ordering::SeqCst);
    vault.open.store(false, Ordering::SeqCst);
    contoso.pass(minutes(1)).await;
    let told = with_second_key(&contoso, "AAMkOne").await?;
    assert_eq!(contoso.post(told.clone()).await?, 503, "perhaps it is ours");
    // The first key is still held, and what it proves is taken.
    let state = contoso.client_state(&contoso.anna).await?;
    let known = body(&[changed(&state, contoso.tenant.id(), "AAMkOne")]);
    assert_eq!(contoso.post(known).await?, 202);
    vault.open.store(true, Ordering::SeqCst);
    contoso.pass(seconds(31)).await;
    contoso.office.queues.reset();
    assert_eq!(contoso.post(told).await?, 202);
    assert_eq!(contoso.office.queues.count(), 1);
    Ok(())
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_at_most_every_half_minute() -> Outcome {
    let vault = Vault::opened();
    let contoso = Contoso::with_keys(vault.clone()).await?;
    contoso.pass(minutes(1)).await;
    let told = with_second_key(&contoso, "AAMkOne").await?;
    let before = vault.loads.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(contoso.post(told.clone()).await?, 202, "it is not ours, and is dropped");
        contoso.pass(seconds(1)).await;
    }
    assert_eq!(vault.loads.load(Ordering::SeqCst) - before, 1);
    assert_eq!(contoso.waiting(Queue::EventChanges), 0);
    vault.second.store(true, Ordering::SeqCst);
    contoso.pass(seconds(11)).await;
    assert_eq!(contoso.post(told).await?, 202);
    assert_eq!(contoso.waiting(Queue::EventChanges), 1, "the new key has arrived");
    Ok(())
}

#[tokio::test]
async fn the_handlers_own_router_answers_as_the_host_passes_it_on() -> Outcome {
    let contoso = Contoso::open().await?;
    let router = contoso.office.app.router()?;
    let ask = async |method: &str, path: &str, body: &str| -> Result<u16, Failure> {
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
