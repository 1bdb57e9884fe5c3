//! A calendar may be followed: somebody agrees, and the mailbox is subscribed.
//!
//! The register's entry is written before the row, and the row before the task: whoever is
//! subscribed has agreed, and it can be shown. A repeat finishes what is missing.

use super::context::{DenialReason, Error, MAX_CONFLICT_RETRIES, RequestContext};
use crate::{
    domain::{
        decision::{ConsentCapacity, Decision, DecisionKind},
        ids::{MailboxId, TenantId},
    },
    messages::MailboxTaskKind,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState},
        tenants::Tenant,
    },
};

/// Which version of the text people agree to. A test holds it together with the text.
pub const TEXT_VERSION: &str = "2026-11";

/// How agreeing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreeOutcome {
    /// Agreed, and being subscribed.
    Recorded,
    /// It was agreed before; what was missing is being done.
    AlreadyRecorded,
}

impl RequestContext<'_> {
    /// The visitor agrees for the own calendar, to the text of `text_version`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn agree(&self, text_version: &str) -> Result<AgreeOutcome, Error> {
        require_current_text(text_version)?;
        let standing = self.eligibility_of(self.person).await?;
        standing.check_may_agree()?;
        let agreed = self.enrol(self.person, ConsentCapacity::Own).await?;
        self.reconcile_if_policy_changed(&standing.tenant).await?;
        Ok(agreed)
    }

    /// Writes that `tenant_of_due_row`'s calendar may be followed, and has it subscribed. That it may be was
    /// checked.
    pub(super) async fn enrol(
        &self,
        owner: MailboxId,
        how: ConsentCapacity,
    ) -> Result<AgreeOutcome, Error> {
        let (at, text_version) = (self.deps.clock.now(), TEXT_VERSION.to_owned());
        let consent = Consent { given_by: self.person, capacity: how, given_at: at, text_version };
        for _ in 0..MAX_CONFLICT_RETRIES {
            let found = self.deps.mailboxes.get(self.tenant, owner).await?;
            let (row, etag) = found.map_or((None, None), |(row, etag)| (Some(row), Some(etag)));
            if row.as_ref().is_some_and(|row| row.kind == MailboxKind::Room) {
                return Err(DenialReason::RoomMailbox.into());
            }
            // Asked of the very row that is written: the owner may have left since the proof was
            // read and the mail was sent.
            if how == ConsentCapacity::Delegate && row.as_ref().is_some_and(has_withdrawn) {
                return Err(DenialReason::OwnerWithdrew.into());
            }
            let Some(new) = enrolled_row(self.tenant, owner, row.as_ref(), &consent) else {
                self.resend_subscribe(owner, row.as_ref()).await?;
                return Ok(AgreeOutcome::AlreadyRecorded);
            };
            self.register_agreement(owner, &consent).await?;
            self.put_recheck(owner).await?;
            let written = match &etag {
                Some(read) => self.deps.mailboxes.replace(&new, read).await,
                None => self.deps.mailboxes.insert(&new).await,
            };
            match written {
                Ok(_) => {
                    self.enqueue_mailbox_task(owner, MailboxTaskKind::Subscribe).await?;
                    return Ok(AgreeOutcome::Recorded);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Conflict)
    }

    /// Where the administrator has decided something since `before` was read, the pass that carried
    /// it out may have run before the row was there: another one does.
    pub(super) async fn reconcile_if_policy_changed(&self, before: &Tenant) -> Result<(), Error> {
        let now = self.deps.tenants.get_uncached(self.tenant).await?;
        if now.is_some_and(|now| now.policy != before.policy) {
            self.enqueue_policy_reconcile().await?;
        }
        Ok(())
    }

    /// Agreed before: if the subscription is missing, its task was lost, or is still on its way.
    async fn resend_subscribe(&self, owner: MailboxId, row: Option<&Mailbox>) -> Result<(), Error> {
        if row.is_some_and(|row| row.subscription.is_none() && row.polling.is_none()) {
            self.enqueue_mailbox_task(owner, MailboxTaskKind::Subscribe).await?;
        }
        Ok(())
    }

    async fn register_agreement(&self, owner: MailboxId, consent: &Consent) -> Result<(), Error> {
        let decision = Decision {
            tenant: self.tenant,
            at: consent.given_at,
            by: Some(consent.given_by),
            about: Some(owner),
            kind: DecisionKind::ConsentGranted {
                capacity: consent.capacity,
                text_version: consent.text_version.clone(),
            },
        };
        Ok(self.deps.register.add(&decision).await?)
    }
}

fn has_withdrawn(row: &Mailbox) -> bool {
    match row.state {
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => true,
        MailboxState::Active | MailboxState::Paused => false,
    }
}

/// Whether `text_version` is what people agree to now.
///
/// # Errors
/// [`Refusal::TextChanged`].
pub(super) fn require_current_text(text_version: &str) -> Result<(), DenialReason> {
    if text_version == TEXT_VERSION { Ok(()) } else { Err(DenialReason::TextChanged) }
}

/// The row as it is to be with this consent; `None` when it says as much already.
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
            let says_as_much = row.consent.as_ref().is_some_and(|old| {
                let as_near = old.capacity == ConsentCapacity::Own
                    || consent.capacity != ConsentCapacity::Own;
                // A delegate's word never takes the place of the owner's or the organisation's, not
                // for a newer text either: the owner is only told of the first.
                let outranked = consent.capacity == ConsentCapacity::Delegate
                    && old.capacity != ConsentCapacity::Delegate;
                outranked || as_near && old.text_version == consent.text_version
            });
            // The owner's own word, or a newer text, takes the place of what was there.
            (!says_as_much).then(|| Mailbox { consent: Some(consent.clone()), ..row.clone() })
        }
        MailboxState::Paused | MailboxState::Withdrawn(_) | MailboxState::Erased(..) => {
            Some(Mailbox {
                state: MailboxState::Active,
                consent_epoch: row.consent_epoch.saturating_add(1),
                // Nothing that an earlier consent's subscription still brings is believed. It stays
                // known, so that the worker can remove it.
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
    use crate::{domain::keys::Digest, store::mailboxes::BookingDisposition};

    #[test]
    fn who_changes_the_text_raises_its_version() {
        let text = crate::web::layout::texts::ENGLISH.my_calendar.agreement;
        let digest = Digest::of(&[text.as_bytes()]).to_string();
        assert_eq!(
            (TEXT_VERSION, digest.as_str()),
            ("2026-11", "7f8470e337c78182c5ad2a2fb6a1f20d")
        );
    }

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
    fn a_repeat_changes_nothing_and_the_owners_own_word_outweighs_others() {
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
    fn whoever_comes_back_begins_anew() {
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
