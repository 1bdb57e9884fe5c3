//! A subscription that must be another one: Graph has lost or removed it, its client-state key was
//! replaced, or nobody knows with which key it was made.
//!
//! The old one goes first, then the row gets the nonce of the next, and only then that is made: wherever
//! this is cut off, the row never holds a nonce that another subscription than its own was made with.

use jiff::{SignedDuration, Timestamp};

use super::{MailboxWorker, create::subscription_id, remove_due_entry};
use crate::{
    graph::GraphError,
    jobs::runner::job::{Enqueue, JobError},
    store::{
        mailboxes::{Mailbox, MailboxSubscription},
        tables::ETag,
    },
};

/// How long notifications of the subscription before are still believed: Graph tries for four hours
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const NONCE_OVERLAP: SignedDuration = SignedDuration::from_hours(4);

impl MailboxWorker<'_> {
    /// Graph has no such subscription any more: make another one, and see what was missed. Nothing
    /// carries its client state any more, so the next one may.
    pub(super) async fn replace_lost(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let (mailbox, etag) = self.remove_foreign(mailbox, etag).await?;
        let look = mailbox.subscription.as_ref().map(|lost| lost.next_due_at);
        let lost = Mailbox { subscription: None, ..mailbox };
        let etag = self.deps.mailboxes.replace(&lost, &etag).await?;
        self.create_replacement(lost, etag, look).await
    }

    /// Removes the subscription and makes another one with a nonce of its own.
    pub(super) async fn replace(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let (mailbox, etag) = self.remove_foreign(mailbox, etag).await?;
        let Some(subscription) = &mailbox.subscription else {
            return self.create_replacement(mailbox, etag, None).await;
        };
        self.graph.unsubscribe(&subscription_id(subscription)?).await?;
        let look = Some(subscription.next_due_at);
        let until = self.deps.clock.now() + NONCE_OVERLAP;
        let next = Mailbox {
            subscription: None,
            nonce: Some(self.deps.rng.next_u64()),
            previous_nonce: mailbox.nonce.map(|nonce| (nonce, until)),
            ..mailbox.clone()
        };
        let etag = self.deps.mailboxes.replace(&next, &etag).await?;
        self.create_replacement(next, etag, look).await
    }

    /// The entry that watched the one before goes when the next one has its own.
    async fn create_replacement(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        look: Option<Timestamp>,
    ) -> Result<Vec<Enqueue>, JobError> {
        let next = self.subscribe(mailbox, etag).await?;
        remove_due_entry(self.deps, self.task).await?;
        let Some(look) = look else { return Ok(next) };
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        let made = read.and_then(|(mailbox, _)| mailbox.subscription);
        if made.is_some_and(|made| made.next_due_at.as_millisecond() != look.as_millisecond()) {
            self.remove_due_entry(Some(look)).await?;
        }
        Ok(next)
    }

    /// Whether the subscription was made with another client-state key than the present one, or
    /// nobody knows with which. While the keys cannot be had it stays as it is.
    pub(super) async fn has_outdated_key(&self, subscription: &MailboxSubscription) -> bool {
        match self.deps.client_state_keys.keys().await {
            Ok(keys) => subscription.client_state_key.as_ref() != Some(keys.current().id()),
            Err(_) => false,
        }
    }

    /// A subscription that another registration made, or that carries a nonce of an earlier consent,
    /// is of no use: nothing it brings would be believed, or nobody could renew it.
    pub(super) async fn remove_foreign(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<(Mailbox, ETag), JobError> {
        if !self.is_foreign(&mailbox) {
            return Ok((mailbox, etag));
        }
        if let Some(subscription) = &mailbox.subscription {
            let (graph, id) =
                (self.graph_as(subscription.registration), subscription_id(subscription)?);
            match graph.unsubscribe(&id).await {
                // The registration was left for another one, and may have lost its consent.
                Ok(()) | Err(GraphError::Disconnected | GraphError::AccessDenied) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let look = mailbox.subscription.as_ref().map(|strange| strange.next_due_at);
        let mailbox = super::unsubscribe::without_subscription(&mailbox);
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        self.remove_due_entry(look).await?;
        Ok((mailbox, etag))
    }

    pub(super) fn is_foreign(&self, mailbox: &Mailbox) -> bool {
        mailbox.subscription.as_ref().is_some_and(|subscription| {
            mailbox.nonce.is_none() || subscription.registration != self.tenant.registration
        })
    }
}
