//! A mailbox that is to be forgotten: our property leaves the organizer's copies, the subscription
//! goes, each copy is forgotten with all that leads to it, and at last the tombstone goes too.
//!
//! The tombstone stays for longer than any message about the mailbox can live, so nothing that is
//! still on its way, or that Graph delivers again, finds a mailbox that would take it. Each run does
//! what is left to do; the due entry brings the next one.

use jiff::Timestamp;

use super::{Keeper, unwatch};
use crate::{
    domain::appointment::Role,
    graph::{GraphError, PropertyId},
    step::{Next, StepError},
    store::{appointments::Pointer, mailboxes::Mailbox, tables::ETag},
};

/// After so many tries Graph's refusal to change an appointment is taken for its last word.
const REFUSED: u32 = 2;

impl Keeper<'_> {
    /// `until` is when the tombstone may go.
    pub(super) async fn erase(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        until: Timestamp,
    ) -> Result<Vec<Next>, StepError> {
        let (tenant, id) = (mailbox.tenant, mailbox.id);
        let early = self.deps.clock.now() < until;
        if early {
            // The watcher first: whatever stops this run, another one comes.
            self.deps.due.put(&self.renew_entry(until)).await?;
        }
        // Nothing new first, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let pointers = self.deps.appointments.all(tenant, id).await?;
        for pointer in &pointers {
            self.take_property_back(pointer).await?;
        }
        self.deps.failures.remove_about(tenant, id).await?;
        if early {
            // Nothing else need bring the last run.
            unwatch(self.deps, self.task).await?;
        }
        if pointers.is_empty() && !early {
            self.deps.mailboxes.remove(tenant, id).await?;
            self.deps.due.remove(&self.renew_entry(until)).await?;
            unwatch(self.deps, self.task).await?;
            return Ok(Vec::new());
        }
        Ok(self.looks(&mailbox, pointers.into_iter().map(|pointer| pointer.event).collect()))
    }

    /// What we wrote into the organizer's copy of an appointment is taken out again.
    async fn take_property_back(&self, pointer: &Pointer) -> Result<(), StepError> {
        match pointer.role {
            Role::Organizer => {}
            Role::Room => return Ok(()),
        }
        for key in &pointer.bookings {
            let booking = self.deps.bookings.get(key).await?;
            if booking.is_some_and(|(booking, _)| booking.shown.organizer.is_some()) {
                let property = PropertyId::outcome(key.room);
                let (mailbox, event) = (pointer.mailbox, &pointer.event);
                match self.graph.clear_property(mailbox, event, &property).await {
                    // One appointment that cannot be changed does not keep everything else.
                    Err(
                        error @ (GraphError::Refused { .. }
                        | GraphError::MailboxGone
                        | GraphError::Unreadable),
                    ) if self.task.passage.tries >= REFUSED => {
                        tracing::warn!(%error, "our mark stays in an appointment");
                    }
                    cleared => drop(self.unless_closed(cleared)?),
                }
            }
        }
        Ok(())
    }
}
