//! A mailbox that is not followed any more: its subscription goes, and what its copies said.

use jiff::SignedDuration;

use super::{MAX_CONFLICT_RETRIES, MailboxWorker, create::subscription_id, remove_due_entry};
use crate::{
    domain::{appointment::CopyRole, keys::BookingKey},
    graph::{GraphError, PropertyId},
    jobs::runner::job::{Enqueue, JobError},
    store::{
        appointments::AppointmentCopy,
        mailboxes::{BookingDisposition, Health, Mailbox},
        tables::ETag,
    },
};

/// After so many tries Graph's refusal to change an appointment is taken for its last word.
const MAX_REFUSED_ATTEMPTS: u32 = 2;
/// When to try again after that.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(30);

impl MailboxWorker<'_> {
    /// The mailbox is not followed any more: the subscription goes, and what its copies said.
    pub(super) async fn unsubscribe_and_forget(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        // Nothing new first, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let pointers = self.deps.appointments.list(mailbox.tenant, mailbox.id).await?;
        if mailbox.state.booking_disposition() == BookingDisposition::Release {
            // The room is given up, and nothing of ours may say otherwise.
            for pointer in &pointers {
                self.remove_outcome_properties(pointer).await?;
            }
        }
        remove_due_entry(self.deps, self.task).await?;
        Ok(self.forget_copies(&mailbox, pointers))
    }

    /// What we wrote into the organizer's copy of an appointment is taken out again.
    pub(super) async fn remove_outcome_properties(
        &self,
        pointer: &AppointmentCopy,
    ) -> Result<(), JobError> {
        match pointer.role {
            CopyRole::Organizer => {}
            CopyRole::Room => return Ok(()),
        }
        for key in &pointer.bookings {
            self.remove_for_booking(pointer, key).await?;
        }
        Ok(())
    }

    /// The row says that it was done, so that the way to the copy is given up only then.
    async fn remove_for_booking(
        &self,
        pointer: &AppointmentCopy,
        key: &BookingKey,
    ) -> Result<(), JobError> {
        for _ in 0..MAX_CONFLICT_RETRIES {
            let Some((mut booking, etag)) = self.deps.bookings.get(key).await? else {
                return Ok(());
            };
            let now = self.deps.clock.now();
            if let Some(telling) = booking.publish_lease.filter(|_| booking.has_publish_lease(now))
            {
                // What is being written now would come after us.
                let rest = telling.lease_until.duration_since(now);
                return Err(JobError::retry_after(rest, "a worker is just telling Outlook"));
            }
            if booking.published.organizer.is_none() {
                return Ok(());
            }
            if !self.clear_property(pointer, key).await? {
                return Ok(());
            }
            booking.published.organizer = None;
            match self.deps.bookings.replace(&booking, &etag).await {
                Err(error) if error.is_conflict() => {}
                written => return Ok(written.map(drop)?),
            }
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "others were faster each time"))
    }

    /// Whether all was done that can be done; `false` while the tenant's access is lost, which may
    /// come back.
    async fn clear_property(
        &self,
        pointer: &AppointmentCopy,
        key: &BookingKey,
    ) -> Result<bool, JobError> {
        let property = PropertyId::outcome(key.room);
        match self.graph.clear_property(pointer.mailbox, &pointer.event, &property).await {
            Ok(_) => Ok(true),
            // Where we are not let in any more, it cannot be helped.
            Err(GraphError::Disconnected | GraphError::AccessDenied) => {
                Ok(self.tenant.state.is_active())
            }
            // One appointment that cannot be changed does not keep everything else.
            Err(
                error @ (GraphError::Refused { .. }
                | GraphError::MailboxNotFound
                | GraphError::Unreadable),
            ) if self.task.meta.attempts >= MAX_REFUSED_ATTEMPTS => {
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
    ) -> Result<ETag, JobError> {
        if let Some(subscription) = &mailbox.subscription {
            let graph = self.graph_as(subscription.registration);
            self.tolerate_access_lost(graph.unsubscribe(&subscription_id(subscription)?).await)?;
        } else if mailbox.nonce.is_some()
            && let Some(Some(stray)) = self.tolerate_access_lost(self.find_listed().await)?
        {
            // Made, and its answer lost before it could be stored.
            self.graph.unsubscribe(&stray.id).await?;
        }
        let unsubscribed = without_subscription(mailbox);
        if unsubscribed == *mailbox {
            return Ok(etag);
        }
        let etag = self.deps.mailboxes.replace(&unsubscribed, &etag).await?;
        // The watchers last: whoever is faster at the row and follows the mailbox again needs them.
        self.remove_due_entry(mailbox.subscription.as_ref().map(|made| made.next_due_at)).await?;
        self.remove_due_entry(mailbox.polling.map(|polled| polled.next_due_at)).await?;
        Ok(etag)
    }

    /// A mailbox of a tenant that leaves: it is unsubscribed, and its row goes. What its copies
    /// said goes with the tenant's other rows.
    pub(super) async fn unsubscribe_and_remove(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        self.unsubscribe(&mailbox, etag).await?;
        remove_due_entry(self.deps, self.task).await?;
        self.deps.mailboxes.remove(mailbox.tenant, mailbox.id).await?;
        Ok(Vec::new())
    }

    /// A refusal counts as done where the other side is closed to us for good, or where what is ours
    /// must be forgotten whether or not Graph lets us tidy up there: what we made ends by itself.
    pub(super) fn tolerate_access_lost<T>(
        &self,
        answer: Result<T, GraphError>,
    ) -> Result<Option<T>, JobError> {
        match answer {
            Ok(done) => Ok(Some(done)),
            Err(
                error @ (GraphError::Disconnected
                | GraphError::AccessDenied
                | GraphError::MailboxNotFound),
            ) if self.is_leaving => {
                tracing::warn!(%error, "left behind at Graph, where it ends by itself");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What this mailbox's copies said is forgotten: `fetch-event` sees that it has withdrawn.
    pub(super) fn forget_copies(
        &self,
        mailbox: &Mailbox,
        pointers: Vec<AppointmentCopy>,
    ) -> Vec<Enqueue> {
        self.enqueue_refetches(mailbox, pointers.into_iter().map(|pointer| pointer.event).collect())
    }
}

/// Without a subscription, without the nonces that would prove its notifications, and without what
/// they and the comparisons told of it.
pub(super) fn without_subscription(mailbox: &Mailbox) -> Mailbox {
    Mailbox {
        subscription: None,
        polling: None,
        nonce: None,
        previous_nonce: None,
        health: Health::default(),
        ..mailbox.clone()
    }
}
