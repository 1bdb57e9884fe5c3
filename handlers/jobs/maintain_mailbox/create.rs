//! A mailbox's subscription is ordered at Graph.
//!
//! The nonce is stored before the subscription is created and used again until that is confirmed,
//! so a subscription whose answer was lost proves itself like any other.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    MailboxWorker, batch::VersionedMailbox, content::ContentMode, persist::ConfirmedSubscription,
    schedule::reduced_lifetime,
};
use crate::{
    domain::policy::Registration,
    graph::{CreateResult, GraphError, NewSubscription, Subscription, SubscriptionId, TenantGraph},
    identity::keys::client_state::{self, KeySet},
    jobs::runner::job::{Enqueue, JobError},
    store::{
        mailboxes::{Health, Mailbox, MailboxSubscription},
        tables::ETag,
    },
};

/// When to try again after another subscription was in the way and could not be adopted.
pub(super) const ADOPT_RETRY: SignedDuration = SignedDuration::from_secs(60);

/// What is ordered, whatever its life.
struct SubscriptionParams {
    content: ContentMode,
    keys: Arc<KeySet>,
    nonce: u64,
}

impl MailboxWorker<'_> {
    pub(super) async fn subscribe(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.clock.now();
        let (mailbox, etag) = self.remove_foreign(mailbox, etag).await?;
        if mailbox.subscription.as_ref().is_some_and(|subscription| subscription.expires_at > now) {
            // Perhaps the resync was lost after the subscription was stored.
            return Ok(vec![self.enqueue_resync()]);
        }
        let fresh = mailbox.nonce.is_none();
        let (read, nonce) = self.ensure_nonce(mailbox, etag).await?;
        let keys = self.deps.client_state_keys.keys().await;
        let keys = keys.map_err(|e| JobError::Retry { after: None, cause: e.to_string() })?;
        let order = SubscriptionParams { content: self.content_mode().await, keys, nonce };
        let mut subscribed = match self.create_subscription(&order).await {
            Err(GraphError::AccessDenied) => return self.start_polling().await,
            Err(GraphError::MailboxNotFound | GraphError::Refused { status: 404, .. })
                if self.is_enrolled_by_organisation(&read.0) =>
            {
                return self.skip_without_calendar().await;
            }
            answer => answer?,
        };
        let mut adopted = None;
        if let CreateResult::AlreadyExists { id } = &subscribed {
            let there = self.find_conflicting(id.clone()).await?;
            // One with a nonce of an earlier consent is of no use, as nothing it brings would be
            // believed, nor is one that is not as we order them.
            if fresh || !self.matches_params(&there, &order.content) {
                self.graph.unsubscribe(&there.id).await?;
                subscribed = self.create_subscription(&order).await?;
            } else {
                adopted = Some(self.adopt(there.id, &order.content).await?);
            }
        }
        let made_with = Some(order.keys.current().id().clone());
        // Which key made one that was there already is not known: its answer was lost.
        let ((id, expires), state_key) = match (adopted, subscribed) {
            (Some(adopted), _) => (adopted, None),
            (None, CreateResult::Created { id, expires_at: expires }) => ((id, expires), made_with),
            (None, CreateResult::OverQuota) => return self.handle_over_quota().await,
            (None, CreateResult::AlreadyExists { .. }) => {
                return Err(JobError::retry_after(
                    ADOPT_RETRY,
                    "a subscription is still in the way",
                ));
            }
            (None, CreateResult::ExpirationTooFar) => {
                return Err(JobError::fail("no life of a subscription is short enough"));
            }
        };
        let content_key =
            order.content.rich_content().map(|content| content.certificate_id.clone());
        let kept =
            ConfirmedSubscription { id, expires, nonce: Some(nonce), state_key, content_key };
        self.persist(kept, read).await
    }

    /// Orders our usual life, or the shorter one where that is refused.
    async fn create_subscription(
        &self,
        order: &SubscriptionParams,
    ) -> Result<CreateResult, GraphError> {
        let life = self.lifetime(order.content.rich_content().is_some());
        let subscribed = self.create_with_lifetime(order, life).await?;
        if subscribed == CreateResult::ExpirationTooFar {
            return self.create_with_lifetime(order, reduced_lifetime(life)).await;
        }
        Ok(subscribed)
    }

    async fn create_with_lifetime(
        &self,
        order: &SubscriptionParams,
        life: SignedDuration,
    ) -> Result<CreateResult, GraphError> {
        let (tenant, mailbox) = (self.task.tenant, self.task.mailbox);
        let url = &self.deps.settings.notification_url;
        let order = NewSubscription {
            mailbox,
            notification_url: url.clone(),
            lifecycle_notification_url: url.clone(),
            client_state: client_state::issue(order.keys.current(), tenant, mailbox, order.nonce),
            expires_at: self.deps.clock.now() + life,
            resource_data: order.content.rich_content().cloned(),
        };
        self.graph.subscribe(&order).await
    }

    /// The nonce is in the row before anything at Graph carries it.
    async fn ensure_nonce(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<(VersionedMailbox, u64), JobError> {
        if let Some(nonce) = mailbox.nonce {
            return Ok(((mailbox, etag), nonce));
        }
        let nonce = self.deps.rng.next_u64();
        let mailbox = Mailbox { nonce: Some(nonce), ..mailbox };
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        Ok(((mailbox, etag), nonce))
    }

    /// The mailbox has all the subscriptions it may have. Its owner's administrator can see it; it is
    /// polled meanwhile, and tried again every day.
    async fn handle_over_quota(&self) -> Result<Vec<Enqueue>, JobError> {
        tracing::warn!("a mailbox has as many subscriptions as it may, of all applications");
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if let Some((mailbox, etag)) = read
            && mailbox.health.over_quota_since.is_none()
        {
            let over_quota = Some(self.deps.clock.now());
            let health = Health { over_quota_since: over_quota, ..mailbox.health };
            self.deps.mailboxes.replace(&Mailbox { health, ..mailbox }, &etag).await?;
        }
        self.start_polling().await
    }

    /// Takes over the subscription that is already there: ours, whose answer was lost.
    async fn adopt(
        &self,
        id: SubscriptionId,
        content: &ContentMode,
    ) -> Result<(SubscriptionId, Timestamp), JobError> {
        let (now, content) = (self.deps.clock.now(), content.rich_content());
        let life = self.lifetime(content.is_some());
        let prolonged = match self.graph.renew(&id, now + life, content).await {
            Err(GraphError::Refused { status: 400, .. }) => {
                self.graph.renew(&id, now + reduced_lifetime(life), content).await?
            }
            answer => answer?,
        };
        match prolonged {
            Some(expires) => Ok((id, expires)),
            None => {
                Err(JobError::retry_after(ADOPT_RETRY, "the subscription in the way is just going"))
            }
        }
    }

    /// Whether it tells our webhook, and in the way we would order now.
    fn matches_params(&self, there: &Subscription, content: &ContentMode) -> bool {
        let ours = there.notification_url.as_ref() == Some(&self.deps.settings.notification_url);
        ours && there.includes_resource_data == content.rich_content().is_some()
    }

    /// The subscription that Graph named, or the listed one for this mailbox.
    async fn find_conflicting(&self, id: Option<SubscriptionId>) -> Result<Subscription, JobError> {
        let found = match id {
            Some(id) => self.graph.find_subscription(&id).await?,
            None => self.find_listed().await?,
        };
        found.ok_or_else(|| {
            JobError::retry_after(ADOPT_RETRY, "a subscription is in the way and not to be found")
        })
    }

    /// The one subscription of this mailbox at Graph. The list is long and may be asked rarely, so
    /// nobody looks for strays in it: Graph takes no second one of our kind for a mailbox, and one
    /// whose maker is not known is made anew at the next look.
    pub(super) async fn find_listed(&self) -> Result<Option<Subscription>, GraphError> {
        let all = self.graph.list_subscriptions().await?;
        Ok(all.into_iter().find(|listed| listed.mailbox == Some(self.task.mailbox)))
    }

    pub(super) fn graph_as(&self, registration: Registration) -> TenantGraph {
        super::graph_as(self.deps, self.calls, self.task, registration)
    }
}

pub(super) fn subscription_id(
    subscription: &MailboxSubscription,
) -> Result<SubscriptionId, JobError> {
    let unreadable = |_| JobError::fail("the stored subscription id cannot be understood");
    subscription.id.parse().map_err(unreadable)
}
