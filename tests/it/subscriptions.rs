//! What becomes of subscriptions when Graph, the keys or the tenant's policy change under them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use roombridge::identity::client_state::{Key, Keys};
use roombridge::identity::content_keys::ContentKeySource as _;
use roombridge::identity::key_ring::{KeySource, KeysUnavailable};
use roombridge::messages::{Task, TenantWork};
use roombridge::store::due::{Due, DueEntry, Purpose, Subject};
use roombridge::store::mailboxes::{Mailbox as MailboxRow, Mailboxes, SubscriptionRow};
use roombridge::store::tables::Table;
use roombridge::store::tenants::Tenants;
use world::exchange::Mailbox;
use world::graph::{Fault, Lifecycle, Moment, Outcome as Answer, Scope, SubscriptionView, Until};

use crate::contoso::{Contoso, hours, minutes, on_both, seconds};
use crate::{Failure, Outcome};

on_both!(
    a_removed_subscription_is_made_anew_once_however_often_graph_says_so,
    a_new_client_state_key_replaces_every_subscription_within_a_day_and_loses_nothing,
);

const SUBSCRIPTIONS: &str = "/subscriptions";
const SUBSCRIPTION: &str = "/subscriptions/{id}";
const VIEW: &str = "/users/{id}/calendarView";

/// The client-state keys, which a story may change.
struct Vault(Mutex<Keys>);

impl Vault {
    fn new() -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self(Mutex::new(Keys::new(key("k1", 7)?, [])))))
    }

    fn set(&self, keys: Keys) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

