//! A calendar may not be followed any more: its owner withdraws, or has everything forgotten.
//!
//! Both work while access to the organisation is lost, too: what is left to do at Microsoft waits.

use jiff::Timestamp;

use super::visit::{RACES, Refusal, Trouble, Visit};
use crate::{
    domain::{
        decision::{Decision, What},
        ids::{MailboxId, TenantId},
        retention::ERASED_FOR,
        tenancy::{ConsentMode, TenantState},
    },
    messages::Task,
    store::mailboxes::{Farewell, Mailbox, MailboxKind, MailboxState},
};

/// How leaving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was decided now, and is being carried out.
    Now,
    /// It was decided before; it is being carried out again, in case something was lost.
    Before,
    /// There was nothing to leave.
    Nothing,
}

/// How somebody leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Withdraw,
    Erase,
}

impl Visit<'_> {
    /// The visitor withdraws: the own calendar is unsubscribed, and `farewell` says what becomes of
    /// future bookings. In an organisation that agrees for everybody the row stays and says so, also
    /// where there was none yet, so that nobody is brought back.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn withdraw(&self, farewell: Farewell) -> Result<Left, Trouble> {
        self.leave(Way::Withdraw, farewell).await
    }

    /// Everything about the visitor is forgotten but the record of what was decided.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn erase(&self, farewell: Farewell) -> Result<Left, Trouble> {
        self.leave(Way::Erase, farewell).await
    }

    async fn leave(&self, way: Way, farewell: Farewell) -> Result<Left, Trouble> {
        let tenant = self.organisation().await?;
        if tenant.state == TenantState::Leaving {
            return Err(Refusal::TenantLeaving.into());
        }
        let now = self.deps.clock.now();
        let state = match way {
            Way::Withdraw => MailboxState::Withdrawn(farewell),
            Way::Erase => MailboxState::Erased(farewell, now + ERASED_FOR),
        };
        for _ in 0..RACES {
            let found = self.deps.mailboxes.get(self.tenant, self.person).await?;
            let (row, etag) = found.map_or((None, None), |(row, etag)| (Some(row), Some(etag)));
            let new = match &row {
                Some(row) if row.kind == MailboxKind::Room => return Err(Refusal::Room.into()),
                Some(row) => left(row, state),
                // Whoever would be enrolled all the same says so beforehand.
                None if tenant.policy.consent == ConsentMode::Organisation => {
                    Some(never_came(self.tenant, self.person, state))
                }
                None => return Ok(Left::Nothing),
            };
            let Some(new) = new else {
                self.send(self.person, task_of(row.map_or(state, |row| row.state))).await?;
                return Ok(Left::Before);
            };
            self.note(now, new.state).await?;
            self.watch(self.person).await?;
            let written = match &etag {
                Some(read) => self.deps.mailboxes.replace(&new, read).await,
                None => self.deps.mailboxes.insert(&new).await,
            };
            match written {
                Ok(_) => {
                    self.send(self.person, task_of(new.state)).await?;
                    return Ok(Left::Now);
                }
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Trouble::Outrun)
    }

    async fn note(&self, at: Timestamp, state: MailboxState) -> Result<(), Trouble> {
        let released = state.farewell() == Farewell::Released;
        let what = match state {
            MailboxState::Erased(..) => What::Erased { released },
            MailboxState::Withdrawn(_) | MailboxState::Active | MailboxState::Paused => {
                What::Withdrew { released }
            }
        };
        let (by, about) = (Some(self.person), Some(self.person));
        let decision = Decision { tenant: self.tenant, at, by, about, what };
        Ok(self.deps.register.add(&decision).await?)
    }
}

/// The row of somebody who leaves before having come.
fn never_came(tenant: TenantId, id: MailboxId, state: MailboxState) -> Mailbox {
    Mailbox::new(tenant, id, MailboxKind::Person, state)
}

fn task_of(state: MailboxState) -> Task {
    match state {
        MailboxState::Erased(..) => Task::Erase,
        MailboxState::Withdrawn(_) | MailboxState::Active | MailboxState::Paused => {
            Task::Unsubscribe
        }
    }
}

/// The row as it is to be when its owner leaves to `wanted`; `None` when it says as much already.
/// The subscription stays known until it is removed at Graph.
fn left(row: &Mailbox, wanted: MailboxState) -> Option<Mailbox> {
    match (row.state, wanted) {
        // Erased says more than withdrawn; another word on the bookings still counts.
        (MailboxState::Erased(old, until), _) => {
            let farewell = wanted.farewell();
            let state = MailboxState::Erased(farewell, until);
            (old != farewell).then(|| Mailbox { state, ..row.clone() })
        }
        (_, MailboxState::Erased(..)) => Some(Mailbox {
            state: wanted,
            epoch: row.epoch.saturating_add(1),
            // A nonce without a subscription tells that one may have been made all the same.
            nonce: row.nonce.filter(|_| row.subscription.is_none()),
            previous_nonce: None,
            ..row.clone()
        }),
        (old, _) if old == wanted => None,
        _ => Some(Mailbox { state: wanted, ..row.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn row(state: MailboxState) -> Mailbox {
        let (tenant, id) = (TenantId(Uuid::from_u128(9)), MailboxId(Uuid::from_u128(1)));
        let (nonce, previous_nonce) = (Some(7), Some((6, Timestamp::UNIX_EPOCH)));
        Mailbox { nonce, previous_nonce, epoch: 3, ..never_came(tenant, id, state) }
    }

    const ERASED: MailboxState = MailboxState::Erased(Farewell::Released, Timestamp::UNIX_EPOCH);
    const WITHDRAWN: MailboxState = MailboxState::Withdrawn(Farewell::Released);

    #[test]
    fn a_repeat_changes_nothing_and_the_erased_stay_erased() {
        assert_eq!(left(&row(WITHDRAWN), WITHDRAWN), None);
        assert_eq!(left(&row(ERASED), WITHDRAWN), None);
        let later = MailboxState::Erased(Farewell::Released, Timestamp::MAX);
        assert_eq!(left(&row(ERASED), later), None, "the tombstone's time does not start anew");
        let kept = left(&row(ERASED), MailboxState::Withdrawn(Farewell::Anonymous)).unwrap();
        assert_eq!(kept.state, MailboxState::Erased(Farewell::Anonymous, Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn who_is_erased_has_a_new_epoch_and_a_nonce_only_where_a_stray_may_be_left() {
        let new = left(&row(MailboxState::Active), ERASED).unwrap();
        assert_eq!((new.epoch, new.nonce, new.previous_nonce), (4, Some(7), None));
    }
}
