//! A subscription that brings nothing although its calendar changes: Graph lists it, renews it, and
//! delivers nothing. It is made anew.
//!
//! A comparison that finds more differences than the one before, when nothing was heard in between,
//! is a suspicion and no more: a notification may be on its way (Graph promises three minutes for
//! Outlook at most: learn.microsoft.com/graph/change-notifications-overview, 2026-02). So it is asked
//! again a while later. By then what was missed is booked, and where Outlook was told of that, a
//! healthy subscription has brought us the echo of our own write.

use std::time::Duration;

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    domain::{drift::Drift, keys::Digest},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{MailboxTask, Passage, Task},
    store::{
        mailboxes::{HEARD_EVERY, Health, Mailbox},
        tables::ETag,
    },
};

/// How long a suspicion waits until it is believed.
const DOUBT: Duration = Duration::from_secs(15 * 60);
/// A subscription is made anew for its silence no more often than this.
const ONCE: SignedDuration = SignedDuration::from_hours(24);

impl Keeper<'_> {
    /// The task that asks again, where the subscription should have told of what was found.
    pub(super) fn suspicion(
        &self,
        mailbox: &Mailbox,
        found: &Drift,
        basis: Digest,
    ) -> Option<Next> {
        let now = self.deps.clock.now();
        let Health { heard, drift, basis: known, silent, .. } = mailbox.health;
        // The first comparison under a subscription finds what is older than it.
        let before = drift?;
        let alive = mailbox.subscription.as_ref().is_some_and(|made| made.expires > now);
        let more = found.missing > before.missing
            || found.left_over > before.left_over
            || found.different > before.different;
        let heard_since = heard.is_some_and(|at| at + HEARD_EVERY >= before.at);
        let just_made = silent.is_some_and(|at| now < at + ONCE);
        // After `missed` Graph itself says that it could not deliver.
        let own = self.task.task == Task::Resync;
        let told = heard_since || just_made || known != Some(basis);
        (own && alive && more && !told).then(|| {
            let passage = Passage::start(self.task.passage.correlation, now);
            let task =
                MailboxTask { task: Task::Silent, nonce: None, due: None, passage, ..*self.task };
            Next::later(Onward::Maintain(task), DOUBT)
        })
    }

    /// It was suspected when the task began; whatever came since clears it.
    pub(super) async fn replace_silent(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Next>, StepError> {
        let (now, since) = (self.deps.clock.now(), self.task.passage.first_seen);
        if mailbox.health.heard.is_some_and(|at| at >= since) {
            return Err(StepError::Drop { reason: "the subscription was heard of meanwhile" });
        }
        if mailbox.subscription.is_some() {
            if mailbox.health.silent.is_some_and(|at| now < at + ONCE) {
                return Err(StepError::Drop { reason: "the subscription was just made anew" });
            }
            tracing::warn!(
                tenant = %mailbox.tenant,
                correlation = %self.task.passage.correlation,
                "a subscription brings nothing; it is made anew"
            );
        }
        let health = Health { silent: Some(now), ..mailbox.health };
        self.replace(Mailbox { health, ..mailbox }, etag).await
    }
}