#[async_trait]
impl KeySource for Vault {
    async fn load(&self) -> Result<Keys, KeysUnavailable> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn key(id: &str, byte: u8) -> Result<Key, Failure> {
    Ok(Key::new(id.parse()?, &[byte; 32]))
}

async fn row(contoso: &Contoso, mailbox: &Mailbox) -> Result<SubscriptionRow, Failure> {
    contoso.mailbox(mailbox).await?.subscription.ok_or_else(|| "not subscribed".into())
}

fn at_graph(contoso: &Contoso, mailbox: &Mailbox) -> Result<SubscriptionView, Failure> {
    let mut all = contoso.office.microsoft.graph.subscriptions();
    all.retain(|subscription| subscription.mailbox == mailbox.id());
    assert!(all.len() <= 1, "one subscription a mailbox");
    all.pop().ok_or_else(|| "not subscribed".into())
}

/// When mailboxes are looked at next.
async fn looks(contoso: &Contoso) -> Result<Vec<DueEntry>, Failure> {
    let due = Due::new(Arc::clone(&contoso.office.store));
    let later = contoso.now() + hours(10 * 24);
    Ok(due.scan(Purpose::Renew, later, None, 1_000).await?.0)
}

async fn change(
    contoso: &Contoso,
    mailbox: &Mailbox,
    change: impl FnOnce(&mut MailboxRow),
) -> Outcome {
    let mut row = contoso.mailbox(mailbox).await?;
    change(&mut row);
    Mailboxes::new(Arc::clone(&contoso.office.store)).put(&row).await?;
    Ok(())
}

async fn set_rich(contoso: &Contoso, rich: bool) -> Outcome {
    let clock = Arc::new(contoso.office.clock.clone());
    let tenants = Tenants::new(Arc::clone(&contoso.office.store), clock);
    let (mut tenant, etag) = tenants.read(contoso.tenant_id()?).await?.ok_or("no such tenant")?;
    tenant.policy.rich = rich;
    tenants.replace(&tenant, &etag).await?;
    Ok(())
}

async fn a_removed_subscription_is_made_anew_once_however_often_graph_says_so(
    contoso: Contoso,
) -> Outcome {
    let Contoso { anna, aurora, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    let removed = at_graph(&contoso, anna)?.id;
    let state = contoso.client_state(anna).await?;
    graph.raise(&removed, Lifecycle::SubscriptionRemoved);
    contoso.pass(minutes(1)).await;
    let made = at_graph(&contoso, anna)?.id;
    assert_ne!(made, removed);

    // Graph says it again, and again later.
    graph.clear_requests();
    let item = serde_json::json!({ "value": [{
        "subscriptionId": removed, "clientState": state, "tenantId": contoso.tenant.id(),
        "lifecycleEvent": "subscriptionRemoved",
    }] });
    for pause in [seconds(1), minutes(20), hours(3)] {
        assert_eq!(contoso.post(item.to_string()).await?, 202);
        contoso.pass(pause).await;
    }
    assert_eq!(contoso.asked("POST", SUBSCRIPTIONS), []);
    assert_eq!(contoso.asked("DELETE", SUBSCRIPTION), []);
    assert_eq!(at_graph(&contoso, anna)?.id, made);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn missed_notifications_are_looked_for_once_a_minute_however_often_graph_says_so() -> Outcome
{
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    let id = at_graph(&contoso, anna)?.id;
    contoso.pass(minutes(5)).await;
    graph.clear_requests();
    for _ in 0..5 {
        graph.raise(&id, Lifecycle::Missed);
        contoso.pass(seconds(5)).await;
    }
    contoso.pass(minutes(3)).await;
    let views = contoso.asked("GET", VIEW).len();
    assert!((1..=2).contains(&views), "{views}");
    assert_eq!(graph.requests().len(), views, "and nothing else");
    contoso.is_well().await
}

#[tokio::test]
async fn a_mailbox_is_looked_at_every_day_and_its_subscription_is_left_alone_until_half_life()
-> Outcome {
    let contoso = Contoso::open().await?;
    let graph = &contoso.office.microsoft.graph;
    graph.clear_requests();
    contoso.pass(hours(48)).await;
    assert_eq!(contoso.asked("PATCH", SUBSCRIPTION), []);
    assert_eq!(contoso.asked("GET", VIEW).len(), 8, "four mailboxes, two days");
    assert_eq!(graph.requests().len(), 8);
    contoso.is_well().await
}

#[tokio::test]
async fn one_of_a_batch_that_is_throttled_gone_or_refused_holds_nobody_else_back() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, aurora, borealis, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    contoso.pass(hours(71) + minutes(50)).await;
    let lost = at_graph(&contoso, anna)?.id;
    graph.drop_subscription(&lost);
    for (nth, status) in [(2, 429), (3, 503)] {
        let (moment, outcome) = (Moment::Before, Answer::Status(status));
        graph.fail(Fault { method: "PATCH", template: SUBSCRIPTION, nth, moment, outcome });
    }
    graph.clear_requests();
    contoso.pass(hours(1)).await;
    assert_eq!(contoso.asked("POST", "/$batch").len(), 1);
    let patches = contoso.asked("PATCH", SUBSCRIPTION);
    assert_eq!(patches.iter().filter(|seen| seen.status == 200).count(), 3);
    assert_eq!(patches.len(), 6, "two of them twice, and one that is not there");
    assert_ne!(at_graph(&contoso, anna)?.id, lost);
    for mailbox in [anna, cleo, aurora, borealis] {
        assert!(row(&contoso, mailbox).await?.expires > contoso.now() + hours(5 * 24));
    }
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.is_well().await
}

#[tokio::test]
async fn a_webhook_that_is_cold_only_delays_making_and_renewing() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    graph.time_out_handshakes(2);
    office.seeding().agree(ben).await?;
    contoso.pass(minutes(2)).await;
    assert!(at_graph(&contoso, ben).is_ok());

    let id = at_graph(&contoso, anna)?.id;
    contoso.pass(hours(71)).await;
    graph.set_validation_on_renewal(true);
    graph.time_out_handshakes(3);
    contoso.pass(hours(3)).await;
    assert_eq!(at_graph(&contoso, anna)?.id, id);
    for mailbox in [anna, ben] {
        assert!(row(&contoso, mailbox).await?.expires > contoso.now() + hours(5 * 24));
    }
    contoso.is_well().await
}

#[tokio::test]
async fn a_mailbox_with_all_the_subscriptions_it_may_have_is_polled_and_tried_again_daily()
-> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    graph.set_subscription_quota(0);
    office.seeding().agree(ben).await?;
    contoso.pass(minutes(1)).await;
    let since = contoso.mailbox(ben).await?.health.over_quota;
    assert!(since.is_some(), "it is shown");
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(25)).await;
    assert_eq!(contoso.outcome(&meeting, ben, aurora)?.as_deref(), Some("booked"));

    graph.clear_requests();
    contoso.pass(hours(25)).await;
    let orders = contoso.asked("POST", SUBSCRIPTIONS);
    assert_eq!(orders.iter().map(|seen| seen.status).collect::<Vec<_>>(), [403]);
    assert_eq!(contoso.mailbox(ben).await?.health.over_quota, since);
    graph.set_subscription_quota(1_000);
    contoso.pass(hours(25)).await;
    assert!(at_graph(&contoso, ben).is_ok());
    let row = contoso.mailbox(ben).await?;
    assert_eq!((row.health.over_quota, row.polled), (None, None));
    contoso.is_well().await
}

