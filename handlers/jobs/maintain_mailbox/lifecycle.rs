//! What Graph tells of a subscription, sometimes late and often more than once: repeated words cost
//! reading the row and nothing else.

use jiff::SignedDuration;

use super::MailboxWorker;
use crate::{
    jobs::runner::job::{Enqueue, JobError},
    store::{mailboxes::Mailbox, tables::ETag},
};

/// Resyncs because of missed notifications are at least this far apart.
const MISSED_RESYNC_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

impl MailboxWorker<'_> {
    /// Graph has removed a subscription. Each has a nonce of its own, so one that was replaced
    /// already is known by it.
    pub(super) async fn handle_removed(
        &self,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        let present = self.task.nonce.is_none_or(|nonce| mailbox.nonce == Some(nonce));
        if !present && mailbox.subscription.is_some() {
            return Err(JobError::Discard { reason: "the subscription was replaced already" });
        }
        self.replace(mailbox, etag).await
    }

    /// Graph could not deliver some notifications. A resync that began after it said so has found
    /// what they told; and one a minute finds all that Graph tells of in that minute.
    pub(super) async fn handle_missed(
        &self,
        mailbox: &Mailbox,
        etag: &ETag,
    ) -> Result<Vec<Enqueue>, JobError> {
        if let Some(last) = mailbox.health.drift.map(|drift| drift.at) {
            if last >= self.task.meta.first_seen {
                return Err(JobError::Discard { reason: "a resync has been here since" });
            }
            let rest = (last + MISSED_RESYNC_INTERVAL).duration_since(self.deps.clock.now());
            if rest.is_positive() {
                return Err(JobError::retry_after(rest, "a resync was here a moment ago"));
            }
        }
        self.resync(mailbox, etag).await
    }
}
