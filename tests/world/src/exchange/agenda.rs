//! A calendar as its owner reads it in Outlook: subjects, people, rooms and their answers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::graph_names::{EventType, Response, Role};
use super::state::{EventCopy, MailboxRow};
use super::{Exchange, Mailbox};

/// One line of a calendar. It holds what people wrote, and is never printed.
pub struct AgendaEntry {
    /// The meeting's `iCalUId`.
    pub ical: String,
    /// The subject.
    pub subject: String,
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// The organizer's name.
    pub organizer: String,
    /// Whether the calendar's owner organizes it.
    pub is_organizer: bool,
    /// Single meeting, or part of a series.
    pub kind: EventType,
    /// Marked cancelled.
    pub is_cancelled: bool,
    /// The owner's own answer.
    pub response: Response,
    /// Everybody invited, in the organizer's order.
    pub invited: Vec<Invitee>,
    /// Categories of this copy.
    pub categories: Vec<String>,
    /// Single-value extended properties of this copy by id. Outlook shows none of them.
    pub properties: BTreeMap<String, String>,
}

/// Somebody invited, as this copy of the meeting has it.
pub struct Invitee {
    /// The name.
    pub name: String,
    /// Object id of the mailbox, if the address is that of one here.
    pub mailbox: Option<String>,
    /// How they were invited.
    pub role: Role,
    /// What they answered as far as this copy knows: only the organizer's learns the answers.
    pub response: Response,
}

impl Exchange {
    /// What is in the calendar of `mailbox`, in the order of time: every copy but series masters,
    /// whose occurrences are listed instead.
    pub fn agenda(&self, mailbox: &Mailbox) -> Vec<AgendaEntry> {
        self.entries(mailbox, |kind| kind != EventType::SeriesMaster)
    }

    /// The series that `mailbox` organizes, each with the time of its first date.
    pub fn organized_series(&self, mailbox: &Mailbox) -> Vec<AgendaEntry> {
        let mut series = self.entries(mailbox, |kind| kind == EventType::SeriesMaster);
        series.retain(|entry| entry.is_organizer && !entry.is_cancelled);
        series
    }

    fn entries(&self, mailbox: &Mailbox, is_shown: fn(EventType) -> bool) -> Vec<AgendaEntry> {
        let state = self.lock();
        let Some(row) = state.mailboxes.get(mailbox.id()) else { return Vec::new() };
        let shown = row.copies.values().filter(|copy| is_shown(copy.kind));
        let mut entries: Vec<AgendaEntry> =
            shown.map(|copy| agenda_entry(copy, state.mailboxes.values())).collect();
        entries.sort_by(|a, b| (a.start, a.end, &a.ical).cmp(&(b.start, b.end, &b.ical)));
        entries
    }
}

fn agenda_entry<'a>(
    copy: &EventCopy,
    all: impl Iterator<Item = &'a MailboxRow> + Clone,
) -> AgendaEntry {
    let details = &copy.details;
    let invited = details.attendees.iter().map(|line| Invitee {
        name: line.who.name.clone(),
        mailbox: all.clone().find(|m| m.answers_to(&line.who.address)).map(|m| m.id.clone()),
        role: line.role,
        response: line.response,
    });
    AgendaEntry {
        ical: details.ical.clone(),
        subject: details.subject.clone(),
        start: details.start,
        end: details.end,
        organizer: details.organizer.name.clone(),
        is_organizer: copy.is_organizer,
        kind: copy.kind,
        is_cancelled: copy.is_cancelled,
        response: copy.response,
        invited: invited.collect(),
        categories: copy.categories.clone(),
        properties: copy.properties.clone(),
    }
}
