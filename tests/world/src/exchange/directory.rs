//! Mailboxes as the directory sees them: users, rooms as places, and who may see whose calendar.

use super::state::{MailboxRow, MailboxType};
use super::{Exchange, Mailbox, ids};
use crate::entra::User;

/// What somebody may do with another's calendar (resources/calendarpermission.md, `calendarRoleType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarRole {
    /// Free and busy times.
    FreeBusyRead,
    /// Free, busy, subject and location.
    LimitedRead,
    /// Everything but private events.
    Read,
    /// Everything but private events, and change it.
    Write,
    /// A delegate who does not see private events.
    DelegateWithoutPrivateEventAccess,
    /// A delegate who sees private events.
    DelegateWithPrivateEventAccess,
    /// Something else.
    Custom,
}

impl CalendarRole {
    /// Graph's word.
    pub fn as_graph_str(self) -> &'static str {
        match self {
            Self::FreeBusyRead => "freeBusyRead",
            Self::LimitedRead => "limitedRead",
            Self::Read => "read",
            Self::Write => "write",
            Self::DelegateWithoutPrivateEventAccess => "delegateWithoutPrivateEventAccess",
            Self::DelegateWithPrivateEventAccess => "delegateWithPrivateEventAccess",
            Self::Custom => "custom",
        }
    }
}

/// What is known of a room in addition to its mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceFacts {
    /// How many people fit.
    pub capacity: Option<u32>,
    /// The building's name.
    pub building: Option<String>,
}

/// One line of a calendar's permissions.
#[derive(Clone)]
pub(crate) struct Share {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) role: CalendarRole,
    pub(crate) inside: bool,
}

/// A room as Places lists it.
pub(crate) struct RoomPlace {
    /// The place's own id, which is not the mailbox's.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) facts: PlaceFacts,
}

impl Mailbox {
    /// Lets `other` do something with this mailbox's calendar, in place of what it might before.
    pub fn share_calendar_with(&self, other: &Mailbox, role: CalendarRole) {
        let share = Share {
            name: other.name().to_owned(),
            address: other.address().to_owned(),
            role,
            inside: other.tenant_id() == self.tenant_id(),
        };
        self.update_row(|m| {
            m.shares.retain(|known| known.address != share.address);
            m.shares.push(share);
        });
    }

    /// Takes back what `other` might do with this mailbox's calendar.
    pub fn unshare_calendar_with(&self, other: &Mailbox) {
        self.update_row(|m| m.shares.retain(|known| known.address != other.address()));
    }

    /// Sets what Places says about this room.
    pub fn set_place(&self, facts: PlaceFacts) {
        self.update_row(|m| m.place = facts);
    }

    /// The id Places has for this room.
    pub fn place_id(&self) -> String {
        ids::place_id(self.id())
    }
}

impl Exchange {
    /// Everybody with a mailbox, rooms too, in the order of ids.
    pub(crate) fn directory(&self, tenant: &str) -> Vec<User> {
        let state = self.lock();
        let own = state.mailboxes.values().filter(|m| m.tenant == tenant && !m.deleted);
        own.map(user).collect()
    }

    /// The rooms of a tenant in the order of names.
    pub(crate) fn places(&self, tenant: &str) -> Vec<RoomPlace> {
        let state = self.lock();
        let own = state.mailboxes.values().filter(|m| m.tenant == tenant && !m.deleted);
        let rooms = own.filter(|m| matches!(m.kind, MailboxType::Room(_)));
        let mut places: Vec<RoomPlace> = rooms
            .map(|m| RoomPlace {
                id: ids::place_id(&m.id),
                name: m.name.clone(),
                address: m.address.clone(),
                facts: m.place.clone(),
            })
            .collect();
        places.sort_by(|a, b| a.name.cmp(&b.name));
        places
    }

    /// Who may do what with the calendar of `mailbox`.
    pub(crate) fn shares(&self, mailbox: &str) -> Vec<Share> {
        let state = self.lock();
        state.mailboxes.get(mailbox).map(|m| m.shares.clone()).unwrap_or_default()
    }

    /// What a tenant is called.
    pub(crate) fn tenant_name(&self, tenant: &str) -> Option<String> {
        self.lock().tenants.get(tenant).map(|t| t.name.clone())
    }
}

fn user(row: &MailboxRow) -> User {
    User {
        id: row.id.clone(),
        tenant: row.tenant.clone(),
        name: row.name.clone(),
        address: row.address.clone(),
        sign_in_name: row.sign_in_name.clone(),
        home: None,
        signs_in: row.kind == MailboxType::Person,
        has_mailbox: true,
    }
}
