//! `maintain-mailbox`: keeps one mailbox, a person's or a room's, subscribed, caught up, or
//! forgotten.

mod content;
mod enrolled;
mod erase;
mod farewell;
mod keeping;
mod lifecycle;
mod order;
mod polling;
mod renewal;
mod replacement;
mod resync;
mod round;
mod schedule;
mod silence;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    domain::{policy::Registration, tenancy::TenantState},
    graph::{CallContext, Graph, TenantGraph},
    identity::{content_keys::ContentKeys, key_ring::KeyRing},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{MailboxTask, MailboxTasks, Passage, Task},
    store::{
        appointments::Appointments,
        bookings::Bookings,
        due::{Due, DueEntry, Purpose, Subject},
        failures::Failures,
        mailboxes::{Mailbox, MailboxKind, MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

use renewal::Begun;
use round::{Outcome, Round};

/// Graph asks that a subscription is not touched twice within ten minutes
/// (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const AT_REST: SignedDuration = SignedDuration::from_mins(10);

/// How often a lost race for a row is run again in place.
const RACES: u32 = 8;

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
    pub due: Due,
    /// The calendars.
    pub graph: Graph,
    /// The keys that make a client state prove itself.
    pub keys: Arc<KeyRing>,
    /// The keys that content is sealed for, where a tenant wants it.
    pub content_keys: Arc<ContentKeys>,
    /// What the infra team has set.
    pub settings: Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for nonces.
    pub rng: Arc<dyn Rng>,
}

/// How mailboxes are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Graph sends change notifications and lifecycle notifications.
    pub notification_url: Url,
    /// How long a subscription is asked for.
    pub life: SignedDuration,
    /// The same for one that brings the content of events.
    pub rich_life: SignedDuration,
    /// How far ahead a resync looks.
    pub horizon: SignedDuration,
}

/// Does the tasks of one message; answers each with what comes next, or why it was not done.
pub async fn run(deps: &Deps, trail: &Trail, tasks: MailboxTasks) -> Vec<Outcome> {
    // Never from the cache: an administrator may have decided a moment ago.
    let tenant = deps.tenants.get_uncached(tasks.tenant).await;
    match tenant {
        Ok(Some(tenant)) => Round { deps, trail, tenant: &tenant }.run(tasks.items).await,
        Ok(None) => {
            let mut outcomes = Vec::new();
            for task in tasks.items {
                let gone = Err(StepError::Drop { reason: "the tenant is unknown" });
                let outcome = unwatch(deps, &task).await.and(gone);
                outcomes.push((task, outcome));
            }
            outcomes
        }
        Err(error) => {
            let failed = |task| (task, Err(StepError::from(error.clone())));
            tasks.items.into_iter().map(failed).collect()
        }
    }
}

/// Graph, with the consent that the tenant gave to `registration`.
fn graph_as(
    deps: &Deps,
    trail: &Trail,
    task: &MailboxTask,
    registration: Registration,
) -> TenantGraph {
    let (tenant, correlation) = (task.tenant, task.passage.correlation);
    deps.graph.for_tenant(CallContext { tenant, registration, correlation, trail: trail.clone() })
}

/// The entry that sent this has nothing to watch any more.
async fn unwatch(deps: &Deps, task: &MailboxTask) -> Result<(), StepError> {
    if let Some(at) = task.due {
        let subject = Subject::Mailbox(task.tenant, task.mailbox);
        deps.due.remove(&DueEntry::new(Purpose::Renew, at, subject)).await?;
    }
    Ok(())
}

/// One worker at one mailbox.
struct Keeper<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    trail: &'a Trail,
    tenant: &'a Tenant,
    task: &'a MailboxTask,
    /// Whether this mailbox is left for good, or its tenant may not be worked for.
    parting: bool,
}

