//! What a tenant and its rooms have decided.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{
    Deserialize, Serialize,
    de::{self, IntoDeserializer as _},
};

use crate::domain::{
    booking_system::{SystemId, SystemRoomId, SystemRoomIds},
    ids::RoomId,
    personal::Personal,
};

/// Which of our two daemon registrations a tenant's administrator consented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Registration {
    OrganisationWide,
    /// Only the mailboxes that the administrator put into its scope.
    Scoped,
}

/// What our daemon registrations ask for to read an organisation's people. Microsoft's pages contradict
/// each other on whether the narrow permission is enough for `GET /users` and `checkMemberGroups`
/// (learn.microsoft.com/graph/api/user-list, /graph/permissions-reference, 2026-11), so the operator may
/// choose the wider one, for all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum UserPermission {
    #[default]
    #[serde(rename = "User.ReadBasic.All")]
    ReadBasic,
    /// Everything in everybody's profile. We ask no more of it.
    #[serde(rename = "User.Read.All")]
    Read,
}

impl FromStr for UserPermission {
    type Err = de::value::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::deserialize(name.into_deserializer())
    }
}

/// What becomes of a meeting's subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubjectPolicy {
    /// It is never asked for.
    Drop,
    /// It is asked for once a managed room was found, and passed on.
    Keep,
    /// It is never asked for; this text replaces it.
    Replace(String),
}

/// What becomes of the people invited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeoplePolicy {
    /// Only how many they are.
    Count,
    /// How many, and the organizer's address.
    Organizer,
    Addresses,
}

/// What becomes of an appointment that is marked private. Its subject is never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrivatePolicy {
    /// It is booked like any other, without a subject.
    WithoutSubject,
    /// It is booked without anybody's address, too.
    Anonymous,
}

/// A tenant's decisions about its meetings' content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentPolicy {
    pub subject: SubjectPolicy,
    pub people: PeoplePolicy,
    pub private: PrivatePolicy,
}

impl Default for ContentPolicy {
    /// As little as possible.
    fn default() -> Self {
        Self {
            subject: SubjectPolicy::Drop,
            people: PeoplePolicy::Count,
            private: PrivatePolicy::WithoutSubject,
        }
    }
}

impl ContentPolicy {
    /// Whether an appointment's subject is to be read at all. A private one's never is.
    pub fn reads_subject(&self, private: bool) -> bool {
        match self.subject {
            SubjectPolicy::Keep => !private,
            SubjectPolicy::Drop | SubjectPolicy::Replace(_) => false,
        }
    }

    /// Whose addresses go into the booking of an appointment.
    pub fn people_policy(&self, private: bool) -> PeoplePolicy {
        match self.private {
            PrivatePolicy::Anonymous if private => PeoplePolicy::Count,
            PrivatePolicy::Anonymous | PrivatePolicy::WithoutSubject => self.people,
        }
    }

    /// The booking's subject, given the one that was read (if any).
    pub fn booking_subject(&self, private: bool, read: Option<Personal>) -> Option<Personal> {
        match (&self.subject, private) {
            (SubjectPolicy::Keep, false) => read,
            (SubjectPolicy::Replace(text), _) => Some(Personal::new(text.clone())),
            (SubjectPolicy::Keep, true) | (SubjectPolicy::Drop, _) => None,
        }
    }
}

/// What becomes of a series some of whose dates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesConflicts {
    /// The free dates are booked and the others are declined one by one, each of which mails the organizer.
    /// With more conflicts than that the series is declined once. The limits have the names of Exchange's
    /// own (learn.microsoft.com/powershell/module/exchange/set-calendarprocessing, 2026-08).
    PerDate {
        /// `MaximumConflictInstances`.
        maximum_instances: u16,
        /// `ConflictPercentageAllowed`.
        percentage_allowed: u8,
    },
    AllOrNothing,
}

impl Default for SeriesConflicts {
    fn default() -> Self {
        Self::PerDate { maximum_instances: 10, percentage_allowed: 50 }
    }
}

impl SeriesConflicts {
    pub(super) fn is_unchanged(&self) -> bool {
        *self == Self::default()
    }

    /// How many conflicts have to be looked into before that is known.
    pub fn enough(self) -> usize {
        match self {
            Self::AllOrNothing => 1,
            Self::PerDate { maximum_instances, .. } => usize::from(maximum_instances) + 1,
        }
    }

    /// Whether a series is declined as a whole that cannot have the room on `conflicts` of its `dates`.
    pub fn declines(self, conflicts: usize, dates: usize) -> bool {
        match self {
            Self::AllOrNothing => conflicts > 0,
            Self::PerDate { maximum_instances, percentage_allowed } => {
                conflicts > usize::from(maximum_instances)
                    || conflicts * 100 > dates * usize::from(percentage_allowed)
            }
        }
    }
}

/// Who answers the organizer for a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseMode {
    /// Exchange accepts by itself (AutoAccept); we only decline what the booking system refuses.
    ExchangeDecides,
    /// The room's mailbox is set to AutoUpdate; we accept or decline.
    RoombridgeDecides,
}

/// A room that Roombridge manages, as the room map has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    #[serde(rename = "room")]
    pub id: RoomId,
    /// All addresses that mean this room, in lower case.
    pub addresses: Vec<String>,
    pub response_mode: ResponseMode,
    /// IANA name of the zone that an all-day booking's days are of.
    pub time_zone: String,
    /// What it is called at the tenant's own booking systems.
    #[serde(default, skip_serializing_if = "SystemRoomIds::is_empty")]
    pub system_rooms: SystemRoomIds,
    /// What the last change of that took away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_system_room: Option<PreviousSystemRoom>,
}

/// What a room was called at a booking system before that was changed, so that it can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSystemRoom {
    pub system: SystemId,
    pub room: Option<SystemRoomId>,
    /// The same for all rooms that were changed together.
    pub changed_at: Timestamp,
}

/// Who answers for a room; `None` when it is not managed (any more).
pub fn response_mode(managed: &[Room], room: RoomId) -> Option<ResponseMode> {
    managed.iter().find(|managed| managed.id == room).map(|room| room.response_mode)
}

impl Room {
    /// Whether `address` is one of the room's, however it is capitalised.
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses.iter().any(|own| own.eq_ignore_ascii_case(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_subject_is_not_even_read() {
        let keep = ContentPolicy { subject: SubjectPolicy::Keep, ..ContentPolicy::default() };
        assert!(keep.reads_subject(false) && !keep.reads_subject(true));
        assert_eq!(keep.booking_subject(true, Some(Personal::new("Surgery"))), None);
    }

    #[test]
    fn a_private_appointment_names_nobody_where_the_tenant_wants_that() {
        let open = ContentPolicy { people: PeoplePolicy::Addresses, ..ContentPolicy::default() };
        assert_eq!(open.people_policy(true), PeoplePolicy::Addresses);
        let shy = ContentPolicy { private: PrivatePolicy::Anonymous, ..open };
        assert_eq!(shy.people_policy(true), PeoplePolicy::Count);
        assert_eq!(shy.people_policy(false), PeoplePolicy::Addresses);
    }

    #[test]
    fn a_replaced_subject_is_never_read() {
        let subject = SubjectPolicy::Replace("Reserved".into());
        let policy = ContentPolicy { subject, ..ContentPolicy::default() };
        assert!(!policy.reads_subject(false));
        assert_eq!(policy.booking_subject(false, None), Some(Personal::new("Reserved")));
    }
}
