//! What people decided: the entries of a tenant's register.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SuspensionReason, policy::Registration};
use crate::domain::ids::{MailboxId, TenantId};

/// One entry of the register. It holds object ids, never names or addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub tenant: TenantId,
    pub at: Timestamp,
    /// Who decided: a person's object id; `None` for Roombridge itself.
    pub by: Option<MailboxId>,
    /// Whose calendar it is about; `None` when it is about the whole tenant.
    pub about: Option<MailboxId>,
    pub kind: DecisionKind,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecisionKind {
    /// The tenant was connected, or its registration was switched.
    Connected {
        registration: Registration,
        text_version: String,
    },
    Suspended(SuspensionReason),
    /// Access is back, and work continues.
    Resumed,
    Disconnected,
    /// Everything of the tenant that is not kept as evidence is deleted.
    Deleted,
    PolicyChanged {
        /// Which, by its name on the page.
        policy: String,
        old: String,
        new: String,
    },
    /// About a booking system of the tenant's own.
    BookingSystem {
        change: SystemChange,
        /// Its product and address.
        system: String,
    },
    ConsentGranted {
        /// As whom: the owner, a delegate, the organisation.
        capacity: ConsentCapacity,
        text_version: String,
    },
    /// A calendar may not be followed any more.
    ConsentWithdrawn {
        released: bool,
    },
    /// Everything about a person is to be forgotten.
    Erased {
        released: bool,
    },
}

/// What was decided about a booking system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SystemChange {
    Connected,
    /// Another account, or other values of the connection.
    Changed,
    /// From now on bookings are made there.
    InUse {
        /// Where they were made before.
        instead_of: String,
    },
    Disconnected,
}

impl SystemChange {
    /// In words that do not change with the language: it is evidence.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Changed => "account or settings changed",
            Self::InUse { .. } => "in use",
            Self::Disconnected => "disconnected",
        }
    }
}

/// In which capacity somebody agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentCapacity {
    Own,
    /// As a delegate of the calendar's owner.
    Delegate,
    /// As an administrator, for the organisation or for a room.
    Organisation,
}
