//! What becomes of subscriptions when Graph, the keys or the tenant's policy change under them.

use std::sync::Arc;

use roombridge::identity::keys::client_state::{KeySet, SecretKey};
use roombridge::identity::keys::content_keys::ContentKeySource as _;
use roombridge::messages::{MailboxTaskKind, TenantTaskKind};
use roombridge::store::due::{DueEntries, DueEntry, DueList, DueSubject};
use roombridge::store::mailboxes::{Mailbox as MailboxRow, MailboxSubscription, Mailboxes};
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::exchange::{Mailbox, Response};
use world::fault_injection::Fault;
use world::graph::{
    FaultOutcome as Answer, LifecycleKind, Refusal, RequestFault, Scope, SubscriptionView,
    ThrottleEnd,
};
use world::memory::MemoryKeys;

use crate::contoso::{Contoso, Who, hours, minutes, on_both, seconds};
use crate::{TestError, TestResult};

on_both!(
    a_removed_subscription_is_replaced_once_however_often_graph_reports_it,
    a_new_client_state_key_replaces_every_subscription_within_a_day_and_loses_nothing,
);

const SUBSCRIPTIONS: &str = "/subscriptions";
const SUBSCRIPTION: &str = "/subscriptions/{id}";
const VIEW: &str = "/users/{id}/calendarView";

fn key(id: &str, byte: u8) -> Result<SecretKey, TestError> {
    Ok(SecretKey::new(id.parse()?, &[byte; 32]))
}

async fn subscription_row(
    contoso: &Contoso,
    mailbox: &Mailbox,
) -> Result<MailboxSubscription, TestError> {
    contoso.mailbox(mailbox).await?.subscription.ok_or_else(|| "not subscribed".into())
}

fn graph_subscription(contoso: &Contoso, mailbox: &Mailbox) -> Result<SubscriptionView, TestError> {
    let mut all = contoso.world.microsoft.graph.subscriptions();
    all.retain(|subscription| subscription.mailbox == mailbox.id());
    assert!(all.len() <= 1, "one subscription a mailbox");
    all.pop().ok_or_else(|| "not subscribed".into())
}

/// When mailboxes are due next.
async fn renewal_entries(contoso: &Contoso) -> Result<Vec<DueEntry>, TestError> {
    let due = DueEntries::new(Arc::clone(&contoso.world.raw_tables));
    let later = contoso.now() + hours(10 * 24);
    let list = DueList::RenewalsOf(contoso.tenant_id()?);
    Ok(due.list_due(list, later, None, 1_000).await?.0)
}

async fn change_mailbox(
    contoso: &Contoso,
    mailbox: &Mailbox,
    change: impl FnOnce(&mut MailboxRow),
) -> TestResult {
    let mut row = contoso.mailbox(mailbox).await?;
    change(&mut row);
    Mailboxes::new(Arc::clone(&contoso.world.raw_tables)).upsert(&row).await?;
    Ok(())
}

async fn set_rich(contoso: &Contoso, rich: bool) -> TestResult {
    let clock = Arc::new(contoso.world.clock.clone());
    let tenants = Tenants::new(Arc::clone(&contoso.world.raw_tables), clock);
    let (mut tenant, etag) =
        tenants.get_with_etag(contoso.tenant_id()?).await?.ok_or("no such tenant")?;
    tenant.policy.rich_notifications = rich;
    tenants.replace(&tenant, &etag).await?;
    Ok(())
}

