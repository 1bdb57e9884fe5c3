//! A mailbox that is to be forgotten: our property leaves the organizer's copies, the subscription
//! goes, each copy is forgotten with all that leads to it, and at last the tombstone goes too.
//!
//! The tombstone stays for longer than any message about the mailbox can live, so nothing that is
//! still on its way, or that Graph delivers again, finds a mailbox that would take it. Each run does
//! what is left to do; the due entry brings the next one.

use jiff::Timestamp;

use super::{MailboxWorker, remove_due_entry};
use crate::{
    jobs::runner::job::{Enqueue, JobError},
    store::{mailboxes::Mailbox, tables::ETag},
};

impl MailboxWorker<'_> {
    /// `until` is when the tombstone may go.
    pub(super) async fn erase(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        until: Timestamp,
    ) -> Result<Vec<Enqueue>, JobError> {
        let (tenant, id) = (mailbox.tenant, mailbox.id);
        let early = self.deps.clock.now() < until;
        if early {
            // The watcher first: whatever stops this run, another one comes.
            self.deps.due.upsert(&self.renew_entry(until)).await?;
        }
        // Nothing new first, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let pointers = self.deps.appointments.list(tenant, id).await?;
        for pointer in &pointers {
            self.remove_outcome_properties(pointer).await?;
        }
        self.deps.failures.remove_for_mailbox(tenant, id).await?;
        if early {
            // Nothing else need bring the last run.
            remove_due_entry(self.deps, self.task).await?;
        }
        if pointers.is_empty() && !early {
            self.deps.mailboxes.remove(tenant, id).await?;
            self.deps.due.remove(&self.renew_entry(until)).await?;
            remove_due_entry(self.deps, self.task).await?;
            return Ok(Vec::new());
        }
        Ok(self.forget_copies(&mailbox, pointers))
    }
}
