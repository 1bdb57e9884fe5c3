//! A mailbox's subscription is ordered at Graph.
//!
//! The nonce is stored before the subscription is created and used again until that is confirmed,
//! so a subscription whose answer was lost proves itself like any other.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Keeper, content::Content, keeping::Kept, round::Read, schedule::shorter};
use crate::{
    domain::policy::Registration,
    graph::{
        GraphError, Subscribed, SubscriptionId, SubscriptionListed, SubscriptionOrder, TenantGraph,
    },
    identity::client_state::{self, Keys},
    jobs::runner::job::{Next, StepError},
    store::{
        mailboxes::{Health, Mailbox, SubscriptionRow},
        tables::ETag,
    },
};

/// When to try again after another subscription was in the way and could not be adopted.
pub(super) const ADOPT_TIME: SignedDuration = SignedDuration::from_secs(60);

/// What is ordered, whatever its life.
struct Order {
    content: Content,
    keys: Arc<Keys>,
    nonce: u64,
}

impl Keeper<'_> {
    pub(super) async fn subscribe(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        let (mailbox, etag) = self.without_a_strange_one(mailbox, etag).await?;
        if mailbox.subscription.as_ref().is_some_and(|subscription| subscription.expires > now) {
            // Perhaps the resync was lost after the subscription was stored.
            return Ok(vec![self.then_resync()]);
        }
        let fresh = mailbox.nonce.is_none();
        let (read, nonce) = self.with_nonce(mailbox, etag).await?;
        let keys = self.deps.keys.keys().await;
        let keys = keys.map_err(|e| StepError::Wait { after: None, cause: e.to_string() })?;
        let order = Order { content: self.content().await, keys, nonce };
        let mut subscribed = match self.place(&order).await {
            Err(GraphError::Denied) => return self.poll_instead().await,
            Err(GraphError::MailboxGone | GraphError::Refused { status: 404, .. })
                if self.is_only_enrolled(&read.0) =>
            {
                return self.leave_in_peace().await;
            }
            answer => answer?,
        };
        let mut adopted = None;
        if let Subscribed::AlreadyThere { id } = &subscribed {
            let there = self.in_the_way(id.clone()).await?;
            // One with a nonce of an earlier consent is of no use, as nothing it brings would be
            // believed, nor is one that is not as we order them.
            if fresh || !self.is_as_ordered(&there, &order.content) {
                self.graph.unsubscribe(&there.id).await?;
                subscribed = self.place(&order).await?;
            } else {
                adopted = Some(self.adopt(there.id, &order.content).await?);
            }
        }
        let made_with = Some(order.keys.current().id().clone());
        // Which key made one that was there already is not known: its answer was lost.
        let ((id, expires), state_key) = match (adopted, subscribed) {
            (Some(adopted), _) => (adopted, None),
            (None, Subscribed::Created { id, expires }) => ((id, expires), made_with),
            (None, Subscribed::OverQuota) => return self.over_quota().await,
            (None, Subscribed::AlreadyThere { .. }) => {
                return Err(StepError::wait(ADOPT_TIME, "a subscription is still in the way"));
            }
            (None, Subscribed::ShorterLife) => {
                return Err(StepError::fault("no life of a subscription is short enough"));
            }
        };
        let content_key = order.content.sealed().map(|content| content.id.clone());
        let kept = Kept { id, expires, nonce: Some(nonce), state_key, content_key };
        self.keep(kept, read).await
    }

    /// Orders our usual life, or the shorter one where that is refused.
    async fn place(&self, order: &Order) -> Result<Subscribed, GraphError> {
        let life = self.life(order.content.sealed().is_some());
        let subscribed = self.place_for(order, life).await?;
        if subscribed == Subscribed::ShorterLife {
            return self.place_for(order, shorter(life)).await;
        }
        Ok(subscribed)
    }

    async fn place_for(
        &self,
        order: &Order,
        life: SignedDuration,
    ) -> Result<Subscribed, GraphError> {
        let (tenant, mailbox) = (self.task.tenant, self.task.mailbox);
        let url = &self.deps.settings.notification_url;
        let order = SubscriptionOrder {
            mailbox,
            notification_url: url.clone(),
            lifecycle_url: url.clone(),
            client_state: client_state::issue(order.keys.current(), tenant, mailbox, order.nonce),
            expires: self.deps.clock.now() + life,
            content: order.content.sealed().cloned(),
        };
        self.graph.subscribe(&order).await
    }

    /// The nonce is in the row before anything at Graph carries it.
    async fn with_nonce(&self, mailbox: Mailbox, etag: ETag) -> Result<(Read, u64), StepError> {
        if let Some(nonce) = mailbox.nonce {
            return Ok(((mailbox, etag), nonce));
        }
        let nonce = self.deps.rng.number();
        let mailbox = Mailbox { nonce: Some(nonce), ..mailbox };
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        Ok(((mailbox, etag), nonce))
    }

    /// The mailbox has all the subscriptions it may have. Its owner's administrator can see it; it is
    /// polled meanwhile, and tried again every day.
    async fn over_quota(&self) -> Result<Vec<Next>, StepError> {
        tracing::warn!("a mailbox has as many subscriptions as it may, of all applications");
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if let Some((mailbox, etag)) = read
            && mailbox.health.over_quota.is_none()
        {
            let over_quota = Some(self.deps.clock.now());
            let health = Health { over_quota, ..mailbox.health };
            self.deps.mailboxes.replace(&Mailbox { health, ..mailbox }, &etag).await?;
        }
        self.poll_instead().await
    }

    /// Takes over the subscription that is already there: ours, whose answer was lost.
    async fn adopt(
        &self,
        id: SubscriptionId,
        content: &Content,
    ) -> Result<(SubscriptionId, Timestamp), StepError> {
        let (now, content) = (self.deps.clock.now(), content.sealed());
        let life = self.life(content.is_some());
        let prolonged = match self.graph.renew(&id, now + life, content).await {
            Err(GraphError::Refused { status: 400, .. }) => {
                self.graph.renew(&id, now + shorter(life), content).await?
            }
            answer => answer?,
        };
        match prolonged {
            Some(expires) => Ok((id, expires)),
            None => Err(StepError::wait(ADOPT_TIME, "the subscription in the way is just going")),
        }
    }

    /// Whether it tells our webhook, and in the way we would order now.
    fn is_as_ordered(&self, there: &SubscriptionListed, content: &Content) -> bool {
        let ours = there.notification_url.as_ref() == Some(&self.deps.settings.notification_url);
        ours && there.rich == content.sealed().is_some()
    }

    /// The subscription that Graph named, or the listed one for this mailbox.
    async fn in_the_way(
        &self,
        id: Option<SubscriptionId>,
    ) -> Result<SubscriptionListed, StepError> {
        let found = match id {
            Some(id) => self.graph.subscription(&id).await?,
            None => self.listed().await?,
        };
        found.ok_or_else(|| {
            StepError::wait(ADOPT_TIME, "a subscription is in the way and not to be found")
        })
    }

    /// The one subscription of this mailbox at Graph. The list is long and may be asked rarely, so
    /// nobody looks for strays in it: Graph takes no second one of our kind for a mailbox, and one
    /// whose maker is not known is made anew at the next look.
    pub(super) async fn listed(&self) -> Result<Option<SubscriptionListed>, GraphError> {
        let all = self.graph.subscriptions().await?;
        Ok(all.into_iter().find(|listed| listed.mailbox == Some(self.task.mailbox)))
    }

    pub(super) fn graph_as(&self, registration: Registration) -> TenantGraph {
        super::graph_as(self.deps, self.trail, self.task, registration)
    }
}

pub(super) fn id_of(subscription: &SubscriptionRow) -> Result<SubscriptionId, StepError> {
    let unreadable = |_| StepError::fault("the stored subscription id cannot be understood");
    subscription.id.parse().map_err(unreadable)
}
