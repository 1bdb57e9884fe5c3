//! Notifications that bring the event, sealed: booked from without a read, believed only where
//! nothing speaks against it, and never kept.

use std::time::Duration;

use roombridge::domain::tenant::policy::{ContentPolicy, SubjectPolicy};
use roombridge::identity::keys::content_keys::ContentKeySource as _;
use roombridge::messages::{EventChanges, Message as _, Origin};
use roombridge::queue::{ENCRYPTED_CONTENT_TTL, Queue};
use roombridge::store::tables::Table;
use serde_json::{Value, json};
use world::exchange::{Invitation, Meeting, Oddities, Recurrence, Response};
use world::graph::ValidationTokenForm;
use world::host::DequeuedMessage;
use world::memory::QueueKind;

use super::{EVENT, LogBuffer, wanted_facts};
use crate::contoso::{Contoso, at, hours, minutes, seconds};
use crate::rich_subscriptions::enable_rich_notifications;
use crate::{TestError, TestResult};

/// Contoso wants its notifications with content, and has them.
pub(crate) async fn rich_contoso(content: ContentPolicy) -> Result<Contoso, TestError> {
    let contoso = Contoso::builder().content(content).open().await?;
    let followed = [&contoso.anna, &contoso.cleo, &contoso.aurora, &contoso.borealis];
    enable_rich_notifications(&contoso.world, &contoso.tenant, &followed).await?;
    contoso.run_for(minutes(2)).await;
    contoso.world.microsoft.graph.clear_requests();
    Ok(contoso)
}

/// How many events were read, alone or within a batch.
fn event_reads(contoso: &Contoso) -> usize {
    contoso.graph_requests("GET", EVENT).len()
}

/// Delivers the changes and processes the messages once, and nothing that follows from them.
async fn deliver_and_process_once(contoso: &Contoso) {
    contoso.world.microsoft.exchange.deliver_due();
    contoso.world.microsoft.graph.deliver_due().await;
    contoso.world.host.process_all().await;
}

/// The messages that wait for `fetch-event`.
fn pending_messages(contoso: &Contoso) -> Vec<world::memory::Delivery> {
    contoso.world.memory_outbox.messages(QueueKind::Main(Queue::FetchEvent))
}

