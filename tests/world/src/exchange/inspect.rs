//! Looking at calendars from a test: what Outlook would show to each side.

use jiff::Timestamp;

use super::graph_names::{EventType, Response};
use super::state::{EventCopy, MailboxRow, MailboxType, SentResponse};
use super::{Exchange, Mailbox, Meeting};

/// One mailbox's copy, as its owner sees it; nothing personal in it but the subject's absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyView {
    /// Object id of the mailbox.
    pub mailbox: String,
    /// The immutable event id.
    pub event: String,
    /// The meeting's `iCalUId`.
    pub ical: String,
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// Whether it is the organizer's own.
    pub is_organizer: bool,
    /// Single meeting, series, or part of one.
    pub kind: EventType,
    /// Marked cancelled.
    pub is_cancelled: bool,
    /// This mailbox's own answer.
    pub response: Response,
    /// The copy's ETag.
    pub etag: String,
}

/// A meeting as its organizer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingView {
    /// The organizer's copy.
    pub copy: CopyView,
    /// Object ids of the room mailboxes among the attendees, with the answers shown for them.
    pub rooms: Vec<(String, Response)>,
}

impl Exchange {
    /// Every copy with `isOrganizer` of `tenant` that is not cancelled, with its rooms; series count once.
    pub fn live_meetings(&self, tenant: &str) -> Vec<MeetingView> {
        let state = self.lock();
        let rooms: Vec<&MailboxRow> = state.mailboxes.values().filter(|m| is_room(m)).collect();
        let mut found = Vec::new();
        for row in state.mailboxes.values().filter(|m| m.tenant == tenant && !m.deleted) {
            let own = row.copies.values().filter(|c| c.is_organizer && !c.is_cancelled);
            for copy in own.filter(|c| c.master.is_none()) {
                let booked = copy.details.attendees.iter().filter_map(|line| {
                    let room = rooms.iter().find(|m| m.answers_to(&line.who.address))?;
                    Some((room.id.clone(), line.response))
                });
                found.push(MeetingView { rooms: booked.collect(), copy: copy_view(row, copy) });
            }
        }
        found
    }

    /// Every copy in a room's calendar that is not cancelled, a series by its dates: what the door panel
    /// shows.
    pub fn room_calendar(&self, room: &Mailbox) -> Vec<CopyView> {
        let mut copies = self.calendar(room);
        copies.retain(|c| !c.is_cancelled && c.kind != EventType::SeriesMaster);
        copies.sort_by_key(|c| (c.start, c.end));
        copies
    }

    /// Every copy in `mailbox`, cancelled ones and series masters included.
    pub fn calendar(&self, mailbox: &Mailbox) -> Vec<CopyView> {
        let state = self.lock();
        let Some(row) = state.mailboxes.get(mailbox.id()) else { return Vec::new() };
        row.copies.values().map(|c| copy_view(row, c)).collect()
    }

    /// Every answer that `mailbox` gave to `ical`, oldest first, with its comment.
    pub fn responses_from(&self, ical: &str, mailbox: &Mailbox) -> Vec<SentResponse> {
        let state = self.lock();
        let given = state.responses.iter().filter(|a| a.ical == ical && a.mailbox == mailbox.id());
        given.cloned().collect()
    }

    /// Every answer that `mailbox` gave, to whatever meeting or date of one.
    pub fn all_responses_from(&self, mailbox: &Mailbox) -> Vec<SentResponse> {
        let state = self.lock();
        let given = state.responses.iter().filter(|answer| answer.mailbox == mailbox.id());
        given.cloned().collect()
    }

    /// The extended property `property` on the copy of `ical` in `mailbox`.
    pub fn extended_property(
        &self,
        mailbox: &Mailbox,
        ical: &str,
        property: &str,
    ) -> Option<String> {
        let state = self.lock();
        let copy = state.mailboxes.get(mailbox.id())?.copy_of(ical)?;
        copy.properties.get(property).cloned()
    }

    /// The categories on the copy of `ical` in `mailbox`.
    pub fn categories(&self, mailbox: &Mailbox, ical: &str) -> Vec<String> {
        let state = self.lock();
        let row = state.mailboxes.get(mailbox.id());
        row.and_then(|m| m.copy_of(ical)).map(|c| c.categories.clone()).unwrap_or_default()
    }
}

impl Meeting {
    /// The copy in `mailbox`, if it has one.
    pub fn copy_in(&self, mailbox: &Mailbox) -> Option<CopyView> {
        let state = self.exchange.lock();
        let row = state.mailboxes.get(mailbox.id())?;
        row.copy_of(self.ical()).map(|c| copy_view(row, c))
    }

    /// What the organizer sees as the answer of `room` (or of a person); from outside, what was sent
    /// there. None when there is no such meeting or no such attendee.
    pub fn response_of(&self, room: &Mailbox) -> Option<Response> {
        let state = self.exchange.lock();
        let details = match &self.organizer {
            Some(organizer) => &state.mailboxes.get(organizer)?.copy_of(self.ical())?.details,
            None => state.external_meetings.get(self.ical())?,
        };
        let room = state.mailboxes.get(room.id())?;
        let mut lines = details.attendees.iter();
        lines.find(|line| room.answers_to(&line.who.address)).map(|line| line.response)
    }

    /// The extended property `property` on the copy in `mailbox`.
    pub fn property_in(&self, mailbox: &Mailbox, property: &str) -> Option<String> {
        self.exchange.extended_property(mailbox, self.ical(), property)
    }
}

fn is_room(row: &MailboxRow) -> bool {
    matches!(row.kind, MailboxType::Room(_)) && !row.deleted
}

fn copy_view(row: &MailboxRow, copy: &EventCopy) -> CopyView {
    CopyView {
        mailbox: row.id.clone(),
        event: copy.id.clone(),
        ical: copy.details.ical.clone(),
        start: copy.details.start,
        end: copy.details.end,
        is_organizer: copy.is_organizer,
        kind: copy.kind,
        is_cancelled: copy.is_cancelled,
        response: copy.response,
        etag: copy.etag(),
    }
}
