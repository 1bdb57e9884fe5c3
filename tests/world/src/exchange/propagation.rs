//! How a change in one calendar reaches the others, and what a room's own processing makes of it.

use super::state::{
    Answer, Change, ChangeKind, Details, EventCopy, EventType, Kind, Message, Pending, Processing,
    Response, Sensitivity,
};
use super::{ExchangeError, Work, ids};

impl Work<'_> {
    /// Sends `message` to `mailbox`; it arrives after the propagation delay.
    pub(crate) fn send(&mut self, mailbox: &str, message: Message) {
        self.state.seq += 1;
        self.state.pending.push(Pending {
            due: self.now + self.state.delay,
            seq: self.state.seq,
            mailbox: mailbox.to_owned(),
            message,
        });
    }

    /// Carries what is due, oldest first, also what that causes; answers how many messages.
    pub(crate) fn pump(&mut self) -> usize {
        let mut carried = 0;
        while let Some(index) = self.next_due() {
            let Pending { mailbox, message, .. } = self.state.pending.remove(index);
            carried += 1;
            match message {
                Message::Request(details) => self.receive(&mailbox, &details),
                Message::Cancel { ical } => self.receive_cancel(&mailbox, &ical),
                Message::Answer { ical, from, response } => {
                    self.receive_answer(&mailbox, &ical, &from, response);
                }
            }
        }
        carried
    }

    fn next_due(&self) -> Option<usize> {
        let due = self.state.pending.iter().enumerate().filter(|(_, p)| p.due <= self.now);
        due.min_by_key(|(_, p)| (p.due, p.seq)).map(|(index, _)| index)
    }

    /// A request or update arrives: the copy appears or changes, and a room processes it.
    fn receive(&mut self, mailbox: &str, details: &Details) {
        let Some(row) = self.state.mailboxes.get(mailbox).filter(|m| !m.gone) else { return };
        let kind = row.kind;
        let known =
            row.copy_of(&details.ical).map(|c| (c.id.clone(), c.details.start, c.details.end));
        let shown = as_shown(kind, details);
        let (id, moved) = match known {
            Some((id, start, end)) => {
                let moved = (start, end) != (details.start, details.end);
                self.refresh(mailbox, &id, shown, moved);
                (id, moved)
            }
            None => (self.put(mailbox, shown, Response::NotResponded), true),
        };
        let unanswered = self.copy(mailbox, &id).is_some_and(|c| c.response != Response::Accepted);
        if kind == Kind::Room(Processing::AutoAccept) && (moved || unanswered) {
            let taken = self.is_taken(mailbox, &id, details);
            let response = if taken { Response::Declined } else { Response::Accepted };
            // The copy was put there a moment ago, so answering cannot fail.
            if self.answer(mailbox, &id, response, "", true).is_err() {
                tracing::debug!("a room's copy was gone before it was answered");
            }
        }
    }

    /// Replaces what a copy says; a new time takes back the mailbox's answer.
    fn refresh(&mut self, mailbox: &str, id: &str, shown: Details, moved: bool) {
        if let Some(copy) = self.copy_mut(mailbox, id) {
            copy.details = shown;
            copy.is_cancelled = false;
            if moved {
                copy.response = Response::NotResponded;
            }
        }
        self.touch(mailbox, id);
    }

    /// Whether another live copy already takes that time (`AllowConflicts` is false by default).
    fn is_taken(&self, mailbox: &str, id: &str, details: &Details) -> bool {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return false };
        row.copies
            .values()
            .filter(|c| c.id != id && c.master.as_deref() != Some(id))
            .filter(|c| c.kind != EventType::SeriesMaster)
            .any(|c| c.overlaps(details.start, details.end))
    }

    fn receive_cancel(&mut self, mailbox: &str, ical: &str) {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let Some(id) = row.copy_of(ical).map(|c| c.id.clone()) else { return };
        if matches!(row.kind, Kind::Room(_)) && !row.keeps_cancelled {
            self.remove(mailbox, &id);
            return;
        }
        if let Some(copy) = self.copy_mut(mailbox, &id) {
            copy.is_cancelled = true;
            copy.details.subject = format!("Canceled: {}", copy.details.subject);
        }
        self.touch(mailbox, &id);
    }

    fn receive_answer(&mut self, mailbox: &str, ical: &str, from: &str, response: Response) {
        let now = self.now;
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let Some(copy) = row.copies.values_mut().find(|c| c.details.ical == ical) else { return };
        let id = copy.id.clone();
        for line in &mut copy.details.attendees {
            if line.who.address.eq_ignore_ascii_case(from) {
                line.response = response;
                line.answered = Some(now);
            }
        }
        self.touch(mailbox, &id);
    }

    /// `mailbox` answers the request whose copy is `id`; declining takes the copy off the calendar
    /// (event: decline, learn.microsoft.com/graph/api/event-decline).
    ///
    /// # Errors
    /// When the copy is gone or is the organizer's own.
    pub(crate) fn answer(
        &mut self,
        mailbox: &str,
        id: &str,
        response: Response,
        comment: &str,
        send: bool,
    ) -> Result<(), ExchangeError> {
        let copy = self.copy_mut(mailbox, id).ok_or(ExchangeError::NoCopy)?;
        if copy.is_organizer {
            return Err(ExchangeError::OwnMeeting);
        }
        copy.response = response;
        let (ical, organizer) = (copy.details.ical.clone(), copy.details.organizer.address.clone());
        let invited = copy.details.attendees.clone();
        if response == Response::Declined {
            self.remove(mailbox, id);
        } else {
            self.touch(mailbox, id);
        }
        let (at, mailbox) = (self.now, mailbox.to_owned());
        let comment = comment.to_owned();
        self.state.answers.push(Answer {
            ical: ical.clone(),
            mailbox: mailbox.clone(),
            response,
            comment,
            sent: send,
            at,
        });
        if send {
            self.tell_organizer(&mailbox, ical, &organizer, &invited, response);
        }
        Ok(())
    }

    fn tell_organizer(
        &mut self,
        mailbox: &str,
        ical: String,
        organizer: &str,
        invited: &[super::state::Attendee],
        response: Response,
    ) {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let from = invited
            .iter()
            .find(|a| row.answers_to(&a.who.address))
            .map_or_else(|| row.address.clone(), |a| a.who.address.clone());
        if let Some(details) = self.state.outside.get_mut(&ical) {
            let lines = details.attendees.iter_mut();
            for line in lines.filter(|a| a.who.address.eq_ignore_ascii_case(&from)) {
                line.response = response;
            }
            return;
        }
        if let Some(to) = self.mailbox_at(organizer) {
            self.send(&to, Message::Answer { ical, from, response });
        }
    }

    /// The id of the living mailbox with that address, in any tenant.
    pub(crate) fn mailbox_at(&self, address: &str) -> Option<String> {
        let mut all = self.state.mailboxes.values();
        all.find(|m| !m.gone && m.answers_to(address)).map(|m| m.id.clone())
    }

    pub(crate) fn copy(&self, mailbox: &str, id: &str) -> Option<&EventCopy> {
        self.state.mailboxes.get(mailbox)?.copies.get(id)
    }

    pub(crate) fn copy_mut(&mut self, mailbox: &str, id: &str) -> Option<&mut EventCopy> {
        self.state.mailboxes.get_mut(mailbox)?.copies.get_mut(id)
    }

    /// Puts a new copy into `mailbox` (a series with its occurrences); answers its immutable id.
    pub(crate) fn put(&mut self, mailbox: &str, details: Details, response: Response) -> String {
        let kind = if details.occurrences.is_empty() {
            EventType::SingleInstance
        } else {
            EventType::SeriesMaster
        };
        let copy = self.new_copy(details.clone(), response, kind);
        let master = copy.id.clone();
        self.insert(mailbox, copy);
        for (start, end) in details.occurrences.clone() {
            let ical = ids::occurrence_ical(&details.ical, start);
            let occurrences = Vec::new();
            let part = Details { ical, start, end, occurrences, ..details.clone() };
            let mut copy = self.new_copy(part, response, EventType::Occurrence);
            copy.master = Some(master.clone());
            copy.original_start = Some(start);
            if let Some(row) = self.state.mailboxes.get_mut(mailbox) {
                row.copies.insert(copy.id.clone(), copy);
            }
        }
        master
    }

    fn new_copy(&self, details: Details, response: Response, kind: EventType) -> EventCopy {
        let rng = self.rng.as_ref();
        EventCopy {
            id: ids::immutable(rng),
            mutable_id: ids::mutable(rng),
            change_key: ids::change_key(rng),
            kind,
            master: None,
            original_start: None,
            is_organizer: response == Response::Organizer,
            is_cancelled: false,
            response,
            categories: Vec::new(),
            properties: std::collections::BTreeMap::new(),
            created: self.now,
            modified: self.now,
            details,
        }
    }

    fn insert(&mut self, mailbox: &str, copy: EventCopy) {
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let id = copy.id.clone();
        row.copies.insert(id.clone(), copy);
        self.record(mailbox, &id, ChangeKind::Created);
    }

    /// Gives a changed copy its new change key and tells about it.
    pub(crate) fn touch(&mut self, mailbox: &str, id: &str) {
        let (key, now) = (ids::change_key(self.rng.as_ref()), self.now);
        if let Some(copy) = self.copy_mut(mailbox, id) {
            copy.change_key = key;
            copy.modified = now;
            self.record(mailbox, id, ChangeKind::Updated);
        }
    }

    /// Takes a copy (a series with its occurrences) off the calendar.
    pub(crate) fn remove(&mut self, mailbox: &str, id: &str) {
        self.record(mailbox, id, ChangeKind::Deleted);
        if let Some(row) = self.state.mailboxes.get_mut(mailbox) {
            row.copies.retain(|key, c| key != id && c.master.as_deref() != Some(id));
        }
    }

    fn record(&mut self, mailbox: &str, id: &str, kind: ChangeKind) {
        let Some(copy) = self.copy(mailbox, id).cloned() else { return };
        let tenant = self.state.mailboxes.get(mailbox).map(|m| m.tenant.clone());
        self.state.seq += 1;
        self.state.changes.push(Change {
            seq: self.state.seq,
            at: self.now,
            tenant: tenant.unwrap_or_default(),
            mailbox: mailbox.to_owned(),
            mutable_event: copy.mutable_id.clone(),
            etag: copy.etag(),
            event: copy.id,
            kind,
        });
    }
}

/// What a mailbox keeps of a request. A room that accepts by itself replaces the subject by the
/// organizer's name, drops the text and the private flag (`DeleteSubject`, `AddOrganizerToSubject`,
/// `DeleteComments`, `RemovePrivateProperty` are true by default and work with AutoAccept only:
/// learn.microsoft.com/powershell/module/exchange/set-calendarprocessing).
fn as_shown(kind: Kind, details: &Details) -> Details {
    let mut shown = details.clone();
    if kind == Kind::Room(Processing::AutoAccept) {
        shown.subject = format!("{} ", details.organizer.name);
        shown.body = String::new();
        shown.sensitivity = Sensitivity::Normal;
    }
    shown
}