async fn a_new_client_state_key_replaces_every_subscription_within_a_day_and_loses_nothing(
    contoso: Contoso,
) -> Outcome {
    // The keys of the office do not change, so the rows are made to name another one.
    let Contoso { anna, aurora, office, .. } = &contoso;
    for (mailbox, known) in [(anna, Some("k0")), (aurora, None)] {
        let known = known.map(str::parse).transpose()?;
        change(&contoso, mailbox, |row| {
            if let Some(subscription) = &mut row.subscription {
                subscription.state_key = known;
            }
        })
        .await?;
    }
    let before = (at_graph(&contoso, anna)?.id, at_graph(&contoso, aurora)?.id);
    let nonce = contoso.mailbox(anna).await?.nonce;
    office.microsoft.graph.clear_requests();
    contoso.pass(hours(25)).await;
    assert_ne!(at_graph(&contoso, anna)?.id, before.0);
    assert_ne!(at_graph(&contoso, aurora)?.id, before.1);
    let made: Vec<u16> = contoso.asked("POST", SUBSCRIPTIONS).iter().map(|s| s.status).collect();
    assert_eq!(made, [201, 201], "once each");
    assert_ne!(contoso.mailbox(anna).await?.nonce, nonce);
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_client_state_key_that_is_lost_costs_a_day_and_no_appointment() -> Outcome {
    let vault = Vault::new()?;
    let contoso = Contoso::with_keys(Arc::clone(&vault) as _).await?;
    let Contoso { anna, aurora, .. } = &contoso;
    vault.set(Keys::new(key("k2", 9)?, []));
    // The process has asked the vault again.
    contoso.pass(hours(2)).await;
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.pass(hours(26)).await;
    for mailbox in [anna, aurora] {
        let made = row(&contoso, mailbox).await?;
        assert_eq!(made.state_key.as_ref().map(ToString::to_string).as_deref(), Some("k2"));
    }
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn what_is_in_the_way_and_not_as_we_order_is_removed() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    let there = at_graph(&contoso, anna)?.id;
    // As if the answer had been lost, and an earlier deployment had made it for another address.
    change(&contoso, anna, |row| row.subscription = None).await?;
    office.seeding().task(anna, Task::Subscribe).await?;
    contoso.pass(minutes(1)).await;
    assert_eq!(at_graph(&contoso, anna)?.id, there, "ours is adopted");
    assert_eq!(row(&contoso, anna).await?.state_key, None);
    contoso.pass(hours(25)).await;
    assert_ne!(at_graph(&contoso, anna)?.id, there, "and made anew, as nobody knows its key");
    contoso.is_well().await
}

#[tokio::test]
async fn content_is_ordered_where_the_tenant_wants_it_as_soon_as_there_is_a_key() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, office, .. } = &contoso;
    set_rich(&contoso, true).await?;
    office.content_keys.set_outage(true);
    office.seeding().agree(ben).await?;
    contoso.pass(minutes(1)).await;
    assert!(!at_graph(&contoso, ben)?.rich, "ids alone, while there is no key");
    office.content_keys.set_outage(false);
    contoso.pass(hours(3)).await;
    assert!(at_graph(&contoso, ben)?.rich, "it was looked at again within the hour");
    contoso.pass(hours(25)).await;
    for mailbox in [anna, ben, aurora] {
        let (there, row) = (at_graph(&contoso, mailbox)?, row(&contoso, mailbox).await?);
        assert!(there.rich);
        assert_eq!(there.certificate, row.content_key.map(|key| key.to_string()));
        assert!(there.expires <= contoso.now() + hours(23));
    }
    let id = at_graph(&contoso, anna)?.id;
    contoso.pass(hours(3 * 24)).await;
    assert_eq!(at_graph(&contoso, anna)?.id, id, "renewed at half-life, day after day");

    set_rich(&contoso, false).await?;
    contoso.pass(hours(25)).await;
    for mailbox in [anna, ben, aurora] {
        assert!(!at_graph(&contoso, mailbox)?.rich);
    }
    contoso.is_well().await
}

#[tokio::test]
async fn content_comes_within_hours_of_the_decision_and_goes_at_once() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let align = || TenantWork::Align { from: None };
    contoso.decide(align(), |tenant| tenant.policy.rich = true).await?;
    // The first key is made by the next run of the timer.
    contoso.pass(minutes(90)).await;
    assert!(at_graph(&contoso, anna)?.rich && at_graph(&contoso, aurora)?.rich);
    contoso.decide(align(), |tenant| tenant.policy.rich = false).await?;
    contoso.pass(minutes(2)).await;
    assert!(!at_graph(&contoso, anna)?.rich && !at_graph(&contoso, aurora)?.rich);
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.is_well().await
}

