//! A calendar may be followed: somebody agrees, and the mailbox is subscribed.
//!
//! The register's entry is written before the row, and the row before the task: whoever is
//! subscribed has agreed, and it can be shown. A repeat finishes what is missing.

use super::visit::{RACES, Refusal, Trouble, Visit};
use crate::{
    domain::{
        decision::{Decision, How, What},
        ids::{MailboxId, TenantId},
    },
    messages::Task,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState},
        tenants::Tenant,
    },
};

/// Which version of the text people agree to. A test holds it together with the text.
pub const TEXT_VERSION: &str = "2026-11";

/// How agreeing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreed {
    /// Agreed, and being subscribed.
    Now,
    /// It was agreed before; what was missing is being done.
    Before,
}

impl Visit<'_> {
    /// The visitor agrees for the own calendar, to the text of `text_version`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn agree(&self, text_version: &str) -> Result<Agreed, Trouble> {
        is_current(text_version)?;
        let standing = self.standing_of(self.person).await?;
        standing.may_agree()?;
        let agreed = self.follow(self.person, How::Own).await?;
        self.decided_meanwhile(&standing.tenant).await?;
        Ok(agreed)
    }

    /// Writes that `owner`'s calendar may be followed, and has it subscribed. That it may be was
    /// checked.
    pub(super) async fn follow(&self, owner: MailboxId, how: How) -> Result<Agreed, Trouble> {
        let (at, text_version) = (self.deps.clock.now(), TEXT_VERSION.to_owned());
        let consent = Consent { by: self.person, how, at, text_version };
        for _ in 0..RACES {
            let found = self.deps.mailboxes.get(self.tenant, owner).await?;
            let (row, etag) = found.map_or((None, None), |(row, etag)| (Some(row), Some(etag)));
            if row.as_ref().is_some_and(|row| row.kind == MailboxKind::Room) {
                return Err(Refusal::Room.into());
            }
            // Asked of the very row that is written: the owner may have left since the proof was
            // read and the mail was sent.
            if how == How::Delegate && row.as_ref().is_some_and(has_left) {
                return Err(Refusal::OwnerWithdrew.into());
            }
            let Some(new) = followed(self.tenant, owner, row.as_ref(), &consent) else {
                self.finish(owner, row.as_ref()).await?;
                return Ok(Agreed::Before);
            };
            self.record(owner, &consent).await?;
            self.watch(owner).await?;
            let written = match &etag {
                Some(read) => self.deps.mailboxes.replace(&new, read).await,
                None => self.deps.mailboxes.insert(&new).await,
            };
            match written {
                Ok(_) => {
                    self.send(owner, Task::Subscribe).await?;
                    return Ok(Agreed::Now);
                }
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Trouble::Outrun)
    }

    /// Where the administrator has decided something since `before` was read, the pass that carried
    /// it out may have run before the row was there: another one does.
    pub(super) async fn decided_meanwhile(&self, before: &Tenant) -> Result<(), Trouble> {
        let now = self.deps.tenants.get_uncached(self.tenant).await?;
        if now.is_some_and(|now| now.policy != before.policy) {
            self.send_align().await?;
        }
        Ok(())
    }

    /// Agreed before: if the subscription is missing, its task was lost, or is still on its way.
    async fn finish(&self, owner: MailboxId, row: Option<&Mailbox>) -> Result<(), Trouble> {
        if row.is_some_and(|row| row.subscription.is_none() && row.polled.is_none()) {
            self.send(owner, Task::Subscribe).await?;
        }
        Ok(())
    }

    async fn record(&self, owner: MailboxId, consent: &Consent) -> Result<(), Trouble> {
        let decision = Decision {
            tenant: self.tenant,
            at: consent.at,
            by: Some(consent.by),
            about: Some(owner),
            what: What::Agreed { how: consent.how, text_version: consent.text_version.clone() },
        };
        Ok(self.deps.register.add(&decision).await?)
    }
}

fn has_left(row: &Mailbox) -> bool {
    match row.state {
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => true,
        MailboxState::Active | MailboxState::Paused => false,
    }
}

/// Whether `text_version` is what people agree to now.
///
/// # Errors
/// [`Refusal::OldText`].
pub(super) fn is_current(text_version: &str) -> Result<(), Refusal> {
    if text_version == TEXT_VERSION { Ok(()) } else { Err(Refusal::OldText) }
}

/// The row as it is to be with this consent; `None` when it says as much already.
fn followed(
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
                let as_near = old.how == How::Own || consent.how != How::Own;
                // A delegate's word never takes the place of the owner's or the organisation's, not
                // for a newer text either: the owner is only told of the first.
                let outranked = consent.how == How::Delegate && old.how != How::Delegate;
                outranked || as_near && old.text_version == consent.text_version
            });
            // The owner's own word, or a newer text, takes the place of what was there.
            (!says_as_much).then(|| Mailbox { consent: Some(consent.clone()), ..row.clone() })
        }
        MailboxState::Paused | MailboxState::Withdrawn(_) | MailboxState::Erased(..) => {
            Some(Mailbox {
                state: MailboxState::Active,
                epoch: row.epoch.saturating_add(1),
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
    use crate::{domain::keys::Digest, store::mailboxes::Farewell};

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

    fn consent(how: How) -> Consent {
        let text_version = TEXT_VERSION.to_owned();
        Consent { by: ANNA, how, at: Timestamp::UNIX_EPOCH, text_version }
    }

    fn active(how: How) -> Mailbox {
        let new = followed(TENANT, ANNA, None, &consent(how)).unwrap();
        Mailbox { nonce: Some(7), ..new }
    }

    #[test]
    fn a_repeat_changes_nothing_and_the_owners_own_word_outweighs_others() {
        let new = |row: &Mailbox, how| followed(TENANT, ANNA, Some(row), &consent(how));
        assert_eq!(new(&active(How::Own), How::Own), None);
        assert_eq!(new(&active(How::Own), How::Delegate), None);
        assert_eq!(new(&active(How::Organisation), How::Delegate), None);
        let own = new(&active(How::Organisation), How::Own).unwrap();
        assert_eq!((own.consent.unwrap().how, own.nonce, own.epoch), (How::Own, Some(7), 1));
    }

    #[test]
    fn a_newer_text_is_the_owners_to_agree_to() {
        let old = |how| {
            let row = active(how);
            let consent =
                row.consent.map(|consent| Consent { text_version: "1".into(), ..consent });
            Mailbox { consent, ..row }
        };
        let new = |row: &Mailbox, how| followed(TENANT, ANNA, Some(row), &consent(how));
        assert_eq!(new(&old(How::Own), How::Delegate), None);
        assert_eq!(new(&old(How::Organisation), How::Delegate), None);
        assert!(new(&old(How::Delegate), How::Delegate).is_some());
        assert!(new(&old(How::Own), How::Own).is_some());
    }

    #[test]
    fn whoever_comes_back_begins_anew() {
        let left = [
            MailboxState::Withdrawn(Farewell::Released),
            MailboxState::Erased(Farewell::Anonymous, Timestamp::UNIX_EPOCH),
        ];
        for state in left {
            let row = Mailbox { state, epoch: 4, ..active(How::Own) };
            let back = followed(TENANT, ANNA, Some(&row), &consent(How::Own)).unwrap();
            assert_eq!((back.epoch, back.nonce, back.state), (5, None, MailboxState::Active));
        }
    }
}
