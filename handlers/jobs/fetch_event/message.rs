//! One message: each event once, and none whose version was handled.

use std::collections::{HashMap, hash_map::Entry};

use async_trait::async_trait;

use super::{ChangeOutcome, DedupSession, Deps, process_batch};
use crate::{
    base::{call_log::CallLog, invocation::Invocation},
    jobs::runner::{Outcomes, QueueJob, job::JobError},
    messages::{EventChange, EventChanges, Origin},
};

#[async_trait]
impl QueueJob for Deps {
    type Message = EventChanges;
    type Item = EventChange;

    async fn run(&self, invocation: &Invocation, changes: EventChanges) -> Outcomes<EventChange> {
        let (outcomes, dedup) = run(self, &invocation.calls, changes).await;
        // A version is handled only once everything that follows from it was sent.
        Outcomes::from(outcomes).on_completed(move |item| dedup.mark_handled(item))
    }
}

/// Looks at every event of one message; each item succeeds or fails alone.
async fn run(
    deps: &Deps,
    calls: &CallLog,
    changes: EventChanges,
) -> (Vec<ChangeOutcome>, DedupSession) {
    let EventChanges { tenant, items } = changes;
    let items = merge_duplicates(items);
    let mut handling = deps.dedup.begin(tenant, &items).await;
    let (known, items): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| handling.is_duplicate(item));
    let again = |item| (item, Err(JobError::Discard { reason: "this version was handled" }));
    let mut outcomes: Vec<ChangeOutcome> = known.into_iter().map(again).collect();
    if !items.is_empty() {
        let changes = EventChanges { tenant, items };
        outcomes.extend(process_batch(deps, calls, changes, &mut handling).await);
    }
    (outcomes, handling)
}

/// Each event of a mailbox once for each nonce: whether a nonce is the mailbox's own is still to be
/// seen, and one that is not must not speak for one that is.
fn merge_duplicates(items: Vec<EventChange>) -> Vec<EventChange> {
    let mut merged: Vec<EventChange> = Vec::with_capacity(items.len());
    let mut places: HashMap<_, usize> = HashMap::new();
    for item in items {
        let nonce = match item.origin {
            Origin::Notification { nonce, .. } => Some(nonce),
            Origin::Refetch => None,
        };
        match places.entry((item.mailbox, item.event.clone(), nonce)) {
            Entry::Occupied(place) => {
                merged[*place.get()].merge(item.origin, item.encrypted_content)
            }
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(item);
            }
        }
    }
    merged
}
