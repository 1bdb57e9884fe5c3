//! What applies to a person: where the organisation stands, whether the calendar may be followed at
//! all, and whether it is.

use super::visit::{Refusal, Trouble, Visit};
use crate::{
    domain::{
        decision::How,
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
pub enum Bounds {
    /// It may.
    Within,
    /// It is not in the scope group.
    OutOfScope,
    /// The administrator excluded it.
    Excluded,
    /// It is a managed room's.
    Room,
    /// Graph does not say for now whether it is in the scope group, or was not asked because the
    /// organisation is not active.
    Unknown(Option<GraphError>),
}

/// What applies to one mailbox.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its organisation, and what that has decided.
    pub tenant: Tenant,
    /// Whether it may be followed.
    pub bounds: Bounds,
    /// Its row and the version that was read; `None` when nothing is stored.
    pub mailbox: Option<(Mailbox, ETag)>,
}

impl Standing {
    /// The mailbox's state; `None` when nothing is stored.
    pub fn state(&self) -> Option<MailboxState> {
        self.mailbox.as_ref().map(|(mailbox, _)| mailbox.state)
    }

    /// In which capacity somebody agreed to what is followed now; `None` when it is not followed,
    /// or was switched on without a record of who agreed.
    pub fn consent(&self) -> Option<How> {
        let (mailbox, _) = self.mailbox.as_ref()?;
        let consent = mailbox.consent.as_ref().filter(|_| mailbox.state.is_active())?;
        Some(consent.how)
    }

    /// Whether somebody may agree that the mailbox is followed.
    ///
    /// # Errors
    /// The first [`Refusal`] that stands in the way, or that it cannot be said for now.
    pub fn may_agree(&self) -> Result<(), Trouble> {
        match self.tenant.state {
            TenantState::Active => {}
            TenantState::Suspended(_) => return Err(Refusal::TenantSuspended.into()),
            TenantState::Leaving => return Err(Refusal::TenantLeaving.into()),
            TenantState::Left(_) => return Err(Refusal::TenantUnknown.into()),
        }
        match &self.bounds {
            Bounds::Within => Ok(()),
            Bounds::OutOfScope => Err(Refusal::OutOfScope.into()),
            Bounds::Excluded => Err(Refusal::Excluded.into()),
            Bounds::Room => Err(Refusal::Room.into()),
            Bounds::Unknown(Some(error)) => Err(error.clone().into()),
            Bounds::Unknown(None) => Err(Refusal::TenantSuspended.into()),
        }
    }
}

impl Visit<'_> {
    /// The visitor's organisation as it is.
    ///
    /// # Errors
    /// [`Refusal::TenantUnknown`] when it is not connected or has left.
    pub async fn organisation(&self) -> Result<Tenant, Trouble> {
        let tenant = self.deps.tenants.get_uncached(self.tenant).await?;
        let known = tenant.filter(|tenant| !matches!(tenant.state, TenantState::Left(_)));
        known.ok_or_else(|| Refusal::TenantUnknown.into())
    }

    /// What applies to the mailbox of `who` in the visitor's organisation. Graph is asked only
    /// where there is a scope group, and never for an organisation that is not active.
    ///
    /// # Errors
    /// [`Trouble`]: the organisation is unknown, or storage does not answer.
    pub async fn standing_of(&self, who: MailboxId) -> Result<Standing, Trouble> {
        let tenant = self.organisation().await?;
        let mailbox = self.deps.mailboxes.get(tenant.id, who).await?;
        let is_room = match &mailbox {
            Some((mailbox, _)) => mailbox.kind == MailboxKind::Room,
            None => {
                let rooms = self.deps.rooms.all(tenant.id).await?;
                rooms.iter().any(|room| room.id == RoomId(who.0))
            }
        };
        let bounds = if is_room { Bounds::Room } else { self.bounds(&tenant, who).await };
        Ok(Standing { tenant, bounds, mailbox })
    }

    async fn bounds(&self, tenant: &Tenant, who: MailboxId) -> Bounds {
        let policy = &tenant.policy;
        if policy.excluded.contains(&who) {
            return Bounds::Excluded;
        }
        let in_group = match policy.scope_group {
            None => false,
            Some(_) if !tenant.state.is_active() => return Bounds::Unknown(None),
            Some(group) => match self.graph(tenant).is_member(who, group).await {
                Ok(in_group) => in_group,
                Err(error) => {
                    tracing::warn!(%error, tenant = %tenant.id, "membership is not known");
                    return Bounds::Unknown(Some(error));
                }
            },
        };
        if policy.admits(who, in_group) { Bounds::Within } else { Bounds::OutOfScope }
    }
}
