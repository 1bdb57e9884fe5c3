//! Which items of a POST are ours, and which jobs they become. One POST may mix subscriptions, tenants
//! and kinds, and an invalid item does not affect the others.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use super::deps::Deps;
use crate::{
    domain::ids::{CorrelationId, TenantId},
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

/// Verifies each item and merges those that say the same: a create comes as four notifications.
/// Returns what to send, and how many items had a valid client state.
pub(super) async fn triage(
    deps: &Deps,
    post: NotificationCollection,
) -> Result<(Vec<Enqueue>, usize), KeysUnavailable> {
    let NotificationCollection { notifications, validation_tokens } = post;
    let count = notifications.len();
    let (mut changes, mut tasks, mut repeats) = (Vec::new(), Vec::new(), HashSet::new());
    let mut verified = 0;
    for item in notifications {
        let Some(claims) = verify_item(deps, &item).await? else { continue };
        verified += usize::from(item.kind != NotificationKind::Unknown);
        match item.kind {
            NotificationKind::Change(change) => changes.push((claims, change)),
            NotificationKind::Lifecycle(event) => {
                let (tenant, task) = (claims.tenant, lifecycle_task(deps, claims, event));
                // A nonce that is not the mailbox's own (any more) must not speak for one that is.
                if repeats.insert((tenant, task.mailbox, event, task.nonce)) {
                    tasks.push((tenant, task));
                }
            }
            NotificationKind::Unknown => {}
        }
    }
    if count > verified {
        tracing::warn!(
            items.foreign = count - verified,
            items.verified = verified,
            "items with an invalid client state"
        );
    }
    drop_unverified_content(deps, &mut changes, &validation_tokens).await;
    let mut jobs = change_jobs(deps, changes);
    jobs.extend(lifecycle_jobs(tasks));
    Ok((jobs, verified))
}

/// Content that Graph did not verify for its tenant is not used: those items continue as ids.
async fn drop_unverified_content(
    deps: &Deps,
    changes: &mut [(ClientStateClaims, ChangeNotification)],
    tokens: &[String],
) {
    // Tokens cost a signature check each: we verify none for a POST without content of our own tenants.
    if changes.iter().all(|(_, change)| change.encrypted_content.is_none()) {
        return;
    }
    let tenants = deps.verified_tenants(tokens).await;
    let mut dropped = 0;
    for (claims, change) in changes {
        if !tenants.contains(&claims.tenant) && change.encrypted_content.take().is_some() {
            dropped += 1;
        }
    }
    if dropped > 0 {
        tracing::warn!(
            items.unverified_content = dropped,
            "encrypted content without a valid validation token was dropped; its events are fetched"
        );
    }
}

/// Reauthorizations travel together, as their renewals are one request to Graph. The other tasks
/// take longer, so each is a job of its own.
fn lifecycle_jobs(tasks: Vec<(TenantId, MailboxTask)>) -> Vec<Enqueue> {
    let mut by_tenant: BTreeMap<TenantId, Vec<MailboxTask>> = BTreeMap::new();
    let (mut jobs, mut single_jobs) = (Vec::new(), Vec::new());
    for (tenant, task) in tasks {
        if task.kind == MailboxTaskKind::Reauthorize {
            by_tenant.entry(tenant).or_default().push(task);
        } else {
            single_jobs.push(Enqueue::now(MailboxTasks::one(tenant, task)));
        }
    }
    for (tenant, tasks) in by_tenant {
        let batches = tasks.chunks(MAX_TASKS).map(<[MailboxTask]>::to_vec);
        jobs.extend(batches.map(|items| Enqueue::now(MailboxTasks { tenant, items })));
    }
    jobs.extend(single_jobs);
    jobs
}

fn lifecycle_task(deps: &Deps, claims: ClientStateClaims, event: LifecycleEvent) -> MailboxTask {
    let kind = match event {
        LifecycleEvent::ReauthorizationRequired => MailboxTaskKind::Reauthorize,
        LifecycleEvent::SubscriptionRemoved => MailboxTaskKind::SubscriptionRemoved,
        LifecycleEvent::Missed => MailboxTaskKind::MissedNotifications,
    };
    let task = MailboxTask::new(claims.mailbox, kind, job_meta(deps));
    MailboxTask { nonce: Some(claims.nonce), ..task }
}

fn job_meta(deps: &Deps) -> JobMeta {
    JobMeta::new(CorrelationId(deps.rng.uuid().as_u128()), deps.clock.now())
}

/// The jobs for the changes of a POST: each event once, tenants apart. Encrypted content travels in
/// messages of its own: they live shorter, and ids must not.
fn change_jobs(deps: &Deps, all: Vec<(ClientStateClaims, ChangeNotification)>) -> Vec<Enqueue> {
    // Ordered, so that a simulation can be replayed.
    let mut by_tenant: BTreeMap<TenantId, Vec<EventChange>> = BTreeMap::new();
    let mut positions = HashMap::new();
    for (ClientStateClaims { tenant, mailbox, nonce }, notification) in all {
        let ChangeNotification { change_type, event, version, encrypted_content } = notification;
        let deleted = change_type == ChangeType::Deleted;
        let origin = Origin::Notification { nonce, deleted, version };
        let changes = by_tenant.entry(tenant).or_default();
        // With the nonce: what another nonce proves must not be believed on the word of this one.
        match positions.entry((tenant, mailbox, event.clone(), nonce)) {
            Entry::Occupied(position) => {
                let earlier: &mut EventChange = &mut changes[*position.get()];
                earlier.merge(origin, encrypted_content);
            }
            Entry::Vacant(position) => {
                position.insert(changes.len());
                let meta = job_meta(deps);
                let refetch = EventChange::refetch(mailbox, event, meta);
                changes.push(EventChange { origin, encrypted_content, ..refetch });
            }
        }
    }
    let mut jobs = Vec::new();
    for (tenant, changes) in by_tenant {
        let (encrypted, plain): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .map(EventChange::without_oversized_content)
            .partition(|change| change.encrypted_content.is_some());
        let messages = pack(tenant, plain).into_iter().chain(pack(tenant, encrypted));
        jobs.extend(messages.map(|changes| Enqueue::now(Job::FetchEvent(changes))));
    }
    jobs
}

/// Whose item this is; `None` when its client state is invalid. The mailbox comes from the client
/// state, never from the item's `resource`, and the tenant must be the client state's.
async fn verify_item(
    deps: &Deps,
    item: &Notification,
) -> Result<Option<ClientStateClaims>, KeysUnavailable> {
    let Some(state) = item.client_state.as_deref() else { return Ok(None) };
    let keys = deps.client_state_keys.keys().await?;
    let claims = match verify(&keys, state) {
        // Another process may have rotated the keys since ours were read.
        Err(ClientStateError::UnknownKey(id)) => {
            let keys = deps.client_state_keys.keys_including(&id).await?;
            verify(&keys, state)
        }
        first => first,
    };
    Ok(claims.ok().filter(|claims| item.tenant.is_none_or(|tenant| tenant == claims.tenant)))
}
