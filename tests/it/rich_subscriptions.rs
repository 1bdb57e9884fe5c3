//! Subscriptions that bring the content of events, in place of those that do not.

use std::sync::Arc;

use jiff::SignedDuration;
use roombridge::base::clock::Clock as _;
use roombridge::base::invocation::Invocation;
use roombridge::domain::ids::CorrelationId;
use roombridge::domain::tenant::policy::Registration;
use roombridge::graph::NewSubscription;
use roombridge::graph::ResourceDataOptions;
use roombridge::identity::keys::client_state::{SecretKey, issue};
use roombridge::identity::keys::content_keys::{ContentKeySource as _, NewContentKey};
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tenants::Tenants;
use world::exchange::{Mailbox, Tenant};
use world::test_world::{APP_HOST, TestWorld};

use crate::TestResult;

/// The tenant wants its notifications with content, and gets them for these mailboxes.
pub(crate) async fn enable_rich_notifications(
    world: &TestWorld,
    tenant: &Tenant,
    mailboxes: &[&Mailbox],
) -> TestResult {
    let tenants = Tenants::new(Arc::clone(&world.raw_tables), Arc::new(world.clock.clone()));
    let mut row = tenants.get_uncached(tenant.id().parse()?).await?.ok_or("connected")?;
    row.policy.rich_notifications = true;
    tenants.upsert(&row).await?;
    let fresh = NewContentKey::generate(world.now(), world.rng.as_ref()).await;
    let fresh = fresh.ok_or("a key is made")?;
    world.content_keys.add(&fresh).await?;
    for mailbox in mailboxes {
        replace_by_rich_subscription(world, tenant, mailbox, &fresh).await?;
    }
    world.clock.advance(SignedDuration::from_mins(2));
    Ok(())
}

async fn replace_by_rich_subscription(
    world: &TestWorld,
    tenant: &Tenant,
    mailbox: &Mailbox,
    key: &NewContentKey,
) -> TestResult {
    let invocation = Invocation::start(tenant.id().parse()?, CorrelationId(1));
    let graph = world.app.graph().for_tenant(Registration::OrganisationWide, &invocation);
    let mailboxes = Mailboxes::new(Arc::clone(&world.raw_tables));
    let found = mailboxes.get(tenant.id().parse()?, mailbox.id().parse()?).await?;
    let (row, _) = found.ok_or("the mailbox is followed")?;
    for listed in graph.list_subscriptions().await? {
        if listed.mailbox == Some(row.id) {
            graph.unsubscribe(&listed.id).await?;
        }
    }
    let url: url::Url = format!("https://{APP_HOST}/api/notifications").parse()?;
    let certificate =
        key.to_content_key(world.now()).ok_or("it is a key")?.certificate().to_owned();
    let nonce = row.nonce.ok_or("it was subscribed")?;
    let order = NewSubscription {
        mailbox: row.id,
        notification_url: url.clone(),
        lifecycle_notification_url: url,
        client_state: issue(&SecretKey::new("k1".parse()?, &[7; 32]), row.tenant, row.id, nonce),
        expires_at: world.clock.now() + SignedDuration::from_hours(20),
        resource_data: Some(ResourceDataOptions {
            certificate,
            certificate_id: key.id().clone(),
            add_in_property: None,
        }),
    };
    graph.subscribe(&order).await?;
    Ok(())
}
