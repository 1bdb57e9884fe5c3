//! Makes the one subscription of a mailbox at Graph, replaces it, and stores it.
//!
//! The nonce is stored before the subscription is created and used again until that is confirmed,
//! so a subscription whose answer was lost proves itself like any other. A replacement removes the
//! old subscription first, then stores the nonce of the next one, then creates that: wherever this
//! is cut off, the row never holds a nonce that another subscription than its own was made with.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::worker::{
    MailboxWorker, VersionedMailbox, reduced, subscription_id, without_subscription,
};
use crate::{
    domain::{
        ids::{KeyId, MailboxId},
        keys::Digest,
    },
    graph::{
        CreateResult, GraphError, NewSubscription, ResourceDataOptions, Subscription,
        SubscriptionId,
    },
    identity::keys::client_state,
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::MailboxTaskKind,
    store::{
        mailboxes::{Health, Mailbox, MailboxSubscription, PreviousNonce},
        tables::Update,
    },
};

/// When to try again after a conflict that was not resolved.
const CONFLICT_RETRY: SignedDuration = SignedDuration::from_secs(60);
/// How long notifications of the replaced subscription are still accepted: Graph retries for four
/// hours (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const NONCE_OVERLAP: SignedDuration = SignedDuration::from_hours(4);
/// When a mailbox is checked again whose content could not be encrypted, for lack of a key.
const NO_KEY_RETRY: SignedDuration = SignedDuration::from_hours(1);
/// The seconds of a day.
const DAY_SECONDS: i64 = 24 * 60 * 60;

// === create ===

