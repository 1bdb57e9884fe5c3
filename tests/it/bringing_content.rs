//! Subscriptions that bring the content of events, in place of those that do not.

use std::sync::Arc;

use jiff::SignedDuration;
use roombridge::base::call_log::Trail;
use roombridge::base::clock::Clock as _;
use roombridge::domain::ids::CorrelationId;
use roombridge::domain::policy::Registration;
use roombridge::graph::subscriptions::RichContent;
use roombridge::graph::{CallContext, SubscriptionOrder};
use roombridge::identity::client_state::{Key, issue};
use roombridge::identity::content_keys::{ContentKeySource as _, FreshContentKey};
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tenants::Tenants;
use world::exchange::{Mailbox, Tenant};
use world::office::{APP_HOST, Office};

use crate::Outcome;

/// The tenant wants its notifications with content, and gets them for these mailboxes.
pub(crate) async fn bring_content(
    office: &Office,
    tenant: &Tenant,
    mailboxes: &[&Mailbox],
) -> Outcome {
    let tenants = Tenants::new(Arc::clone(&office.store), Arc::new(office.clock.clone()));
    let mut row = tenants.get_uncached(tenant.id().parse()?).await?.ok_or("connected")?;
    row.policy.rich = true;
    tenants.put(&row).await?;
    let fresh = FreshContentKey::make(office.now(), office.rng.as_ref()).await?;
    office.content_keys.add(&fresh).await?;
    for mailbox in mailboxes {
        resubscribe(office, tenant, mailbox, &fresh).await?;
    }
    office.clock.advance(SignedDuration::from_mins(2));
    Ok(())
}

async fn resubscribe(
    office: &Office,
    tenant: &Tenant,
    mailbox: &Mailbox,
    key: &FreshContentKey,
) -> Outcome {
    let graph = office.app.graph().for_tenant(CallContext {
        tenant: tenant.id().parse()?,
        registration: Registration::OrganisationWide,
        correlation: CorrelationId(1),
        trail: Trail::default(),
    });
    let mailboxes = Mailboxes::new(Arc::clone(&office.store));
    let found = mailboxes.get(tenant.id().parse()?, mailbox.id().parse()?).await?;
    let (row, _) = found.ok_or("the mailbox is followed")?;
    for listed in graph.subscriptions().await? {
        if listed.mailbox == Some(row.id) {
            graph.unsubscribe(&listed.id).await?;
        }
    }
    let url: url::Url = format!("https://{APP_HOST}/api/notifications").parse()?;
    let certificate = key.key(office.now())?.certificate().to_owned();
    let nonce = row.nonce.ok_or("it was subscribed")?;
    let order = SubscriptionOrder {
        mailbox: row.id,
        notification_url: url.clone(),
        lifecycle_url: url,
        client_state: issue(&Key::new("k1".parse()?, &[7; 32]), row.tenant, row.id, nonce),
        expires: office.clock.now() + SignedDuration::from_hours(20),
        content: Some(RichContent { certificate, id: key.id().clone(), add_in: None }),
    };
    graph.subscribe(&order).await?;
    Ok(())
}
