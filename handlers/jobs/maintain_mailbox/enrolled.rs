//! Somebody whom the organisation agreed for and who has no calendar: a guest, a service account, a
//! mailbox that is not there yet. A directory has many of them, and none is a failure.
//!
//! The row stays active without a subscription, and nothing watches it: the tenant's daily pass
//! (`maintain-tenant`, sent by `dispatch-due`) finds it so, and tries again.

use super::{MailboxWorker, remove_due_entry};
use crate::{
    domain::decision::ConsentCapacity,
    jobs::runner::job::{Enqueue, JobError},
    store::mailboxes::{Mailbox, MailboxKind},
};

impl MailboxWorker<'_> {
    /// Whether nobody has asked for this very mailbox, neither its owner nor who manages a room.
    pub(super) fn is_enrolled_by_organisation(&self, mailbox: &Mailbox) -> bool {
        let how = mailbox.consent.as_ref().map(|consent| consent.capacity);
        mailbox.kind == MailboxKind::Person && how == Some(ConsentCapacity::Organisation)
    }

    /// There is no calendar: nothing looks at the mailbox any more but the daily pass.
    pub(super) async fn skip_without_calendar(&self) -> Result<Vec<Enqueue>, JobError> {
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if let Some((mailbox, etag)) = read
            && (mailbox.subscription.is_some() || mailbox.polling.is_some())
        {
            // The daily pass tries only what has neither.
            let bare = Mailbox { subscription: None, polling: None, ..mailbox.clone() };
            self.deps.mailboxes.replace(&bare, &etag).await?;
            let renewed = mailbox.subscription.map(|subscription| subscription.next_due_at);
            for at in renewed.into_iter().chain(mailbox.polling.map(|polled| polled.next_due_at)) {
                self.deps.due.remove(&self.renew_entry(at)).await?;
            }
        }
        remove_due_entry(self.deps, self.task).await?;
        Err(JobError::Discard { reason: "whom the organisation agreed for has no calendar" })
    }
}
