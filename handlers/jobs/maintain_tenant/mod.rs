//! `maintain-tenant`: keeps one tenant connected, in line with its policy, or forgotten.
//!
//! Every task is a look at the truth, like everywhere: it reads the tenant uncached, does what is
//! missing, and may be cut off at any point and repeated. What takes long goes on in a message of
//! its own: a pass over the mailboxes shard by shard, leaving in rounds.

mod align;
mod check;
mod connect;
mod enrol;
mod leave;
mod tasks;

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    domain::ids::MailboxId,
    graph::{CallContext, Graph, TenantGraph},
    jobs::runner::job::{Next, StepError},
    messages::{TenantTask, TenantWork},
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

/// Does one task for one tenant.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(deps: &Deps, trail: &Trail, task: TenantTask) -> Result<Vec<Next>, StepError> {
    // Never from the cache: an administrator has just decided something.
    let Some((tenant, etag)) = deps.tenants.read(task.tenant).await? else {
        return Err(StepError::Drop { reason: "the tenant is unknown" });
    };
    let keeper = Keeper { deps, trail, task: &task };
    match &task.work {
        TenantWork::Connect => keeper.connect(tenant).await,
        TenantWork::Align { from } => keeper.align(tenant, *from).await,
        TenantWork::Leave => keeper.leave(tenant, etag).await,
        TenantWork::Check => keeper.check(tenant).await,
    }
}

/// One worker at one tenant.
struct Keeper<'a> {
    deps: &'a Deps,
    trail: &'a Trail,
    task: &'a TenantTask,
}

/// A mailbox as it was read, and what it is to become.
struct Change {
    mailbox: Mailbox,
    etag: ETag,
    to: MailboxState,
}

impl Keeper<'_> {
    fn graph(&self, tenant: &Tenant) -> TenantGraph {
        self.deps.graph.for_tenant(CallContext {
            tenant: tenant.id,
            registration: tenant.registration,
            correlation: self.task.passage.correlation,
            trail: self.trail.clone(),
        })
    }

    /// Writes where a mailbox stands; `None` when somebody else was faster, whose word then stands.
    async fn set(&self, change: Change) -> Result<Option<Mailbox>, StepError> {
        let Change { mailbox, etag, to } = change;
        if mailbox.state == to {
            return Ok(Some(mailbox));
        }
        let after = Mailbox { state: to, ..mailbox };
        match self.deps.mailboxes.replace(&after, &etag).await {
            Ok(_) => Ok(Some(after)),
            Err(error) if error.is_changed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether anything of the mailbox may be with Graph, or looks at it from time to time.
fn is_followed(mailbox: &Mailbox) -> bool {
    mailbox.subscription.is_some() || mailbox.nonce.is_some() || mailbox.polled.is_some()
}

/// Whether the mailbox is subscribed at `now`, or polled where it cannot be.
fn is_caught(mailbox: &Mailbox, now: Timestamp) -> bool {
    let alive = mailbox.subscription.as_ref().is_some_and(|made| made.expires > now);
    alive || mailbox.polled.is_some()
}

/// Whether its notifications bring content and should bring ids alone, or the other way round.
fn is_of_other_kind(mailbox: &Mailbox, tenant: &Tenant) -> bool {
    let made = mailbox.subscription.as_ref();
    made.is_some_and(|made| made.content_key.is_some() != tenant.policy.rich)
}

/// Rooms by their mailboxes' ids.
fn is_managed(rooms: &[crate::domain::policy::Room], mailbox: MailboxId) -> bool {
    rooms.iter().any(|room| room.id.mailbox() == mailbox)
}