impl MailboxWorker<'_> {
    /// Subscribes the mailbox, unless it has a subscription that fits the tenant's policy.
    pub(super) async fn subscribe_or_replace(&self, read: VersionedMailbox) -> JobResult {
        match &read.0.subscription {
            Some(made) if self.content_mode().await.differs_from(made) => self.replace(read).await,
            Some(_) | None => self.subscribe(read).await,
        }
    }

    /// Subscribes the mailbox, unless it is subscribed.
    pub(super) async fn subscribe(&self, read: VersionedMailbox) -> JobResult {
        let read = self.remove_foreign(read).await?;
        let (mailbox, _) = &read;
        if mailbox.subscription.as_ref().is_some_and(|made| made.expires_at > self.now()) {
            // The resync may have been lost after the subscription was stored.
            return Ok(vec![Enqueue::now(self.follow_up(MailboxTaskKind::Resync, None))]);
        }
        let is_new_nonce = mailbox.nonce.is_none();
        let (read, nonce) = self.ensure_nonce(read).await?;
        let (order, key) = self.new_subscription(nonce).await?;
        let mut created = match self.create(&order).await {
            Err(GraphError::MailboxNotFound) if self.is_enrolled_by_organisation(&read.0) => {
                return self.skip_without_calendar().await;
            }
            Err(error) if is_refusal(&error) => return self.start_polling(error).await,
            answer => answer?,
        };
        if let CreateResult::AlreadyExists { id } = created {
            let existing = self.find_conflicting(id).await?;
            // It notifies our webhook, and of as much as we would order now.
            let is_as_ordered = existing.notification_url.as_ref() == Some(&order.notification_url)
                && existing.includes_resource_data == order.resource_data.is_some();
            if !is_new_nonce && is_as_ordered {
                let expires_at = self.adopt(&existing.id, order.resource_data.as_ref()).await?;
                // Which key made it is not known, because the answer was lost.
                let adopted = self.subscription(&existing.id, expires_at, None, &order);
                return self.persist(adopted, read).await;
            }
            // Either it was made otherwise than we would now, or it carries the nonce of an earlier
            // consent, and nothing that it delivers would be accepted.
            self.graph.unsubscribe(&existing.id).await?;
            created = match self.create(&order).await {
                Err(error) if is_refusal(&error) => return self.start_polling(error).await,
                answer => answer?,
            };
        }
        match created {
            CreateResult::Created { id, expires_at } => {
                self.persist(self.subscription(&id, expires_at, Some(key), &order), read).await
            }
            CreateResult::OverQuota => self.handle_over_quota().await,
            CreateResult::AlreadyExists { .. } => {
                Err(retry("a conflicting subscription still exists"))
            }
            CreateResult::ExpirationTooFar => {
                let code = "every lifetime is too long".to_owned();
                self.start_polling(GraphError::Refused { status: 400, code }).await
            }
        }
    }

    /// Stores a nonce before anything at Graph carries it.
    async fn ensure_nonce(
        &self,
        (mailbox, etag): VersionedMailbox,
    ) -> Result<(VersionedMailbox, u64), JobError> {
        if let Some(nonce) = mailbox.nonce {
            return Ok(((mailbox, etag), nonce));
        }
        let nonce = self.deps.rng.next_u64();
        let mailbox = Mailbox { nonce: Some(nonce), ..mailbox };
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        Ok(((mailbox, etag), nonce))
    }

    /// What to ask Graph for, and the key that its client state is made with.
    async fn new_subscription(&self, nonce: u64) -> Result<(NewSubscription, KeyId), JobError> {
        let (tenant, mailbox) = (self.tenant.id, self.task.mailbox);
        let keys = self.deps.client_state_keys.keys().await?;
        let url = &self.deps.settings.notification_url;
        let order = NewSubscription {
            mailbox,
            notification_url: url.clone(),
            lifecycle_notification_url: url.clone(),
            client_state: client_state::issue(keys.current(), tenant, mailbox, nonce),
            expires_at: self.now(),
            resource_data: self.content_mode().await.into_resource_data(),
        };
        Ok((order, keys.current().id().clone()))
    }

    /// Creates it with our usual lifetime, or with the shorter one where that is refused.
    async fn create(&self, order: &NewSubscription) -> Result<CreateResult, GraphError> {
        let lifetime = self.lifetime(order.resource_data.is_some());
        let ending_after =
            |time| NewSubscription { expires_at: self.now() + time, ..order.clone() };
        let created = self.graph.subscribe(&ending_after(lifetime)).await?;
        if created == CreateResult::ExpirationTooFar {
            return self.graph.subscribe(&ending_after(reduced(lifetime))).await;
        }
        Ok(created)
    }

    /// The subscription that Graph named, or the listed one for this mailbox.
    async fn find_conflicting(&self, id: Option<SubscriptionId>) -> Result<Subscription, JobError> {
        let found = match id {
            Some(id) => self.graph.find_subscription(&id).await?,
            None => self.find_listed().await?,
        };
        found.ok_or_else(|| retry("a conflicting subscription exists but was not found"))
    }

    /// The one subscription of this mailbox at Graph. The list is long and may be read rarely, so
    /// it is not searched for strays: Graph accepts no second one of our kind for a mailbox, and
    /// one whose key is not known is replaced at the next check.
    pub(super) async fn find_listed(&self) -> Result<Option<Subscription>, GraphError> {
        let all = self.graph.list_subscriptions().await?;
        Ok(all.into_iter().find(|listed| listed.mailbox == Some(self.task.mailbox)))
    }

    /// Renews our own subscription, whose answer was lost; answers when it ends.
    async fn adopt(
        &self,
        id: &SubscriptionId,
        content: Option<&ResourceDataOptions>,
    ) -> Result<Timestamp, JobError> {
        let (now, lifetime) = (self.now(), self.lifetime(content.is_some()));
        let renewed = match self.graph.renew(id, now + lifetime, content).await {
            Err(GraphError::Refused { status: 400, .. }) => {
                self.graph.renew(id, now + reduced(lifetime), content).await?
            }
            answer => answer?,
        };
        renewed.ok_or_else(|| retry("the conflicting subscription is being removed"))
    }

    /// The mailbox has as many subscriptions as Graph allows. It is polled, and subscribing is
    /// tried again every day; the row says so, for its owner's administrator.
    async fn handle_over_quota(&self) -> JobResult {
        tracing::warn!("mailbox has reached its subscription quota");
        if let Some((mailbox, etag)) = self.read_again().await?
            && mailbox.health.over_quota_since.is_none()
        {
            let health = Health { over_quota_since: Some(self.now()), ..mailbox.health };
            self.deps.mailboxes.replace(&Mailbox { health, ..mailbox }, &etag).await?;
        }
        self.start_polling(GraphError::AccessDenied).await
    }
}

// === replace ===

