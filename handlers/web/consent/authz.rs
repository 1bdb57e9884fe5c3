//! The gate: only an administrator of an invited tenant comes through, and only to that tenant.

use std::time::Duration;

use super::Deps;
use crate::{
    base::call_log::CallLog,
    domain::{
        decision::{Decision, DecisionKind},
        ids::{CorrelationId, MailboxId, TenantId},
        policy::Registration,
        tenancy::TenantState,
    },
    graph::{CallContext, TenantGraph},
    messages::{JobMeta, MailboxTask, MailboxTaskKind, Message, TenantTask, TenantTaskKind},
    store::{tables::ETag, tenants::Tenant},
    web::layout::{CurrentUser, PageError, Section, texts::Texts},
};

/// Whoever may decide for the tenant of the session.
///
/// # Errors
/// [`PageError::NotAdministrator`], [`PageError::NotInvited`].
pub(super) fn require_invited_admin(deps: &Deps, user: &CurrentUser) -> Result<(), PageError> {
    require_admin(user)?;
    if !deps.invited_tenants.contains(&user.tenant()) {
        return Err(PageError::NotInvited);
    }
    Ok(())
}

/// Whoever may see the evidence and disconnect: an administrator, also of a tenant that is not
/// invited any more. Nobody is kept in by us.
///
/// # Errors
/// [`PageError::NotAdministrator`].
pub(super) fn require_admin(user: &CurrentUser) -> Result<(), PageError> {
    if user.is_administrator() { Ok(()) } else { Err(PageError::NotAdministrator) }
}

/// The administrator's tenant, which is connected: active or suspended.
///
/// # Errors
/// Those of [`administrator`]; [`PageError::NotConnected`].
pub(super) async fn require_connected_tenant(
    deps: &Deps,
    user: &CurrentUser,
) -> Result<(Tenant, ETag), PageError> {
    require_invited_admin(deps, user)?;
    let found = deps.tenants.get_with_etag(user.tenant()).await?;
    let (tenant, etag) = found.ok_or(PageError::NotConnected)?;
    match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => Ok((tenant, etag)),
        TenantState::Disconnecting | TenantState::Deleted(_) => Err(PageError::NotConnected),
    }
}

/// The pages of a connected tenant.
pub(super) fn sections(t: &Texts) -> [Section; 8] {
    let section = |step, name| Section { path: step, label: name };
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
    pub(super) fn new_correlation_id(&self) -> CorrelationId {
        CorrelationId(self.rng.uuid().as_u128())
    }

    /// Graph for `tenant` by `registration`; the calls go into `trail`.
    pub(super) fn graph(
        &self,
        tenant: TenantId,
        registration: Registration,
        calls: &CallLog,
    ) -> TenantGraph {
        let (correlation, trail) = (self.new_correlation_id(), calls.clone());
        self.graph.for_tenant(CallContext { tenant, registration, correlation, calls: trail })
    }

    /// Adds `what` to the register of the visitor's tenant, about `list_about` or the whole tenant.
    ///
    /// # Errors
    /// [`PageError`] when it was not written.
    pub(super) async fn record_decision(
        &self,
        user: &CurrentUser,
        about: Option<MailboxId>,
        what: DecisionKind,
    ) -> Result<(), PageError> {
        let (tenant, at, by) = (user.tenant(), self.clock.now(), Some(user.person()));
        Ok(self.register.add(&Decision { tenant, at, by, about, kind: what }).await?)
    }

    /// Tells `maintain-tenant`.
    ///
    /// # Errors
    /// [`PageError::StorageUnavailable`].
    pub(super) async fn enqueue_tenant_task(
        &self,
        tenant: TenantId,
        work: TenantTaskKind,
    ) -> Result<(), PageError> {
        let passage = JobMeta::new(self.new_correlation_id(), self.clock.now());
        let task = TenantTask { tenant, kind: work, meta: passage };
        Ok(self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await?)
    }

    /// Tells `maintain-mailbox`.
    ///
    /// # Errors
    /// [`PageError::StorageUnavailable`].
    pub(super) async fn enqueue_mailbox_task(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
        task: MailboxTaskKind,
    ) -> Result<(), PageError> {
        let passage = JobMeta::new(self.new_correlation_id(), self.clock.now());
        let task =
            MailboxTask { tenant, mailbox, kind: task, nonce: None, due: None, meta: passage };
        Ok(self.outbox.send(task.queue(), task.to_text(), Duration::ZERO).await?)
    }
}
