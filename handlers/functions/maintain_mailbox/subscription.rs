//! A mailbox's subscription at Graph: made, prolonged, made anew, removed.
//!
//! The nonce is stored before the subscription is created and used again until that is confirmed,
//! so a subscription whose answer was lost proves itself like any other.

use jiff::{SignedDuration, Timestamp};

use super::{AT_REST, Keeper, farewell::unsubscribed, unwatch};
use crate::{
    domain::policy::Registration,
    graph::{GraphError, Subscribed, SubscriptionId, SubscriptionOrder, TenantGraph},
    identity::client_state,
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
/// How often a lost race for the row is run again in place.
const RACES: u32 = 8;
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
        let (id, expires) = match subscribed {
            Subscribed::Created { id, expires } => (id, expires),
            Subscribed::AlreadyThere { id } => self.adopt(id).await?,
            Subscribed::ShorterLife => {
                return Err(StepError::fault("no life of a subscription is short enough"));
            }
        };
        self.store(&id, expires).await?;
        Ok(vec![self.then_resync()])
    }

    /// A subscription that another registration made, or that carries a nonce of an earlier consent,
    /// is of no use: nothing it brings would be believed, or nobody could renew it.
    async fn without_a_strange_one(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<(Mailbox, ETag), StepError> {
        let strange = mailbox.subscription.as_ref().is_some_and(|subscription| {
            mailbox.nonce.is_none() || subscription.registration != self.tenant.registration
        });
        if !strange {
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
        match self.graph.renew(id, now + self.deps.settings.life).await {
            Err(GraphError::Refused { status: 400, .. }) => {
                Ok(self.graph.renew(id, now + SHORTER_LIFE).await?)
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
        let Some(subscription) = mailbox.subscription.clone() else {
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
                self.store(&id, expires).await?;
                unwatch(self.deps, self.task).await?;
                // Whatever was lost since the last renewal, without a word from Graph, is found now;
                // and the horizon moves on.
                Ok(vec![self.then_resync()])
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
        let lost = Mailbox { subscription: None, ..mailbox };
        let etag = self.deps.mailboxes.replace(&lost, &etag).await?;
        let next = self.subscribe(lost, etag).await?;
        unwatch(self.deps, self.task).await?;
        Ok(next)
    }

    pub(super) fn graph_as(&self, registration: Registration) -> TenantGraph {
        super::graph_as(self.deps, self.trail, self.task, registration)
    }

    /// The renewal is due at half-life; its entry is there before the row that needs it.
    async fn store(&self, id: &SubscriptionId, expires: Timestamp) -> Result<(), StepError> {
        let now = self.deps.clock.now();
        let renew_due = now + expires.duration_since(now) / 2;
        self.deps.due.put(&self.renew_entry(renew_due)).await?;
        let subscription = SubscriptionRow {
            id: id.to_string(),
            expires,
            renew_due,
            renewed_at: now,
            registration: self.tenant.registration,
        };
        for _ in 0..RACES {
            let Some((mailbox, etag)) =
                self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?
            else {
                return Ok(());
            };
            let earlier = mailbox.subscription.as_ref().map(|earlier| earlier.renew_due);
            let polled = mailbox.polled.map(|polled| polled.due);
            let subscription = Some(subscription.clone());
            let mailbox = Mailbox { subscription, polled: None, ..mailbox };
            match self.deps.mailboxes.replace(&mailbox, &etag).await {
                Ok(_) => {
                    self.drop_earlier(polled).await?;
                    return self.drop_earlier(earlier.filter(|at| *at != renew_due)).await;
                }
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StepError::wait(ADOPT_TIME, "others were faster each time"))
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
