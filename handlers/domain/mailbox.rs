//! A mailbox that is followed or was: its states, the tasks for it, and the one table that says
//! what a task does in which state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tenant::TenantState;

/// The state of a mailbox. Only an active one is worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailboxState {
    Active,
    /// Consent was given, but the tenant's policy keeps it out: it is excluded or out of scope.
    Paused,
    /// Consent was withdrawn; the row says so until nothing of it is left to do.
    Withdrawn(BookingDisposition),
    /// Everything is to be forgotten. The row is a tombstone until that instant, so that nothing
    /// still in a queue brings anything back.
    Erased(BookingDisposition, Timestamp),
}

impl MailboxState {
    /// Whether its calendar is followed.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }

    /// What becomes of the bookings that this mailbox's copies asked for, once it is not followed.
    pub fn booking_disposition(self) -> BookingDisposition {
        match self {
            Self::Active | Self::Paused => BookingDisposition::KeepAnonymous,
            Self::Withdrawn(disposition) | Self::Erased(disposition, _) => disposition,
        }
    }
}

/// What becomes of future bookings when a person leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingDisposition {
    /// They stay without content, as long as the room's own calendar holds the appointment.
    KeepAnonymous,
    Release,
}

/// What `maintain-mailbox` is asked to do with a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailboxTaskKind {
    /// Make sure that the mailbox is subscribed, then resync it.
    Subscribe,
    /// Check the subscription, and renew it at half-life.
    Renew,
    Unsubscribe,
    /// Compare the calendar with the store.
    Resync,
    /// Graph wants the subscription to be authorised again.
    Reauthorize,
    SubscriptionRemoved,
    /// Graph could not deliver some notifications.
    MissedNotifications,
    /// The subscription delivers nothing although the calendar changes: check whether that is still
    /// so, and replace the subscription if it is. `first_seen` says since when it is suspected.
    SuspectedDead,
    /// Finish what must be done before a mailbox is forgotten.
    Erase,
}

/// What is done for a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxAction {
    /// Remove the subscription and the row.
    Remove,
    Erase {
        until: Timestamp,
    },
    /// Write that policy keeps it out, then leave it.
    Pause,
    /// Remove the subscription and forget what the mailbox's copies said.
    Leave,
    /// Nothing: the mailbox or its tenant is not active.
    Skip,
    /// Subscribe unless it is subscribed.
    Subscribe,
    /// The same, and replace a subscription that no longer fits the tenant's policy on content.
    SubscribeOrReplace,
    /// Check the subscription or the polling, and renew what is due.
    CheckSubscription,
    Reauthorize,
    /// Replace the subscription that Graph has removed.
    ReplaceRemoved,
    /// Replace the subscription if it still delivers nothing.
    ReplaceDead,
    /// Compare the calendar with the store.
    Resync,
    /// Compare them because Graph has missed something.
    CatchUp,
}

/// What `task` does for a mailbox in the state `mailbox` of a tenant in the state `tenant`;
/// `excluded` says that the tenant's policy keeps the mailbox out.
pub fn action(
    tenant: TenantState,
    mailbox: MailboxState,
    excluded: bool,
    task: MailboxTaskKind,
) -> MailboxAction {
    use MailboxAction as Action;
    use MailboxState::{Active, Erased, Paused, Withdrawn};
    use MailboxTaskKind as Task;
    match (tenant, mailbox, task) {
        (TenantState::Disconnecting | TenantState::Deleted(_), _, _) => Action::Remove,
        (_, Erased(_, until), _) => Action::Erase { until },
        // The row may have been written while the administrator decided.
        (_, Active, _) if excluded => Action::Pause,

        (TenantState::Active, Active, Task::Subscribe) => Action::SubscribeOrReplace,
        // The person has come back since: stays subscribed, or is subscribed again.
        (TenantState::Active, Active, Task::Unsubscribe | Task::Erase) => Action::Subscribe,
        (TenantState::Active, Active, Task::Renew) => Action::CheckSubscription,
        (TenantState::Active, Active, Task::Reauthorize) => Action::Reauthorize,
        (TenantState::Active, Active, Task::SubscriptionRemoved) => Action::ReplaceRemoved,
        (TenantState::Active, Active, Task::SuspectedDead) => Action::ReplaceDead,
        (TenantState::Active, Active, Task::Resync) => Action::Resync,
        (TenantState::Active, Active, Task::MissedNotifications) => Action::CatchUp,

        (_, _, Task::Unsubscribe | Task::Erase) => Action::Leave,
        // A due entry watches a mailbox that is left, because its own task may have been lost.
        (_, Paused | Withdrawn(_), Task::Renew) => Action::Leave,
        // Nobody who has left is subscribed again, whatever was still in a queue.
        (
            _,
            _,
            Task::Subscribe
            | Task::Renew
            | Task::Resync
            | Task::Reauthorize
            | Task::SubscriptionRemoved
            | Task::MissedNotifications
            | Task::SuspectedDead,
        ) => Action::Skip,
    }
}