async fn a_removed_subscription_is_replaced_once_however_often_graph_reports_it(
    contoso: Contoso,
) -> TestResult {
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let removed = graph_subscription(&contoso, anna)?.id;
    let state = contoso.client_state(anna).await?;
    graph.send_lifecycle(&removed, LifecycleKind::SubscriptionRemoved);
    contoso.run_for(minutes(1)).await;
    let made = graph_subscription(&contoso, anna)?.id;
    assert_ne!(made, removed);

    // Graph reports it again, and once more later.
    graph.clear_requests();
    let item = serde_json::json!({ "value": [{
        "subscriptionId": removed, "clientState": state, "tenantId": contoso.tenant.id(),
        "lifecycleEvent": "subscriptionRemoved",
    }] });
    for pause in [seconds(1), minutes(20), hours(3)] {
        assert_eq!(contoso.post(item.to_string()).await?, 202);
        contoso.run_for(pause).await;
    }
    assert_eq!(contoso.graph_requests("POST", SUBSCRIPTIONS), []);
    assert_eq!(contoso.graph_requests("DELETE", SUBSCRIPTION), []);
    assert_eq!(graph_subscription(&contoso, anna)?.id, made);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn missed_notifications_cause_one_resync_a_minute_however_often_graph_reports_them()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let id = graph_subscription(&contoso, anna)?.id;
    contoso.run_for(minutes(5)).await;
    graph.clear_requests();
    for _ in 0..5 {
        graph.send_lifecycle(&id, LifecycleKind::Missed);
        contoso.run_for(seconds(5)).await;
    }
    contoso.run_for(minutes(3)).await;
    let views = contoso.graph_requests("GET", VIEW).len();
    assert!((1..=2).contains(&views), "{views}");
    assert_eq!(graph.requests().len(), views, "and nothing else");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_mailbox_is_resynced_daily_and_its_subscription_is_kept_until_half_life() -> TestResult {
    let contoso = Contoso::open().await?;
    let graph = &contoso.world.microsoft.graph;
    graph.clear_requests();
    contoso.run_for(hours(48)).await;
    assert_eq!(contoso.graph_requests("PATCH", SUBSCRIPTION), []);
    assert_eq!(contoso.graph_requests("GET", VIEW).len(), 8, "four mailboxes, two days");
    assert_eq!(graph.requests().len(), 8);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_throttled_missing_or_refused_item_delays_no_other_of_its_batch() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, borealis, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    contoso.run_for(hours(71) + minutes(50)).await;
    let lost = graph_subscription(&contoso, anna)?.id;
    graph.end_silently(&lost);
    for (nth, status) in [(2, 429), (3, 503)] {
        let (moment, outcome) = (Fault::Before, Answer::Status(status));
        graph.plan_fault(RequestFault {
            method: "PATCH",
            template: SUBSCRIPTION,
            nth,
            moment,
            outcome,
        });
    }
    graph.clear_requests();
    contoso.run_for(hours(1)).await;
    assert_eq!(contoso.graph_requests("POST", "/$batch").len(), 1);
    let patches = contoso.graph_requests("PATCH", SUBSCRIPTION);
    assert_eq!(patches.iter().filter(|request| request.status == 200).count(), 3);
    assert_eq!(patches.len(), 6, "two of them twice, and one that is not there");
    assert_ne!(graph_subscription(&contoso, anna)?.id, lost);
    for mailbox in [anna, cleo, aurora, borealis] {
        assert!(
            subscription_row(&contoso, mailbox).await?.expires_at > contoso.now() + hours(5 * 24)
        );
    }
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_cold_webhook_only_delays_creating_and_renewing() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.time_out_handshakes(2);
    world.fixtures().agree(ben).await?;
    contoso.run_for(minutes(2)).await;
    assert!(graph_subscription(&contoso, ben).is_ok());

    let id = graph_subscription(&contoso, anna)?.id;
    contoso.run_for(hours(71)).await;
    graph.set_validation_on_renewal(true);
    graph.time_out_handshakes(3);
    contoso.run_for(hours(3)).await;
    assert_eq!(graph_subscription(&contoso, anna)?.id, id);
    for mailbox in [anna, ben] {
        assert!(
            subscription_row(&contoso, mailbox).await?.expires_at > contoso.now() + hours(5 * 24)
        );
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_mailbox_with_all_the_subscriptions_it_may_have_is_polled_and_tried_again_daily()
-> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.set_subscription_quota(0);
    world.fixtures().agree(ben).await?;
    contoso.run_for(minutes(1)).await;
    let since = contoso.mailbox(ben).await?.health.over_quota_since;
    assert!(since.is_some(), "it is shown");
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(25)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, ben, aurora)?.as_deref(), Some("booked"));

    graph.clear_requests();
    contoso.run_for(hours(25)).await;
    let orders = contoso.graph_requests("POST", SUBSCRIPTIONS);
    assert_eq!(orders.iter().map(|request| request.status).collect::<Vec<_>>(), [403]);
    assert_eq!(contoso.mailbox(ben).await?.health.over_quota_since, since);
    graph.set_subscription_quota(1_000);
    contoso.run_for(hours(25)).await;
    assert!(graph_subscription(&contoso, ben).is_ok());
    let row = contoso.mailbox(ben).await?;
    assert_eq!((row.health.over_quota_since, row.polling), (None, None));
    contoso.assert_healthy().await
}

