//! `maintain-mailbox`: keeps one mailbox, a person's or a room's, subscribed, caught up, or
//! forgotten.

mod batch;
mod content;
mod create;
mod dead_subscription;
mod enrolled;
mod erase;
mod lifecycle;
mod persist;
mod polling;
mod renewal;
mod replacement;
mod resync;
mod schedule;
mod unsubscribe;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    base::{call_log::CallLog, clock::Clock, invocation::Invocation, rng::Rng},
    domain::{policy::Registration, tenancy::TenantState},
    graph::{CallContext, Graph, TenantGraph},
    identity::keys::{KeyRing, content_keys::ContentKeys},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError},
    },
    messages::{JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks},
    store::{
        appointments::Appointments,
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        failures::Failures,
        mailboxes::{Mailbox, MailboxKind, MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

use batch::{TaskBatch, TaskOutcome};
use renewal::TaskProgress;

/// Graph asks that a subscription is not touched twice within ten minutes
/// (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const MIN_RENEWAL_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// How often a lost race for a row is run again in place.
const MAX_CONFLICT_RETRIES: u32 = 8;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Who has agreed, and their subscriptions.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What is known of a mailbox's calendar.
    pub appointments: Appointments,
    /// What was booked because of it.
    pub bookings: Bookings,
    /// What failed and stopped.
    pub failures: Failures,
    /// When to renew.
    pub due: DueEntries,
    /// The calendars.
    pub graph: Graph,
    /// The keys that make a client state prove itself.
    pub client_state_keys: Arc<KeyRing>,
    /// The keys that content is sealed for, where a tenant wants it.
    pub content_keys: Arc<ContentKeys>,
    /// What the infra team has set.
    pub settings: MailboxSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for nonces.
    pub rng: Arc<dyn Rng>,
}

/// How mailboxes are kept.
#[derive(Debug, Clone)]
pub struct MailboxSettings {
    /// Where Graph sends change notifications and lifecycle notifications.
    pub notification_url: Url,
    /// How long a subscription is asked for.
    pub lifetime: SignedDuration,
    /// The same for one that brings the content of events.
    pub rich_lifetime: SignedDuration,
    /// How far ahead a resync looks.
    pub horizon: SignedDuration,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = MailboxTasks;
    type Item = MailboxTask;

    async fn run(&self, invocation: &Invocation, tasks: MailboxTasks) -> Outcomes<MailboxTask> {
        run(self, invocation, tasks).await.into()
    }
}

/// Does the tasks of one message; answers each with what comes next, or why it was not done.
async fn run(deps: &Deps, invocation: &Invocation, tasks: MailboxTasks) -> Vec<TaskOutcome> {
    let calls = &invocation.calls;
    // Never from the cache: an administrator may have decided a moment ago.
    let tenant = deps.tenants.get_uncached(tasks.tenant).await;
    match tenant {
        Ok(Some(tenant)) => TaskBatch { deps, calls, tenant: &tenant }.run(tasks.items).await,
        Ok(None) => {
            let mut outcomes = Vec::new();
            for task in tasks.items {
                let gone = Err(JobError::Discard { reason: "the tenant is unknown" });
                let outcome = remove_due_entry(deps, &task).await.and(gone);
                outcomes.push((task, outcome));
            }
            outcomes
        }
        Err(error) => {
            let failed = |task| (task, Err(JobError::from(error.clone())));
            tasks.items.into_iter().map(failed).collect()
        }
    }
}

/// Graph, with the consent that the tenant gave to `registration`.
fn graph_as(
    deps: &Deps,
    trail: &CallLog,
    task: &MailboxTask,
    registration: Registration,
) -> TenantGraph {
    let (tenant, correlation) = (task.tenant, task.meta.correlation);
    deps.graph.for_tenant(CallContext { tenant, registration, correlation, calls: trail.clone() })
}

/// The entry that sent this has nothing to watch any more.
async fn remove_due_entry(deps: &Deps, task: &MailboxTask) -> Result<(), JobError> {
    if let Some(at) = task.due {
        let subject = DueSubject::Mailbox(task.tenant, task.mailbox);
        deps.due.remove(&DueEntry::new(DuePurpose::Renew, at, subject)).await?;
    }
    Ok(())
}

/// One worker at one mailbox.
struct MailboxWorker<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    calls: &'a CallLog,
    tenant: &'a Tenant,
    task: &'a MailboxTask,
    /// Whether this mailbox is left for good, or its tenant may not be worked for.
    is_leaving: bool,
}

