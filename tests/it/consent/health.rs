//! How calendars are followed, as the administrator sees it.

use std::sync::Arc;

use roombridge::domain::ids::{ContentKeyId, MailboxId, TenantId};
use roombridge::domain::mailbox::Drift;
use roombridge::domain::tenant::policy::Registration;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{
    Health, Mailbox, MailboxKind, MailboxState, MailboxSubscription, Mailboxes, PollingState,
};
use uuid::Uuid;
use world::fault_injection::Call;
use world::memory::QueueKind;
use world::test_world::INVITED_TENANT;

use super::deciding::policy_form;
use super::unconnected_contoso;
use crate::contoso::{Contoso, hours, minutes};
use crate::{TestError, TestResult};

fn person(n: u128) -> Mailbox {
    let id = MailboxId(Uuid::from_u128(0xF000_0000 + n));
    Mailbox::new(TenantId(INVITED_TENANT), id, MailboxKind::Person, MailboxState::Active)
}

fn with_subscription(
    contoso: &Contoso,
    mailbox: Mailbox,
    content_key: Option<ContentKeyId>,
) -> Mailbox {
    let now = contoso.world.now();
    let subscription = MailboxSubscription {
        id: "b0000000-0000-4000-8000-000000000001".to_owned(),
        expires_at: now + hours(20),
        next_due_at: now + hours(10),
        renewed_at: now,
        registration: Registration::OrganisationWide,
        client_state_key: None,
        content_key,
    };
    Mailbox { subscription: Some(subscription), ..mailbox }
}

/// With so many appointments that are not booked.
fn with_drift(contoso: &Contoso, mailbox: Mailbox, missing: u32) -> Mailbox {
    let at = contoso.world.now() - hours(1);
    let drift = Some(Drift { at, missing, orphaned: 0, different: 0 });
    Mailbox { health: Health { drift, ..mailbox.health }, ..mailbox }
}

async fn put(contoso: &Contoso, mailboxes: Vec<Mailbox>) -> TestResult {
    let table = Mailboxes::new(Arc::clone(&contoso.world.raw_tables));
    for mailbox in mailboxes {
        table.upsert(&mailbox).await?;
    }
    Ok(())
}

fn line_count(csv: &str) -> usize {
    csv.lines().count()
}

#[tokio::test]
async fn each_way_of_being_followed_is_counted_and_explained() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let now = contoso.world.now();
    let full = Health { over_quota_since: Some(now - minutes(90)), ..Health::default() };
    let polled = Some(PollingState { since: now, next_due_at: now + minutes(15) });
    let rich = with_subscription(&contoso, person(2), Some("c-20261123".parse()?));
    let disposition = roombridge::store::mailboxes::BookingDisposition::KeepAnonymous;
    let all = vec![
        with_drift(&contoso, with_subscription(&contoso, person(1), None), 3),
        with_drift(&contoso, rich, 0),
        Mailbox { polling: polled, ..person(3) },
        Mailbox { health: full, ..person(4) },
        person(5),
        Mailbox { state: MailboxState::Paused, ..with_drift(&contoso, person(6), 9) },
        Mailbox { state: MailboxState::Withdrawn(disposition), ..person(7) },
    ];
    put(&contoso, all).await?;
    let page = browser.get("health").await?;
    for way in ["basic", "rich", "polled", "over-quota", "waiting", "paused", "leaving"] {
        assert_eq!(page.text_of_id(&format!("people-{way}")), "1", "{way}");
        assert_eq!(page.text_of_id(&format!("rooms-{way}")), "0", "{way}");
    }
    let (missing, compared) =
        (page.text_of_id("people-missing"), page.text_of_id("people-compared"));
    assert_eq!((missing, compared, page.text_of_id("people-not-compared")), ("3", "2", "3"));
    assert!(page.text.contains("Microsoft refuses more subscriptions"));
    assert!(page.text.contains(&person(1).id.to_string()));
    assert!(page.text.contains(&person(4).id.to_string()));
    assert!(!page.text.contains(&person(2).id.to_string()), "nothing to say about it");
    assert!(!page.text.contains("would be booked"));

    let csv = browser.get("health.csv").await?;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"health.csv\"");
    assert_eq!(line_count(&csv.text), 7, "a head and all but who is being forgotten");
    let json = browser.get("health.json").await?;
    let standings: Vec<serde_json::Value> = serde_json::from_str(&json.text)?;
    let one = standings.iter().find(|one| one["mailbox"] == person(1).id.to_string());
    let one = one.ok_or("the first")?;
    assert_eq!((&one["missing"], &one["followed"]), (&3.into(), &"subscribed".into()));
    Ok(())
}

#[tokio::test]
async fn a_calendar_that_was_not_compared_to_its_end_is_named_with_what_to_do() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    put(&contoso, vec![with_drift(&contoso, person(1), 0)]).await?;
    let page = browser.get("health").await?;
    assert!(!page.text.contains("not compared to"), "{}", page.text);
    let since = Some(contoso.world.now() - hours(3));
    let health = Health { unfinished_since: since, ..Health::default() };
    put(&contoso, vec![Mailbox { health, ..person(2) }]).await?;
    let page = browser.get("health").await?;
    assert!(page.text.contains("Some calendars were not compared to their end"), "{}", page.text);
    assert!(page.text.contains("exclude it under Policy"));
    assert!(page.text.contains("not compared to its end since"));
    assert!(page.text.contains(&person(2).id.to_string()));
    Ok(())
}

