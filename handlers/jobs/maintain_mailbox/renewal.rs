//! A look at a mailbox that is followed: at half-life one PATCH prolongs and re-authorises its
//! subscription, and at every look the calendar is compared with the store.

use jiff::Timestamp;

use super::{
    MIN_RENEWAL_INTERVAL, MailboxWorker, batch::VersionedMailbox, create::subscription_id,
    persist::ConfirmedSubscription, remove_due_entry, schedule,
};
use crate::{
    graph::{GraphError, ResourceDataOptions, SubscriptionId, SubscriptionRenewal},
    jobs::runner::job::{Enqueue, JobError},
    store::{
        mailboxes::{Mailbox, MailboxSubscription},
        tables::ETag,
    },
};

/// How far a task has come.
pub(super) enum TaskProgress {
    /// It is done, and this comes next.
    Done(Vec<Enqueue>),
    /// The subscription is to be prolonged, which Graph does for many at once.
    Renew(Box<PendingRenewal>),
}

/// A subscription that is to be prolonged.
pub(super) struct PendingRenewal {
    read: VersionedMailbox,
    id: SubscriptionId,
    subscription: MailboxSubscription,
    content: Option<ResourceDataOptions>,
}

impl MailboxWorker<'_> {
    /// The look that a due entry asked for, or whoever knows that the subscription should be another
    /// one before that.
    pub(super) async fn check_subscription(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<TaskProgress, JobError> {
        let now = self.deps.clock.now();
        if mailbox.polling.is_some() && mailbox.subscription.is_none() {
            return self.poll(mailbox, etag).await.map(TaskProgress::Done);
        }
        let Some(subscription) = self.own_subscription(&mailbox) else {
            return self.resubscribe(mailbox, etag).await.map(TaskProgress::Done);
        };
        let early = subscription.next_due_at > now;
        if early && self.task.due.is_some() {
            // Another look was here and left its own entry. What this entry still watches is the
            // resync that came of it, which may have been lost.
            return Ok(TaskProgress::Done(vec![self.enqueue_resync_with_due()]));
        }
        let content = self.content_mode().await;
        if content.differs_from(&subscription) || self.has_outdated_key(&subscription).await {
            return self.replace(mailbox, etag).await.map(TaskProgress::Done);
        }
        let rests = now < subscription.renewed_at + MIN_RENEWAL_INTERVAL;
        if now < subscription.renew_at() && (rests || !content.has_newer_key_than(&subscription)) {
            let awaited =
                self.tenant.policy.rich_notifications && subscription.content_key.is_none();
            if early && !awaited {
                // Somebody asked for another kind or another key, and it is as it should be.
                return Ok(TaskProgress::Done(Vec::new()));
            }
            return self
                .persist_unchanged(subscription, (mailbox, etag))
                .await
                .map(TaskProgress::Done);
        }
        self.prepare_renewal(mailbox, etag, subscription).await
    }

    /// Graph wants the subscription to be authorised again, and tells so often: what was touched a
    /// moment ago stays as it is.
    pub(super) async fn reauthorize(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<TaskProgress, JobError> {
        let Some(subscription) = self.own_subscription(&mailbox) else {
            return self.resubscribe(mailbox, etag).await.map(TaskProgress::Done);
        };
        if subscription.renewed_at + MIN_RENEWAL_INTERVAL > self.deps.clock.now() {
            return Ok(TaskProgress::Done(Vec::new()));
        }
        self.prepare_renewal(mailbox, etag, subscription).await
    }

    async fn prepare_renewal(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        subscription: MailboxSubscription,
    ) -> Result<TaskProgress, JobError> {
        if self.is_out_of_scope(&mailbox).await? {
            return self.pause(mailbox, etag).await.map(TaskProgress::Done);
        }
        let id = subscription_id(&subscription)?;
        let content = match subscription.content_key {
            Some(_) => self.content_mode().await.rich_content().cloned(),
            None => None,
        };
        Ok(TaskProgress::Renew(Box::new(PendingRenewal {
            read: (mailbox, etag),
            id,
            subscription,
            content,
        })))
    }

    /// What to ask Graph for.
    pub(super) fn renewal_request(
        &self,
        patch: &PendingRenewal,
        shorter: bool,
    ) -> SubscriptionRenewal {
        let life = self.lifetime(patch.subscription.content_key.is_some());
        let life = if shorter { schedule::reduced_lifetime(life) } else { life };
        let (id, content) = (patch.id.clone(), patch.content.clone());
        let expires = self.deps.clock.now() + life;
        SubscriptionRenewal {
            id,
            expires_at: expires,
            resource_data: content,
            correlation: self.task.meta.correlation,
        }
    }

    /// Graph has answered. Whatever was lost since the last look, without a word from Graph, is found
    /// now; and the horizon moves on.
    pub(super) async fn finish_renewal(
        &self,
        patch: PendingRenewal,
        answer: Result<Option<Timestamp>, GraphError>,
    ) -> Result<Vec<Enqueue>, JobError> {
        let PendingRenewal { read: (mailbox, etag), id, subscription, content } = patch;
        match answer? {
            Some(expires) => {
                let MailboxSubscription { client_state_key: state_key, content_key, .. } =
                    subscription;
                let content_key = content.map(|content| content.certificate_id).or(content_key);
                let kept = ConfirmedSubscription {
                    id,
                    expires,
                    nonce: mailbox.nonce,
                    state_key,
                    content_key,
                };
                self.persist(kept, (mailbox, etag)).await
            }
            None => self.replace_lost(mailbox, etag).await,
        }
    }

    /// The subscription, if it is one that we can renew and whose notifications we believe.
    fn own_subscription(&self, mailbox: &Mailbox) -> Option<MailboxSubscription> {
        mailbox.subscription.clone().filter(|_| !self.is_foreign(mailbox))
    }

    async fn resubscribe(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Enqueue>, JobError> {
        if self.is_out_of_scope(&mailbox).await? {
            return self.pause(mailbox, etag).await;
        }
        let next = self.subscribe(mailbox, etag).await?;
        remove_due_entry(self.deps, self.task).await?;
        Ok(next)
    }
}
