//! Somebody whom the organisation agreed for and who has no calendar: a guest, a service account, a
//! mailbox that is not there yet. A directory has many of them, and none is a failure.
//!
//! The row stays active without a subscription, and nothing watches it: the tenant's daily pass
//! (`maintain-tenant`, sent by `dispatch-due`) finds it so, and tries again.

use super::{Keeper, unwatch};
use crate::{
    domain::decision::How,
    jobs::runner::job::{Next, StepError},
    store::mailboxes::{Mailbox, MailboxKind},
};

impl Keeper<'_> {
    /// Whether nobody has asked for this very mailbox, neither its owner nor who manages a room.
    pub(super) fn is_only_enrolled(&self, mailbox: &Mailbox) -> bool {
        let how = mailbox.consent.as_ref().map(|consent| consent.how);
        mailbox.kind == MailboxKind::Person && how == Some(How::Organisation)
    }

    /// There is no calendar: nothing looks at the mailbox any more but the daily pass.
    pub(super) async fn leave_in_peace(&self) -> Result<Vec<Next>, StepError> {
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        if let Some((mailbox, etag)) = read
            && (mailbox.subscription.is_some() || mailbox.polled.is_some())
        {
            // The daily pass tries only what has neither.
            let bare = Mailbox { subscription: None, polled: None, ..mailbox.clone() };
            self.deps.mailboxes.replace(&bare, &etag).await?;
            let renewed = mailbox.subscription.map(|subscription| subscription.renew_due);
            for at in renewed.into_iter().chain(mailbox.polled.map(|polled| polled.due)) {
                self.deps.due.remove(&self.renew_entry(at)).await?;
            }
        }
        unwatch(self.deps, self.task).await?;
        Err(StepError::Drop { reason: "whom the organisation agreed for has no calendar" })
    }
}
