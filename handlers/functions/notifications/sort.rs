//! Which items of a POST are ours, and what is handed on for them: one POST may mix subscriptions,
//! tenants and kinds, and no item spoils another.

use std::collections::{BTreeMap, HashMap};

use super::Deps;
use crate::{
    domain::ids::{CorrelationId, EventId, MailboxId, TenantId},
    graph::notifications::{ChangeType, Item, ItemKind, LifecycleEvent},
    identity::{
        client_state::{NotOurs, Proof, prove},
        key_ring::KeysUnavailable,
    },
    messages::{EventChange, MailboxTask, Origin, Passage, Task, packed},
    step::{Next, Onward},
};

/// A POST's items, sorted.
pub(super) struct Sorted {
    /// What to send.
    pub(super) next: Vec<Next>,
    /// How many items proved themselves.
    pub(super) ours: usize,
    /// How many did not, or were of no known kind.
    pub(super) foreign: usize,
}

/// Proves each item and merges those that say the same: a create comes as four notifications.
pub(super) async fn sort(deps: &Deps, items: Vec<Item>) -> Result<Sorted, KeysUnavailable> {
    let mut events: BTreeMap<TenantId, Vec<EventChange>> = BTreeMap::new();
    let mut places: HashMap<(TenantId, MailboxId, EventId, u64), usize> = HashMap::new();
    let mut tasks: Vec<MailboxTask> = Vec::new();
    let (mut ours, mut foreign) = (0, 0);
    let now = deps.clock.now();
    for item in items {
        let Some(proof) = proven(deps, &item).await? else {
            foreign += 1;
            continue;
        };
        let Proof { tenant, mailbox, nonce } = proof;
        match item.kind {
            ItemKind::Change { change, event } => {
                let deleted = change == ChangeType::Deleted;
                let changes = events.entry(tenant).or_default();
                let place =
                    *places.entry((tenant, mailbox, event.clone(), nonce)).or_insert_with(|| {
                        let correlation = CorrelationId(deps.rng.uuid().as_u128());
                        let origin = Origin::Notification { nonce, deleted, version: None };
                        changes.push(EventChange {
                            mailbox,
                            event,
                            origin,
                            sealed: None,
                            passage: Passage::start(correlation, now),
                        });
                        changes.len() - 1
                    });
                if deleted {
                    changes[place].origin = Origin::Notification { nonce, deleted, version: None };
                }
            }
            ItemKind::Lifecycle(event) => {
                let passage = Passage::start(CorrelationId(deps.rng.uuid().as_u128()), now);
                let task = match event {
                    LifecycleEvent::ReauthorizationRequired => Task::Reauthorize,
                    LifecycleEvent::SubscriptionRemoved => Task::Removed,
                    LifecycleEvent::Missed => Task::Missed,
                };
                let task =
                    MailboxTask { tenant, mailbox, task, nonce: Some(nonce), due: None, passage };
                let same =
                    |t: &MailboxTask| (t.tenant, t.mailbox, t.task) == (tenant, mailbox, task.task);
                if !tasks.iter().any(same) {
                    tasks.push(task);
                }
            }
            ItemKind::Unknown => {
                foreign += 1;
                continue;
            }
        }
        ours += 1;
    }
    let fetches = events.into_iter().flat_map(|(tenant, changes)| packed(tenant, changes));
    let mut next: Vec<Next> = fetches.map(|changes| Next::now(Onward::Fetch(changes))).collect();
    next.extend(tasks.into_iter().map(|task| Next::now(Onward::Maintain(task))));
    Ok(Sorted { next, ours, foreign })
}

/// Whose item this is; `None` when it does not prove itself. The mailbox is taken from the proof,
/// never from the item's `resource`, and the tenant must be the proof's.
async fn proven(deps: &Deps, item: &Item) -> Result<Option<Proof>, KeysUnavailable> {
    let Some(state) = item.client_state.as_deref() else { return Ok(None) };
    let keys = deps.keys.keys().await?;
    let proof = match prove(&keys, state) {
        Err(NotOurs::UnknownKey(id)) => {
            let keys = deps.keys.keys_knowing(&id).await?;
            prove(&keys, state)
        }
        first => first,
    };
    Ok(proof.ok().filter(|proof| item.tenant.is_none_or(|tenant| tenant == proof.tenant)))
}