impl MailboxWorker<'_> {
    /// Does the task, up to a PATCH that may go with others.
    async fn begin(&self, mailbox: Mailbox, etag: ETag) -> Result<TaskProgress, JobError> {
        let next = match (self.tenant.state, mailbox.state) {
            (TenantState::Disconnecting | TenantState::Deleted(_), _) => {
                self.unsubscribe_and_remove(mailbox, etag).await?
            }
            (_, MailboxState::Erased(_, until)) => self.erase(mailbox, etag, until).await?,
            (_, MailboxState::Active) if self.is_excluded_by_policy(&mailbox) => {
                self.pause(mailbox, etag).await?
            }
            (
                TenantState::Active | TenantState::Suspended(_),
                MailboxState::Active | MailboxState::Paused | MailboxState::Withdrawn(_),
            ) => return self.dispatch_task(mailbox, etag).await,
        };
        Ok(TaskProgress::Done(next))
    }

    async fn dispatch_task(&self, mailbox: Mailbox, etag: ETag) -> Result<TaskProgress, JobError> {
        // Excluded is never subscribed, whatever else says so: the row may have been written while
        // the administrator decided.
        let excluded = self.tenant.policy.excluded_mailboxes.contains(&mailbox.id);
        let wanted = mailbox.state.is_active() && self.tenant.state.is_active() && !excluded;
        let next = match self.task.kind {
            // Whoever has come back meanwhile stays subscribed, and is if they were not.
            MailboxTaskKind::Unsubscribe | MailboxTaskKind::Erase if wanted => {
                self.subscribe(mailbox, etag).await?
            }
            MailboxTaskKind::Unsubscribe | MailboxTaskKind::Erase => {
                self.unsubscribe_and_forget(mailbox, etag).await?
            }
            // Watches a mailbox that is left, whose own task may have been lost.
            MailboxTaskKind::Renew if !mailbox.state.is_active() => {
                self.unsubscribe_and_forget(mailbox, etag).await?
            }
            // Whoever has withdrawn is not subscribed anew, whatever was still on its way.
            MailboxTaskKind::Subscribe
            | MailboxTaskKind::Renew
            | MailboxTaskKind::Resync
            | MailboxTaskKind::Reauthorize
            | MailboxTaskKind::SubscriptionRemoved
            | MailboxTaskKind::MissedNotifications
            | MailboxTaskKind::SuspectedDead
                if !wanted =>
            {
                remove_due_entry(self.deps, self.task).await?;
                return Err(JobError::Discard {
                    reason: "the mailbox or its tenant is not active, or it is excluded",
                });
            }
            // The tenant has changed its mind about content: no renewal can change that.
            MailboxTaskKind::Subscribe => {
                if self.has_wrong_content_mode(&mailbox).await {
                    self.replace(mailbox, etag).await?
                } else {
                    self.subscribe(mailbox, etag).await?
                }
            }
            MailboxTaskKind::Renew => return self.check_subscription(mailbox, etag).await,
            MailboxTaskKind::Reauthorize => return self.reauthorize(mailbox, etag).await,
            MailboxTaskKind::SuspectedDead => self.replace_dead(mailbox, etag).await?,
            MailboxTaskKind::SubscriptionRemoved => self.handle_removed(mailbox, etag).await?,
            MailboxTaskKind::MissedNotifications => self.handle_missed(&mailbox, &etag).await?,
            MailboxTaskKind::Resync => {
                let next = self.resync(&mailbox, &etag).await?;
                // The look that sent this is over only now.
                remove_due_entry(self.deps, self.task).await?;
                next
            }
        };
        Ok(TaskProgress::Done(next))
    }

    /// Whether the policy keeps the mailbox out, whoever wrote that it is followed: the row may be
    /// newer than the pass that brought the others in line.
    fn is_excluded_by_policy(&self, mailbox: &Mailbox) -> bool {
        let policy = &self.tenant.policy;
        let without_rooms = mailbox.kind == MailboxKind::Room && !policy.rooms_subscribed;
        without_rooms || policy.excluded_mailboxes.contains(&mailbox.id)
    }

    /// Whether the person is not in the scope group (any more): nobody tells when a group changes.
    async fn is_out_of_scope(&self, mailbox: &Mailbox) -> Result<bool, JobError> {
        match (mailbox.kind, self.tenant.policy.scope_group) {
            (MailboxKind::Room, _) | (MailboxKind::Person, None) => Ok(false),
            (MailboxKind::Person, Some(group)) => {
                Ok(!self.graph.is_member(mailbox.id, group).await?)
            }
        }
    }

    /// Consent stands, but the policy keeps the mailbox out.
    async fn pause(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Enqueue>, JobError> {
        let paused = Mailbox { state: MailboxState::Paused, ..mailbox };
        let etag = self.deps.mailboxes.replace(&paused, &etag).await?;
        self.unsubscribe_and_forget(paused, etag).await
    }

    /// A resync of the same mailbox, as a task of its own, so that it is retried alone.
    fn enqueue_resync(&self) -> Enqueue {
        self.enqueue_task(MailboxTaskKind::Resync)
    }

    /// The same for a look: the entry that brought it goes when the resync is done.
    fn enqueue_resync_with_due(&self) -> Enqueue {
        let passage = JobMeta::new(self.task.meta.correlation, self.deps.clock.now());
        let task =
            MailboxTask { kind: MailboxTaskKind::Resync, nonce: None, meta: passage, ..*self.task };
        Enqueue::now(Job::MaintainMailbox(task))
    }

    fn enqueue_task(&self, task: MailboxTaskKind) -> Enqueue {
        let passage = JobMeta::new(self.task.meta.correlation, self.deps.clock.now());
        let task = MailboxTask { kind: task, nonce: None, due: None, meta: passage, ..*self.task };
        Enqueue::now(Job::MaintainMailbox(task))
    }

    fn renew_entry(&self, at: Timestamp) -> DueEntry {
        let subject = DueSubject::Mailbox(self.task.tenant, self.task.mailbox);
        DueEntry::new(DuePurpose::Renew, at, subject)
    }
}
