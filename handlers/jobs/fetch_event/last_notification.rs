//! When a mailbox's last notification came: a subscription that delivers none is found by it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    domain::ids::MailboxId,
    jobs::runner::job::JobResult,
    messages::{EventChange, Origin},
    store::{
        mailboxes::{LAST_NOTIFICATION_RESOLUTION, Mailbox, Mailboxes},
        tables::ETag,
    },
};

/// The rows of the message's mailboxes that have just had a notification, with its hour, where they do not
/// name it yet.
pub(super) fn with_notification(
    mailboxes: HashMap<MailboxId, Option<(Mailbox, ETag)>>,
    outcomes: &[(EventChange, JobResult)],
    now: Timestamp,
) -> Vec<(Mailbox, ETag)> {
    let has_come = |(mailbox, _): &(Mailbox, ETag)| {
        let last = mailbox.health.last_notification_at;
        let is_known = last.is_some_and(|at| now < at + LAST_NOTIFICATION_RESOLUTION);
        !is_known
            && outcomes.iter().any(|(item, _)| match item.origin {
                Origin::Notification { nonce, .. } => {
                    item.mailbox == mailbox.id && mailbox.accepts_nonce(nonce, now)
                }
                Origin::Refetch | Origin::Recheck | Origin::Unlisted | Origin::NotFound => false,
            })
    };
    let mut notified: Vec<_> = mailboxes.into_values().flatten().filter(has_come).collect();
    for (mailbox, _) in &mut notified {
        mailbox.health.last_notification_at = Some(now);
    }
    notified
}

/// Writes the rows. Nothing depends on it, and the next notification repeats it.
pub(super) async fn record_notifications(rows: Mailboxes, notified: Vec<(Mailbox, ETag)>) {
    for (mailbox, etag) in &notified {
        match rows.replace(mailbox, etag).await {
            Err(error) if !error.is_conflict() => {
                tracing::warn!(%error, "last notification time was not saved");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
