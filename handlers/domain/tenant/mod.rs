//! What a tenant as a whole has decided: how its people agree, who is out of bounds, and its state.

pub mod decision;
pub mod policy;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::policy::{ContentPolicy, SeriesConflicts};
use super::ids::{GroupId, MailboxId};

/// A tenant's state. Only an active one is worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantState {
    Active,
    /// Access was lost; work stops, data stays until its retention ends.
    Suspended(Suspension),
    /// Disconnected by its administrator; everything but the record of it is being deleted.
    Disconnecting,
    /// Everything is deleted; the register and the audit stay for their time.
    Deleted(Timestamp),
}

impl TenantState {
    /// Whether work is done for the tenant.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// Since when and why access is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    pub since: Timestamp,
    pub reason: SuspensionReason,
}

/// How it was noticed that access is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuspensionReason {
    /// Entra gives no token for the tenant any more: our app was removed there.
    TokenRefused,
    /// Graph refuses the harmless call too: the permissions were removed.
    CallRefused,
    /// The organisation-wide registration's token carries no calendar permission any more.
    CalendarPermissionMissing,
}

/// How a tenant's people agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentMode {
    OptIn,
    /// The organisation agrees for everybody in scope; people are notified, and may still withdraw.
    Organisation,
}

/// The shortest time an audit is kept, in days: long enough to answer a question about it.
pub const MIN_AUDIT_DAYS: u16 = 30;
/// The longest: ten years.
pub const MAX_AUDIT_DAYS: u16 = 3_650;

/// Everything a tenant's administrator may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPolicy {
    pub consent: ConsentMode,
    /// Only members of this group are in scope; everybody when there is none.
    pub scope_group: Option<GroupId>,
    /// Mailboxes that are never subscribed, whatever else says so.
    pub excluded_mailboxes: BTreeSet<MailboxId>,
    #[serde(flatten)]
    pub content: ContentPolicy,
    /// Whether its rooms' mailboxes are subscribed; if not, only those who agreed are booked.
    pub rooms_subscribed: bool,
    /// Whether a delegate may agree for the owner of a calendar. Needs `mail`: the owner is notified.
    pub delegate_consent: bool,
    /// The mailbox that mail is sent from; `None` when none is ever sent.
    pub mail_sender: Option<MailboxId>,
    /// How long the audit of calls is kept, in days.
    pub audit_days: u16,
    /// The id of the add-in's extended property, where the tenant uses the add-in.
    pub add_in_property: Option<String>,
    /// Whether notifications bring the event's fields with them, sealed, instead of its id alone.
    #[serde(default)]
    pub rich_notifications: bool,
    /// Whether calendars are compared and counted, and nothing is booked: what connecting would do.
    #[serde(default)]
    pub rehearsal: bool,
    /// What becomes of a series some of whose dates are taken.
    #[serde(default, skip_serializing_if = "SeriesConflicts::is_unchanged")]
    pub series_conflicts: SeriesConflicts,
}

impl Default for TenantPolicy {
    /// What a tenant begins with: as little as possible, and everybody is asked.
    fn default() -> Self {
        Self {
            consent: ConsentMode::OptIn,
            scope_group: None,
            excluded_mailboxes: BTreeSet::new(),
            content: ContentPolicy::default(),
            rooms_subscribed: true,
            delegate_consent: false,
            mail_sender: None,
            audit_days: 365,
            add_in_property: None,
            rich_notifications: false,
            rehearsal: false,
            series_conflicts: SeriesConflicts::default(),
        }
    }
}

impl TenantPolicy {
    /// Whether a person's mailbox may be followed at all: a member of the scope group (`in_group`;
    /// anything when there is no such group) and not excluded.
    pub fn allows_mailbox(&self, mailbox: MailboxId, in_group: bool) -> bool {
        !self.excluded_mailboxes.contains(&mailbox) && (self.scope_group.is_none() || in_group)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_excluded_mailbox_is_out_of_bounds_whatever_else_says_so() {
        let anna = MailboxId(Uuid::from_u128(1));
        let open = TenantPolicy::default();
        assert!(open.allows_mailbox(anna, false));
        let scoped = TenantPolicy { scope_group: Some(GroupId(Uuid::from_u128(2))), ..open };
        assert!(scoped.allows_mailbox(anna, true) && !scoped.allows_mailbox(anna, false));
        let excluded = TenantPolicy { excluded_mailboxes: [anna].into(), ..scoped };
        assert!(!excluded.allows_mailbox(anna, true));
    }
}