#[tokio::test]
async fn an_appointment_without_a_room_costs_no_call_and_leaves_no_trace() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { tenant, anna, world, .. } = &contoso;
    let logged = LogBuffer::default();
    let guard = tracing::subscriber::set_default(logged.subscriber());
    let audited = contoso.audit().await?.len();
    let dentist = tenant.meet(anna, Invitation::new("Dentist", at("09:00"), at("10:00")))?;
    contoso.run_for(minutes(5)).await;
    drop(guard);
    assert_eq!(world.microsoft.graph.requests().len(), 0);
    for table in [Table::Bookings, Table::Appointments, Table::Failures] {
        assert_eq!(contoso.count(table).await?, 0, "{table:?}");
    }
    assert_eq!(contoso.audit().await?.len(), audited);
    let event = dentist.copy_in(anna).ok_or("Anna has a copy")?.event;
    let text = logged.text();
    assert!(text.contains("no managed room"), "it was processed");
    for secret in [event.as_str(), dentist.ical(), "Dentist", anna.address(), anna.id()] {
        assert_eq!(text.lines().find(|line| line.contains(secret)), None);
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_room_is_booked_from_content_and_read_only_for_the_refetch_a_minute_later() -> TestResult
{
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    deliver_and_process_once(&contoso).await;
    contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(contoso.world.microsoft.graph.requests().len(), 0, "not one call");
    contoso.run_for(seconds(45)).await;
    // Our answer and our property are two versions of Anna's copy notified at once: neither is
    // believed.
    assert_eq!(event_reads(&contoso), 1);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.attendee_count, 1);
    contoso.run_for(minutes(2)).await;
    assert_eq!(event_reads(&contoso), 2, "the room's copy, as Anna's was read after our own write");

    let start = at("11:00");
    meeting.move_to(start, start + hours(1))?;
    contoso.run_for(minutes(1)).await;
    assert_eq!(
        wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.interval.start(),
        start
    );
    meeting.cancel()?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn the_subject_is_still_a_read_of_its_own_and_only_where_it_is_kept() -> TestResult {
    let kept = ContentPolicy { subject: SubjectPolicy::Keep, ..ContentPolicy::default() };
    let contoso = rich_contoso(kept).await?;
    let Contoso { tenant, anna, aurora, .. } = &contoso;
    tenant.meet(anna, Invitation::new("Dentist", at("14:00"), at("15:00")))?;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    deliver_and_process_once(&contoso).await;
    let asked = contoso.graph_requests("GET", EVENT);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].select, ["subject"]);
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    let subject = wanted_facts(&booking)?.details.subject.as_ref();
    assert_eq!(subject.map(|subject| subject.reveal()), Some("Quarterly numbers"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn content_without_a_valid_token_is_read_from_graph() -> TestResult {
    for odd in 0..3 {
        let contoso = rich_contoso(ContentPolicy::default()).await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        let graph = &world.microsoft.graph;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        match odd {
            0 => graph.set_validation_tokens(ValidationTokenForm::Null),
            1 => graph.tamper_next_post(|body| body["validationTokens"] = json!(["a.b.c"])),
            _ => graph.tamper_next_post(|body| body["validationTokens"] = json!({})),
        }
        let delivery = graph.deliver_due().await;
        assert!(delivery.posts.iter().all(|post| post.status == Some(202)));
        assert!(pending_messages(&contoso).iter().all(|m| !m.text.contains("encrypted_content")));
        contoso.run_for(seconds(50)).await;
        assert!(event_reads(&contoso) >= 2, "{odd}");
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        contoso.assert_healthy().await?;
    }
    Ok(())
}

/// A booking settled long ago, whose organizer's copy then changes; the POST that reports it is
/// changed on its way.
async fn assert_read_when_altered(
    change: impl Fn(&mut Value) + Send + 'static,
) -> Result<Contoso, TestError> {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(15)).await;
    world.microsoft.graph.clear_requests();
    let start = at("11:00");
    meeting.move_to(start, start + hours(1))?;
    world.microsoft.graph.tamper_next_post(move |body| {
        for item in body["value"].as_array_mut().into_iter().flatten() {
            change(item);
        }
    });
    contoso.run_for(minutes(1)).await;
    assert!(event_reads(&contoso) >= 1, "it was read");
    assert_eq!(
        wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.interval.start(),
        start
    );
    contoso.assert_healthy().await?;
    Ok(contoso)
}

#[tokio::test]
async fn content_that_was_tampered_with_is_read_instead() -> TestResult {
    for name in ["data", "dataSignature", "dataKey"] {
        assert_read_when_altered(move |item| {
            let text = item["encryptedContent"][name].as_str().unwrap_or_default().to_owned();
            let other = if text.starts_with('A') { "B" } else { "A" };
            item["encryptedContent"][name] = json!(format!("{other}{}", &text[1..]));
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn content_of_another_event_is_read_instead() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let early = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let late = contoso.meet(anna, ("15:00", "16:00"), aurora)?;
    world.microsoft.graph.tamper_next_post(|body| {
        // Each notification has the other event's content.
        let items = body["value"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
        let contents: Vec<Value> = items.iter().map(|i| i["encryptedContent"].clone()).collect();
        for (item, content) in items.iter_mut().zip(contents.into_iter().rev()) {
            item["encryptedContent"] = content;
        }
    });
    deliver_and_process_once(&contoso).await;
    assert_eq!(event_reads(&contoso), 4, "no content is believed, in neither calendar");
    contoso.run_for(minutes(1)).await;
    for (meeting, hour) in [(early, "09:00"), (late, "15:00")] {
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(wanted_facts(&booking)?.interval.start(), at(hour));
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn late_content_undoes_nothing_newer() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    meeting.move_to(at("11:00"), at("12:00"))?;
    contoso.world.microsoft.exchange.deliver_due();
    graph.deliver_due().await;
    // The first move waits in the queue while the second one is notified and processed.
    let late: Vec<String> = pending_messages(&contoso).into_iter().map(|m| m.text).collect();
    assert!(late.iter().any(|text| text.contains("encrypted_content")));
    contoso.run_for(seconds(30)).await;
    meeting.move_to(at("13:00"), at("14:00"))?;
    contoso.run_for(minutes(15)).await;
    graph.clear_requests();
    for text in late {
        world.raw_outbox.send(Queue::FetchEvent, text, Duration::ZERO).await?;
    }
    contoso.run_for(minutes(1)).await;
    assert!(event_reads(&contoso) >= 1, "in doubt");
    assert_eq!(
        wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.interval.start(),
        at("13:00")
    );

    // Nothing that was cancelled comes back either.
    let late: Vec<String> = {
        meeting.move_to(at("15:00"), at("16:00"))?;
        world.microsoft.exchange.deliver_due();
        graph.deliver_due().await;
        pending_messages(&contoso).into_iter().map(|m| m.text).collect()
    };
    contoso.run_for(seconds(30)).await;
    meeting.cancel()?;
    contoso.run_for(minutes(15)).await;
    for text in late {
        world.raw_outbox.send(Queue::FetchEvent, text, Duration::ZERO).await?;
    }
    contoso.run_for(minutes(1)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?, []);
    contoso.assert_healthy().await
}

/// The messages of one move, taken from the queue, and without their version: as in two processes,
/// neither waits for the other's lock.
async fn move_and_dequeue(
    contoso: &Contoso,
    meeting: &Meeting,
    hour: i64,
) -> Result<Vec<DequeuedMessage>, TestError> {
    let world = &contoso.world;
    world.clock.advance(seconds(2));
    let start = at("00:00") + hours(hour);
    meeting.move_to(start, start + hours(1))?;
    world.microsoft.exchange.deliver_due();
    world.microsoft.graph.deliver_due().await;
    let kind = QueueKind::Main(Queue::FetchEvent);
    let messages = world.memory_outbox.receive(kind, 32, Duration::ZERO);
    assert!(messages.iter().any(|message| message.text.contains("encrypted_content")));
    for message in messages {
        world.memory_outbox.delete(kind, &message.receipt);
        let mut changes = EventChanges::from_text(&message.text)?;
        for item in &mut changes.items {
            if let Origin::Notification { version, .. } = &mut item.origin {
                *version = None;
            }
        }
        world.raw_outbox.send(Queue::FetchEvent, changes.to_text(), Duration::ZERO).await?;
    }
    Ok(world.host.dequeue_all().await)
}

#[tokio::test]
async fn the_older_of_two_contents_processed_at_once_does_not_win() -> TestResult {
    for step in 0..400 {
        let contoso = rich_contoso(ContentPolicy::default()).await?;
        let Contoso { anna, aurora, world, .. } = &contoso;
        let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
        contoso.run_for(minutes(15)).await;
        // There and back again: the newer content is what is booked already.
        let older = move_and_dequeue(&contoso, &meeting, 11).await?;
        let newer = move_and_dequeue(&contoso, &meeting, 9).await?;
        let mut late = std::pin::pin!(async {
            for taken in older {
                world.host.process_message(taken).await;
            }
        });
        let mut done = false;
        for _ in 0..step {
            done = done || futures::poll!(&mut late).is_ready();
            tokio::task::yield_now().await;
        }
        if done {
            assert!(step > 10, "they never met");
            return Ok(());
        }
        for taken in newer {
            world.host.process_message(taken).await;
        }
        late.await;
        contoso.run_for(minutes(3)).await;
        let booking = contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(wanted_facts(&booking)?.interval.start(), at("09:00"), "after {step}");
        contoso.assert_healthy().await?;
    }
    Err("it never ends".into())
}

#[tokio::test]
async fn the_content_of_a_series_is_not_believed_but_read() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let single = contoso.meet(anna, ("15:00", "16:00"), aurora)?;
    contoso.run_for(minutes(15)).await;
    contoso.world.microsoft.graph.clear_requests();
    single.repeat(Recurrence::daily())?;
    contoso.run_for(minutes(2)).await;
    assert!(event_reads(&contoso) >= 1);
    let instances = contoso.graph_requests("GET", "/users/{id}/events/{id}/instances");
    assert!(!instances.is_empty());
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-25").await?.len(), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_vault_that_is_down_costs_a_read_and_a_lost_key_calls_for_a_renewal_once() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, tenant, .. } = &contoso;
    // Sealed for a key that is newer than what this process holds.
    enable_rich_notifications(world, tenant, &[anna, aurora]).await?;
    world.content_keys.set_outage(true);
    world.queue_faults.reset();
    let renewals = || {
        world.queue_faults.calls().iter().filter(|call| call.target == "maintain-mailbox").count()
    };
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(seconds(50)).await;
    assert!(event_reads(&contoso) >= 2);
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(renewals(), 0, "the keys may be there");
    world.content_keys.set_outage(false);
    for id in world.content_keys.ids() {
        world.content_keys.destroy(&id).await?;
    }
    contoso.run_for(hours(2)).await;
    world.queue_faults.reset();
    world.microsoft.graph.set_max_items_per_post(1);
    let other = contoso.meet(anna, ("11:00", "12:00"), aurora)?;
    deliver_and_process_once(&contoso).await;
    contoso.expect_booking(&other, aurora).await?;
    assert_eq!(renewals(), 2, "one for Anna's and one for the room's mailbox");
    assert_eq!(contoso.failures().await?, []);
    Ok(())
}

#[tokio::test]
async fn encrypted_content_waits_six_hours_at_most_and_is_never_passed_on() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let logged = LogBuffer::default();
    let guard = tracing::subscriber::set_default(logged.subscriber());
    contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    world.microsoft.exchange.deliver_due();
    world.microsoft.graph.deliver_due().await;
    let sent = pending_messages(&contoso);
    let mut parts = Vec::new();
    for message in &sent {
        assert!(message.text.contains("encrypted_content"));
        assert_eq!(message.expires_at.duration_since(message.sent_at), hours(6));
        for item in EventChanges::from_text(&message.text)?.items {
            let sealed = item.encrypted_content.ok_or("it brought content")?;
            parts.extend([sealed.data, sealed.data_key, sealed.data_signature]);
        }
    }
    // What is tried again, what fails for good, and what killed the process holds none of it.
    world.table_faults.set_down(true);
    world.host.process_all().await;
    world.table_faults.set_down(false);
    let again = pending_messages(&contoso);
    assert!(!again.is_empty() && again.iter().all(|m| !m.text.contains("encrypted_content")));
    for message in &sent {
        let (queue, now) = (Queue::FetchEvent, Duration::ZERO);
        world
            .raw_outbox
            .send_with_ttl(queue, message.text.clone(), now, ENCRYPTED_CONTENT_TTL)
            .await?;
    }
    for taken in world.memory_outbox.receive(QueueKind::Main(Queue::FetchEvent), 32, Duration::ZERO)
    {
        if taken.text.contains("encrypted_content") {
            assert!(world.memory_outbox.move_to_poison(Queue::FetchEvent, &taken.receipt));
        }
    }
    contoso.run_for(minutes(10)).await;
    let failures = contoso.failures().await?;
    assert_eq!(failures.len(), sent.len());
    drop(guard);
    let mut everywhere = logged.text();
    for table in [Table::Failures, Table::Bookings, Table::Appointments, Table::Due, Table::Audit] {
        for row in contoso.rows(table).await? {
            everywhere.push_str(&format!("{row:?}"));
        }
    }
    assert!(parts.len() >= 6);
    for part in parts {
        assert!(!everywhere.contains(&part[..24.min(part.len())]));
    }
    Ok(())
}

#[tokio::test]
async fn many_with_content_are_booked_without_a_call() -> TestResult {
    let contoso = rich_contoso(ContentPolicy::default()).await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    world.microsoft.graph.set_max_items_per_post(1_000);
    // Content that does not say when it was written is read again.
    world.microsoft.exchange.set_oddities(Oddities::NONE);
    for n in 0..10 {
        let start = at("2026-11-25T00:00") + hours(n);
        let invitation = Invitation::new("Numbers", start, start + hours(1)).room(aurora);
        contoso.tenant.meet(anna, invitation)?;
    }
    deliver_and_process_once(&contoso).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 10);
    assert_eq!(world.microsoft.graph.requests().len(), 0);
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-25").await?.len(), 10);
    contoso.assert_healthy().await
}
