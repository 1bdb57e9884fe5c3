//! Which items of a POST are ours, and what is handed on for them: one POST may mix subscriptions,
//! tenants and kinds, and no item spoils another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Deps;
use crate::{
    domain::ids::{CorrelationId, EventId, MailboxId, TenantId},
    graph::notifications::{ChangeType, Item, ItemKind, LifecycleEvent, Post, Told},
    identity::{
        client_state::{NotOurs, Proof, prove},
        key_ring::KeysUnavailable,
    },
    jobs::runner::job::{Next, Onward},
    messages::{EventChange, MailboxTask, MailboxTasks, Origin, Passage, TASKS_MAX, Task, packed},
};

/// A POST's items, sorted.
pub(super) struct Sorted {
    /// What to send.
    pub(super) next: Vec<Next>,
    /// How many items proved themselves.
    pub(super) ours: usize,
    /// How many did not, or were of no known kind.
    pub(super) foreign: usize,
    /// How many came sealed, and Graph did not vouch for their tenant: they go on as ids.
    pub(super) unvouched: usize,
}

/// Proves each item and merges those that say the same: a create comes as four notifications.
pub(super) async fn sort(deps: &Deps, post: Post) -> Result<Sorted, KeysUnavailable> {
    let Post { items, validation_tokens } = post;
    let count = items.len();
    let mut changes = Changes::default();
    let (mut tasks, mut repeats) = (Vec::new(), HashSet::new());
    let mut told = Vec::new();
    for item in items {
        let Some(proof) = proven(deps, &item).await? else { continue };
        match item.kind {
            ItemKind::Change(change) => told.push((proof, change)),
            ItemKind::Lifecycle(event) => {
                let task = task(deps, proof, event);
                changes.lifecycle += 1;
                // A nonce that is not the mailbox's own (any more) must not speak for one that is.
                if repeats.insert((task.tenant, task.mailbox, event, task.nonce)) {
                    tasks.push(task);
                }
            }
            ItemKind::Unknown => {}
        }
    }
    let ours = told.len() + changes.lifecycle;
    // No token is looked at for a POST in which nobody proved to be ours and brought content.
    let vouched = if told.iter().any(|(_, told)| told.sealed.is_some()) {
        super::vouched(deps, &validation_tokens.0).await
    } else {
        BTreeSet::new()
    };
    let mut unvouched = 0;
    for (proof, mut told) in told {
        if told.sealed.is_some() && !vouched.contains(&proof.tenant) {
            unvouched += 1;
            told.sealed = None;
        }
        changes.take(deps, proof, told);
    }
    let mut next = changes.next();
    next.extend(handed_on(tasks));
    Ok(Sorted { next, ours, foreign: count - ours, unvouched })
}

/// Wishes for authorisation travel together, as their renewals are one request to Graph. The others
/// take their time, each alone.
fn handed_on(tasks: Vec<MailboxTask>) -> Vec<Next> {
    let (wishes, others): (Vec<_>, Vec<_>) =
        tasks.into_iter().partition(|task| task.task == Task::Reauthorize);
    let mut of: BTreeMap<TenantId, Vec<MailboxTask>> = BTreeMap::new();
    for wish in wishes {
        of.entry(wish.tenant).or_default().push(wish);
    }
    let mut next = Vec::new();
    for (tenant, wishes) in of {
        let several = wishes.chunks(TASKS_MAX).map(<[MailboxTask]>::to_vec);
        let several = several.map(|items| Onward::MaintainAll(MailboxTasks { tenant, items }));
        next.extend(several.map(Next::now));
    }
    next.extend(others.into_iter().map(|task| Next::now(Onward::Maintain(task))));
    next
}

fn task(deps: &Deps, proof: Proof, event: LifecycleEvent) -> MailboxTask {
    let Proof { tenant, mailbox, nonce } = proof;
    let correlation = CorrelationId(deps.rng.uuid().as_u128());
    let passage = Passage::start(correlation, deps.clock.now());
    let task = match event {
        LifecycleEvent::ReauthorizationRequired => Task::Reauthorize,
        LifecycleEvent::SubscriptionRemoved => Task::Removed,
        LifecycleEvent::Missed => Task::Missed,
    };
    MailboxTask { tenant, mailbox, task, nonce: Some(nonce), due: None, passage }
}

/// The changes of a POST by tenant, each event once.
#[derive(Default)]
struct Changes {
    of: BTreeMap<TenantId, Vec<EventChange>>,
    places: HashMap<(TenantId, MailboxId, EventId, u64), usize>,
    lifecycle: usize,
}

impl Changes {
    fn take(&mut self, deps: &Deps, proof: Proof, told: Told) {
        let Proof { tenant, mailbox, nonce } = proof;
        let Told { change, event, version, sealed } = told;
        let deleted = change == ChangeType::Deleted;
        let origin = Origin::Notification { nonce, deleted, version };
        let changes = self.of.entry(tenant).or_default();
        let key = (tenant, mailbox, event.clone(), nonce);
        if let Some(place) = self.places.get(&key) {
            changes[*place].merge(origin, sealed);
            return;
        }
        let correlation = CorrelationId(deps.rng.uuid().as_u128());
        let passage = Passage::start(correlation, deps.clock.now());
        self.places.insert(key, changes.len());
        changes.push(EventChange { mailbox, event, origin, sealed, passage });
    }

    /// Sealed content travels in messages of its own: they live shorter, and ids must not.
    fn next(self) -> Vec<Next> {
        let mut next = Vec::new();
        for (tenant, changes) in self.of {
            let (sealed, plain): (Vec<_>, Vec<_>) =
                changes.into_iter().map(EventChange::fitting).partition(|c| c.sealed.is_some());
            for changes in packed(tenant, plain).into_iter().chain(packed(tenant, sealed)) {
                next.push(Next::now(Onward::Fetch(changes)));
            }
        }
        next
    }
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
