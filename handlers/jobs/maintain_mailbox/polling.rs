//! A mailbox that may be read but that Graph refuses to subscribe: the resync looks instead.
//!
//! Whether Graph takes a subscription from an app whose grants come from Exchange alone is not
//! documented (2026-11). Where it does not, nobody has to do without: changes are only seen later.

use jiff::SignedDuration;

use super::{Keeper, unwatch};
use crate::{
    graph::GraphError,
    jobs::runner::job::{Next, StepError},
    store::{
        mailboxes::{Mailbox, Polled},
        tables::ETag,
    },
};

/// How often a calendar is looked at that cannot be subscribed. One read each time; a shorter pause
/// would cost 100,000 mailboxes more than Graph allows (10,000 in ten minutes for each of them, and
/// 130,000 in ten seconds for the app: learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const POLL: SignedDuration = SignedDuration::from_mins(15);
/// How often it is tried to subscribe it after all.
const TRY_AGAIN: SignedDuration = SignedDuration::from_hours(24);

impl Keeper<'_> {
    /// Graph has refused the subscription. A calendar that can be read is polled from now on.
    pub(super) async fn poll_instead(&self) -> Result<Vec<Next>, StepError> {
        let readable = self.graph.mailbox_is_readable(self.task.mailbox).await?;
        let read = self.deps.mailboxes.get(self.task.tenant, self.task.mailbox).await?;
        // Whoever has left meanwhile is not looked at.
        let read = read.filter(|(mailbox, _)| mailbox.state.is_active());
        let Some((mailbox, etag)) = read else { return Ok(Vec::new()) };
        if !readable {
            if self.is_only_enrolled(&mailbox) {
                return self.leave_in_peace().await;
            }
            return Err(GraphError::Denied.into());
        }
        tracing::info!("Graph refuses to subscribe this mailbox; it is polled");
        let since = self.deps.clock.now();
        self.look_later(mailbox, etag, since).await
    }

    /// The next look is due.
    pub(super) async fn poll(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        let Some(polled) = mailbox.polled else { return Ok(Vec::new()) };
        if self.deps.clock.now() >= polled.since + TRY_AGAIN {
            if self.is_out_of_scope(&mailbox).await? {
                return self.pause(mailbox, etag).await;
            }
            let next = self.subscribe(mailbox, etag).await?;
            unwatch(self.deps, self.task).await?;
            return Ok(next);
        }
        self.look_later(mailbox, etag, polled.since).await
    }

    /// The entry of the next look, then the row that names it, then the look of now.
    async fn look_later(
        &self,
        mailbox: Mailbox,
        etag: ETag,
        since: jiff::Timestamp,
    ) -> Result<Vec<Next>, StepError> {
        let due = self.deps.clock.now() + POLL;
        self.deps.due.put(&self.renew_entry(due)).await?;
        let earlier = mailbox.polled.map(|polled| polled.due).filter(|at| *at != due);
        let mailbox = Mailbox { polled: Some(Polled { since, due }), ..mailbox };
        self.deps.mailboxes.replace(&mailbox, &etag).await?;
        if let Some(at) = earlier {
            self.deps.due.remove(&self.renew_entry(at)).await?;
        }
        unwatch(self.deps, self.task).await?;
        Ok(vec![self.then_resync()])
    }
}
