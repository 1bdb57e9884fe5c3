//! What applies to a person: whether the organisation is active, whether we may follow the calendar,
//! and whether we do.

use super::{
    context::RequestContext,
    error::{DenialReason, Error},
};
use crate::{
    domain::{
        ids::{MailboxId, RoomId},
        tenant::{TenantState, decision::ConsentCapacity},
    },
    graph::GraphError,
    store::{
        mailboxes::{Mailbox, MailboxKind, MailboxState},
        tenants::Tenant,
    },
};

/// Whether we may follow a mailbox, by its tenant's decisions.
#[derive(PartialEq, Eq)]
pub(super) enum ScopeStatus {
    InScope,
    /// It is not in the scope group.
    OutOfScope,
    Excluded,
    /// It belongs to a managed room.
    RoomMailbox,
    /// Graph cannot say now whether it is in the scope group, or was not asked because the
    /// organisation is not active.
    Unknown(Option<GraphError>),
}

/// What applies to one mailbox.
pub(super) struct Eligibility {
    pub(super) tenant: Tenant,
    pub(super) scope: ScopeStatus,
    /// Its row; `None` when nothing is stored.
    pub(super) mailbox: Option<Mailbox>,
}

impl Eligibility {
    /// The mailbox's state; `None` when nothing is stored.
    pub(super) fn state(&self) -> Option<MailboxState> {
        self.mailbox.as_ref().map(|mailbox| mailbox.state)
    }

    /// In which capacity somebody agreed to what we follow now; `None` when we do not follow it, or
    /// follow it without a record of who agreed.
    pub(super) fn consent_kind(&self) -> Option<ConsentCapacity> {
        let mailbox = self.mailbox.as_ref().filter(|mailbox| mailbox.state.is_active())?;
        Some(mailbox.consent.as_ref()?.capacity)
    }

    /// Whether delegates may agree for owners: only where we can notify the owners.
    pub(super) fn allows_delegates(&self) -> bool {
        self.tenant.policy.delegate_consent && self.tenant.policy.mail_sender.is_some()
    }

    /// Whether somebody may agree that we follow the mailbox; if not, the first reason.
    pub(super) fn check_may_agree(&self) -> Result<(), Error> {
        match self.tenant.state {
            TenantState::Active => {}
            TenantState::Suspended(_) => return Err(DenialReason::TenantSuspended.into()),
            TenantState::Disconnecting => return Err(DenialReason::TenantLeaving.into()),
            TenantState::Deleted(_) => return Err(DenialReason::TenantUnknown.into()),
        }
        match &self.scope {
            ScopeStatus::InScope => Ok(()),
            ScopeStatus::OutOfScope => Err(DenialReason::OutOfScope.into()),
            ScopeStatus::Excluded => Err(DenialReason::Excluded.into()),
            ScopeStatus::RoomMailbox => Err(DenialReason::RoomMailbox.into()),
            ScopeStatus::Unknown(Some(error)) => Err(error.clone().into()),
            ScopeStatus::Unknown(None) => Err(DenialReason::TenantSuspended.into()),
        }
    }
}

impl RequestContext<'_> {
    /// What applies to the mailbox `id` in the person's organisation. Graph is asked only where there
    /// is a scope group, and never for an organisation that is not active.
    pub(super) async fn eligibility_of(&self, id: MailboxId) -> Result<Eligibility, Error> {
        let tenant = self.load_tenant().await?;
        let mailbox = self.deps.mailboxes.get(tenant.id, id).await?.map(|(mailbox, _)| mailbox);
        let is_room = match &mailbox {
            Some(mailbox) => mailbox.kind == MailboxKind::Room,
            // A room that is managed but has no row yet must not be taken for a person.
            None => {
                let rooms = self.deps.rooms.list(tenant.id).await?;
                rooms.iter().any(|room| room.id == RoomId(id.0))
            }
        };
        let scope = match is_room {
            true => ScopeStatus::RoomMailbox,
            false => self.scope_status(&tenant, id).await,
        };
        Ok(Eligibility { tenant, scope, mailbox })
    }

    async fn scope_status(&self, tenant: &Tenant, id: MailboxId) -> ScopeStatus {
        let policy = &tenant.policy;
        // First: Graph is not asked about somebody who is excluded anyway.
        if policy.excluded_mailboxes.contains(&id) {
            return ScopeStatus::Excluded;
        }
        let in_group = match policy.scope_group {
            None => false,
            Some(_) if !tenant.state.is_active() => return ScopeStatus::Unknown(None),
            Some(group) => match self.graph(tenant).is_member(id, group).await {
                Ok(in_group) => in_group,
                // The page is shown all the same: withdrawing does not depend on the group.
                Err(error) => {
                    tracing::warn!(%error, "group membership could not be read");
                    return ScopeStatus::Unknown(Some(error));
                }
            },
        };
        match policy.allows_mailbox(id, in_group) {
            true => ScopeStatus::InScope,
            false => ScopeStatus::OutOfScope,
        }
    }
}
