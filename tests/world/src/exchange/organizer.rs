//! The steps behind an organizer's actions: change their own copy, then notify the others.

use super::graph_names::{Response, Role};
use super::invitation::attendee;
use super::state::{Attendee, Details, EventCopy, Message};
use super::{ExchangeError, Mailbox, Meeting, Transaction};

impl Meeting {
    pub(super) fn own_copy(&self, w: &Transaction<'_>) -> Result<(String, String), ExchangeError> {
        let mailbox = self.organizer.clone().ok_or(ExchangeError::NoCopy)?;
        let id = w.copy_id(&mailbox, &self.ical)?;
        Ok((mailbox, id))
    }

    /// Changes the organizer's details and returns them as they are now.
    pub(super) fn edit(
        &self,
        w: &mut Transaction<'_>,
        change: impl FnOnce(&mut Details),
    ) -> Result<Details, ExchangeError> {
        if let Some(details) = w.state.external_meetings.get_mut(&self.ical) {
            change(details);
            return Ok(details.clone());
        }
        let (mailbox, id) = self.own_copy(w)?;
        // What was called off cannot be sent again: Outlook only offers to take it off the calendar.
        let copy = w.copy_mut(&mailbox, &id).filter(|copy| !copy.is_cancelled);
        let copy = copy.ok_or(ExchangeError::NoCopy)?;
        let before = copy.details.clone();
        change(&mut copy.details);
        copy.is_rewritten = true;
        let details = copy.details.clone();
        w.follow_master(&mailbox, &id, &before);
        w.bump_change_key(&mailbox, &id);
        Ok(details)
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Details)) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let details = self.edit(w, change)?;
            w.invite(&details, |a| a.response != Response::Declined);
            w.send_exceptions(&details);
            w.deliver_pending();
            Ok(())
        })
    }

    pub(super) fn resend(&self, change: impl FnOnce(&mut Details)) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let details = self.edit(w, |d| {
                change(d);
                d.sequence += 1;
                for line in &mut d.attendees {
                    (line.response, line.answered) = (Response::None, None);
                }
            })?;
            w.invite(&details, |_| true);
            w.send_exceptions(&details);
            w.deliver_pending();
            Ok(())
        })
    }

    pub(super) fn replace_attendees(
        &self,
        replaced: impl Fn(&Attendee) -> bool,
        by: Vec<(Mailbox, Role)>,
    ) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let mut left = Vec::new();
            let details = self.edit(w, |d| {
                let (old, mut kept): (Vec<_>, Vec<_>) = d.attendees.drain(..).partition(&replaced);
                for (mailbox, role) in &by {
                    let known = old.iter().find(|a| a.who == mailbox.who).cloned();
                    let fresh = || attendee(mailbox.name(), mailbox.address(), *role);
                    kept.push(known.unwrap_or_else(fresh));
                }
                left = old.into_iter().filter(|a| !kept.iter().any(|k| k.who == a.who)).collect();
                d.attendees = kept;
            })?;
            w.send_cancellations(&self.ical, &left);
            w.invite(&details, |a| a.response != Response::Declined);
            w.send_exceptions(&details);
            w.deliver_pending();
            Ok(())
        })
    }

    pub(super) fn end_meeting(
        &self,
        own: impl FnOnce(&mut Transaction<'_>, &str, &str),
    ) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let invited = match w.state.external_meetings.remove(&self.ical) {
                Some(details) => details.attendees,
                None => {
                    let (mailbox, id) = self.own_copy(w)?;
                    let copy = w.copy(&mailbox, &id).ok_or(ExchangeError::NoCopy)?;
                    let invited = copy.details.attendees.clone();
                    own(w, &mailbox, &id);
                    invited
                }
            };
            w.send_cancellations(&self.ical, &invited);
            w.deliver_pending();
            Ok(())
        })
    }
}

impl Transaction<'_> {
    /// Sends a request to those attendees with a mailbox here that `wanted` picks.
    pub(super) fn invite(&mut self, details: &Details, wanted: impl Fn(&Attendee) -> bool) {
        self.request(details, wanted, false);
    }

    /// The same to everybody who has not declined, where rooms notify of nothing.
    pub(super) fn invite_silently(&mut self, details: &Details) {
        self.request(details, |a| a.response != Response::Declined, true);
    }

    fn request(&mut self, details: &Details, wanted: impl Fn(&Attendee) -> bool, silent: bool) {
        for line in details.attendees.iter().filter(|a| wanted(a)) {
            if let Some(mailbox) = self.mailbox_at(&line.who.address) {
                let details = Box::new(details.clone());
                self.send(&mailbox, Message::Request { details, silent });
            }
        }
    }

    pub(super) fn send_cancellations(&mut self, ical: &str, attendees: &[Attendee]) {
        for line in attendees {
            if let Some(mailbox) = self.mailbox_at(&line.who.address) {
                self.send(&mailbox, Message::Cancel { ical: ical.to_owned() });
            }
        }
    }

    pub(super) fn copy_id(&self, mailbox: &str, ical: &str) -> Result<String, ExchangeError> {
        let row = self.state.mailboxes.get(mailbox).filter(|m| !m.deleted);
        let row = row.ok_or(ExchangeError::NoMailbox)?;
        row.copy_of(ical).map(|c: &EventCopy| c.id.clone()).ok_or(ExchangeError::NoCopy)
    }
}
