//! A mailbox's subscription at Graph: made, prolonged, made anew, removed.
//!
//! The nonce is stored before the subscription is created and used again until that is confirmed,
//! so a subscription whose answer was lost proves itself like any other.

use jiff::{SignedDuration, Timestamp};

use super::{AT_REST, Keeper, RACES, farewell::unsubscribed, unwatch};
use crate::{
    domain::{ids::KeyId, policy::Registration},
    graph::{GraphError, Subscribed, SubscriptionId, SubscriptionOrder, TenantGraph},
    identity::client_state,
    messages::Task,
    step::{Next, StepError},
    store::{
        StoreError,
        mailboxes::{Mailbox, SubscriptionRow},
        tables::ETag,
    },
};

/// What some tenants still allow at most: 4,230 minutes, less a margin
/// (seen in practice in 2026-08 although 10,080 are documented).
const SHORTER_LIFE: SignedDuration = SignedDuration::from_mins(4_200);
/// When to try again after another subscription was in the way and could not be adopted.
const ADOPT_TIME: SignedDuration = SignedDuration::from_secs(60);

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
        let (mailbox, nonce) = self.with_nonce(mailbox, etag).await?;
        let keys = self
            .deps
            .keys
            .keys()
            .await
            .map_err(|error| StepError::Wait { after: None, cause: error.to_string() })?;
        let state = client_state::issue(keys.current(), mailbox.tenant, mailbox.id, nonce);
        let order = |life: SignedDuration| SubscriptionOrder {
            mailbox: mailbox.id,
            notification_url: self.deps.settings.notification_url.clone(),
            lifecycle_url: self.deps.settings.notification_url.clone(),
            client_state: state.clone(),
            expires: now + life,
            content: None,
        };
        let mut subscribed = match self.graph.subscribe(&order(self.deps.settings.life)).await {
            Err(GraphError::Denied) => return self.poll_instead().await,
            Err(GraphError::MailboxGone | GraphError::Refused { status: 404, .. })
                if self.is_only_enrolled(&mailbox) =>
            {
                return self.leave_in_peace().await;
            }
            answer => answer?,
        };
        if subscribed == Subscribed::ShorterLife {
            subscribed = self.graph.subscribe(&order(SHORTER_LIFE)).await?;
        }
        if let Subscribed::AlreadyThere { id } = &subscribed
            && fresh
        {
            // It carries a nonce of an earlier consent, and nothing it brings would be believed.
            let stray = self.in_the_way(id.clone()).await?;
            self.graph.unsubscribe(&stray).await?;
            subscribed = self.graph.subscribe(&order(self.deps.settings.life)).await?;
        }
        // Which key made one that was there already is not known: its answer was lost.
        let made_with = Some(keys.current().id().clone());
        let ((id, expires), state_key) = match subscribed {
            Subscribed::Created { id, expires } => ((id, expires), made_with),
            Subscribed::AlreadyThere { id } => (self.adopt(id).await?, None),
            Subscribed::ShorterLife => {
                return Err(StepError::fault("no life of a subscription is short enough"));
            }
        };
        self.store(&id, expires, Some(nonce), state_key).await
    }

    /// A subscription that another registration made, or that carries a nonce of an earlier consent,
    /// is of no use: nothing it brings would be believed, or nobody could renew it.
    async fn without_a_strange_one(
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
            self.deps.due.remove(&self.renew_entry(subscription.renew_due)).await?;
        }
        let mailbox = unsubscribed(&mailbox);
        let etag = self.deps.mailboxes.replace(&mailbox, &etag).await?;
        Ok((mailbox, etag))
    }

    fn is_strange(&self, mailbox: &Mailbox) -> bool {
        mailbox.subscription.as_ref().is_some_and(|subscription| {
            mailbox.nonce.is_none() || subscription.registration != self.tenant.registration
        })
    }

    /// The nonce is in the row before anything at Graph carries it.
    async fn with_nonce(&self, mailbox: Mailbox, etag: ETag) -> Result<(Mailbox, u64), StepError> {
        if let Some(nonce) = mailbox.nonce {
            return Ok((mailbox, nonce));
        }
        let nonce = self.deps.rng.number();
        let mailbox = Mailbox { nonce: Some(nonce), ..mailbox };
        self.deps.mailboxes.replace(&mailbox, &etag).await?;
        Ok((mailbox, nonce))
    }

    /// Takes over the subscription that is already there: ours, whose answer was lost.
    async fn adopt(
        &self,
        id: Option<SubscriptionId>,
    ) -> Result<(SubscriptionId, Timestamp), StepError> {
        let id = self.in_the_way(id).await?;
        match self.prolong(&id).await? {
            Some(expires) => Ok((id, expires)),
            None => Err(StepError::wait(ADOPT_TIME, "the subscription in the way is just going")),
        }
    }

    /// The subscription that Graph named, or the listed one for this mailbox.
    async fn in_the_way(&self, id: Option<SubscriptionId>) -> Result<SubscriptionId, StepError> {
        let found = match id {
            Some(id) => Some(id),
            None => self.listed().await?,
        };
        found.ok_or_else(|| {
            StepError::wait(ADOPT_TIME, "a subscription is in the way and not listed")
        })
    }

    pub(super) async fn listed(&self) -> Result<Option<SubscriptionId>, GraphError> {
        let all = self.graph.subscriptions().await?;
        let own = all.into_iter().find(|listed| listed.mailbox == Some(self.task.mailbox));
        Ok(own.map(|listed| listed.id))
    }

    /// Asks for our usual life, and for the shorter one where that is refused: a tenant that allows
    /// no more allows no more at a renewal either. `None` when there is no such subscription.
    async fn prolong(&self, id: &SubscriptionId) -> Result<Option<Timestamp>, StepError> {
        let now = self.deps.clock.now();
        match self.graph.renew(id, now + self.deps.settings.life, None).await {
            Err(GraphError::Refused { status: 400, .. }) => {
                Ok(self.graph.renew(id, now + SHORTER_LIFE, None).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// One PATCH prolongs and re-authorises; a subscription that is gone is made anew.
    pub(super) async fn renew(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        if mailbox.polled.is_some() && mailbox.subscription.is_none() {
            return self.poll(mailbox, etag).await;
        }
        if self.is_out_of_scope(&mailbox).await? {
            return self.pause(mailbox, etag).await;
        }
        let own = mailbox.subscription.clone().filter(|_| !self.is_strange(&mailbox));
        let Some(subscription) = own else {
            let next = self.subscribe(mailbox, etag).await?;
            unwatch(self.deps, self.task).await?;
            return Ok(next);
        };
        if subscription.renewed_at + AT_REST > now {
            unwatch(self.deps, self.task).await?;
            return Ok(Vec::new());
        }
        let id = id_of(&subscription)?;
        match self.prolong(&id).await? {
            Some(expires) => {
                // Whatever was lost since the last renewal, without a word from Graph, is found now;
                // and the horizon moves on.
                let next = self.store(&id, expires, mailbox.nonce, subscription.state_key).await?;
                unwatch(self.deps, self.task).await?;
                Ok(next)
            }
            None => self.replace_lost(mailbox, etag).await,
        }
    }

    /// Graph has no such subscription any more: make another one, and see what was missed.
    pub(super) async fn replace_lost(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        let (mailbox, etag) = self.without_a_strange_one(mailbox, etag).await?;
        let lost = Mailbox { subscription: None, ..mailbox };
        let etag = self.deps.mailboxes.replace(&lost, &etag).await?;
        let next = self.subscribe(lost, etag).await?;
        unwatch(self.deps, self.task).await?;
        Ok(next)
    }

    pub(super) fn graph_as(&self, registration: Registration) -> TenantGraph {
        super::graph_as(self.deps, self.trail, self.task, registration)
    }

    /// The renewal is due at half-life; its entry is there before the row that needs it. Whoever took
    /// the nonce out of the row meanwhile has let go of the subscription, without knowing of it: it
    /// is removed.
    async fn store(
        &self,
        id: &SubscriptionId,
        expires: Timestamp,
        nonce: Option<u64>,
        state_key: Option<KeyId>,
    ) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        let renew_due = now + expires.duration_since(now) / 2;
        self.deps.due.put(&self.renew_entry(renew_due)).await?;
        let subscription = SubscriptionRow {
            id: id.to_string(),
            expires,
            renew_due,
            renewed_at: now,
            registration: self.tenant.registration,
            state_key,
            content_key: None,
        };
        for _ in 0..RACES {
            let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
            let Some((mailbox, etag)) = read.filter(|(mailbox, _)| mailbox.nonce == nonce) else {
                return self.let_go(id, renew_due).await;
            };
            let earlier = mailbox.subscription.as_ref().map(|earlier| earlier.renew_due);
            let polled = mailbox.polled.map(|polled| polled.due);
            let subscription = Some(subscription.clone());
            let mailbox = Mailbox { subscription, polled: None, ..mailbox };
            match self.deps.mailboxes.replace(&mailbox, &etag).await {
                Ok(_) => {
                    self.drop_earlier(polled).await?;
                    self.drop_earlier(earlier.filter(|at| *at != renew_due)).await?;
                    return Ok(vec![self.then_resync()]);
                }
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StepError::wait(ADOPT_TIME, "others were faster each time"))
    }

    /// If the mailbox is followed by another consent, what that one made may have been taken for a
    /// stray, so it is looked for.
    async fn let_go(
        &self,
        id: &SubscriptionId,
        renew_due: Timestamp,
    ) -> Result<Vec<Next>, StepError> {
        self.graph.unsubscribe(id).await?;
        self.drop_earlier(Some(renew_due)).await?;
        Ok(vec![self.then(Task::Removed)])
    }

    async fn drop_earlier(&self, renew_due: Option<Timestamp>) -> Result<(), StepError> {
        if let Some(at) = renew_due {
            let gone: Result<(), StoreError> = self.deps.due.remove(&self.renew_entry(at)).await;
            gone?;
        }
        Ok(())
    }
}

pub(super) fn id_of(subscription: &SubscriptionRow) -> Result<SubscriptionId, StepError> {
    let unreadable = |_| StepError::fault("the stored subscription id cannot be understood");
    subscription.id.parse().map_err(unreadable)
}
