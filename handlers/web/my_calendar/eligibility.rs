//! What applies to a person: where the organisation stands, whether the calendar may be followed at
//! all, and whether it is.

use super::context::{DenialReason, Error, RequestContext};
use crate::{
    domain::{
        decision::ConsentCapacity,
        ids::{MailboxId, RoomId},
        tenancy::TenantState,
    },
    graph::GraphError,
    store::{
        mailboxes::{Mailbox, MailboxKind, MailboxState},
        tables::ETag,
        tenants::Tenant,
    },
};

/// Whether a mailbox may be followed, by its tenant's decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeStatus {
    /// It may.
    InScope,
    /// It is not in the scope group.
    OutOfScope,
    /// The administrator excluded it.
    Excluded,
    /// It is a managed room's.
    RoomMailbox,
    /// Graph does not say for now whether it is in the scope group, or was not asked because the
    /// organisation is not active.
    Unknown(Option<GraphError>),
}

/// What applies to one mailbox.
#[derive(Debug, Clone)]
pub struct Eligibility {
    /// Its organisation, and what that has decided.
    pub tenant: Tenant,
    /// Whether it may be followed.
    pub scope: ScopeStatus,
    /// Its row and the version that was read; `None` when nothing is stored.
    pub mailbox: Option<(Mailbox, ETag)>,
}

impl Eligibility {
    /// The mailbox's state; `None` when nothing is stored.
    pub fn state(&self) -> Option<MailboxState> {
        self.mailbox.as_ref().map(|(mailbox, _)| mailbox.state)
    }

    /// In which capacity somebody agreed to what is followed now; `None` when it is not followed,
    /// or was switched on without a record of who agreed.
    pub fn consent_kind(&self) -> Option<ConsentCapacity> {
        let (mailbox, _) = self.mailbox.as_ref()?;
        let consent = mailbox.consent.as_ref().filter(|_| mailbox.state.is_active())?;
        Some(consent.capacity)
    }

    /// Whether somebody may agree that the mailbox is followed.
    ///
    /// # Errors
    /// The first [`Refusal`] that stands in the way, or that it cannot be said for now.
    pub fn check_may_agree(&self) -> Result<(), Error> {
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
    /// The visitor's organisation as it is.
    ///
    /// # Errors
    /// [`Refusal::TenantUnknown`] when it is not connected or has left.
    pub async fn load_tenant(&self) -> Result<Tenant, Error> {
        let tenant = self.deps.tenants.get_uncached(self.tenant).await?;
        let known = tenant.filter(|tenant| !matches!(tenant.state, TenantState::Deleted(_)));
        known.ok_or_else(|| DenialReason::TenantUnknown.into())
    }

    /// What applies to the mailbox of `who` in the visitor's organisation. Graph is asked only
    /// where there is a scope group, and never for an organisation that is not active.
    ///
    /// # Errors
    /// [`Trouble`]: the organisation is unknown, or storage does not answer.
    pub async fn eligibility_of(&self, who: MailboxId) -> Result<Eligibility, Error> {
        let tenant = self.load_tenant().await?;
        let mailbox = self.deps.mailboxes.get(tenant.id, who).await?;
        let is_room = match &mailbox {
            Some((mailbox, _)) => mailbox.kind == MailboxKind::Room,
            None => {
                let rooms = self.deps.rooms.list(tenant.id).await?;
                rooms.iter().any(|room| room.id == RoomId(who.0))
            }
        };
        let bounds =
            if is_room { ScopeStatus::RoomMailbox } else { self.scope_status(&tenant, who).await };
        Ok(Eligibility { tenant, scope: bounds, mailbox })
    }

    async fn scope_status(&self, tenant: &Tenant, who: MailboxId) -> ScopeStatus {
        let policy = &tenant.policy;
        if policy.excluded_mailboxes.contains(&who) {
            return ScopeStatus::Excluded;
        }
        let in_group = match policy.scope_group {
            None => false,
            Some(_) if !tenant.state.is_active() => return ScopeStatus::Unknown(None),
            Some(group) => match self.graph(tenant).is_member(who, group).await {
                Ok(in_group) => in_group,
                Err(error) => {
                    tracing::warn!(%error, tenant = %tenant.id, "membership is not known");
                    return ScopeStatus::Unknown(Some(error));
                }
            },
        };
        if policy.allows_mailbox(who, in_group) {
            ScopeStatus::InScope
        } else {
            ScopeStatus::OutOfScope
        }
    }
}