#[tokio::test]
async fn a_content_key_that_is_lost_is_replaced_when_the_first_notification_shows_it() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    set_rich(&contoso, true).await?;
    contoso.pass(hours(26)).await;
    let lost = at_graph(&contoso, anna)?.certificate.ok_or("it brings content")?;
    office.content_keys.destroy(&lost.parse()?).await?;
    contoso.pass(hours(2)).await;
    let there = office.content_keys.ids().pop().ok_or("a key was made")?.to_string();
    assert_eq!(at_graph(&contoso, anna)?.certificate, Some(lost));
    let meeting = contoso.meet(anna, ("2026-11-30T09:00", "2026-11-30T10:00"), aurora)?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    assert_eq!(at_graph(&contoso, anna)?.certificate, Some(there));
    assert_eq!(looks(&contoso).await?.len(), 4);
    contoso.is_well().await
}

#[tokio::test]
async fn a_removal_told_beside_an_older_one_is_not_taken_for_it() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, tenant, .. } = &contoso;
    let graph = &office.microsoft.graph;
    let older = (at_graph(&contoso, anna)?.id, contoso.client_state(anna).await?);
    graph.raise(&older.0, Lifecycle::SubscriptionRemoved);
    contoso.pass(minutes(1)).await;
    let newer = (at_graph(&contoso, anna)?.id, contoso.client_state(anna).await?);
    graph.drop_subscription(&newer.0);
    let items = [&older, &newer].map(|(id, state)| {
        serde_json::json!({
            "subscriptionId": id, "clientState": state, "tenantId": tenant.id(),
            "lifecycleEvent": "subscriptionRemoved",
        })
    });
    let body = serde_json::json!({ "value": items });
    assert_eq!(contoso.post(body.to_string()).await?, 202);
    contoso.pass(minutes(1)).await;
    assert_ne!(at_graph(&contoso, anna)?.id, newer.0);
    contoso.is_well().await
}

#[tokio::test]
async fn a_look_that_another_worker_outruns_leaves_the_mailbox_watched() -> Outcome {
    let mut steps = 0;
    while outrun_after(steps).await? {
        steps += 1;
    }
    assert!(steps > 3, "the look was at work for {steps} steps");
    Ok(())
}

/// After so many steps of Anna's look another worker makes her subscription anew; answers whether
/// the look was still at work then.
async fn outrun_after(steps: usize) -> Result<bool, Failure> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    office.clock.set(row(&contoso, anna).await?.renew_due + seconds(1));
    office.host.run_timer("dispatch-due").await?;
    let taken = office.host.take_all().await.pop().ok_or("there is a look")?;
    let mut look = std::pin::pin!(office.host.process_message(taken));
    for _ in 0..steps {
        if futures::poll!(&mut look).is_ready() {
            return Ok(false);
        }
        tokio::task::yield_now().await;
    }
    office.seeding().task(anna, Task::Removed).await?;
    office.settle().await;
    look.await;
    contoso.pass(minutes(10)).await;
    let made = row(&contoso, anna).await?;
    let looks = looks(&contoso).await?;
    let subject = Subject::Mailbox(contoso.tenant_id()?, anna.id().parse()?);
    let watched = looks.iter().any(|look| {
        look.subject == subject && look.at.as_millisecond() == made.renew_due.as_millisecond()
    });
    assert!(watched, "after {steps} steps: {made:?}, {looks:?}");
    assert_eq!(at_graph(&contoso, anna)?.id, made.id);
    contoso.is_well().await?;
    Ok(true)
}

#[tokio::test]
async fn who_is_let_in_again_while_being_left_is_followed_again() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    let id = anna.id().parse()?;
    contoso.decide_alone(|tenant| tenant.policy.excluded = [id].into()).await?;
    office.microsoft.graph.clear_requests();
    office.seeding().task(anna, Task::Resync).await?;
    let taken = office.host.take_all().await.pop().ok_or("there is a task")?;
    let mut leaving = std::pin::pin!(office.host.process_message(taken));
    while contoso.asked("DELETE", SUBSCRIPTION).is_empty() {
        assert!(futures::poll!(&mut leaving).is_pending());
        tokio::task::yield_now().await;
    }
    let align = TenantWork::Align { from: None };
    contoso.decide(align, |tenant| tenant.policy.excluded.clear()).await?;
    office.settle().await;
    leaving.await;
    contoso.pass(hours(4 * 24)).await;
    assert!(at_graph(&contoso, anna).is_ok(), "at half-life it is seen to be gone");
    contoso.is_well().await
}

#[tokio::test]
async fn an_hour_of_throttling_delays_renewals_and_fails_none() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, tenant, .. } = &contoso;
    contoso.pass(hours(71) + minutes(50)).await;
    let scope = Scope::Tenant(tenant.id().to_owned());
    office.microsoft.graph.throttle(scope, Until::Instant(contoso.now() + hours(1)), 429);
    contoso.pass(hours(4)).await;
    assert!(row(&contoso, anna).await?.renewed_at > contoso.now() - hours(4));
    assert_eq!(contoso.count(Table::Due).await?, 4);
    contoso.is_well().await
}
