//! Somebody agrees that we follow a calendar, and we have the mailbox subscribed.
//!
//! We write the register's entry before the row, and the row before the task: for every subscribed
//! mailbox the register proves that somebody agreed. A repeat completes what is missing.

use super::{
    consent_text::{TEXT_VERSION, require_current_text},
    context::RequestContext,
    error::{DenialReason, Error},
};
use crate::{
    domain::{
        ids::{MailboxId, TenantId},
        tenant::decision::{ConsentCapacity, DecisionKind},
    },
    messages::MailboxTaskKind,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState},
        tables::Update,
        tenants::Tenant,
    },
};

impl RequestContext<'_> {
    /// The person agrees for their own calendar, to the text of `text_version`. Returns `false` when
    /// somebody agreed before; then whatever was missing is being done.
    pub(super) async fn agree(&self, text_version: &str) -> Result<bool, Error> {
        require_current_text(text_version)?;
        let eligibility = self.eligibility_of(self.person).await?;
        eligibility.check_may_agree()?;
        let recorded = self.enrol(self.person, ConsentCapacity::Own).await?;
        self.reconcile_if_policy_changed(&eligibility.tenant).await?;
        Ok(recorded)
    }

    /// Records the consent for the calendar of `owner`, and has it subscribed. The caller has checked
    /// that this is allowed. Returns `false` when the row needed no change.
    pub(super) async fn enrol(
        &self,
        owner: MailboxId,
        capacity: ConsentCapacity,
    ) -> Result<bool, Error> {
        let (given_at, text_version) = (self.deps.clock.now(), TEXT_VERSION.to_owned());
        let consent = Consent { given_by: self.person, capacity, given_at, text_version };
        let consent = &consent;
        let written =
            self.deps.mailboxes.update((self.invocation.tenant, owner), None, |row| async move {
                // An administrator may have made it a room since the caller checked.
                if row.as_ref().is_some_and(|row| row.kind == MailboxKind::Room) {
                    return Err(Error::from(DenialReason::RoomMailbox));
                }
                // Checked on the very row that is written: the owner may have withdrawn since the proof
                // was read and the mail was sent.
                if capacity == ConsentCapacity::Delegate && row.as_ref().is_some_and(has_withdrawn)
                {
                    return Err(DenialReason::OwnerWithdrew.into());
                }
                let Some(mut new) =
                    enrolled_row(self.invocation.tenant, owner, row.as_ref(), consent)
                else {
                    self.resend_subscribe(owner, row.as_ref()).await?;
                    return Ok(Update::Unchanged(false));
                };
                let text_version = consent.text_version.clone();
                let decision = DecisionKind::ConsentGranted { capacity, text_version };
                let held = row.as_ref().and_then(|row| row.consent.as_ref());
                let held = held.map(|consent| consent.given_at);
                // The row has the instant of its evidence, which a request just before may have written.
                let given_at = self.record_decision(given_at, owner, decision, held).await?;
                new.consent = Some(Consent { given_at, ..consent.clone() });
                self.put_recheck(owner).await?;
                Ok(Update::Write(new, true))
            });
        let recorded = written.await?.ok_or(Error::Conflict)?;
        // After the row: a worker that came earlier would find nothing to subscribe.
        if recorded {
            self.enqueue_mailbox_task(owner, MailboxTaskKind::Subscribe).await?;
        }
        Ok(recorded)
    }

    /// If the administrator changed the policy since `before` was read, the pass that applied it may
    /// have run before the row existed: this starts another one.
    pub(super) async fn reconcile_if_policy_changed(&self, before: &Tenant) -> Result<(), Error> {
        let now = self.deps.tenants.get_uncached(self.invocation.tenant).await?;
        // Not when it is the same, which is nearly always: a pass reads every mailbox.
        if now.is_some_and(|now| now.policy != before.policy) {
            self.enqueue_policy_reconcile().await?;
        }
        Ok(())
    }

    /// For a calendar that somebody agreed to before: if the subscription is missing, its task was lost
    /// or is still on its way.
    async fn resend_subscribe(&self, owner: MailboxId, row: Option<&Mailbox>) -> Result<(), Error> {
        if row.is_some_and(|row| row.subscription.is_none() && row.polling.is_none()) {
            self.enqueue_mailbox_task(owner, MailboxTaskKind::Subscribe).await?;
        }
        Ok(())
    }
}

fn has_withdrawn(row: &Mailbox) -> bool {
    match row.state {
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => true,
        MailboxState::Active | MailboxState::Paused => false,
    }
}

