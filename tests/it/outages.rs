//! Outages of our own: the webhook answers within two seconds, never 202 without the message, and
//! never drops anything. And a slow tenant is slow for itself alone.

use std::sync::Arc;
use std::time::Duration;

use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode};
use roombridge::identity::keys::client_state::{KeySet, SecretKey, issue};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::json;
use tokio::time::Instant;
use world::exchange::{Invitation, Processing, Response};
use world::memory::{MemoryKeys, QueueKind};
use world::microsoft::LOGIN_HOST;

use crate::contoso::{Contoso, at, hours, minutes, seconds};
use crate::fetch_event::rich::rich_contoso;
use crate::{TestError, TestResult};

/// The time limit of the whole answer, and a little for the transport.
const RESPONSE_DEADLINE: Duration = Duration::from_millis(2_001);

/// Delivers what is due, and how long the answers took in all, on a clock that nobody waits for.
async fn deliver(contoso: &Contoso) -> (Vec<Option<u16>>, Duration) {
    let begun = Instant::now();
    contoso.world.microsoft.exchange.deliver_due();
    let delivery = contoso.world.microsoft.graph.deliver_due().await;
    (delivery.posts.iter().map(|post| post.status).collect(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_a_503_after_two_seconds() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.queue_faults.reset();
    world.queue_faults.hang_call(0);
    let (statuses, took) = deliver(&contoso).await;
    assert_eq!(statuses, [Some(503)]);
    assert!(took <= RESPONSE_DEADLINE, "{took:?}");
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "Graph came back with it");
    contoso.assert_healthy().await
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_down_for_an_hour_loses_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    world.queue_faults.set_down(true);
    let (statuses, took) = deliver(&contoso).await;
    assert_eq!((statuses, took), (vec![Some(503)], Duration::ZERO), "at once");
    contoso.run_for(hours(1)).await;
    world.queue_faults.set_down(false);
    contoso.run_for(hours(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

fn key() -> Result<SecretKey, TestError> {
    Ok(SecretKey::new("k1".parse()?, &[7; 32]))
}

fn one_key() -> Result<MemoryKeys, TestError> {
    Ok(MemoryKeys::read_only(KeySet::new(key()?, [])))
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_does_not_answer_a_cold_process_is_a_503_after_two_seconds() -> TestResult {
    let vault = one_key()?;
    vault.hang();
    let contoso = Contoso::builder().keys(Arc::new(vault)).followed(&[]).prepare().await?;
    let (tenant, mailbox) = (contoso.tenant_id()?, contoso.anna.id().parse()?);
    let body = json!({ "value": [{
        "clientState": issue(&key()?, tenant, mailbox, 7), "tenantId": tenant.to_string(),
        "changeType": "updated", "resourceData": { "id": "AAMk=" },
    }] });
    let begun = Instant::now();
    assert_eq!(contoso.post(body.to_string()).await?, 503);
    assert!(begun.elapsed() <= RESPONSE_DEADLINE, "{:?}", begun.elapsed());
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_does_not_answer_a_warm_process_is_not_noticed() -> TestResult {
    let vault = one_key()?;
    let contoso = Contoso::builder().keys(Arc::new(vault.clone())).open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    vault.hang();
    contoso.run_for(hours(3)).await;
    contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    assert_eq!(deliver(&contoso).await, (vec![Some(202)], Duration::ZERO));
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn without_the_keys_of_validation_tokens_events_are_read_and_none_is_dropped() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    world.microsoft.network.set_down(LOGIN_HOST, true);
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    let (statuses, _) = deliver(&contoso).await;
    assert_eq!(statuses, [Some(202)]);
    let waiting = contoso.world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent));
    assert!(waiting.len() == 1 && !waiting[0].text.contains("encrypted_content"), "as ids");
    contoso.run_for(seconds(50)).await;
    assert!(!contoso.graph_requests("GET", "/users/{id}/events/{id}").is_empty());
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_answers_slowly_does_not_delay_another() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let fixtures = world.fixtures();
    let fabrikam = world.microsoft.tenant("Fabrikam");
    let frank = fabrikam.person("Frank");
    fixtures.connect(&fabrikam, ContentPolicy::default()).await?;
    let mut rooms = Vec::new();
    for n in 0..40 {
        let room = fabrikam.room(&format!("Room {n}"), Processing::AutoUpdate);
        fixtures.manage_room(&room, ResponseMode::RoombridgeDecides).await?;
        rooms.push(room);
    }
    world.run_until_idle().await;
    contoso.run_for(minutes(2)).await;
    let graph = &world.microsoft.graph;
    graph.set_max_items_per_post(1);
    for room in &rooms {
        let invitation = Invitation::new("Numbers", at("09:00"), at("10:00")).room(room);
        fabrikam.meet(&frank, invitation)?;
    }
    graph.deliver_due().await;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    graph.deliver_due().await;
    graph.set_answer_time(fabrikam.id(), Duration::from_secs(60));
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 164, "Fabrikam's are in front");

    let begun = Instant::now();
    let listening = world.host.listen();
    while contoso.booking(&meeting, aurora).await?.is_none() {
        // paused clock: the host polls and Graph answers on it.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let asked = contoso.graph_requests("GET", "/users/{id}/events/{id}");
    let of =
        |id: &str| asked.iter().filter(|request| request.tenant.as_deref() == Some(id)).count();
    assert!(of(fabrikam.id()) <= 16, "it keeps to its share: {}", of(fabrikam.id()));
    graph.set_answer_time(fabrikam.id(), Duration::ZERO);
    listening.drain().await;
    contoso.run_for(hours(1)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 41);
    contoso.assert_healthy().await
}

#[tokio::test(start_paused = true)]
async fn a_post_without_anything_of_ours_waits_for_nothing() -> TestResult {
    let contoso = Contoso::builder().keys(Arc::new(one_key()?)).open().await?;
    let begun = Instant::now();
    let body = json!({
        "value": [{ "clientState": "foreign", "encryptedContent": { "data": "ZGF0YQ==" } }],
        "validationTokens": vec!["a.b.c"; 1_000],
    });
    contoso.world.microsoft.network.set_down(LOGIN_HOST, true);
    let before = contoso.world.microsoft.network.requests(LOGIN_HOST);
    assert_eq!(contoso.post(body.to_string()).await?, 202);
    assert_eq!(contoso.world.microsoft.network.requests(LOGIN_HOST), before, "no token is read");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    Ok(())
}
