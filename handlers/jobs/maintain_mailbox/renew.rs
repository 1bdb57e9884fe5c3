//! Checks that a mailbox is still followed: at half-life one PATCH renews and re-authorises its
//! subscription, and at every check the calendar is compared with the store. What Graph reports
//! about a subscription comes late and often more than once; repetitions cost reading the row and
//! nothing else.
//!
//! A mailbox that may be read but that Graph refuses to subscribe is polled: only the resync finds
//! its changes. Whether Graph accepts a subscription from an app whose grants come from Exchange
//! alone is not documented (2026-11).

use std::ops::ControlFlow::{self, Break, Continue};

use jiff::{SignedDuration, Timestamp};

use super::worker::{MailboxWorker, VersionedMailbox, reduced, subscription_id};
use crate::{
    graph::{GraphError, ResourceDataOptions, SubscriptionId, SubscriptionRenewal},
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::MailboxTaskKind,
    store::mailboxes::{Mailbox, MailboxSubscription, PollingState},
};

/// Graph asks that a subscription is not touched twice within ten minutes
/// (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const MIN_RENEWAL_INTERVAL: SignedDuration = SignedDuration::from_mins(10);
/// How often a calendar is polled. That is one read each time; a shorter interval would cost
/// 100,000 mailboxes more than Graph allows (10,000 in ten minutes for each of them, and 130,000 in
/// ten seconds for the app: learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const POLL_INTERVAL: SignedDuration = SignedDuration::from_mins(15);
/// How often subscribing a polled mailbox is tried again.
const SUBSCRIBE_RETRY: SignedDuration = SignedDuration::from_hours(24);
/// Resyncs because of missed notifications are at least this far apart.
const MISSED_RESYNC_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// A subscription that is to be renewed.
pub(super) struct PendingRenewal {
    read: VersionedMailbox,
    id: SubscriptionId,
    subscription: MailboxSubscription,
    content: Option<ResourceDataOptions>,
}

// === check and renew ===

impl MailboxWorker<'_> {
    /// A check that a due entry sent, or another function that knows earlier that the subscription
    /// should be another one.
    pub(super) async fn check_subscription(
        &self,
        read: VersionedMailbox,
    ) -> Result<ControlFlow<Vec<Enqueue>, PendingRenewal>, JobError> {
        let (now, (mailbox, _)) = (self.now(), &read);
        if mailbox.polling.is_some() && mailbox.subscription.is_none() {
            return self.poll(read).await.map(Break);
        }
        let Some(subscription) = self.own_subscription(mailbox) else {
            return self.resubscribe(read).await.map(Break);
        };
        let is_early = subscription.next_due_at > now;
        if is_early && self.task.due.is_some() {
            // Another check has been done and has written its own entry. What this entry still
            // watches is the resync of that check, which may have been lost.
            return Ok(Break(self.resync_with_due()));
        }
        let content = self.content_mode().await;
        if content.differs_from(&subscription) || self.has_outdated_key(&subscription).await {
            return self.replace(read).await.map(Break);
        }
        let must_rest = now < subscription.renewed_at + MIN_RENEWAL_INTERVAL;
        if now < subscription.renew_at()
            && (must_rest || !content.has_newer_key_than(&subscription))
        {
            let awaits_key =
                self.tenant.policy.rich_notifications && subscription.content_key.is_none();
            if is_early && !awaits_key {
                // Asked for because of the kind of content or its key, and both are right.
                return Ok(Break(Vec::new()));
            }
            return self.persist_unchanged(subscription, read).await.map(Break);
        }
        self.prepare_renewal(read, subscription).await
    }

    /// Graph wants the subscription to be authorised again, and says so often: what was touched a
    /// moment ago stays as it is.
    pub(super) async fn reauthorize(
        &self,
        read: VersionedMailbox,
    ) -> Result<ControlFlow<Vec<Enqueue>, PendingRenewal>, JobError> {
        let Some(subscription) = self.own_subscription(&read.0) else {
            return self.resubscribe(read).await.map(Break);
        };
        if subscription.renewed_at + MIN_RENEWAL_INTERVAL > self.now() {
            return Ok(Break(Vec::new()));
        }
        self.prepare_renewal(read, subscription).await
    }

    async fn prepare_renewal(
        &self,
        read: VersionedMailbox,
        subscription: MailboxSubscription,
    ) -> Result<ControlFlow<Vec<Enqueue>, PendingRenewal>, JobError> {
        if self.is_out_of_scope(&read.0).await? {
            return self.pause(read).await.map(Break);
        }
        let id = subscription_id(&subscription)?;
        let content = match subscription.content_key {
            Some(_) => self.content_mode().await.into_resource_data(),
            None => None,
        };
        Ok(Continue(PendingRenewal { read, id, subscription, content }))
    }

    /// What to ask Graph for.
    pub(super) fn renewal_request(
        &self,
        renewal: &PendingRenewal,
        shorter: bool,
    ) -> SubscriptionRenewal {
        let lifetime = self.lifetime(renewal.subscription.content_key.is_some());
        let lifetime = if shorter { reduced(lifetime) } else { lifetime };
        SubscriptionRenewal {
            id: renewal.id.clone(),
            expires_at: self.now() + lifetime,
            resource_data: renewal.content.clone(),
            correlation: self.invocation.correlation,
        }
    }

    /// Graph has answered. The resync that follows finds what was lost since the last check without
    /// a report from Graph, and moves the horizon on.
    pub(super) async fn finish_renewal(
        &self,
        renewal: PendingRenewal,
        answer: Result<Option<Timestamp>, GraphError>,
    ) -> JobResult {
        let PendingRenewal { read, subscription, content, .. } = renewal;
        let Some(expires_at) = answer? else { return self.replace_lost(read).await };
        let content_key = content.map(|content| content.certificate_id);
        let renewed = MailboxSubscription {
            expires_at,
            renewed_at: self.now(),
            content_key: content_key.or(subscription.content_key),
            ..subscription
        };
        self.persist(renewed, read).await
    }

    /// The subscription, if we can renew it and accept its notifications.
    fn own_subscription(&self, mailbox: &Mailbox) -> Option<MailboxSubscription> {
        mailbox.subscription.clone().filter(|_| !self.is_foreign(mailbox))
    }

    /// Whether the subscription was made with another client-state key than the present one, or
    /// with one that is not known. It stays as it is while the keys are unavailable.
    async fn has_outdated_key(&self, subscription: &MailboxSubscription) -> bool {
        match self.deps.client_state_keys.keys().await {
            Ok(keys) => subscription.client_state_key.as_ref() != Some(keys.current().id()),
            Err(_) => false,
        }
    }

    async fn resubscribe(&self, read: VersionedMailbox) -> JobResult {
        if self.is_out_of_scope(&read.0).await? {
            return self.pause(read).await;
        }
        let next = self.subscribe(read).await?;
        self.remove_due_entry(self.task.due).await?;
        Ok(next)
    }
}

