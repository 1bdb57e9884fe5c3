//! A mailbox that is not followed any more: its subscription goes, and what its copies said.

use jiff::SignedDuration;

use super::{Keeper, RACES, order::id_of, unwatch};
use crate::{
    domain::{appointment::Role, keys::BookingKey},
    graph::{GraphError, PropertyId},
    jobs::runner::job::{Next, StepError},
    store::{
        appointments::Pointer,
        mailboxes::{Farewell, Health, Mailbox},
        tables::ETag,
    },
};

/// After so many tries Graph's refusal to change an appointment is taken for its last word.
const REFUSED: u32 = 2;
/// When to try again after that.
const RACE_TIME: SignedDuration = SignedDuration::from_secs(30);

impl Keeper<'_> {
    /// The mailbox is not followed any more: the subscription goes, and what its copies said.
    pub(super) async fn say_farewell(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        // Nothing new first, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let pointers = self.deps.appointments.all(mailbox.tenant, mailbox.id).await?;
        if mailbox.state.farewell() == Farewell::Released {
            // The room is given up, and nothing of ours may say otherwise.
            for pointer in &pointers {
                self.take_property_back(pointer).await?;
            }
        }
        unwatch(self.deps, self.task).await?;
        Ok(self.forget(&mailbox, pointers))
    }

    /// What we wrote into the organizer's copy of an appointment is taken out again.
    pub(super) async fn take_property_back(&self, pointer: &Pointer) -> Result<(), StepError> {
        match pointer.role {
            Role::Organizer => {}
            Role::Room => return Ok(()),
        }
        for key in &pointer.bookings {
            self.take_back(pointer, key).await?;
        }
        Ok(())
    }

    /// The row says that it was done, so that the way to the copy is given up only then.
    async fn take_back(&self, pointer: &Pointer, key: &BookingKey) -> Result<(), StepError> {
        for _ in 0..RACES {
            let Some((mut booking, etag)) = self.deps.bookings.get(key).await? else {
                return Ok(());
            };
            let now = self.deps.clock.now();
            if let Some(telling) = booking.telling.filter(|_| booking.is_being_told(now)) {
                // What is being written now would come after us.
                let rest = telling.until.duration_since(now);
                return Err(StepError::wait(rest, "a worker is just telling Outlook"));
            }
            if booking.shown.organizer.is_none() {
                return Ok(());
            }
            if !self.clear(pointer, key).await? {
                return Ok(());
            }
            booking.shown.organizer = None;
            match self.deps.bookings.replace(&booking, &etag).await {
                Err(error) if error.is_changed() => {}
                written => return Ok(written.map(drop)?),
            }
        }
        Err(StepError::wait(RACE_TIME, "others were faster each time"))
    }

    /// Whether all was done that can be done; `false` while the tenant's access is lost, which may
    /// come back.
    async fn clear(&self, pointer: &Pointer, key: &BookingKey) -> Result<bool, StepError> {
        let property = PropertyId::outcome(key.room);
        match self.graph.clear_property(pointer.mailbox, &pointer.event, &property).await {
            Ok(_) => Ok(true),
            // Where we are not let in any more, it cannot be helped.
            Err(GraphError::Disconnected | GraphError::Denied) => Ok(self.tenant.state.is_active()),
            // One appointment that cannot be changed does not keep everything else.
            Err(
                error @ (GraphError::Refused { .. }
                | GraphError::MailboxGone
                | GraphError::Unreadable),
            ) if self.task.passage.tries >= REFUSED => {
                tracing::warn!(%error, "our mark stays in an appointment");
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the subscription, with the registration that made it; answers the row's new version.
    pub(super) async fn unsubscribe(
        &self,
        mailbox: &Mailbox,
        etag: ETag,
    ) -> Result<ETag, StepError> {
        if let Some(subscription) = &mailbox.subscription {
            let graph = self.graph_as(subscription.registration);
            self.unless_closed(graph.unsubscribe(&id_of(subscription)?).await)?;
        } else if mailbox.nonce.is_some()
            && let Some(Some(stray)) = self.unless_closed(self.listed().await)?
        {
            // Made, and its answer lost before it could be stored.
            self.graph.unsubscribe(&stray.id).await?;
        }
        let unsubscribed = unsubscribed(mailbox);
        if unsubscribed == *mailbox {
            return Ok(etag);
        }
        let etag = self.deps.mailboxes.replace(&unsubscribed, &etag).await?;
        // The watchers last: whoever is faster at the row and follows the mailbox again needs them.
        self.drop_look(mailbox.subscription.as_ref().map(|made| made.renew_due)).await?;
        self.drop_look(mailbox.polled.map(|polled| polled.due)).await?;
        Ok(etag)
    }

    /// A mailbox of a tenant that leaves: it is unsubscribed, and its row goes. What its copies
    /// said goes with the tenant's other rows.
    pub(super) async fn leave(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        self.unsubscribe(&mailbox, etag).await?;
        unwatch(self.deps, self.task).await?;
        self.deps.mailboxes.remove(mailbox.tenant, mailbox.id).await?;
        Ok(Vec::new())
    }

    /// A refusal counts as done where the other side is closed to us for good, or where what is ours
    /// must be forgotten whether or not Graph lets us tidy up there: what we made ends by itself.
    pub(super) fn unless_closed<T>(
        &self,
        answer: Result<T, GraphError>,
    ) -> Result<Option<T>, StepError> {
        match answer {
            Ok(done) => Ok(Some(done)),
            Err(
                error @ (GraphError::Disconnected | GraphError::Denied | GraphError::MailboxGone),
            ) if self.parting => {
                tracing::warn!(%error, "left behind at Graph, where it ends by itself");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What this mailbox's copies said is forgotten: `fetch-event` sees that it has withdrawn.
    pub(super) fn forget(&self, mailbox: &Mailbox, pointers: Vec<Pointer>) -> Vec<Next> {
        self.looks(mailbox, pointers.into_iter().map(|pointer| pointer.event).collect())
    }
}

/// Without a subscription, without the nonces that would prove its notifications, and without what
/// they and the comparisons told of it.
pub(super) fn unsubscribed(mailbox: &Mailbox) -> Mailbox {
    Mailbox {
        subscription: None,
        polled: None,
        nonce: None,
        previous_nonce: None,
        health: Health::default(),
        ..mailbox.clone()
    }
}
