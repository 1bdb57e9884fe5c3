//! A mailbox that may be read but that Graph refuses to subscribe: the resync looks instead.
//!
//! Whether Graph takes a subscription from an app whose grants come from Exchange alone is not
//! documented (2026-11). Where it does not, nobody has to do without: changes are only seen later.

use jiff::SignedDuration;

use super::{MailboxWorker, remove_due_entry};
use crate::{
    graph::GraphError,
    jobs::runner::job::{Enqueue, JobError},
    store::{
        mailboxes::{Mailbox, PollingState},
        tables::ETag,
    },
};

/// How often a calendar is looked at that cannot be subscribed. One read each time; a shorter pause
/// would cost 100,000 mailboxes more than Graph allows (10,000 in ten minutes for each of them, and
/// 130,000 in ten seconds for the app: learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const POLL_INTERVAL: SignedDuration = SignedDuration::from_mins(15);
/// How often it is tried to subscribe it after all.
const SUBSCRIBE_RETRY: SignedDuration = SignedDuration::from_hours(24);

impl MailboxWorker<'_> {
    /// Graph has refused the subscription. A calendar that can be read is polled from now on.
    pub(super) async fn start_polling(&self) -> Result<Vec<Enqueue>, JobError> {
        let readable = self.graph.mailbox_is_readable(self.task.mailbox).await?;
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        // Whoever has left meanwhile is not looked at.
        let read = read.filter(|(mailbox, _)| mailbox.state.is_active());
        let Some((mailbox, etag)) = read else { return Ok(Vec::new()) };
        if !readable {
            if self.is_enrolled_by_organisation(&mailbox) {
                return self.skip_without_calendar().await;
            }
            return Err(GraphError::AccessDenied.into());
        }
        tracing::info!("Graph refuses to subscribe this mailbox; it is polled");
        let since = self.deps.clock.now();
        self.schedule_poll(mailbox, etag, since).await
    }

    /// The next look is due.
    pub(super) async fn poll(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let Some(polled) = mailbox.polling else { return Ok(Vec::new()) };
        if self.deps.clock.now() >= polled.since + SUBSCRIBE_RETRY {
            if self.is_out_of_scope(&mailbox).await? {
                return self.pause(mailbox, etag).await;
            }
            let next = self.subscribe(mailbox, etag).await?;
            remove_due_entry(self.deps, self.task).await?;
            return Ok(next);
        }
        self.schedule_poll(mailbox, etag, polled.since).await
    }

    /// The entry of the next look, then the row that names it, then the look of now.
    async fn schedule_poll(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        since: jiff::Timestamp,
    ) -> Result<Vec<Enqueue>, JobError> {
        let due = self.deps.clock.now() + POLL_INTERVAL;
        self.deps.due.upsert(&self.renew_entry(due)).await?;
        let earlier = mailbox.polling.map(|polled| polled.next_due_at).filter(|at| *at != due);
        let mailbox =
            Mailbox { polling: Some(PollingState { since, next_due_at: due }), ..mailbox };
        self.deps.mailboxes.replace(&mailbox, &etag).await?;
        if let Some(at) = earlier {
            self.deps.due.remove(&self.renew_entry(at)).await?;
        }
        remove_due_entry(self.deps, self.task).await?;
        Ok(vec![self.enqueue_resync()])
    }
}
