//! One message: each event once, and none whose version was handled.

use std::collections::{HashMap, hash_map::Entry};

use super::{ChangeOutcome, DedupSession, Deps, process_batch};
use crate::{
    base::call_log::CallLog,
    jobs::runner::job::JobError,
    messages::{EventChange, EventChanges, Origin},
};

/// What became of a message.
pub struct BatchResult {
    /// Each of its items and how it went.
    pub outcomes: Vec<ChangeOutcome>,
    /// To be told of each item whose outcome was carried on.
    pub dedup: DedupSession,
}

/// Looks at every event of one message; each item succeeds or fails alone.
pub async fn run(deps: &Deps, calls: &CallLog, changes: EventChanges) -> BatchResult {
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
    BatchResult { outcomes, dedup: handling }
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
