//! How a change in one calendar reaches the others, and what a room's own processing makes of it.

use jiff::Timestamp;

use super::graph_names::{Response, Sensitivity};
use super::state::{
    Details, EventCopy, MailboxRow, MailboxType, MeetingResponse, Message, PendingMessage,
    Processing, SentResponse,
};
use super::{ExchangeError, Transaction};

impl Transaction<'_> {
    /// Sends `message` to `mailbox`; it arrives after the propagation delay.
    pub(crate) fn send(&mut self, mailbox: &str, message: Message) {
        self.state.seq += 1;
        let before = self.state.pending.iter().filter(|p| p.mailbox == mailbox).map(|p| p.due);
        // What was sent to a mailbox earlier arrives there earlier, though the way was longer then.
        let due = before.max().unwrap_or(self.now).max(self.now + self.state.delay);
        self.state.pending.push(PendingMessage {
            due,
            seq: self.state.seq,
            mailbox: mailbox.to_owned(),
            message,
        });
    }

    /// Carries what is due, oldest first, also what that causes; returns how many messages.
    pub(crate) fn deliver_pending(&mut self) -> usize {
        let mut carried = 0;
        while let Some(index) = self.next_due() {
            let PendingMessage { mailbox, message, .. } = self.state.pending.remove(index);
            carried += 1;
            match message {
                Message::Request { details, silent } => {
                    let before = self.state.changes.len();
                    self.receive(&mailbox, &details);
                    let is_room = |m: &MailboxRow| m.kind != MailboxType::Person;
                    if silent && self.state.mailboxes.get(&mailbox).is_some_and(is_room) {
                        self.state.changes.truncate(before);
                    }
                }
                Message::Cancel { ical } => self.receive_cancel(&mailbox, &ical),
                Message::Response(verdict) => self.receive_response(&mailbox, &verdict),
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
        let Some(row) = self.state.mailboxes.get(mailbox).filter(|m| !m.deleted) else { return };
        let (kind, rules) = (row.kind, row.rules);
        let outside = self.state.external_meetings.contains_key(&details.ical);
        if outside && matches!(kind, MailboxType::Room(_)) && !row.rules.takes_external {
            return;
        }
        let known = row.copy_of(&details.ical).cloned();
        let shown = processed_details(row, details);
        let (id, asked) = match known {
            Some(EventCopy { id, details: old, is_cancelled, .. }) => {
                // Who was called off and is invited again is asked again.
                let asked = is_cancelled
                    || (old.start, old.end, old.sequence)
                        != (details.start, details.end, details.sequence)
                    || old.recurrence.is_some() != details.recurrence.is_some();
                self.replace_details(mailbox, &id, shown, asked);
                (id, asked)
            }
            None => (self.add_copy(mailbox, shown, Response::NotResponded), true),
        };
        let unanswered = self.copy(mailbox, &id).is_some_and(|c| c.response != Response::Accepted);
        if kind != MailboxType::Room(Processing::AutoAccept) || !(asked || unanswered) {
            return;
        }
        if details.recurrence.is_some() {
            self.answer_series(mailbox, &id);
        } else {
            let free = rules.allow(self.now, details.start, details.end)
                && !self.has_conflict(mailbox, &id, details);
            let response = if free { Response::Accepted } else { Response::Declined };
            // The copy was put there a moment ago, so answering cannot fail.
            if self.respond(mailbox, &id, response, "", true).is_err() {
                tracing::debug!("a room's copy was gone before it was answered");
            }
        }
    }

    /// Replaces what a copy says; a new time or a new question takes back its answer.
    fn replace_details(&mut self, mailbox: &str, id: &str, shown: Details, asked: bool) {
        if let Some(copy) = self.copy_mut(mailbox, id) {
            let before = std::mem::replace(&mut copy.details, shown);
            copy.is_cancelled = false;
            if asked {
                copy.response = Response::NotResponded;
            }
            self.follow_master(mailbox, id, &before);
            if asked {
                self.answer_parts(mailbox, id, Response::NotResponded);
            }
        }
        self.bump_change_key(mailbox, id);
    }

    /// Gives the dates of a series that have no answer of their own that of the series.
    fn answer_parts(&mut self, mailbox: &str, id: &str, response: Response) {
        self.occurrences_mut(mailbox, id).for_each(|part| part.response = response);
    }

    fn receive_cancel(&mut self, mailbox: &str, ical: &str) {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let Some(id) = row.copy_of(ical).map(|c| c.id.clone()) else { return };
        if matches!(row.kind, MailboxType::Room(_)) && !row.rules.keeps_cancelled {
            self.remove_copy(mailbox, &id);
            return;
        }
        self.parts_mut(mailbox, &id).for_each(|part| part.is_cancelled = true);
        if let Some(copy) = self.copy_mut(mailbox, &id) {
            Self::become_exception(copy);
            copy.is_cancelled = true;
            copy.details.subject = format!("Canceled: {}", copy.details.subject);
        }
        self.bump_change_key(mailbox, &id);
    }

    fn receive_response(&mut self, mailbox: &str, verdict: &MeetingResponse) {
        let now = self.now;
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let mut copies = row.copies.values_mut();
        let Some(copy) = copies.find(|c| c.details.ical == verdict.ical) else { return };
        let id = copy.id.clone();
        if !verdict.apply_to(&mut copy.details, now) {
            return;
        }
        Self::become_exception(copy);
        for part in self.occurrences_mut(mailbox, &id) {
            verdict.apply_to(&mut part.details, now);
        }
        self.bump_change_key(mailbox, &id);
    }

    /// `mailbox` answers the request whose copy is `id`; declining takes the copy off the calendar
    /// (event: decline, learn.microsoft.com/graph/api/event-decline).
    ///
    /// # Errors
    /// When the copy is gone or is the organizer's own.
    pub(crate) fn respond(
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
        Self::become_exception(copy);
        let details = copy.details.clone();
        self.answer_parts(mailbox, id, response);
        if response == Response::Declined {
            self.remove_copy(mailbox, id);
        } else {
            self.bump_change_key(mailbox, id);
        }
        let (at, mailbox) = (self.now, mailbox.to_owned());
        let comment = comment.to_owned();
        self.state.responses.push(SentResponse {
            ical: details.ical.clone(),
            mailbox: mailbox.clone(),
            response,
            comment,
            sent: send,
            at,
        });
        if send {
            self.notify_organizer(&mailbox, &details, response);
        }
        Ok(())
    }

    fn notify_organizer(&mut self, mailbox: &str, details: &Details, response: Response) {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let mut lines = details.attendees.iter();
        let from = lines
            .find(|a| row.answers_to(&a.who.address))
            .map_or_else(|| row.address.clone(), |a| a.who.address.clone());
        let ical = details.ical.clone();
        let verdict = MeetingResponse { ical, from, response, sequence: details.sequence };
        if let Some(own) = self.state.external_meetings.get_mut(&verdict.ical) {
            verdict.apply_to(own, self.now);
        } else if let Some(to) = self.mailbox_at(&details.organizer.address) {
            self.send(&to, Message::Response(verdict));
        }
    }
}

impl MeetingResponse {
    /// Enters the answer in the organizer's list; an answer to an older request than the last is
    /// ignored ([MS-OXOCAL], "out-of-date", and 2.2.1.1 `PidLidAppointmentSequence`). Whether anything was entered.
    fn apply_to(&self, own: &mut Details, now: Timestamp) -> bool {
        if self.sequence < own.sequence {
            return false;
        }
        for line in &mut own.attendees {
            if line.who.address.eq_ignore_ascii_case(&self.from) {
                (line.response, line.answered) = (self.response, Some(now));
            }
        }
        true
    }
}

/// What a mailbox keeps of a request. A room loses the private flag (`RemovePrivateProperty`); one
/// that accepts by itself also replaces the subject by the organizer's name and drops the text
/// (`DeleteSubject`, `AddOrganizerToSubject`, `DeleteComments`: true by default, used with AutoAccept
/// only: learn.microsoft.com/powershell/module/exchange/set-calendarprocessing, 2023-09).
fn processed_details(row: &MailboxRow, details: &Details) -> Details {
    let mut shown = details.clone();
    let MailboxType::Room(processing) = row.kind else { return shown };
    if shown.sensitivity == Sensitivity::Private && !row.rules.keeps_private {
        shown.sensitivity = Sensitivity::Normal;
    }
    if processing == Processing::AutoAccept {
        shown.subject = format!("{} ", details.organizer.name);
        shown.body = String::new();
    }
    shown
}
