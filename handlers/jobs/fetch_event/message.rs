//! One message: each event once, and none whose version was handled.

use std::collections::{HashMap, hash_map::Entry};

use super::{Deps, Handling, Outcome, look_at};
use crate::{
    base::call_log::Trail,
    jobs::runner::job::StepError,
    messages::{EventChange, EventChanges, Origin},
};

/// What became of a message.
pub struct Looked {
    /// Each of its items and how it went.
    pub outcomes: Vec<Outcome>,
    /// To be told of each item whose outcome was carried on.
    pub handling: Handling,
}

/// Looks at every event of one message; each item succeeds or fails alone.
pub async fn run(deps: &Deps, trail: &Trail, changes: EventChanges) -> Looked {
    let EventChanges { tenant, items } = changes;
    let items = merged(items);
    let mut handling = deps.handled.begin(tenant, &items).await;
    let (known, items): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| handling.is_known(item));
    let again = |item| (item, Err(StepError::Drop { reason: "this version was handled" }));
    let mut outcomes: Vec<Outcome> = known.into_iter().map(again).collect();
    if !items.is_empty() {
        let changes = EventChanges { tenant, items };
        outcomes.extend(look_at(deps, trail, changes, &mut handling).await);
    }
    Looked { outcomes, handling }
}

/// Each event of a mailbox once for each nonce: whether a nonce is the mailbox's own is still to be
/// seen, and one that is not must not speak for one that is.
fn merged(items: Vec<EventChange>) -> Vec<EventChange> {
    let mut merged: Vec<EventChange> = Vec::with_capacity(items.len());
    let mut places: HashMap<_, usize> = HashMap::new();
    for item in items {
        let nonce = match item.origin {
            Origin::Notification { nonce, .. } => Some(nonce),
            Origin::Look => None,
        };
        match places.entry((item.mailbox, item.event.clone(), nonce)) {
            Entry::Occupied(place) => merged[*place.get()].merge(item.origin, item.sealed),
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(item);
            }
        }
    }
    merged
}
