//! A mailbox that is to be forgotten: our property leaves the organizer's copies, the subscription
//! goes, each copy is forgotten with all that leads to it, and at last the tombstone goes too.
//!
//! The tombstone stays for longer than any message about the mailbox can live, so nothing that is
//! still on its way, or that Graph delivers again, finds a mailbox that would take it. Each run does
//! what is left to do; the due entry brings the next one.

use jiff::Timestamp;

use super::{Keeper, unwatch};
use crate::{
    jobs::runner::job::{Next, StepError},
    store::{mailboxes::Mailbox, tables::ETag},
};

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
        Ok(self.forget(&mailbox, pointers))
    }
}