impl MailboxWorker<'_> {
    /// Graph has no such subscription any more: makes another one, and looks for what was missed.
    /// Nothing carries the client state any more, so the next one may use the same nonce.
    pub(super) async fn replace_lost(&self, read: VersionedMailbox) -> JobResult {
        let (mailbox, etag) = self.remove_foreign(read).await?;
        let due = mailbox.subscription.as_ref().map(|lost| lost.next_due_at);
        let next = Mailbox { subscription: None, ..mailbox };
        let etag = self.deps.mailboxes.replace(&next, &etag).await?;
        self.create_replacement((next, etag), due).await
    }

    /// Removes the subscription and makes another one with a nonce of its own.
    pub(super) async fn replace(&self, read: VersionedMailbox) -> JobResult {
        let (mailbox, etag) = self.remove_foreign(read).await?;
        let Some(subscription) = &mailbox.subscription else {
            return self.create_replacement((mailbox, etag), None).await;
        };
        self.graph.unsubscribe(&subscription_id(subscription)?).await?;
        let due = Some(subscription.next_due_at);
        let until = self.now() + NONCE_OVERLAP;
        let next = Mailbox {
            subscription: None,
            nonce: Some(self.deps.rng.next_u64()),
            previous_nonce: mailbox.nonce.map(|nonce| PreviousNonce { nonce, valid_until: until }),
            ..mailbox
        };
        let etag = self.deps.mailboxes.replace(&next, &etag).await?;
        self.create_replacement((next, etag), due).await
    }

    /// Removes the due entry of the replaced subscription once the next one has its own.
    async fn create_replacement(
        &self,
        read: VersionedMailbox,
        replaced: Option<Timestamp>,
    ) -> JobResult {
        let next = self.subscribe(read).await?;
        self.remove_due_entry(self.task.due).await?;
        let Some(replaced) = replaced else { return Ok(next) };
        let made = self.read_again().await?.and_then(|(mailbox, _)| mailbox.subscription);
        if made.is_some_and(|made| !is_same_entry(made.next_due_at, replaced)) {
            self.remove_due_entry(Some(replaced)).await?;
        }
        Ok(next)
    }

    /// Removes a subscription that another registration made, or that carries a nonce of an earlier
    /// consent: we could not renew it, or would not accept what it delivers.
    async fn remove_foreign(&self, read: VersionedMailbox) -> Result<VersionedMailbox, JobError> {
        let (mailbox, etag) = read;
        if !self.is_foreign(&mailbox) {
            return Ok((mailbox, etag));
        }
        if let Some(foreign) = &mailbox.subscription {
            let graph = self.graph_as(foreign.registration);
            match graph.unsubscribe(&subscription_id(foreign)?).await {
                // The tenant has changed to another registration, and this one may have lost its
                // consent.
                Ok(())
                | Err(
                    GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied,
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let next = without_subscription(&mailbox);
        let etag = self.deps.mailboxes.replace(&next, &etag).await?;
        self.remove_due_entry(mailbox.subscription.map(|foreign| foreign.next_due_at)).await?;
        Ok((next, etag))
    }

    pub(super) fn is_foreign(&self, mailbox: &Mailbox) -> bool {
        mailbox.subscription.as_ref().is_some_and(|subscription| {
            mailbox.nonce.is_none() || subscription.registration != self.tenant.registration
        })
    }
}

// === persist ===

impl MailboxWorker<'_> {
    fn subscription(
        &self,
        id: &SubscriptionId,
        expires_at: Timestamp,
        client_state_key: Option<KeyId>,
        order: &NewSubscription,
    ) -> MailboxSubscription {
        let now = self.now();
        MailboxSubscription {
            id: id.to_string(),
            expires_at,
            next_due_at: now,
            renewed_at: now,
            registration: self.tenant.registration,
            client_state_key,
            content_key: order.resource_data.as_ref().map(|content| content.certificate_id.clone()),
        }
    }

    /// Stores a subscription that was created or renewed just now with the nonce in the row that
    /// was read. Where the row has another nonce by now, its writer has given up the subscription
    /// without knowing of it, and it is removed.
    pub(super) async fn persist(
        &self,
        subscription: MailboxSubscription,
        read: VersionedMailbox,
    ) -> JobResult {
        let nonce = read.0.nonce;
        let subscription = self.schedule_check(subscription).await?;
        if self.write_subscription(&subscription, read, |row| row.nonce == nonce).await? {
            return Ok(self.resync_with_due());
        }
        self.graph.unsubscribe(&subscription_id(&subscription)?).await?;
        // A mailbox that is followed again may have a check at the same instant, which is then the
        // same entry.
        if !self.read_again().await?.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
            self.remove_due_entry(Some(subscription.next_due_at)).await?;
        }
        // The other writer may have taken this subscription for the conflicting one and adopted it.
        Ok(vec![Enqueue::now(self.follow_up(MailboxTaskKind::SubscriptionRemoved, None))])
    }

    /// Stores when a subscription that stays as it is will be checked next.
    pub(super) async fn persist_unchanged(
        &self,
        subscription: MailboxSubscription,
        read: VersionedMailbox,
    ) -> JobResult {
        let subscription = self.schedule_check(subscription).await?;
        let is_same = |row: &Mailbox| {
            row.subscription.as_ref().is_some_and(|stored| stored.id == subscription.id)
        };
        if self.write_subscription(&subscription, read, is_same).await? {
            return Ok(self.resync_with_due());
        }
        // The due entry stays: the other subscription may have its own at the same instant, which
        // is then the same entry.
        Err(retry("another subscription was stored"))
    }

    /// The due entry of the next check, before the row that needs it.
    async fn schedule_check(
        &self,
        subscription: MailboxSubscription,
    ) -> Result<MailboxSubscription, JobError> {
        let now = self.now();
        let mut next_due_at = next_check(self.task.mailbox, now, &subscription);
        if self.tenant.policy.rich_notifications && subscription.content_key.is_none() {
            next_due_at = next_due_at.min(now + NO_KEY_RETRY);
        }
        self.write_due_entry(next_due_at).await?;
        Ok(MailboxSubscription { next_due_at, ..subscription })
    }

    /// Whether it was written; `false` where the row is not `ours` any more.
    async fn write_subscription(
        &self,
        subscription: &MailboxSubscription,
        read: VersionedMailbox,
        ours: impl Fn(&Mailbox) -> bool,
    ) -> Result<bool, JobError> {
        let key = (read.0.tenant, read.0.id);
        let decide = |row: Option<Mailbox>| {
            let Some(mailbox) = row.filter(|mailbox| ours(mailbox)) else {
                return Update::Unchanged(None);
            };
            let earlier = mailbox.subscription.as_ref().map(|earlier| earlier.next_due_at);
            let polled = mailbox.polling.map(|polled| polled.next_due_at);
            let health = health_for(&subscription.id, &mailbox);
            let stored = Some(subscription.clone());
            let next = Mailbox { subscription: stored, polling: None, health, ..mailbox };
            Update::Write(next, Some((earlier, polled)))
        };
        let written = self
            .deps
            .mailboxes
            .update(key, Some(read), |row| std::future::ready(Ok::<_, JobError>(decide(row))));
        let replaced = written.await?.ok_or_else(|| retry("too many write conflicts"))?;
        let Some((earlier, polled)) = replaced else { return Ok(false) };
        self.remove_due_entry(polled).await?;
        let next = subscription.next_due_at;
        self.remove_due_entry(earlier.filter(|at| self.must_remove_entry(*at, next))).await?;
        Ok(true)
    }

    /// Whether the due entry of an earlier check is to be removed: not where it is also the next
    /// one, nor where it sent this task, because `dispatch-due` has rescheduled it already.
    fn must_remove_entry(&self, earlier: Timestamp, next: Timestamp) -> bool {
        let was_rescheduled = self.task.due.is_some() && earlier <= self.now();
        !was_rescheduled && !is_same_entry(earlier, next)
    }
}

