//! Which items of a POST are ours, and what is handed on for them: one POST may mix subscriptions,
//! tenants and kinds, and no item spoils another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::deps::Deps;
use crate::{
    domain::ids::{CorrelationId, EventId, MailboxId, TenantId},
    graph::notifications::{
        ChangeNotification, ChangeType, LifecycleEvent, Notification, NotificationCollection,
        NotificationKind,
    },
    identity::keys::{
        KeysUnavailable,
        client_state::{ClientStateClaims, ClientStateError, verify},
    },
    jobs::runner::job::{Enqueue, Job},
    messages::{
        EventChange, JobMeta, MAX_TASKS, MailboxTask, MailboxTaskKind, MailboxTasks, Origin, pack,
    },
};

/// A POST's items, sorted.
pub(super) struct TriagedItems {
    /// What to send.
    pub(super) jobs: Vec<Enqueue>,
    /// How many items proved themselves.
    pub(super) verified: usize,
    /// How many did not, or were of no known kind.
    pub(super) foreign: usize,
    /// How many came sealed, and Graph did not vouch for their tenant: they go on as ids.
    pub(super) unverified_content: usize,
}

/// Proves each item and merges those that say the same: a create comes as four notifications.
pub(super) async fn triage(
    deps: &Deps,
    post: NotificationCollection,
) -> Result<TriagedItems, KeysUnavailable> {
    let NotificationCollection { notifications: items, validation_tokens } = post;
    let count = items.len();
    let mut changes = ChangesByTenant::default();
    let (mut tasks, mut repeats) = (Vec::new(), HashSet::new());
    let mut changed = Vec::new();
    for item in items {
        let Some(proof) = verify_item(deps, &item).await? else { continue };
        match item.kind {
            NotificationKind::Change(change) => changed.push((proof, change)),
            NotificationKind::Lifecycle(event) => {
                let task = lifecycle_task(deps, proof, event);
                changes.lifecycle_count += 1;
                // A nonce that is not the mailbox's own (any more) must not speak for one that is.
                if repeats.insert((task.tenant, task.mailbox, event, task.nonce)) {
                    tasks.push(task);
                }
            }
            NotificationKind::Unknown => {}
        }
    }
    let ours = changed.len() + changes.lifecycle_count;
    // No token is looked at for a POST in which nobody proved to be ours and brought content.
    let vouched = if changed.iter().any(|(_, change)| change.encrypted_content.is_some()) {
        deps.verified_tenants(&validation_tokens.0).await
    } else {
        BTreeSet::new()
    };
    let mut unvouched = 0;
    for (proof, mut change) in changed {
        if change.encrypted_content.is_some() && !vouched.contains(&proof.tenant) {
            unvouched += 1;
            change.encrypted_content = None;
        }
        changes.add(deps, proof, change);
    }
    let mut next = changes.into_jobs();
    next.extend(lifecycle_jobs(tasks));
    Ok(TriagedItems {
        jobs: next,
        verified: ours,
        foreign: count - ours,
        unverified_content: unvouched,
    })
}

/// Wishes for authorisation travel together, as their renewals are one request to Graph. The others
/// take their time, each alone.
fn lifecycle_jobs(tasks: Vec<MailboxTask>) -> Vec<Enqueue> {
    let (wishes, others): (Vec<_>, Vec<_>) =
        tasks.into_iter().partition(|task| task.kind == MailboxTaskKind::Reauthorize);
    let mut of: BTreeMap<TenantId, Vec<MailboxTask>> = BTreeMap::new();
    for wish in wishes {
        of.entry(wish.tenant).or_default().push(wish);
    }
    let mut next = Vec::new();
    for (tenant, wishes) in of {
        let several = wishes.chunks(MAX_TASKS).map(<[MailboxTask]>::to_vec);
        let several = several.map(|items| Job::MaintainMailboxes(MailboxTasks { tenant, items }));
        next.extend(several.map(Enqueue::now));
    }
    next.extend(others.into_iter().map(|task| Enqueue::now(Job::MaintainMailbox(task))));
    next
}

fn lifecycle_task(deps: &Deps, proof: ClientStateClaims, event: LifecycleEvent) -> MailboxTask {
    let ClientStateClaims { tenant, mailbox, nonce } = proof;
    let correlation = CorrelationId(deps.rng.uuid().as_u128());
    let passage = JobMeta::new(correlation, deps.clock.now());
    let task = match event {
        LifecycleEvent::ReauthorizationRequired => MailboxTaskKind::Reauthorize,
        LifecycleEvent::SubscriptionRemoved => MailboxTaskKind::SubscriptionRemoved,
        LifecycleEvent::Missed => MailboxTaskKind::MissedNotifications,
    };
    MailboxTask { tenant, mailbox, kind: task, nonce: Some(nonce), due: None, meta: passage }
}

/// The changes of a POST by tenant, each event once.
#[derive(Default)]
struct ChangesByTenant {
    by_tenant: BTreeMap<TenantId, Vec<EventChange>>,
    positions: HashMap<(TenantId, MailboxId, EventId, u64), usize>,
    lifecycle_count: usize,
}

impl ChangesByTenant {
    fn add(&mut self, deps: &Deps, proof: ClientStateClaims, notification: ChangeNotification) {
        let ClientStateClaims { tenant, mailbox, nonce } = proof;
        let ChangeNotification { change_type: change, event, version, encrypted_content: sealed } =
            notification;
        let deleted = change == ChangeType::Deleted;
        let origin = Origin::Notification { nonce, deleted, version };
        let changes = self.by_tenant.entry(tenant).or_default();
        let key = (tenant, mailbox, event.clone(), nonce);
        if let Some(place) = self.positions.get(&key) {
            changes[*place].merge(origin, sealed);
            return;
        }
        let correlation = CorrelationId(deps.rng.uuid().as_u128());
        let passage = JobMeta::new(correlation, deps.clock.now());
        self.positions.insert(key, changes.len());
        changes.push(EventChange {
            mailbox,
            event,
            origin,
            encrypted_content: sealed,
            meta: passage,
        });
    }

    /// Sealed content travels in messages of its own: they live shorter, and ids must not.
    fn into_jobs(self) -> Vec<Enqueue> {
        let mut next = Vec::new();
        for (tenant, changes) in self.by_tenant {
            let (sealed, plain): (Vec<_>, Vec<_>) = changes
                .into_iter()
                .map(EventChange::without_oversized_content)
                .partition(|c| c.encrypted_content.is_some());
            for changes in pack(tenant, plain).into_iter().chain(pack(tenant, sealed)) {
                next.push(Enqueue::now(Job::FetchEvent(changes)));
            }
        }
        next
    }
}

/// Whose item this is; `None` when it does not prove itself. The mailbox is taken from the proof,
/// never from the item's `resource`, and the tenant must be the proof's.
async fn verify_item(
    deps: &Deps,
    item: &Notification,
) -> Result<Option<ClientStateClaims>, KeysUnavailable> {
    let Some(state) = item.client_state.as_deref() else { return Ok(None) };
    let keys = deps.client_state_keys.keys().await?;
    let proof = match verify(&keys, state) {
        Err(ClientStateError::UnknownKey(id)) => {
            let keys = deps.client_state_keys.keys_including(&id).await?;
            verify(&keys, state)
        }
        first => first,
    };
    Ok(proof.ok().filter(|proof| item.tenant.is_none_or(|tenant| tenant == proof.tenant)))
}
