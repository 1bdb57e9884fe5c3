//! When a mailbox was heard of last: a subscription that brings nothing is found by it.

use std::collections::HashMap;

use super::{Deps, Outcome};
use crate::{
    domain::ids::MailboxId,
    messages::Origin,
    store::{
        mailboxes::{HEARD_EVERY, Health, Mailbox},
        tables::ETag,
    },
};

/// The mailboxes of one message as they were read, each once.
pub(super) type Read = HashMap<MailboxId, Option<(Mailbox, ETag)>>;

/// Notes for each mailbox that one of its notifications came, to the hour. Nothing hangs on it: who
/// was faster at the row leaves it to the next notification, and so does a failure.
pub(super) async fn note(deps: &Deps, read: &Read, outcomes: &[Outcome]) {
    let now = deps.clock.now();
    for (mailbox, etag) in read.values().flatten() {
        let known = mailbox.health.heard.is_some_and(|at| now < at + HEARD_EVERY);
        let came = || {
            outcomes.iter().any(|(item, _)| match item.origin {
                Origin::Notification { nonce, .. } => {
                    item.mailbox == mailbox.id && mailbox.accepts(nonce, now)
                }
                Origin::Look => false,
            })
        };
        if known || !came() {
            continue;
        }
        let health = Health { heard: Some(now), ..mailbox.health };
        let heard = Mailbox { health, ..mailbox.clone() };
        match deps.mailboxes.replace(&heard, etag).await {
            Err(error) if !error.is_changed() => {
                tracing::warn!(%error, "that a notification came was not noted");
            }
            Ok(_) | Err(_) => {}
        }
    }
}
