//! What the row keeps of a subscription, and the due entry of its next look: the entry is there
//! before the row that needs it.

use jiff::{SignedDuration, Timestamp};

use super::{Keeper, RACES, round::Read, schedule};
use crate::{
    domain::ids::{ContentKeyId, KeyId},
    graph::SubscriptionId,
    jobs::runner::job::{Next, StepError},
    messages::Task,
    store::mailboxes::{Health, Mailbox, SubscriptionRow},
};

/// When a mailbox is looked at again whose content could not be sealed.
const NO_KEY: SignedDuration = SignedDuration::from_hours(1);

/// A subscription that Graph has confirmed.
pub(super) struct Kept {
    pub(super) id: SubscriptionId,
    pub(super) expires: Timestamp,
    /// The nonce that its client state was made with.
    pub(super) nonce: Option<u64>,
    pub(super) state_key: Option<KeyId>,
    pub(super) content_key: Option<ContentKeyId>,
}

impl Keeper<'_> {
    /// It was made or prolonged just now. Whoever took the nonce out of the row meanwhile has let go
    /// of the subscription, without knowing of it: it is removed.
    pub(super) async fn keep(&self, kept: Kept, read: Read) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        let subscription = SubscriptionRow {
            id: kept.id.to_string(),
            expires: kept.expires,
            renew_due: now,
            renewed_at: now,
            registration: self.tenant.registration,
            state_key: kept.state_key,
            content_key: kept.content_key,
        };
        let own = |mailbox: &Mailbox| mailbox.nonce == kept.nonce;
        match self.write(subscription, read, own).await? {
            Ok(()) => Ok(vec![self.then_resync_watched()]),
            Err(look) => self.let_go(&kept.id, look).await,
        }
    }

    /// It is as it was, and is to be looked at again.
    pub(super) async fn look_again(
        &self,
        subscription: SubscriptionRow,
        read: Read,
    ) -> Result<Vec<Next>, StepError> {
        let id = subscription.id.clone();
        let same = |mailbox: &Mailbox| {
            mailbox.subscription.as_ref().is_some_and(|subscription| subscription.id == id)
        };
        match self.write(subscription, read, same).await? {
            Ok(()) => Ok(vec![self.then_resync_watched()]),
            // The look stays: the other one's may be at the same instant, and is then the same entry.
            Err(_) => {
                Err(StepError::wait(super::order::ADOPT_TIME, "another subscription has come"))
            }
        }
    }

    /// Writes the entry of the next look, then the row. `Err` with that look where the row is
    /// not `ours` any more.
    async fn write(
        &self,
        subscription: SubscriptionRow,
        read: Read,
        ours: impl Fn(&Mailbox) -> bool,
    ) -> Result<Result<(), Timestamp>, StepError> {
        let now = self.deps.clock.now();
        let mut look = schedule::next_look(self.task.mailbox, now, &subscription);
        if self.tenant.policy.rich && subscription.content_key.is_none() {
            // For want of a key; there may be one soon.
            look = look.min(now + NO_KEY);
        }
        self.deps.due.put(&self.renew_entry(look)).await?;
        let subscription = SubscriptionRow { renew_due: look, ..subscription };
        let mut read = Some(read);
        for _ in 0..RACES {
            let (tenant, id) = (self.task.tenant, self.task.mailbox);
            let row = match read.take() {
                Some(read) => Some(read),
                None => self.deps.mailboxes.get(tenant, id).await?,
            };
            let Some((mailbox, etag)) = row.filter(|(mailbox, _)| ours(mailbox)) else {
                return Ok(Err(look));
            };
            let earlier = mailbox.subscription.as_ref().map(|earlier| earlier.renew_due);
            let polled = mailbox.polled.map(|polled| polled.due);
            let health = health_under(&subscription.id, &mailbox);
            let subscription = Some(subscription.clone());
            let mailbox = Mailbox { subscription, polled: None, health, ..mailbox };
            match self.deps.mailboxes.replace(&mailbox, &etag).await {
                Ok(_) => {
                    self.drop_look(polled).await?;
                    self.drop_look(earlier.filter(|at| self.still_waits(*at, look))).await?;
                    return Ok(Ok(()));
                }
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StepError::wait(super::order::ADOPT_TIME, "others were faster each time"))
    }

    /// Whether the entry of an earlier look is to be removed. `dispatch-due` has moved on the one that
    /// brought us; and the next one stays.
    fn still_waits(&self, earlier: Timestamp, next: Timestamp) -> bool {
        let moved_on = self.task.due.is_some() && earlier <= self.deps.clock.now();
        !moved_on && earlier.as_millisecond() != next.as_millisecond()
    }

    /// If the mailbox is followed by another consent, what that one made may have been taken for a
    /// stray, so it is looked for. Its own look may be at the same instant, and is then the same entry.
    async fn let_go(&self, id: &SubscriptionId, look: Timestamp) -> Result<Vec<Next>, StepError> {
        self.graph.unsubscribe(id).await?;
        let row = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if !row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
            self.drop_look(Some(look)).await?;
        }
        Ok(vec![self.then(Task::Removed)])
    }

    pub(super) async fn drop_look(&self, at: Option<Timestamp>) -> Result<(), StepError> {
        if let Some(at) = at {
            self.deps.due.remove(&self.renew_entry(at)).await?;
        }
        Ok(())
    }
}

/// A comparison from before a subscription says nothing of what that one has missed.
fn health_under(id: &str, mailbox: &Mailbox) -> Health {
    let same = mailbox.subscription.as_ref().is_some_and(|earlier| earlier.id == id);
    let drift = mailbox.health.drift.filter(|_| same);
    Health { drift, over_quota: None, ..mailbox.health }
}
