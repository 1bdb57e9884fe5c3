//! When a mailbox's last notification came: a subscription that delivers none is found by it.

use std::collections::HashMap;

use super::Deps;
use crate::{
    domain::ids::MailboxId,
    jobs::runner::job::JobResult,
    messages::{EventChange, Origin},
    store::{
        mailboxes::{LAST_NOTIFICATION_RESOLUTION, Mailbox},
        tables::ETag,
    },
};

/// Records, to the hour, which of the message's mailboxes have just had a notification.
pub(super) async fn record_notifications(
    deps: &Deps,
    mailboxes: &HashMap<MailboxId, Option<(Mailbox, ETag)>>,
    outcomes: &[(EventChange, JobResult)],
) {
    let now = deps.clock.now();
    for (mailbox, etag) in mailboxes.values().flatten() {
        let last = mailbox.health.last_notification_at;
        let is_known = last.is_some_and(|at| now < at + LAST_NOTIFICATION_RESOLUTION);
        let has_come = outcomes.iter().any(|(item, _)| match item.origin {
            Origin::Notification { nonce, .. } => {
                item.mailbox == mailbox.id && mailbox.accepts_nonce(nonce, now)
            }
            Origin::Refetch | Origin::Unlisted => false,
        });
        if is_known || !has_come {
            continue;
        }
        let mut mailbox = mailbox.clone();
        mailbox.health.last_notification_at = Some(now);
        match deps.mailboxes.replace(&mailbox, etag).await {
            // Nothing depends on this write, and the next notification repeats it.
            Err(error) if !error.is_conflict() => {
                tracing::warn!(%error, "last notification time was not saved");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