impl Keeper<'_> {
    /// Does the task, up to a PATCH that may go with others.
    async fn begin(&self, mailbox: Mailbox, etag: ETag) -> Result<Begun, StepError> {
        let next = match (self.tenant.state, mailbox.state) {
            (TenantState::Leaving | TenantState::Left(_), _) => self.leave(mailbox, etag).await?,
            (_, MailboxState::Erased(_, until)) => self.erase(mailbox, etag, until).await?,
            (_, MailboxState::Active) if self.is_kept_out(&mailbox) => {
                self.pause(mailbox, etag).await?
            }
            (
                TenantState::Active | TenantState::Suspended(_),
                MailboxState::Active | MailboxState::Paused | MailboxState::Withdrawn(_),
            ) => return self.follow(mailbox, etag).await,
        };
        Ok(Begun::Done(next))
    }

    async fn follow(&self, mailbox: Mailbox, etag: ETag) -> Result<Begun, StepError> {
        // Excluded is never subscribed, whatever else says so: the row may have been written while
        // the administrator decided.
        let excluded = self.tenant.policy.excluded.contains(&mailbox.id);
        let wanted = mailbox.state.is_active() && self.tenant.state.is_active() && !excluded;
        let next = match self.task.task {
            // Whoever has come back meanwhile stays subscribed, and is if they were not.
            Task::Unsubscribe | Task::Erase if wanted => self.subscribe(mailbox, etag).await?,
            Task::Unsubscribe | Task::Erase => self.say_farewell(mailbox, etag).await?,
            // Watches a mailbox that is left, whose own task may have been lost.
            Task::Renew if !mailbox.state.is_active() => self.say_farewell(mailbox, etag).await?,
            // Whoever has withdrawn is not subscribed anew, whatever was still on its way.
            Task::Subscribe
            | Task::Renew
            | Task::Resync
            | Task::Reauthorize
            | Task::Removed
            | Task::Missed
            | Task::Silent
                if !wanted =>
            {
                unwatch(self.deps, self.task).await?;
                return Err(StepError::Drop {
                    reason: "the mailbox or its tenant is not active, or it is excluded",
                });
            }
            // The tenant has changed its mind about content: no renewal can change that.
            Task::Subscribe => {
                if self.is_of_other_kind(&mailbox).await {
                    self.replace(mailbox, etag).await?
                } else {
                    self.subscribe(mailbox, etag).await?
                }
            }
            Task::Renew => return self.look(mailbox, etag).await,
            Task::Reauthorize => return self.reauthorize(mailbox, etag).await,
            Task::Silent => self.replace_silent(mailbox, etag).await?,
            Task::Removed => self.removed(mailbox, etag).await?,
            Task::Missed => self.missed(&mailbox, &etag).await?,
            Task::Resync => {
                let next = self.resync(&mailbox, &etag).await?;
                // The look that sent this is over only now.
                unwatch(self.deps, self.task).await?;
                next
            }
        };
        Ok(Begun::Done(next))
    }

    /// Whether the policy keeps the mailbox out, whoever wrote that it is followed: the row may be
    /// newer than the pass that brought the others in line.
    fn is_kept_out(&self, mailbox: &Mailbox) -> bool {
        let policy = &self.tenant.policy;
        let without_rooms = mailbox.kind == MailboxKind::Room && !policy.rooms_subscribed;
        without_rooms || policy.excluded.contains(&mailbox.id)
    }

    /// Whether the person is not in the scope group (any more): nobody tells when a group changes.
    async fn is_out_of_scope(&self, mailbox: &Mailbox) -> Result<bool, StepError> {
        match (mailbox.kind, self.tenant.policy.scope_group) {
            (MailboxKind::Room, _) | (MailboxKind::Person, None) => Ok(false),
            (MailboxKind::Person, Some(group)) => {
                Ok(!self.graph.is_member(mailbox.id, group).await?)
            }
        }
    }

    /// Consent stands, but the policy keeps the mailbox out.
    async fn pause(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        let paused = Mailbox { state: MailboxState::Paused, ..mailbox };
        let etag = self.deps.mailboxes.replace(&paused, &etag).await?;
        self.say_farewell(paused, etag).await
    }

    /// A resync of the same mailbox, as a task of its own, so that it is retried alone.
    fn then_resync(&self) -> Next {
        self.then(Task::Resync)
    }

    /// The same for a look: the entry that brought it goes when the resync is done.
    fn then_resync_watched(&self) -> Next {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let task = MailboxTask { task: Task::Resync, nonce: None, passage, ..*self.task };
        Next::now(Onward::Maintain(task))
    }

    fn then(&self, task: Task) -> Next {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let task = MailboxTask { task, nonce: None, due: None, passage, ..*self.task };
        Next::now(Onward::Maintain(task))
    }

    fn renew_entry(&self, at: Timestamp) -> DueEntry {
        let subject = Subject::Mailbox(self.task.tenant, self.task.mailbox);
        DueEntry::new(Purpose::Renew, at, subject)
    }
}