/// A comparison from before a subscription says nothing of what that one has missed.
fn health_for(id: &str, mailbox: &Mailbox) -> Health {
    let is_same = mailbox.subscription.as_ref().is_some_and(|earlier| earlier.id == id);
    let drift = mailbox.health.drift.filter(|_| is_same);
    Health { drift, over_quota_since: None, ..mailbox.health }
}

/// At the mailbox's own second of the day, which spreads them evenly over it, or at the
/// subscription's half-life if that comes earlier: a day at most.
fn next_check(mailbox: MailboxId, now: Timestamp, subscription: &MailboxSubscription) -> Timestamp {
    // Another salt would move the slot of every mailbox.
    let slot = Digest::of(&[b"look", mailbox.0.as_bytes()]).0 % DAY_SECONDS.unsigned_abs() as u128;
    let slot = i64::try_from(slot).unwrap_or(0);
    let rest = (slot - now.as_second()).rem_euclid(DAY_SECONDS);
    let rest = SignedDuration::from_secs(if rest == 0 { DAY_SECONDS } else { rest });
    let due = (now + rest).min(subscription.renew_at());
    // Due entries hold milliseconds. Rounded down, the entry would come before the instant in the
    // row, and look like one that another check has replaced.
    due.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil))
        .unwrap_or(due)
}

/// Due entries hold milliseconds.
fn is_same_entry(one: Timestamp, other: Timestamp) -> bool {
    one.as_millisecond() == other.as_millisecond()
}

/// Whether Graph answers that it makes no such subscription. What it says varies: 400, 401, 403 and
/// 404 have been seen for mailboxes that it lets us read, so the words do not count.
fn is_refusal(error: &GraphError) -> bool {
    match error {
        GraphError::AccessDenied
        | GraphError::Disconnected
        | GraphError::TokenRejected
        | GraphError::MailboxNotFound
        | GraphError::Refused { .. } => true,
        GraphError::Retry { .. } | GraphError::Blocked(_) | GraphError::Unreadable => false,
    }
}

fn retry(cause: &str) -> JobError {
    JobError::retry_after(CONFLICT_RETRY, cause)
}
