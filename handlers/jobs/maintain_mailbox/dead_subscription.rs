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

use super::MailboxWorker;
use crate::{
    domain::{drift::Drift, keys::Digest},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{JobMeta, MailboxTask, MailboxTaskKind},
    store::{
        mailboxes::{Health, LAST_NOTIFICATION_RESOLUTION, Mailbox},
        tables::ETag,
    },
};

/// How long a suspicion waits until it is believed.
const CONFIRM_DELAY: Duration = Duration::from_secs(15 * 60);
/// A subscription is made anew for its silence no more often than this.
const REPLACE_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

impl MailboxWorker<'_> {
    /// The task that asks again, where the subscription should have told of what was found.
    pub(super) fn suspect_dead(
        &self,
        mailbox: &Mailbox,
        found: &Drift,
        basis: Digest,
    ) -> Option<Enqueue> {
        let now = self.deps.clock.now();
        let Health {
            last_notification_at: heard,
            drift,
            drift_basis: known,
            replaced_as_dead_at: silent,
            ..
        } = mailbox.health;
        // The first comparison under a subscription finds what is older than it.
        let before = drift?;
        let alive = mailbox.subscription.as_ref().is_some_and(|made| made.expires_at > now);
        let more = found.missing > before.missing
            || found.orphaned > before.orphaned
            || found.different > before.different;
        let heard_since = heard.is_some_and(|at| at + LAST_NOTIFICATION_RESOLUTION >= before.at);
        let just_made = silent.is_some_and(|at| now < at + REPLACE_INTERVAL);
        // After `missed` Graph itself says that it could not deliver.
        let own = self.task.kind == MailboxTaskKind::Resync;
        let told = heard_since || just_made || known != Some(basis);
        (own && alive && more && !told).then(|| {
            let passage = JobMeta::new(self.task.meta.correlation, now);
            let task = MailboxTask {
                kind: MailboxTaskKind::SuspectedDead,
                nonce: None,
                due: None,
                meta: passage,
                ..*self.task
            };
            Enqueue::later(Job::MaintainMailbox(task), CONFIRM_DELAY)
        })
    }

    /// It was suspected when the task began; whatever came since clears it.
    pub(super) async fn replace_dead(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let (now, since) = (self.deps.clock.now(), self.task.meta.first_seen);
        if mailbox.health.last_notification_at.is_some_and(|at| at >= since) {
            return Err(JobError::Discard { reason: "the subscription was heard of meanwhile" });
        }
        if mailbox.subscription.is_some() {
            if mailbox.health.replaced_as_dead_at.is_some_and(|at| now < at + REPLACE_INTERVAL) {
                return Err(JobError::Discard { reason: "the subscription was just made anew" });
            }
            tracing::warn!(
                tenant = %mailbox.tenant,
                correlation = %self.task.meta.correlation,
                "a subscription brings nothing; it is made anew"
            );
        }
        let health = Health { replaced_as_dead_at: Some(now), ..mailbox.health };
        self.replace(Mailbox { health, ..mailbox }, etag).await
    }
}
