//! What an organizer fills in before sending: a builder for tests.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Mailbox;
use super::graph_names::{Response, Role, Sensitivity};
use super::series::Recurrence;
use super::state::{Address, Attendee, Details};

/// A meeting to be sent. Everything but subject, start and end has a default.
#[derive(Clone)]
pub struct Invitation {
    pub(super) subject: String,
    pub(super) body: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) all_day: bool,
    pub(super) sensitivity: Sensitivity,
    pub(super) location: Option<String>,
    pub(super) time_zone: String,
    pub(super) attendees: Vec<Attendee>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) recurrence: Option<Recurrence>,
}

impl Invitation {
    /// A meeting about `subject` from `start` to `end`.
    pub fn new(subject: &str, start: Timestamp, end: Timestamp) -> Self {
        Self {
            subject: subject.to_owned(),
            body: String::new(),
            start,
            end,
            all_day: false,
            sensitivity: Sensitivity::Normal,
            location: None,
            time_zone: "UTC".to_owned(),
            attendees: Vec::new(),
            properties: BTreeMap::new(),
            recurrence: None,
        }
    }

    /// Invites a person as required attendee.
    #[must_use]
    pub fn with(self, person: &Mailbox) -> Self {
        self.attendee(person.name(), person.address(), Role::Required)
    }

    /// Books a room mailbox.
    #[must_use]
    pub fn room(self, room: &Mailbox) -> Self {
        self.attendee(room.name(), room.address(), Role::Resource)
    }

    /// Invites somebody by name and address, in any role (a room by a proxy address, a guest).
    #[must_use]
    pub fn attendee(mut self, name: &str, address: &str, role: Role) -> Self {
        self.attendees.push(attendee(name, address, role));
        self
    }

    /// The text below the subject. No code of this project may ever see it.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        text.clone_into(&mut self.body);
        self
    }

    /// The location line; without it, it holds the names of the rooms.
    #[must_use]
    pub fn location(mut self, text: &str) -> Self {
        self.location = Some(text.to_owned());
        self
    }

    /// How private it is.
    #[must_use]
    pub fn sensitivity(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = sensitivity;
        self
    }

    /// Marks it private.
    #[must_use]
    pub fn private(self) -> Self {
        self.sensitivity(Sensitivity::Private)
    }

    /// Takes whole days; `start` and `end` must be midnights.
    #[must_use]
    pub fn all_day(mut self) -> Self {
        self.all_day = true;
        self
    }

    /// The zone the organizer's calendar names as the original one (a Windows name).
    #[must_use]
    pub fn time_zone(mut self, name: &str) -> Self {
        name.clone_into(&mut self.time_zone);
        self
    }

    /// A single-value extended property on the organizer's copy.
    #[must_use]
    pub fn property(mut self, id: &str, value: &str) -> Self {
        self.properties.insert(id.to_owned(), value.to_owned());
        self
    }

    /// Makes it a series: start and end are those of the first occurrence.
    #[must_use]
    pub fn series(mut self, rule: Recurrence) -> Self {
        self.recurrence = Some(rule);
        self
    }

    /// What the meeting says once it has an organizer and an `iCalUId`.
    pub(super) fn details(self, ical: String, organizer: Address) -> Details {
        let location = self.location.unwrap_or_else(|| room_names(&self.attendees));
        Details {
            ical,
            subject: self.subject,
            body: self.body,
            start: self.start,
            end: self.end,
            all_day: self.all_day,
            sensitivity: self.sensitivity,
            location,
            time_zone: self.time_zone,
            organizer,
            attendees: self.attendees,
            recurrence: self.recurrence,
            part: None,
            sequence: 0,
        }
    }
}

/// An attendee who has not answered.
pub(super) fn attendee(name: &str, address: &str, role: Role) -> Attendee {
    Attendee {
        who: Address { name: name.to_owned(), address: address.to_owned() },
        role,
        response: Response::None,
        answered: None,
    }
}

/// The location line Outlook writes when rooms are picked.
pub(super) fn room_names(attendees: &[Attendee]) -> String {
    let rooms = attendees.iter().filter(|a| a.role == Role::Resource);
    rooms.map(|a| a.who.name.as_str()).collect::<Vec<_>>().join("; ")
}
