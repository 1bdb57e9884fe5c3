//! `maintain-mailbox`: keeps one mailbox, a person's or a room's, subscribed, caught up, or
//! forgotten.

mod resync;
mod subscription;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    clock::Clock,
    graph::{CallContext, Graph, TenantGraph},
    identity::key_ring::KeyRing,
    messages::{MailboxTask, Passage, Task},
    rng::Rng,
    step::{Next, Onward, StepError},
    store::{
        appointments::Appointments,
        due::{Due, DueEntry, Purpose, Subject},
        mailboxes::{Mailbox, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
    trail::Trail,
};

/// Graph asks that a subscription is not touched twice within ten minutes
/// (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const AT_REST: SignedDuration = SignedDuration::from_mins(10);

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
    /// When to renew.
    pub due: Due,
    /// The calendars.
    pub graph: Graph,
    /// The keys that make a client state prove itself.
    pub keys: Arc<KeyRing>,
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
    /// How far ahead a resync looks.
    pub horizon: SignedDuration,
}

/// Does one task for one mailbox.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(deps: &Deps, trail: &Trail, task: MailboxTask) -> Result<Vec<Next>, StepError> {
    let Some(tenant) = deps.tenants.get(task.tenant).await? else {
        unwatch(deps, &task).await?;
        return Err(StepError::Drop { reason: "the tenant is unknown" });
    };
    let Some((mailbox, etag)) = deps.mailboxes.get(task.tenant, task.mailbox).await? else {
        unwatch(deps, &task).await?;
        return Err(StepError::Drop { reason: "the mailbox is unknown" });
    };
    if let Some(nonce) = task.nonce
        && !mailbox.accepts(nonce, deps.clock.now())
    {
        return Err(StepError::Drop { reason: "the nonce is not the mailbox's own" });
    }
    let (correlation, registration) = (task.passage.correlation, tenant.registration);
    let context =
        CallContext { tenant: tenant.id, registration, correlation, trail: trail.clone() };
    let graph = deps.graph.for_tenant(context);
    let keeper = Keeper { deps, graph, tenant: &tenant, task: &task };
    keeper.run(mailbox, etag).await
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
    tenant: &'a Tenant,
    task: &'a MailboxTask,
}

impl Keeper<'_> {
    async fn run(&self, mailbox: Mailbox, etag: ETag) -> Result<Vec<Next>, StepError> {
        let wanted = mailbox.state.is_active() && self.tenant.state.is_active();
        match self.task.task {
            // Whoever has come back meanwhile stays subscribed, and is if they were not.
            Task::Unsubscribe | Task::Erase if wanted => self.subscribe(mailbox, etag).await,
            Task::Unsubscribe | Task::Erase => self.unsubscribe(mailbox, etag).await,
            // Whoever has withdrawn is not subscribed anew, whatever was still on its way.
            Task::Subscribe
            | Task::Renew
            | Task::Resync
            | Task::Reauthorize
            | Task::Removed
            | Task::Missed
                if !wanted =>
            {
                unwatch(self.deps, self.task).await?;
                Err(StepError::Drop { reason: "the mailbox or its tenant is not active" })
            }
            Task::Subscribe => self.subscribe(mailbox, etag).await,
            Task::Renew | Task::Reauthorize => self.renew(mailbox, etag).await,
            Task::Removed => self.replace_lost(mailbox, etag).await,
            Task::Resync | Task::Missed => self.resync(&mailbox).await,
        }
    }

    /// A resync of the same mailbox, as a task of its own, so that it is retried alone.
    fn then_resync(&self) -> Next {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let task =
            MailboxTask { task: Task::Resync, nonce: None, due: None, passage, ..*self.task };
        Next::now(Onward::Maintain(task))
    }

    fn renew_entry(&self, at: Timestamp) -> DueEntry {
        let subject = Subject::Mailbox(self.task.tenant, self.task.mailbox);
        DueEntry::new(Purpose::Renew, at, subject)
    }
}
