//! When a mailbox was heard of last: a subscription that brings nothing is found by it.

use std::collections::HashMap;

use super::{ChangeOutcome, Deps};
use crate::{
    domain::ids::MailboxId,
    messages::Origin,
    store::{
        mailboxes::{Health, LAST_NOTIFICATION_RESOLUTION, Mailbox},
        tables::ETag,
    },
};

/// The mailboxes of one message as they were read, each once.
pub(super) type LoadedMailboxes = HashMap<MailboxId, Option<(Mailbox, ETag)>>;

/// Notes for each mailbox that one of its notifications came, to the hour. Nothing hangs on it: who
/// was faster at the row leaves it to the next notification, and so does a failure.
pub(super) async fn record_notification(
    deps: &Deps,
    read: &LoadedMailboxes,
    outcomes: &[ChangeOutcome],
) {
    let now = deps.clock.now();
    for (mailbox, etag) in read.values().flatten() {
        let known = mailbox
            .health
            .last_notification_at
            .is_some_and(|at| now < at + LAST_NOTIFICATION_RESOLUTION);
        let came = || {
            outcomes.iter().any(|(item, _)| match item.origin {
                Origin::Notification { nonce, .. } => {
                    item.mailbox == mailbox.id && mailbox.accepts_nonce(nonce, now)
                }
                Origin::Refetch => false,
            })
        };
        if known || !came() {
            continue;
        }
        let health = Health { last_notification_at: Some(now), ..mailbox.health };
        let heard = Mailbox { health, ..mailbox.clone() };
        match deps.mailboxes.replace(&heard, etag).await {
            Err(error) if !error.is_conflict() => {
                tracing::warn!(%error, "that a notification came was not noted");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
