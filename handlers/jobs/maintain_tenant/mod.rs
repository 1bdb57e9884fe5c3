//! `maintain-tenant`: keeps one tenant connected, in line with its policy, or forgotten.
//!
//! Every task is a look at the truth, like everywhere: it reads the tenant uncached, does what is
//! missing, and may be cut off at any point and repeated. What takes long goes on in a message of
//! its own: a pass over the mailboxes shard by shard, leaving in rounds.

mod check;
mod connect;
mod enrol;
mod leave;
mod reconcile_policy;
mod tasks;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    base::{call_log::CallLog, clock::Clock, invocation::Invocation, rng::Rng},
    domain::ids::MailboxId,
    graph::{CallContext, Graph, TenantGraph},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, JobError},
    },
    messages::{TenantTask, TenantTaskKind},
    store::{
        mailboxes::{Mailbox, MailboxState, Mailboxes},
        register::Register,
        rooms::RoomMap,
        tables::ETag,
        tenant_data::TenantData,
        tenants::{Tenant, Tenants},
    },
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Whose calendars are followed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What was decided.
    pub register: Register,
    /// All that there is about a tenant.
    pub data: TenantData,
    /// The directory.
    pub graph: Graph,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = TenantTask;
    type Item = TenantTask;

    async fn run(&self, invocation: &Invocation, task: TenantTask) -> Outcomes<TenantTask> {
        let outcome = run(self, invocation, task.clone()).await;
        vec![(task, outcome)].into()
    }
}

/// Does one task for one tenant.
///
/// # Errors
/// [`JobError`] says whether it waits, counts, or is over.
async fn run(
    deps: &Deps,
    invocation: &Invocation,
    task: TenantTask,
) -> Result<Vec<Enqueue>, JobError> {
    let calls = &invocation.calls;
    // Never from the cache: an administrator has just decided something.
    let Some((tenant, etag)) = deps.tenants.get_with_etag(task.tenant).await? else {
        return Err(JobError::Discard { reason: "the tenant is unknown" });
    };
    let keeper = TenantWorker { deps, calls, task: &task };
    match &task.kind {
        TenantTaskKind::Connect => keeper.connect(tenant).await,
        TenantTaskKind::ReconcilePolicy { from } => keeper.reconcile_policy(tenant, *from).await,
        TenantTaskKind::Leave => keeper.leave(tenant, etag).await,
        TenantTaskKind::CheckAccess => keeper.check_access(tenant).await,
    }
}

/// One worker at one tenant.
struct TenantWorker<'a> {
    deps: &'a Deps,
    calls: &'a CallLog,
    task: &'a TenantTask,
}

/// A mailbox as it was read, and what it is to become.
struct MailboxStateChange {
    mailbox: Mailbox,
    etag: ETag,
    to: MailboxState,
}

impl TenantWorker<'_> {
    fn graph(&self, tenant: &Tenant) -> TenantGraph {
        self.deps.graph.for_tenant(CallContext {
            tenant: tenant.id,
            registration: tenant.registration,
            correlation: self.task.meta.correlation,
            calls: self.calls.clone(),
        })
    }

    /// Writes where a mailbox stands; `None` when somebody else was faster, whose word then stands.
    async fn set_state(&self, change: MailboxStateChange) -> Result<Option<Mailbox>, JobError> {
        let MailboxStateChange { mailbox, etag, to } = change;
        if mailbox.state == to {
            return Ok(Some(mailbox));
        }
        let after = Mailbox { state: to, ..mailbox };
        match self.deps.mailboxes.replace(&after, &etag).await {
            Ok(_) => Ok(Some(after)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether anything of the mailbox may be with Graph, or looks at it from time to time.
fn is_followed(mailbox: &Mailbox) -> bool {
    mailbox.subscription.is_some() || mailbox.nonce.is_some() || mailbox.polling.is_some()
}

/// Whether the mailbox is subscribed at `now`, or polled where it cannot be.
fn is_covered(mailbox: &Mailbox, now: Timestamp) -> bool {
    let alive = mailbox.subscription.as_ref().is_some_and(|made| made.expires_at > now);
    alive || mailbox.polling.is_some()
}

/// Whether its notifications bring content and should bring ids alone, or the other way round.
fn has_wrong_content_mode(mailbox: &Mailbox, tenant: &Tenant) -> bool {
    let made = mailbox.subscription.as_ref();
    made.is_some_and(|made| made.content_key.is_some() != tenant.policy.rich_notifications)
}

/// Rooms by their mailboxes' ids.
fn is_managed_room(rooms: &[crate::domain::policy::Room], mailbox: MailboxId) -> bool {
    rooms.iter().any(|room| room.id.mailbox() == mailbox)
}