// === what Graph reports ===

impl MailboxWorker<'_> {
    /// Graph has removed a subscription. Each has a nonce of its own, so a report about one that
    /// was replaced already is recognised by it.
    pub(super) async fn replace_removed(&self, read: VersionedMailbox) -> JobResult {
        let (mailbox, _) = &read;
        let is_present = self.task.nonce.is_none_or(|nonce| mailbox.nonce == Some(nonce));
        if !is_present && mailbox.subscription.is_some() {
            return Err(JobError::Discard("the subscription was replaced already"));
        }
        self.replace(read).await
    }

    /// Graph could not deliver some notifications. A resync that began after the report has found
    /// what they were about, and one a minute covers all reports of that minute.
    pub(super) async fn catch_up(&self, read: &VersionedMailbox) -> JobResult {
        if let Some(last) = read.0.health.drift.map(|drift| drift.at) {
            if last >= self.task.meta.first_seen {
                return Err(JobError::Discard("a resync has run since"));
            }
            let rest = (last + MISSED_RESYNC_INTERVAL).duration_since(self.now());
            if rest.is_positive() {
                return Err(JobError::retry_after(rest, "a resync ran a moment ago"));
            }
        }
        self.resync(read).await
    }
}

// === polling ===

impl MailboxWorker<'_> {
    /// Graph has refused the subscription with `refusal`, which is about this mailbox and says nothing
    /// of the tenant. A calendar that can be read is polled from now on.
    pub(super) async fn start_polling(&self, refusal: GraphError) -> JobResult {
        let is_readable = match self.graph.mailbox_is_readable(self.task.mailbox).await {
            Err(GraphError::Refused { status: 404, .. }) => false,
            answer => answer?,
        };
        // Somebody who has left since is not polled.
        let read = self.read_again().await?.filter(|(mailbox, _)| mailbox.state.is_active());
        let Some(read) = read else { return Ok(Vec::new()) };
        if !is_readable {
            if self.is_enrolled_by_organisation(&read.0) {
                return self.skip_without_calendar().await;
            }
            return Err(refusal.into());
        }
        tracing::info!(%refusal, "Graph refused the subscription; polling the mailbox instead");
        self.schedule_poll(read, self.now()).await
    }

    async fn poll(&self, read: VersionedMailbox) -> JobResult {
        let Some(polled) = read.0.polling else { return Ok(Vec::new()) };
        if self.now() >= polled.since + SUBSCRIBE_RETRY {
            return self.resubscribe(read).await;
        }
        self.schedule_poll(read, polled.since).await
    }

    /// Writes the due entry of the next poll, then the row that names it; then polls.
    async fn schedule_poll(
        &self,
        (mailbox, etag): VersionedMailbox,
        since: Timestamp,
    ) -> JobResult {
        let next_due_at = self.now() + POLL_INTERVAL;
        self.write_due_entry(next_due_at).await?;
        let earlier = mailbox.polling.map(|polled| polled.next_due_at);
        let polling = Some(PollingState { since, next_due_at });
        self.deps.mailboxes.replace(&Mailbox { polling, ..mailbox }, &etag).await?;
        self.remove_due_entry(earlier.filter(|at| *at != next_due_at)).await?;
        self.remove_due_entry(self.task.due).await?;
        Ok(vec![Enqueue::now(self.follow_up(MailboxTaskKind::Resync, None))])
    }
}
