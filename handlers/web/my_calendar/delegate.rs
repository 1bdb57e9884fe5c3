//! A delegate agrees for the owner of a calendar: only with proof, and only after we notified the
//! owner.

use super::{
    consent_text::require_current_text,
    context::RequestContext,
    error::{DenialReason, Error},
};
use crate::{
    domain::{
        ids::MailboxId,
        personal::Personal,
        tenant::decision::{ConsentCapacity, DecisionKind},
    },
    graph::{GraphError, TenantGraph, User},
    store::mailboxes::MailboxState,
};

impl RequestContext<'_> {
    /// The person agrees for the owner with this address, as a delegate of that calendar. We read the
    /// proof from Graph once, and compare it with addresses from the directory, never from a token.
    ///
    /// We notify the owner before we write anything, so that no calendar is followed without its owner
    /// knowing. A request that ends in between is repeated, and then notifies twice. Returns `false`
    /// when the calendar is followed already.
    pub(super) async fn agree_as_delegate(
        &self,
        owner: &Personal,
        text_version: &str,
    ) -> Result<bool, Error> {
        require_current_text(text_version)?;
        let tenant = self.load_tenant().await?;
        let sender = tenant.policy.mail_sender.filter(|_| tenant.policy.delegate_consent);
        let sender = sender.ok_or(DenialReason::DelegatesOff)?;
        // Before Graph is asked: without access it would only say that it denies us.
        if !tenant.state.is_active() {
            self.eligibility_of(self.person).await?.check_may_agree()?;
        }
        let graph = self.graph(&tenant);
        let owner = graph.find_user(owner).await?.ok_or(DenialReason::OwnerUnknown)?;
        if owner.id == self.person {
            return Err(DenialReason::OwnCalendar.into());
        }
        let delegate = self.verify_delegate(&graph, owner.id).await?;
        let eligibility = self.eligibility_of(owner.id).await?;
        eligibility.check_may_agree()?;
        match eligibility.state() {
            // Nothing new for the owner to know: no mail.
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
        let notice = self.deps.delegate_notice(&delegate.name);
        let sent = graph.send_mail(sender, to, &notice).await;
        sent.map_err(|error| unless_retry(error, DenialReason::OwnerNotNotified))?;
        let recorded = self.enrol(owner.id, ConsentCapacity::Delegate).await?;
        self.reconcile_if_policy_changed(&eligibility.tenant).await?;
        Ok(recorded)
    }

    /// The person's directory entry, if the owner has made them a delegate.
    async fn verify_delegate(&self, graph: &TenantGraph, owner: MailboxId) -> Result<User, Error> {
        let own = Personal::new(self.person.to_string());
        let delegate = graph.find_user(&own).await?.ok_or(DenialReason::NotDelegate)?;
        let delegates = graph.calendar_delegates(owner).await;
        let delegates =
            delegates.map_err(|error| unless_retry(error, DenialReason::DelegationUnreadable))?;
        // Both sides from Microsoft: an address that a token or a form brings proves nothing.
        let named = delegates.iter().any(|address| delegate.addresses.contains(address));
        if named { Ok(delegate) } else { Err(DenialReason::NotDelegate.into()) }
    }

    /// A delegate cannot agree for an owner who has withdrawn, not even after the row is deleted.
    async fn require_never_withdrawn(&self, owner: MailboxId) -> Result<(), Error> {
        let decisions = self.deps.register.list_about(self.invocation.tenant, owner).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.kind {
            // What others agreed to does not undo the owner's withdrawal.
            DecisionKind::ConsentGranted { capacity: ConsentCapacity::Own, .. } => Some(false),
            DecisionKind::ConsentWithdrawn { .. } | DecisionKind::Erased { .. } => Some(true),
            DecisionKind::ConsentGranted {
                capacity: ConsentCapacity::Delegate | ConsentCapacity::Organisation,
                ..
            }
            | DecisionKind::Connected { .. }
            | DecisionKind::Suspended(_)
            | DecisionKind::Resumed
            | DecisionKind::Disconnected
            | DecisionKind::Deleted
            | DecisionKind::PolicyChanged { .. }
            | DecisionKind::BookingSystem { .. } => None,
        });
        if last == Some(true) { Err(DenialReason::OwnerWithdrew.into()) } else { Ok(()) }
    }
}

/// A failure that repeating the request cannot mend is a reason of its own.
fn unless_retry(error: GraphError, reason: DenialReason) -> Error {
    if matches!(error, GraphError::Retry { .. }) {
        return error.into();
    }
    tracing::warn!(%error, %reason, "consent of a delegate failed");
    reason.into()
}
