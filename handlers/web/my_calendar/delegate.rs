//! A delegate agrees for the owner of a calendar: only with proof, and never without the owner
//! being told.

use super::{
    agree::{Agreed, is_current},
    visit::{Refusal, Trouble, Visit},
};
use crate::{
    domain::{
        decision::{How, What},
        ids::MailboxId,
        personal::Personal,
    },
    graph::{CalendarRole, GraphError, Mail, PersonRead, TenantGraph},
    store::mailboxes::MailboxState,
};

/// What the owner is told: made of the texts, with the delegate's name and our page's address.
pub type Notice<'a> = &'a (dyn Fn(&Personal) -> Mail + Send + Sync);

impl Visit<'_> {
    /// The visitor agrees for the person at the address `owner`, as a delegate of that calendar.
    /// The proof is read from Graph once, and the addresses that it is compared with from the
    /// directory, never from a token.
    ///
    /// The owner is told before anything is written, so that no calendar is followed untold; a
    /// visit that ends in between is repeated, and then tells twice.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn agree_for(
        &self,
        owner: &Personal,
        text_version: &str,
        notice: Notice<'_>,
    ) -> Result<Agreed, Trouble> {
        is_current(text_version)?;
        let tenant = self.organisation().await?;
        let sender = tenant.policy.mail.filter(|_| tenant.policy.delegates);
        let sender = sender.ok_or(Refusal::DelegatesOff)?;
        if !tenant.state.is_active() {
            // Says which way it is not.
            self.standing_of(self.person).await?.may_agree()?;
        }
        let graph = self.graph(&tenant);
        let owner = graph.person(owner).await?.ok_or(Refusal::OwnerUnknown)?;
        if owner.id == self.person {
            return Err(Refusal::OwnCalendar.into());
        }
        let delegate = self.proved(&graph, owner.id).await?;
        let standing = self.standing_of(owner.id).await?;
        standing.may_agree()?;
        match standing.state() {
            Some(MailboxState::Active) => return self.follow(owner.id, How::Delegate).await,
            Some(MailboxState::Withdrawn(_) | MailboxState::Erased(..)) => {
                return Err(Refusal::OwnerWithdrew.into());
            }
            Some(MailboxState::Paused) => {}
            None => self.never_left(owner.id).await?,
        }
        let to = owner.mail.as_ref().ok_or(Refusal::OwnerNotTold)?;
        match graph.send_mail(sender, to, &notice(&delegate.name)).await {
            Ok(()) => {
                let agreed = self.follow(owner.id, How::Delegate).await?;
                self.decided_meanwhile(&standing.tenant).await?;
                Ok(agreed)
            }
            Err(error @ GraphError::Wait { .. }) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, tenant = %self.tenant, "an owner could not be told");
                Err(Refusal::OwnerNotTold.into())
            }
        }
    }

    /// Who the visitor is, if the owner has made them a delegate.
    async fn proved(&self, graph: &TenantGraph, owner: MailboxId) -> Result<PersonRead, Trouble> {
        let own = Personal::new(self.person.to_string());
        let delegate = graph.person(&own).await?.ok_or(Refusal::NotDelegate)?;
        let permissions = match graph.permissions_on(owner).await {
            Ok(permissions) => permissions,
            Err(error @ GraphError::Wait { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, tenant = %self.tenant, "a delegation cannot be read");
                return Err(Refusal::ProofUnreadable.into());
            }
        };
        let named = permissions.iter().any(|permission| {
            permission.role == CalendarRole::Delegate
                && delegate.addresses.contains(&permission.address)
        });
        if named { Ok(delegate) } else { Err(Refusal::NotDelegate.into()) }
    }

    /// Whoever has left is not brought back by a delegate, even after the row is gone.
    async fn never_left(&self, owner: MailboxId) -> Result<(), Trouble> {
        let decisions = self.deps.register.about(self.tenant, owner).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.what {
            // What others agreed to does not take the owner's own word back.
            What::Agreed { how: How::Own, .. } => Some(false),
            What::Withdrew { .. } | What::Erased { .. } => Some(true),
            What::Agreed { how: How::Delegate | How::Organisation, .. }
            | What::Connected { .. }
            | What::Suspended(_)
            | What::Disconnected
            | What::Deleted
            | What::PolicyChanged { .. } => None,
        });
        if last == Some(true) { Err(Refusal::OwnerWithdrew.into()) } else { Ok(()) }
    }
}
