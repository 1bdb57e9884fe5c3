//! What the row keeps of a subscription, and the due entry of its next look: the entry is there
//! before the row that needs it.

use jiff::{SignedDuration, Timestamp};

use super::{MAX_CONFLICT_RETRIES, MailboxWorker, batch::VersionedMailbox, schedule};
use crate::{
    domain::ids::{ContentKeyId, KeyId},
    graph::SubscriptionId,
    jobs::runner::job::{Enqueue, JobError},
    messages::MailboxTaskKind,
    store::mailboxes::{Health, Mailbox, MailboxSubscription},
};

/// When a mailbox is looked at again whose content could not be sealed.
const NO_KEY_RETRY: SignedDuration = SignedDuration::from_hours(1);

/// A subscription that Graph has confirmed.
pub(super) struct ConfirmedSubscription {
    pub(super) id: SubscriptionId,
    pub(super) expires: Timestamp,
    /// The nonce that its client state was made with.
    pub(super) nonce: Option<u64>,
    pub(super) state_key: Option<KeyId>,
    pub(super) content_key: Option<ContentKeyId>,
}

impl MailboxWorker<'_> {
    /// It was made or prolonged just now. Whoever took the nonce out of the row meanwhile has let go
    /// of the subscription, without knowing of it: it is removed.
    pub(super) async fn persist(
        &self,
        kept: ConfirmedSubscription,
        read: VersionedMailbox,
    ) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.clock.now();
        let subscription = MailboxSubscription {
            id: kept.id.to_string(),
            expires_at: kept.expires,
            next_due_at: now,
            renewed_at: now,
            registration: self.tenant.registration,
            client_state_key: kept.state_key,
            content_key: kept.content_key,
        };
        let own = |mailbox: &Mailbox| mailbox.nonce == kept.nonce;
        match self.write_with_due_entry(subscription, read, own).await? {
            Ok(()) => Ok(vec![self.enqueue_resync_with_due()]),
            Err(look) => self.discard_unowned(&kept.id, look).await,
        }
    }

    /// It is as it was, and is to be looked at again.
    pub(super) async fn persist_unchanged(
        &self,
        subscription: MailboxSubscription,
        read: VersionedMailbox,
    ) -> Result<Vec<Enqueue>, JobError> {
        let id = subscription.id.clone();
        let same = |mailbox: &Mailbox| {
            mailbox.subscription.as_ref().is_some_and(|subscription| subscription.id == id)
        };
        match self.write_with_due_entry(subscription, read, same).await? {
            Ok(()) => Ok(vec![self.enqueue_resync_with_due()]),
            // The look stays: the other one's may be at the same instant, and is then the same entry.
            Err(_) => Err(JobError::retry_after(
                super::create::ADOPT_RETRY,
                "another subscription has come",
            )),
        }
    }

    /// Writes the entry of the next look, then the row. `Err` with that look where the row is
    /// not `verified` any more.
    async fn write_with_due_entry(
        &self,
        subscription: MailboxSubscription,
        read: VersionedMailbox,
        ours: impl Fn(&Mailbox) -> bool,
    ) -> Result<Result<(), Timestamp>, JobError> {
        let now = self.deps.clock.now();
        let mut look = schedule::next_check(self.task.mailbox, now, &subscription);
        if self.tenant.policy.rich_notifications && subscription.content_key.is_none() {
            // For want of a key; there may be one soon.
            look = look.min(now + NO_KEY_RETRY);
        }
        self.deps.due.upsert(&self.renew_entry(look)).await?;
        let subscription = MailboxSubscription { next_due_at: look, ..subscription };
        let mut read = Some(read);
        for _ in 0..MAX_CONFLICT_RETRIES {
            let (tenant, id) = (self.task.tenant, self.task.mailbox);
            let row = match read.take() {
                Some(read) => Some(read),
                None => self.deps.mailboxes.get(tenant, id).await?,
            };
            let Some((mailbox, etag)) = row.filter(|(mailbox, _)| ours(mailbox)) else {
                return Ok(Err(look));
            };
            let earlier = mailbox.subscription.as_ref().map(|earlier| earlier.next_due_at);
            let polled = mailbox.polling.map(|polled| polled.next_due_at);
            let health = health_for(&subscription.id, &mailbox);
            let subscription = Some(subscription.clone());
            let mailbox = Mailbox { subscription, polling: None, health, ..mailbox };
            match self.deps.mailboxes.replace(&mailbox, &etag).await {
                Ok(_) => {
                    self.remove_due_entry(polled).await?;
                    self.remove_due_entry(earlier.filter(|at| self.must_remove_entry(*at, look)))
                        .await?;
                    return Ok(Ok(()));
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(JobError::retry_after(super::create::ADOPT_RETRY, "others were faster each time"))
    }

    /// Whether the entry of an earlier look is to be removed. `dispatch-due` has moved on the one that
    /// brought us; and the next one stays.
    fn must_remove_entry(&self, earlier: Timestamp, next: Timestamp) -> bool {
        let moved_on = self.task.due.is_some() && earlier <= self.deps.clock.now();
        !moved_on && earlier.as_millisecond() != next.as_millisecond()
    }

    /// If the mailbox is followed by another consent, what that one made may have been taken for a
    /// stray, so it is looked for. Its own look may be at the same instant, and is then the same entry.
    async fn discard_unowned(
        &self,
        id: &SubscriptionId,
        look: Timestamp,
    ) -> Result<Vec<Enqueue>, JobError> {
        self.graph.unsubscribe(id).await?;
        let row = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if !row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
            self.remove_due_entry(Some(look)).await?;
        }
        Ok(vec![self.enqueue_task(MailboxTaskKind::SubscriptionRemoved)])
    }

    pub(super) async fn remove_due_entry(&self, at: Option<Timestamp>) -> Result<(), JobError> {
        if let Some(at) = at {
            self.deps.due.remove(&self.renew_entry(at)).await?;
        }
        Ok(())
    }
}

/// A comparison from before a subscription says nothing of what that one has missed.
fn health_for(id: &str, mailbox: &Mailbox) -> Health {
    let same = mailbox.subscription.as_ref().is_some_and(|earlier| earlier.id == id);
    let drift = mailbox.health.drift.filter(|_| same);
    Health { drift, over_quota_since: None, ..mailbox.health }
}