/// How far a calendar and the store were apart when a resync compared them. Only appointments of
/// managed rooms are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub at: Timestamp,
    /// In Outlook, but not booked.
    pub missing: u32,
    /// Booked, but not in Outlook (any more).
    pub orphaned: u32,
    pub different: u32,
}

impl Drift {
    /// Whether the two agreed.
    pub fn is_zero(&self) -> bool {
        (self.missing, self.orphaned, self.different) == (0, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tenant::{Suspension, SuspensionReason};

    const TASKS: [MailboxTaskKind; 9] = [
        MailboxTaskKind::Subscribe,
        MailboxTaskKind::Renew,
        MailboxTaskKind::Unsubscribe,
        MailboxTaskKind::Resync,
        MailboxTaskKind::Reauthorize,
        MailboxTaskKind::SubscriptionRemoved,
        MailboxTaskKind::MissedNotifications,
        MailboxTaskKind::SuspectedDead,
        MailboxTaskKind::Erase,
    ];

    #[test]
    fn the_table_of_states_and_tasks() {
        use MailboxAction::*;
        let since = Timestamp::UNIX_EPOCH;
        let lost = Suspension { since, reason: SuspensionReason::TokenRefused };
        let suspended = TenantState::Suspended(lost);
        let withdrawn = MailboxState::Withdrawn(BookingDisposition::Release);
        let erased = MailboxState::Erased(BookingDisposition::KeepAnonymous, since);
        let (active, paused) = (MailboxState::Active, MailboxState::Paused);
        let followed = [
            SubscribeOrReplace,
            CheckSubscription,
            Subscribe,
            Resync,
            Reauthorize,
            ReplaceRemoved,
            CatchUp,
            ReplaceDead,
            Subscribe,
        ];
        let waiting = [Skip, Skip, Leave, Skip, Skip, Skip, Skip, Skip, Leave];
        let left = [Skip, Leave, Leave, Skip, Skip, Skip, Skip, Skip, Leave];
        let table = [
            (TenantState::Active, active, false, followed),
            (TenantState::Active, active, true, [Pause; 9]),
            (TenantState::Active, paused, true, left),
            (TenantState::Active, withdrawn, false, left),
            (TenantState::Active, erased, true, [MailboxAction::Erase { until: since }; 9]),
            (suspended, active, false, waiting),
            (suspended, active, true, [Pause; 9]),
            (suspended, paused, false, left),
            (suspended, withdrawn, true, left),
            (suspended, erased, false, [MailboxAction::Erase { until: since }; 9]),
            (TenantState::Disconnecting, active, true, [Remove; 9]),
            (TenantState::Disconnecting, erased, false, [Remove; 9]),
            (TenantState::Deleted(since), withdrawn, false, [Remove; 9]),
        ];
        for (tenant, mailbox, excluded, expected) in table {
            let actions = TASKS.map(|task| action(tenant, mailbox, excluded, task));
            assert_eq!(actions, expected, "{tenant:?}, {mailbox:?}, excluded: {excluded}");
        }
    }
}