#[tokio::test]
async fn many_calendars_are_read_a_page_at_a_time_and_listed_in_parts() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let all = (0..2_500).map(|n| with_drift(&contoso, person(n), u32::from(n < 300))).collect();
    put(&contoso, all).await?;
    contoso.world.table_faults.reset();
    let page = browser.get("health").await?;
    let scans = |calls: Vec<Call>| {
        calls.into_iter().filter(|call| (call.method, call.target) == ("scan", "Mailboxes")).count()
    };
    assert_eq!(scans(contoso.world.table_faults.calls()), 3);
    let listed = |text: &str| text.matches("not booked: 1").count();
    assert_eq!((page.text_of_id("people-waiting"), listed(&page.text)), ("2500", 200));
    let more = page.link_starting_with("/api/consent/health?from=");
    let rest = browser.get(&more).await?;
    assert_eq!(listed(&rest.text), 100);
    for odd in ["health?from=18446744073709551615", "health?from=-1", "health?from=x&comparing"] {
        assert_eq!(browser.get(odd).await?.text_of_id("people-waiting"), "2500", "{odd}");
    }
    assert_eq!(line_count(&browser.get("health.csv").await?.text), 2_501);
    let json = browser.get("health.json").await?;
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&json.text)?.len(), 2_500);
    Ok(())
}

#[tokio::test]
async fn nobody_compares_without_the_form_and_nothing_is_compared_where_access_is_lost()
-> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    let pending = contoso.pending_tenant_work();
    let forged = browser.post_without_csrf("health", &[("csrf", "x")]).await?;
    assert!((400..500).contains(&forged.status), "{}", forged.status);
    browser.set_origin("cross-site", "null");
    assert!((400..500).contains(&browser.post("health", &[]).await?.status));
    assert_eq!(contoso.pending_tenant_work(), pending);
    browser.set_origin("same-origin", "null");
    browser.post("health", &[]).await?;
    assert_eq!(contoso.pending_tenant_work().len(), pending.len() + 1);
    Ok::<(), TestError>(())
}

#[tokio::test]
async fn a_comparison_runs_once_however_often_it_is_asked_for() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.run_for(minutes(5)).await;
    for _ in 0..10 {
        let page = browser.post("health", &[]).await?;
        assert_eq!(page.location(), "/api/consent/health?comparing", "{}", page.text);
    }
    assert_eq!(contoso.pending_tenant_work(), ["reconcile-policy"]);
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.pending_tenant_work(), [""; 0]);
    browser.post("health", &[]).await?;
    assert_eq!(contoso.pending_tenant_work(), ["reconcile-policy"], "the first one has ended");
    Ok(())
}

#[tokio::test]
async fn a_comparison_that_could_not_be_sent_can_be_asked_for_again() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.run_for(minutes(5)).await;
    contoso.world.queue_faults.set_down(true);
    let page = browser.post("health", &[]).await?;
    assert_eq!(page.status, 503, "{}", page.text);
    contoso.world.queue_faults.set_down(false);
    assert_eq!(contoso.pending_tenant_work(), [""; 0]);
    browser.post("health", &[]).await?;
    assert_eq!(contoso.pending_tenant_work(), ["reconcile-policy"]);
    Ok(())
}

#[tokio::test]
async fn neither_page_starts_a_comparison_beside_a_running_one() -> TestResult {
    let contoso = unconnected_contoso().await?;
    let browser = contoso.connect("organisation-wide").await?;
    contoso.run_for(minutes(5)).await;
    browser.post("health", &[]).await?;
    let running = contoso.tenant_row().await?.ok_or("a row")?.comparing_since;
    assert!(running.is_some());
    // Nothing is changed: the policy is carried out once more, and nothing compared.
    let version = browser.get("policy").await?.value("version");
    browser.post("policy", &policy_form(&version, &[])).await?;
    let tasks = contoso.world.memory_outbox.messages(QueueKind::Main(Queue::MaintainTenant));
    assert_eq!(tasks.iter().filter(|task| task.text.contains("resync")).count(), 1, "{tasks:?}");
    let older = contoso.world.host.dequeue_all().await;
    contoso.world.clock.advance(minutes(1));
    // A rehearsal needs a comparison of its own, and the end of the older one does not end it.
    browser.post("policy", &policy_form(&version, &[("rehearsal", "yes")])).await?;
    let later = contoso.tenant_row().await?.ok_or("a row")?.comparing_since;
    assert!(later > running, "{later:?}");
    for task in older {
        contoso.world.host.process_message(task).await;
    }
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.comparing_since, later);
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.tenant_row().await?.ok_or("a row")?.comparing_since, None);
    Ok(())
}
