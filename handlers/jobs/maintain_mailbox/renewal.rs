//! A look at a mailbox that is followed: at half-life one PATCH prolongs and re-authorises its
//! subscription, and at every look the calendar is compared with the store.

use jiff::Timestamp;

use super::{AT_REST, Keeper, keeping::Kept, order::id_of, round::Read, schedule, unwatch};
use crate::{
    graph::{GraphError, Renewal, RichContent, SubscriptionId},
    jobs::runner::job::{Next, StepError},
    store::{
        mailboxes::{Mailbox, SubscriptionRow},
        tables::ETag,
    },
};

/// How far a task has come.
pub(super) enum Begun {
    /// It is done, and this comes next.
    Done(Vec<Next>),
    /// The subscription is to be prolonged, which Graph does for many at once.
    Patch(Box<Patch>),
}

/// A subscription that is to be prolonged.
pub(super) struct Patch {
    read: Read,
    id: SubscriptionId,
    subscription: SubscriptionRow,
    content: Option<RichContent>,
}

impl Keeper<'_> {
    /// The look that a due entry asked for, or whoever knows that the subscription should be another
    /// one before that.
    pub(super) async fn look(&self, mailbox: Mailbox, etag: ETag) -> Result<Begun, StepError> {
        let now = self.deps.clock.now();
        if mailbox.polled.is_some() && mailbox.subscription.is_none() {
            return self.poll(mailbox, etag).await.map(Begun::Done);
        }
        let Some(subscription) = self.own(&mailbox) else {
            return self.subscribe_anew(mailbox, etag).await.map(Begun::Done);
        };
        let early = subscription.renew_due > now;
        if early && self.task.due.is_some() {
            // Another look was here and left its own entry. What this entry still watches is the
            // resync that came of it, which may have been lost.
            return Ok(Begun::Done(vec![self.then_resync_watched()]));
        }
        let content = self.content().await;
        if content.differs(&subscription) || self.is_outdated(&subscription).await {
            return self.replace(mailbox, etag).await.map(Begun::Done);
        }
        let rests = now < subscription.renewed_at + AT_REST;
        if now < subscription.half_life() && (rests || !content.is_newer(&subscription)) {
            let awaited = self.tenant.policy.rich && subscription.content_key.is_none();
            if early && !awaited {
                // Somebody asked for another kind or another key, and it is as it should be.
                return Ok(Begun::Done(Vec::new()));
            }
            return self.look_again(subscription, (mailbox, etag)).await.map(Begun::Done);
        }
        self.patch(mailbox, etag, subscription).await
    }

    /// Graph wants the subscription to be authorised again, and tells so often: what was touched a
    /// moment ago stays as it is.
    pub(super) async fn reauthorize(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Begun, StepError> {
        let Some(subscription) = self.own(&mailbox) else {
            return self.subscribe_anew(mailbox, etag).await.map(Begun::Done);
        };
        if subscription.renewed_at + AT_REST > self.deps.clock.now() {
            return Ok(Begun::Done(Vec::new()));
        }
        self.patch(mailbox, etag, subscription).await
    }

    async fn patch(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        subscription: SubscriptionRow,
    ) -> Result<Begun, StepError> {
        if self.is_out_of_scope(&mailbox).await? {
            return self.pause(mailbox, etag).await.map(Begun::Done);
        }
        let id = id_of(&subscription)?;
        let content = match subscription.content_key {
            Some(_) => self.content().await.sealed().cloned(),
            None => None,
        };
        Ok(Begun::Patch(Box::new(Patch { read: (mailbox, etag), id, subscription, content })))
    }

    /// What to ask Graph for.
    pub(super) fn renewal(&self, patch: &Patch, shorter: bool) -> Renewal {
        let life = self.life(patch.subscription.content_key.is_some());
        let life = if shorter { schedule::shorter(life) } else { life };
        let (id, content) = (patch.id.clone(), patch.content.clone());
        let expires = self.deps.clock.now() + life;
        Renewal { id, expires, content, correlation: self.task.passage.correlation }
    }

    /// Graph has answered. Whatever was lost since the last look, without a word from Graph, is found
    /// now; and the horizon moves on.
    pub(super) async fn finish(
        &self,
        patch: Patch,
        answer: Result<Option<Timestamp>, GraphError>,
    ) -> Result<Vec<Next>, StepError> {
        let Patch { read: (mailbox, etag), id, subscription, content } = patch;
        match answer? {
            Some(expires) => {
                let SubscriptionRow { state_key, content_key, .. } = subscription;
                let content_key = content.map(|content| content.id).or(content_key);
                let kept = Kept { id, expires, nonce: mailbox.nonce, state_key, content_key };
                self.keep(kept, (mailbox, etag)).await
            }
            None => self.replace_lost(mailbox, etag).await,
        }
    }

    /// The subscription, if it is one that we can renew and whose notifications we believe.
    fn own(&self, mailbox: &Mailbox) -> Option<SubscriptionRow> {
        mailbox.subscription.clone().filter(|_| !self.is_strange(mailbox))
    }

    async fn subscribe_anew(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        if self.is_out_of_scope(&mailbox).await? {
            return self.pause(mailbox, etag).await;
        }
        let next = self.subscribe(mailbox, etag).await?;
        unwatch(self.deps, self.task).await?;
        Ok(next)
    }
}