async fn a_new_client_state_key_replaces_every_subscription_within_a_day_and_loses_nothing(
    contoso: Contoso,
) -> TestResult {
    // The keys of the world do not change, so the rows are made to name another one.
    let Contoso { anna, aurora, world, .. } = &contoso;
    for (mailbox, known) in [(anna, Some("k0")), (aurora, None)] {
        let known = known.map(str::parse).transpose()?;
        change_mailbox(&contoso, mailbox, |row| {
            if let Some(subscription) = &mut row.subscription {
                subscription.client_state_key = known;
            }
        })
        .await?;
    }
    let before = (graph_subscription(&contoso, anna)?.id, graph_subscription(&contoso, aurora)?.id);
    let nonce = contoso.mailbox(anna).await?.nonce;
    world.microsoft.graph.clear_requests();
    contoso.run_for(hours(25)).await;
    assert_ne!(graph_subscription(&contoso, anna)?.id, before.0);
    assert_ne!(graph_subscription(&contoso, aurora)?.id, before.1);
    let made: Vec<u16> =
        contoso.graph_requests("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(made, [201, 201], "once each");
    assert_ne!(contoso.mailbox(anna).await?.nonce, nonce);
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_lost_client_state_key_costs_a_day_and_no_appointment() -> TestResult {
    let vault = MemoryKeys::read_only(KeySet::new(key("k1", 7)?, []));
    let contoso = Contoso::builder().keys(Arc::new(vault.clone())).open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    vault.put(Some(KeySet::new(key("k2", 9)?, [])));
    // The process has asked the vault again.
    contoso.run_for(hours(2)).await;
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.run_for(hours(26)).await;
    for mailbox in [anna, aurora] {
        let made = subscription_row(&contoso, mailbox).await?;
        assert_eq!(made.client_state_key.as_ref().map(ToString::to_string).as_deref(), Some("k2"));
    }
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_conflicting_subscription_that_is_not_as_we_order_is_removed() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    let there = graph_subscription(&contoso, anna)?.id;
    // As if the answer had been lost, and an earlier deployment had made it for another address.
    change_mailbox(&contoso, anna, |row| row.subscription = None).await?;
    world.fixtures().send_task(anna, MailboxTaskKind::Subscribe).await?;
    contoso.run_for(minutes(1)).await;
    assert_eq!(graph_subscription(&contoso, anna)?.id, there, "ours is adopted");
    assert_eq!(subscription_row(&contoso, anna).await?.client_state_key, None);
    contoso.run_for(hours(25)).await;
    assert_ne!(
        graph_subscription(&contoso, anna)?.id,
        there,
        "and replaced, as nobody knows its key"
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn content_is_ordered_where_the_tenant_wants_it_as_soon_as_there_is_a_key() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, world, .. } = &contoso;
    set_rich(&contoso, true).await?;
    world.content_keys.set_outage(true);
    world.fixtures().agree(ben).await?;
    contoso.run_for(minutes(1)).await;
    assert!(!graph_subscription(&contoso, ben)?.rich, "ids alone, while there is no key");
    world.content_keys.set_outage(false);
    contoso.run_for(hours(3)).await;
    assert!(graph_subscription(&contoso, ben)?.rich, "it was processed again within the hour");
    contoso.run_for(hours(25)).await;
    for mailbox in [anna, ben, aurora] {
        let (there, row) =
            (graph_subscription(&contoso, mailbox)?, subscription_row(&contoso, mailbox).await?);
        assert!(there.rich);
        assert_eq!(there.certificate, row.content_key.map(|key| key.to_string()));
        assert!(there.expires <= contoso.now() + hours(23));
    }
    let id = graph_subscription(&contoso, anna)?.id;
    contoso.run_for(hours(3 * 24)).await;
    assert_eq!(graph_subscription(&contoso, anna)?.id, id, "renewed at half-life, day after day");

    set_rich(&contoso, false).await?;
    contoso.run_for(hours(25)).await;
    for mailbox in [anna, ben, aurora] {
        assert!(!graph_subscription(&contoso, mailbox)?.rich);
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn content_arrives_within_hours_of_the_decision_and_ends_at_once() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let align = || TenantTaskKind::ReconcilePolicy { from: None };
    contoso.change_tenant(align(), |tenant| tenant.policy.rich_notifications = true).await?;
    // The first key is made by the next run of the timer.
    contoso.run_for(minutes(90)).await;
    assert!(graph_subscription(&contoso, anna)?.rich && graph_subscription(&contoso, aurora)?.rich);
    contoso.change_tenant(align(), |tenant| tenant.policy.rich_notifications = false).await?;
    contoso.run_for(minutes(2)).await;
    assert!(
        !graph_subscription(&contoso, anna)?.rich && !graph_subscription(&contoso, aurora)?.rich
    );
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_content_key_that_is_lost_is_replaced_when_the_first_notification_shows_it() -> TestResult
{
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    set_rich(&contoso, true).await?;
    contoso.run_for(hours(26)).await;
    let lost = graph_subscription(&contoso, anna)?.certificate.ok_or("it brings content")?;
    world.content_keys.destroy(&lost.parse()?).await?;
    contoso.run_for(hours(2)).await;
    let there = world.content_keys.ids().pop().ok_or("a key was made")?.to_string();
    assert_eq!(graph_subscription(&contoso, anna)?.certificate, Some(lost));
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(graph_subscription(&contoso, anna)?.certificate, Some(there));
    assert_eq!(renewal_entries(&contoso).await?.len(), 4);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_removal_reported_with_an_older_one_is_not_mistaken_for_it() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, tenant, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let older = (graph_subscription(&contoso, anna)?.id, contoso.client_state(anna).await?);
    graph.send_lifecycle(&older.0, LifecycleKind::SubscriptionRemoved);
    contoso.run_for(minutes(1)).await;
    let newer = (graph_subscription(&contoso, anna)?.id, contoso.client_state(anna).await?);
    graph.end_silently(&newer.0);
    let items = [&older, &newer].map(|(id, state)| {
        serde_json::json!({
            "subscriptionId": id, "clientState": state, "tenantId": tenant.id(),
            "lifecycleEvent": "subscriptionRemoved",
        })
    });
    let body = serde_json::json!({ "value": items });
    assert_eq!(contoso.post(body.to_string()).await?, 202);
    contoso.run_for(minutes(1)).await;
    assert_ne!(graph_subscription(&contoso, anna)?.id, newer.0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_renewal_overtaken_by_another_worker_keeps_the_mailboxs_due_entry() -> TestResult {
    let mut steps = 0;
    while overtake_at_step(steps).await? {
        steps += 1;
    }
    assert!(steps > 3, "the renewal ran for {steps} steps");
    Ok(())
}

/// After so many steps of Anna's renewal another worker replaces her subscription; returns whether
/// the renewal was still running then.
async fn overtake_at_step(steps: usize) -> Result<bool, TestError> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    world.clock.set(subscription_row(&contoso, anna).await?.next_due_at + seconds(1));
    world.host.run_timer("dispatch-due").await?;
    let taken = world.host.dequeue_all().await.pop().ok_or("there is a renewal")?;
    let mut renewal = std::pin::pin!(world.host.process_message(taken));
    for _ in 0..steps {
        if futures::poll!(&mut renewal).is_ready() {
            return Ok(false);
        }
        tokio::task::yield_now().await;
    }
    world.fixtures().send_task(anna, MailboxTaskKind::SubscriptionRemoved).await?;
    world.run_until_idle().await;
    renewal.await;
    contoso.run_for(minutes(10)).await;
    let made = subscription_row(&contoso, anna).await?;
    let entries = renewal_entries(&contoso).await?;
    let subject = DueSubject::Mailbox { tenant: contoso.tenant_id()?, mailbox: anna.id().parse()? };
    let has_entry = entries.iter().any(|entry| {
        entry.subject == subject && entry.at.as_millisecond() == made.next_due_at.as_millisecond()
    });
    assert!(has_entry, "after {steps} steps: {made:?}, {entries:?}");
    assert_eq!(graph_subscription(&contoso, anna)?.id, made.id);
    contoso.assert_healthy().await?;
    Ok(true)
}

#[tokio::test]
async fn a_person_back_in_scope_while_being_unsubscribed_is_followed_again() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    let id = anna.id().parse()?;
    contoso.change_tenant_silently(|tenant| tenant.policy.excluded_mailboxes = [id].into()).await?;
    world.microsoft.graph.clear_requests();
    world.fixtures().send_task(anna, MailboxTaskKind::Resync).await?;
    let taken = world.host.dequeue_all().await.pop().ok_or("there is a task")?;
    let mut leaving = std::pin::pin!(world.host.process_message(taken));
    while contoso.graph_requests("DELETE", SUBSCRIPTION).is_empty() {
        assert!(futures::poll!(&mut leaving).is_pending());
        tokio::task::yield_now().await;
    }
    let align = TenantTaskKind::ReconcilePolicy { from: None };
    contoso.change_tenant(align, |tenant| tenant.policy.excluded_mailboxes.clear()).await?;
    world.run_until_idle().await;
    leaving.await;
    contoso.run_for(hours(4 * 24)).await;
    assert!(graph_subscription(&contoso, anna).is_ok(), "at half-life it is found missing");
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_hour_of_throttling_delays_renewals_and_fails_none() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, tenant, .. } = &contoso;
    contoso.run_for(hours(71) + minutes(50)).await;
    let scope = Scope::Tenant(tenant.id().to_owned());
    world.microsoft.graph.throttle(scope, ThrottleEnd::Instant(contoso.now() + hours(1)), 429);
    contoso.run_for(hours(4)).await;
    assert!(subscription_row(&contoso, anna).await?.renewed_at > contoso.now() - hours(4));
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_calendar_that_may_be_read_is_polled_whatever_refuses_its_subscription() -> TestResult {
    let refusals = [
        (400, "InvalidRequest"),
        (400, "ErrorInvalidParameter"),
        (401, "InvalidAuthenticationToken"),
        (403, "ExtensionError"),
        (404, "ExtensionError"),
        (404, "ResourceNotFound"),
    ];
    for (status, code) in refusals {
        let contoso = Contoso::builder().followed(&[Who::Anna, Who::Aurora]).prepare().await?;
        let Contoso { anna, ben, aurora, world, .. } = &contoso;
        world.microsoft.graph.refuse(Refusal {
            method: "POST",
            template: SUBSCRIPTIONS,
            mailbox: aurora.id().to_owned(),
            event: None,
            status,
            code,
        });
        contoso.run_for(minutes(2)).await;
        assert!(contoso.mailbox(aurora).await?.polling.is_some(), "{status} {code}");
        assert!(graph_subscription(&contoso, anna).is_ok(), "{status} {code}");
        let meeting = contoso.meet(ben, ("2026-11-26T09:00", "2026-11-26T10:00"), aurora)?;
        contoso.run_for(minutes(20)).await;
        contoso.expect_booking(&meeting, aurora).await?;
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted), "{status} {code}");
        let audit = contoso.audit().await?;
        assert!(audit.iter().all(|call| &*call.path != "/users"), "the tenant is not asked");
        assert_eq!(contoso.count(Table::Bookings).await?, 1);

        world.microsoft.graph.end_refusals();
        contoso.run_for(hours(25)).await;
        assert!(graph_subscription(&contoso, aurora).is_ok(), "{status} {code}");
        contoso.assert_healthy().await?;
    }
    Ok(())
}
