//! A delegate agrees for the owner of a calendar: only with proof, and never without the owner
//! being told.

use super::{
    agree::{AgreeOutcome, require_current_text},
    context::{DenialReason, Error, RequestContext},
};
use crate::{
    domain::{
        decision::{ConsentCapacity, DecisionKind},
        ids::MailboxId,
        personal::Personal,
    },
    graph::{CalendarRole, GraphError, Mail, TenantGraph, User},
    store::mailboxes::MailboxState,
};

/// What the owner is told: made of the texts, with the delegate's name and our page's address.
pub type NoticeTemplate<'a> = &'a (dyn Fn(&Personal) -> Mail + Send + Sync);

impl RequestContext<'_> {
    /// The visitor agrees for the person at the address `tenant_of_due_row`, as a delegate of that calendar.
    /// The proof is read from Graph once, and the addresses that it is compared with from the
    /// directory, never from a token.
    ///
    /// The owner is told before anything is written, so that no calendar is followed untold; a
    /// visit that ends in between is repeated, and then tells twice.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn agree_as_delegate(
        &self,
        owner: &Personal,
        text_version: &str,
        notice: NoticeTemplate<'_>,
    ) -> Result<AgreeOutcome, Error> {
        require_current_text(text_version)?;
        let tenant = self.load_tenant().await?;
        let sender = tenant.policy.mail_sender.filter(|_| tenant.policy.delegate_consent);
        let sender = sender.ok_or(DenialReason::DelegatesOff)?;
        if !tenant.state.is_active() {
            // Says which way it is not.
            self.eligibility_of(self.person).await?.check_may_agree()?;
        }
        let graph = self.graph(&tenant);
        let owner = graph.find_user(owner).await?.ok_or(DenialReason::OwnerUnknown)?;
        if owner.id == self.person {
            return Err(DenialReason::OwnCalendar.into());
        }
        let delegate = self.verify_delegate(&graph, owner.id).await?;
        let standing = self.eligibility_of(owner.id).await?;
        standing.check_may_agree()?;
        match standing.state() {
            Some(MailboxState::Active) => {
                return self.enrol(owner.id, ConsentCapacity::Delegate).await;
            }
            Some(MailboxState::Withdrawn(_) | MailboxState::Erased(..)) => {
                return Err(DenialReason::OwnerWithdrew.into());
            }
            Some(MailboxState::Paused) => {}
            None => self.require_never_withdrawn(owner.id).await?,
        }
        let to = owner.mail.as_ref().ok_or(DenialReason::OwnerNotNotified)?;
        match graph.send_mail(sender, to, &notice(&delegate.name)).await {
            Ok(()) => {
                let agreed = self.enrol(owner.id, ConsentCapacity::Delegate).await?;
                self.reconcile_if_policy_changed(&standing.tenant).await?;
                Ok(agreed)
            }
            Err(error @ GraphError::Retry { .. }) => Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, tenant = %self.tenant, "an owner could not be told");
                Err(DenialReason::OwnerNotNotified.into())
            }
        }
    }

    /// Who the visitor is, if the owner has made them a delegate.
    async fn verify_delegate(&self, graph: &TenantGraph, owner: MailboxId) -> Result<User, Error> {
        let own = Personal::new(self.person.to_string());
        let delegate = graph.find_user(&own).await?.ok_or(DenialReason::NotDelegate)?;
        let permissions = match graph.calendar_permissions(owner).await {
            Ok(permissions) => permissions,
            Err(error @ GraphError::Retry { .. }) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, tenant = %self.tenant, "a delegation cannot be read");
                return Err(DenialReason::DelegationUnreadable.into());
            }
        };
        let named = permissions.iter().any(|permission| {
            permission.role == CalendarRole::Delegate
                && delegate.addresses.contains(&permission.address)
        });
        if named { Ok(delegate) } else { Err(DenialReason::NotDelegate.into()) }
    }

    /// Whoever has left is not brought back by a delegate, even after the row is gone.
    async fn require_never_withdrawn(&self, owner: MailboxId) -> Result<(), Error> {
        let decisions = self.deps.register.list_about(self.tenant, owner).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.kind {
            // What others agreed to does not take the owner's own word back.
            DecisionKind::ConsentGranted { capacity: ConsentCapacity::Own, .. } => Some(false),
            DecisionKind::ConsentWithdrawn { .. } | DecisionKind::Erased { .. } => Some(true),
            DecisionKind::ConsentGranted {
                capacity: ConsentCapacity::Delegate | ConsentCapacity::Organisation,
                ..
            }
            | DecisionKind::Connected { .. }
            | DecisionKind::Suspended(_)
            | DecisionKind::Disconnected
            | DecisionKind::Deleted
            | DecisionKind::PolicyChanged { .. } => None,
        });
        if last == Some(true) { Err(DenialReason::OwnerWithdrew.into()) } else { Ok(()) }
    }
}
