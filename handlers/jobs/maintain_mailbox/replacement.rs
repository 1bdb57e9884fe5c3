//! A subscription that must be another one: Graph has lost or removed it, its client-state key was
//! replaced, or nobody knows with which key it was made.
//!
//! The old one goes first, then the row gets the nonce of the next, and only then that is made: wherever
//! this is cut off, the row never holds a nonce that another subscription than its own was made with.

use jiff::{SignedDuration, Timestamp};

use super::{Keeper, order::id_of, unwatch};
use crate::{
    graph::GraphError,
    jobs::runner::job::{Next, StepError},
    store::{
        mailboxes::{Mailbox, SubscriptionRow},
        tables::ETag,
    },
};

/// How long notifications of the subscription before are still believed: Graph tries for four hours
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
const OVERLAP: SignedDuration = SignedDuration::from_hours(4);

impl Keeper<'_> {
    /// Graph has no such subscription any more: make another one, and see what was missed. Nothing
    /// carries its client state any more, so the next one may.
    pub(super) async fn replace_lost(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        let (mailbox, etag) = self.without_a_strange_one(mailbox, etag).await?;
        let look = mailbox.subscription.as_ref().map(|lost| lost.renew_due);
        let lost = Mailbox { subscription: None, ..mailbox };
        let etag = self.deps.mailboxes.replace(&lost, &etag).await?;
        self.subscribe_again(lost, etag, look).await
    }

    /// Removes the subscription and makes another one with a nonce of its own.
    pub(super) async fn replace(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        let (mailbox, etag) = self.without_a_strange_one(mailbox, etag).await?;
        let Some(subscription) = &mailbox.subscription else {
            return self.subscribe_again(mailbox, etag, None).await;
        };
        self.graph.unsubscribe(&id_of(subscription)?).await?;
        let look = Some(subscription.renew_due);
        let until = self.deps.clock.now() + OVERLAP;
        let next = Mailbox {
            subscription: None,
            nonce: Some(self.deps.rng.number()),
            previous_nonce: mailbox.nonce.map(|nonce| (nonce, until)),
            ..mailbox.clone()
        };
        let etag = self.deps.mailboxes.replace(&next, &etag).await?;
        self.subscribe_again(next, etag, look).await
    }

    /// The entry that watched the one before goes when the next one has its own.
    async fn subscribe_again(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        look: Option<Timestamp>,
    ) -> Result<Vec<Next>, StepError> {
        let next = self.subscribe(mailbox, etag).await?;
        unwatch(self.deps, self.task).await?;
        let Some(look) = look else { return Ok(next) };
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        let made = read.and_then(|(mailbox, _)| mailbox.subscription);
        if made.is_some_and(|made| made.renew_due.as_millisecond() != look.as_millisecond()) {
            self.drop_look(Some(look)).await?;
        }
        Ok(next)
    }

    /// Whether the subscription was made with another client-state key than the present one, or
    /// nobody knows with which. While the keys cannot be had it stays as it is.
    pub(super) async fn is_outdated(&self, subscription: &SubscriptionRow) -> bool {
        match self.deps.keys.keys().await {
            Ok(keys) => subscription.state_key.as_ref() != Some(keys.current().id()),
            Err(_) => false,
        }
    }

    /// A subscription that another registration made, or that carries a nonce of an earlier consent,
    /// is of no use: nothing it brings would be believed, or nobody could renew it.
    pub(super) async fn without_a_strange_one(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<(Mailbox, ETag), StepError> {
        if !self.is_strange(&mailbox) {
            return Ok((mailbox, etag));
        }
        if let Some(subscription) = &mailbox.subscription {
            let (graph, id) = (self.graph_as(subscription.registration), id_of(subscription)?);
            match graph.unsubscribe(&id).await {
                // The registration was left for another one, and may have lost its consent.
                Ok(()) | Err(GraphError::Disconnected | GraphError::Denied) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let look = mailbox.subscription.as_ref().map(|strange| strange.renew_due);
        let mailbox = super::farewell::unsubscribed(&mailbox);
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        self.drop_look(look).await?;
        Ok((mailbox, etag))
    }

    pub(super) fn is_strange(&self, mailbox: &Mailbox) -> bool {
        mailbox.subscription.as_ref().is_some_and(|subscription| {
            mailbox.nonce.is_none() || subscription.registration != self.tenant.registration
        })
    }
}
