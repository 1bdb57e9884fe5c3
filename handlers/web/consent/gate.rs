//! The gate: only an administrator of an invited tenant comes through, and only to that tenant.

use std::time::Duration;

use super::Deps;
use crate::{
    base::call_log::Trail,
    domain::{
        decision::{Decision, What},
        ids::{CorrelationId, MailboxId, TenantId},
        policy::Registration,
        tenancy::TenantState,
    },
    graph::{CallContext, TenantGraph},
    messages::{MailboxTask, Message, Passage, Task, TenantTask, TenantWork},
    store::{tables::ETag, tenants::Tenant},
    web::layout::{Problem, Section, Visitor, texts::Texts},
};

/// Whoever may decide for the tenant of the session.
///
/// # Errors
/// [`Problem::NotAdministrator`], [`Problem::NotInvited`].
pub(super) fn administrator(deps: &Deps, visitor: &Visitor) -> Result<(), Problem> {
    may_leave(visitor)?;
    if !deps.invited.contains(&visitor.tenant()) {
        return Err(Problem::NotInvited);
    }
    Ok(())
}

/// Whoever may see the evidence and disconnect: an administrator, also of a tenant that is not
/// invited any more. Nobody is kept in by us.
///
/// # Errors
/// [`Problem::NotAdministrator`].
pub(super) fn may_leave(visitor: &Visitor) -> Result<(), Problem> {
    if visitor.is_administrator() { Ok(()) } else { Err(Problem::NotAdministrator) }
}

/// The administrator's tenant, which is connected: active or suspended.
///
/// # Errors
/// Those of [`administrator`]; [`Problem::NotConnected`].
pub(super) async fn connected(deps: &Deps, visitor: &Visitor) -> Result<(Tenant, ETag), Problem> {
    administrator(deps, visitor)?;
    let found = deps.tenants.read(visitor.tenant()).await?;
    let (tenant, etag) = found.ok_or(Problem::NotConnected)?;
    match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => Ok((tenant, etag)),
        TenantState::Leaving | TenantState::Left(_) => Err(Problem::NotConnected),
    }
}

/// The pages of a connected tenant.
pub(super) fn sections(t: &Texts) -> [Section; 8] {
    let section = |step, name| Section { step, name };
    [
        section("", t.dashboard.title),
        section("health", t.health.title),
        section("policy", t.policy.title),
        section("rooms", t.rooms.title),
        section("reach", t.reach.title),
        section("register", t.register.title),
        section("audit", t.audit.title),
        section("disconnect", t.disconnect.title),
    ]
}

impl Deps {
    /// A fresh correlation for what one request causes.
    pub(super) fn correlation(&self) -> CorrelationId {
        CorrelationId(self.rng.uuid().as_u128())
    }

    /// Graph for `tenant` by `registration`; the calls go into `trail`.
    pub(super) fn graph(
        &self,
        tenant: TenantId,
        registration: Registration,
        trail: &Trail,
    ) -> TenantGraph {
        let (correlation, trail) = (self.correlation(), trail.clone());
        self.graph.for_tenant(CallContext { tenant, registration, correlation, trail })
    }

    /// Adds `what` to the register of the visitor's tenant, about `about` or the whole tenant.
    ///
    /// # Errors
    /// [`Problem`] when it was not written.
    pub(super) async fn decided(
        &self,
        visitor: &Visitor,
        about: Option<MailboxId>,
        what: What,
    ) -> Result<(), Problem> {
        let (tenant, at, by) = (visitor.tenant(), self.clock.now(), Some(visitor.person()));
        Ok(self.register.add(&Decision { tenant, at, by, about, what }).await?)
    }

    /// Tells `maintain-tenant`.
    ///
    /// # Errors
    /// [`Problem::StorageUnavailable`].
    pub(super) async fn tell_tenant(
        &self,
        tenant: TenantId,
        work: TenantWork,
    ) -> Result<(), Problem> {
        let passage = Passage::start(self.correlation(), self.clock.now());
        let task = TenantTask { tenant, work, passage };
        Ok(self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await?)
    }

    /// Tells `maintain-mailbox`.
    ///
    /// # Errors
    /// [`Problem::StorageUnavailable`].
    pub(super) async fn tell_mailbox(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        task: Task,
    ) -> Result<(), Problem> {
        let passage = Passage::start(self.correlation(), self.clock.now());
        let task = MailboxTask { tenant, mailbox, task, nonce: None, due: None, passage };
        Ok(self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await?)
    }
}