/// The row with this consent; `None` when the row needs no change.
fn enrolled_row(
    tenant: TenantId,
    owner: MailboxId,
    row: Option<&Mailbox>,
    consent: &Consent,
) -> Option<Mailbox> {
    let fresh = || Mailbox {
        consent: Some(consent.clone()),
        ..Mailbox::new(tenant, owner, MailboxKind::Person, MailboxState::Active)
    };
    let Some(row) = row else { return Some(fresh()) };
    match row.state {
        MailboxState::Active => {
            let is_covered = row.consent.as_ref().is_some_and(|old| {
                let is_as_close = old.capacity == ConsentCapacity::Own
                    || consent.capacity != ConsentCapacity::Own;
                // A delegate's consent never replaces the owner's or the organisation's, not even for
                // a newer text: the owner is notified of the first one only.
                let outranked = consent.capacity == ConsentCapacity::Delegate
                    && old.capacity != ConsentCapacity::Delegate;
                outranked || is_as_close && old.text_version == consent.text_version
            });
            // The owner's own consent, or one to a newer text, replaces the old one.
            (!is_covered).then(|| Mailbox { consent: Some(consent.clone()), ..row.clone() })
        }
        MailboxState::Paused | MailboxState::Withdrawn(_) | MailboxState::Erased(..) => {
            Some(Mailbox {
                state: MailboxState::Active,
                consent_epoch: row.consent_epoch.saturating_add(1),
                // We trust nothing that the subscription of an earlier consent still delivers. The
                // subscription stays in the row, so that the worker can remove it.
                nonce: None,
                previous_nonce: None,
                consent: Some(consent.clone()),
                ..row.clone()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::store::mailboxes::BookingDisposition;

    const TENANT: TenantId = TenantId(Uuid::from_u128(9));
    const ANNA: MailboxId = MailboxId(Uuid::from_u128(1));

    fn consent(how: ConsentCapacity) -> Consent {
        let text_version = TEXT_VERSION.to_owned();
        Consent { given_by: ANNA, capacity: how, given_at: Timestamp::UNIX_EPOCH, text_version }
    }

    fn active(how: ConsentCapacity) -> Mailbox {
        let new = enrolled_row(TENANT, ANNA, None, &consent(how)).unwrap();
        Mailbox { nonce: Some(7), ..new }
    }

    #[test]
    fn a_repeat_changes_nothing_and_the_owners_own_consent_outweighs_others() {
        let new = |row: &Mailbox, how| enrolled_row(TENANT, ANNA, Some(row), &consent(how));
        assert_eq!(new(&active(ConsentCapacity::Own), ConsentCapacity::Own), None);
        assert_eq!(new(&active(ConsentCapacity::Own), ConsentCapacity::Delegate), None);
        assert_eq!(new(&active(ConsentCapacity::Organisation), ConsentCapacity::Delegate), None);
        let own = new(&active(ConsentCapacity::Organisation), ConsentCapacity::Own).unwrap();
        assert_eq!(
            (own.consent.unwrap().capacity, own.nonce, own.consent_epoch),
            (ConsentCapacity::Own, Some(7), 1)
        );
    }

    #[test]
    fn a_newer_text_is_the_owners_to_agree_to() {
        let old = |how| {
            let row = active(how);
            let consent =
                row.consent.map(|consent| Consent { text_version: "1".into(), ..consent });
            Mailbox { consent, ..row }
        };
        let new = |row: &Mailbox, how| enrolled_row(TENANT, ANNA, Some(row), &consent(how));
        assert_eq!(new(&old(ConsentCapacity::Own), ConsentCapacity::Delegate), None);
        assert_eq!(new(&old(ConsentCapacity::Organisation), ConsentCapacity::Delegate), None);
        assert!(new(&old(ConsentCapacity::Delegate), ConsentCapacity::Delegate).is_some());
        assert!(new(&old(ConsentCapacity::Own), ConsentCapacity::Own).is_some());
    }

    #[test]
    fn who_agrees_again_after_withdrawing_starts_a_new_consent() {
        let left = [
            MailboxState::Withdrawn(BookingDisposition::Release),
            MailboxState::Erased(BookingDisposition::KeepAnonymous, Timestamp::UNIX_EPOCH),
        ];
        for state in left {
            let row = Mailbox { state, consent_epoch: 4, ..active(ConsentCapacity::Own) };
            let back =
                enrolled_row(TENANT, ANNA, Some(&row), &consent(ConsentCapacity::Own)).unwrap();
            assert_eq!(
                (back.consent_epoch, back.nonce, back.state),
                (5, None, MailboxState::Active)
            );
        }
    }
}
