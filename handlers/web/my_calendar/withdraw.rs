//! The owner of a calendar withdraws, or has everything deleted.
//!
//! Both also work while access to the organisation is lost: what is left to do at Microsoft waits.

use super::{
    context::RequestContext,
    error::{DenialReason, Error},
};
use crate::{
    domain::{
        ids::{MailboxId, TenantId},
        retention::TOMBSTONE_RETENTION,
        tenant::{ConsentMode, TenantState, decision::DecisionKind},
    },
    messages::MailboxTaskKind,
    store::{
        mailboxes::{BookingDisposition, Mailbox, MailboxKind, MailboxState},
        tables::Update,
    },
};

/// How a withdrawal ended.
pub(super) enum WithdrawOutcome {
    /// Recorded now, and being carried out.
    Recorded,
    /// Recorded before; it is being carried out again, in case a task was lost.
    AlreadyRecorded,
    NothingStored,
}

/// What becomes of bookings, as forms and the API say it. There is no default: the person must choose.
pub(super) fn parse_disposition(word: &str) -> Option<BookingDisposition> {
    match word {
        "released" => Some(BookingDisposition::Release),
        "anonymous" => Some(BookingDisposition::KeepAnonymous),
        _ => None,
    }
}

impl RequestContext<'_> {
    /// The person withdraws: we unsubscribe the calendar, and `disposition` says what becomes of future
    /// bookings. In an organisation that agrees for everybody we keep the row, or write one, so that
    /// nobody is enrolled again.
    pub(super) async fn withdraw(
        &self,
        disposition: BookingDisposition,
    ) -> Result<WithdrawOutcome, Error> {
        self.leave(MailboxState::Withdrawn(disposition)).await
    }

    /// We delete everything about the person except the record of what was decided.
    pub(super) async fn erase(
        &self,
        disposition: BookingDisposition,
    ) -> Result<WithdrawOutcome, Error> {
        let until = self.deps.clock.now() + TOMBSTONE_RETENTION;
        self.leave(MailboxState::Erased(disposition, until)).await
    }

    async fn leave(&self, state: MailboxState) -> Result<WithdrawOutcome, Error> {
        let tenant = self.load_tenant().await?;
        if tenant.state == TenantState::Disconnecting {
            return Err(DenialReason::TenantLeaving.into());
        }
        let now = self.deps.clock.now();
        let mode = tenant.policy.consent;
        let decide = |row: Option<Mailbox>| async move {
            let new = match &row {
                Some(row) if row.kind == MailboxKind::Room => {
                    return Err(Error::from(DenialReason::RoomMailbox));
                }
                Some(row) => withdrawn_row(row, state),
                // The organisation would enrol this person: the row prevents it.
                None if mode == ConsentMode::Organisation => {
                    Some(preemptive_row(self.invocation.tenant, self.person, state))
                }
                // A row would be the only thing that we store about this person.
                None => return Ok(Update::Unchanged((WithdrawOutcome::NothingStored, None))),
            };
            let Some(new) = new else {
                // What was chosen before may say more: who is erased stays erased.
                let task = task_for(row.map_or(state, |row| row.state));
                return Ok(Update::Unchanged((WithdrawOutcome::AlreadyRecorded, Some(task))));
            };
            // The row comes last, so a request that ends in between is repeated as if it were new.
            self.record_decision(now, self.person, decision(new.state), None).await?;
            self.put_recheck(self.person).await?;
            let task = task_for(new.state);
            Ok(Update::Write(new, (WithdrawOutcome::Recorded, Some(task))))
        };
        let written =
            self.deps.mailboxes.update((self.invocation.tenant, self.person), None, decide).await?;
        let (outcome, task) = written.ok_or(Error::Conflict)?;
        if let Some(task) = task {
            self.enqueue_mailbox_task(self.person, task).await?;
        }
        Ok(outcome)
    }
}

fn decision(state: MailboxState) -> DecisionKind {
    let released = state.booking_disposition() == BookingDisposition::Release;
    match state {
        MailboxState::Erased(..) => DecisionKind::Erased { released },
        MailboxState::Withdrawn(_) | MailboxState::Active | MailboxState::Paused => {
            DecisionKind::ConsentWithdrawn { released }
        }
    }
}

/// The row of somebody who withdraws before being enrolled.
fn preemptive_row(tenant: TenantId, id: MailboxId, state: MailboxState) -> Mailbox {
    Mailbox::new(tenant, id, MailboxKind::Person, state)
}

fn task_for(state: MailboxState) -> MailboxTaskKind {
    match state {
        MailboxState::Erased(..) => MailboxTaskKind::Erase,
        MailboxState::Withdrawn(_) | MailboxState::Active | MailboxState::Paused => {
            MailboxTaskKind::Unsubscribe
        }
    }
}

/// The row after its owner chose `wanted`; `None` when the row needs no change. The subscription stays
/// in the row until it is removed at Graph.
fn withdrawn_row(row: &Mailbox, wanted: MailboxState) -> Option<Mailbox> {
    match (row.state, wanted) {
        // Erasing includes withdrawing; another choice about the bookings still counts.
        (MailboxState::Erased(old, until), _) => {
            let disposition = wanted.booking_disposition();
            let state = MailboxState::Erased(disposition, until);
            (old != disposition).then(|| Mailbox { state, ..row.clone() })
        }
        (_, MailboxState::Erased(..)) => Some(Mailbox {
            state: wanted,
            consent_epoch: row.consent_epoch.saturating_add(1),
            // A nonce without a subscription means that one may exist at Graph all the same.
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
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::store::mailboxes::PreviousNonce;

    fn row(state: MailboxState) -> Mailbox {
        let (tenant, id) = (TenantId(Uuid::from_u128(9)), MailboxId(Uuid::from_u128(1)));
        let previous = PreviousNonce { nonce: 6, valid_until: Timestamp::UNIX_EPOCH };
        let (nonce, previous_nonce) = (Some(7), Some(previous));
        Mailbox { nonce, previous_nonce, consent_epoch: 3, ..preemptive_row(tenant, id, state) }
    }

    const ERASED: MailboxState =
        MailboxState::Erased(BookingDisposition::Release, Timestamp::UNIX_EPOCH);
    const WITHDRAWN: MailboxState = MailboxState::Withdrawn(BookingDisposition::Release);

    #[test]
    fn a_repeat_changes_nothing_and_the_erased_stay_erased() {
        assert_eq!(withdrawn_row(&row(WITHDRAWN), WITHDRAWN), None);
        assert_eq!(withdrawn_row(&row(ERASED), WITHDRAWN), None);
        let later = MailboxState::Erased(BookingDisposition::Release, Timestamp::MAX);
        assert_eq!(
            withdrawn_row(&row(ERASED), later),
            None,
            "the tombstone's time does not start again"
        );
        let kept =
            withdrawn_row(&row(ERASED), MailboxState::Withdrawn(BookingDisposition::KeepAnonymous))
                .unwrap();
        assert_eq!(
            kept.state,
            MailboxState::Erased(BookingDisposition::KeepAnonymous, Timestamp::UNIX_EPOCH)
        );
    }

    #[test]
    fn who_is_erased_has_a_new_epoch_and_a_nonce_only_where_a_stray_may_be_left() {
        let new = withdrawn_row(&row(MailboxState::Active), ERASED).unwrap();
        assert_eq!((new.consent_epoch, new.nonce, new.previous_nonce), (4, Some(7), None));
    }
}
