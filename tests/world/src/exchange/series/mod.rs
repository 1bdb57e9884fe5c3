//! Series: one master, whose rule says when its occurrences are. Only what differs from it is an exception.
//!
//! A calendar holds its occurrences as copies of their own, laid out from the rule, so that all that can
//! be done to a single meeting can be done to one of them. Change notifications name the master alone
//! (microsoftgraph/microsoft-graph-docs issues 5520 and 5951).

mod attendant;
mod recurrence;
mod split;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::graph_names::{EventType, Response};
use super::state::{Attendee, Details, EventCopy, SeriesPart};
use super::{ExchangeError, Meeting, Transaction, ids};

pub use recurrence::{Pattern, Recurrence, RecurrenceEnd, WeekIndex};

impl Details {
    /// What the occurrence that begins at `start` says, when nothing of its own.
    fn occurrence(&self, start: Timestamp, end: Timestamp) -> Self {
        Self {
            ical: ids::occurrence_ical(&self.ical, start),
            start,
            end,
            recurrence: None,
            part: Some(SeriesPart { master: self.ical.clone(), original_start: start }),
            ..self.clone()
        }
    }

    /// Whether each occurrence stays where it is.
    fn keeps_dates(&self, other: &Self) -> bool {
        let rules = self.recurrence.as_ref().zip(other.recurrence.as_ref());
        (self.start, self.end) == (other.start, other.end)
            && rules.is_some_and(|(one, other)| one.repeats_like(other))
    }

    fn dates(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let dates = self.recurrence.as_ref().map(|rule| rule.dates(self.start, self.end, now));
        dates.transpose().ok().flatten().unwrap_or_default()
    }
}

impl Transaction<'_> {
    /// Has the occurrences follow what the copy `id` says now, after it said `before`. Where the rule or
    /// the time has changed, all of them are new and exceptions are lost ([MS-OXOCAL] 3.1.4.7.3.5).
    pub(super) fn follow_master(&mut self, mailbox: &str, id: &str, before: &Details) {
        let Some(copy) = self.copy_mut(mailbox, id) else { return };
        copy.kind = copy.details.kind();
        if copy.kind != EventType::SeriesMaster && before.recurrence.is_none() {
            return;
        }
        let is_other = !copy.details.keeps_dates(before);
        if is_other {
            copy.deleted_dates.clear();
        }
        self.lay_out(mailbox, id, is_other);
    }

    /// Puts the occurrences that the rule lists and the calendar lacks into it, and takes out those that
    /// it lists no more. What is laid out afresh gets other ids.
    pub(super) fn lay_out(&mut self, mailbox: &str, id: &str, afresh: bool) {
        let Some(master) = self.copy(mailbox, id).cloned() else { return };
        let mut dates = master.details.dates(self.now);
        dates.retain(|(start, _)| !master.deleted_dates.contains(start));
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        row.copies.retain(|_, copy| {
            let start = copy.original_start().filter(|_| copy.master.as_deref() == Some(id));
            start.is_none_or(|start| !afresh && dates.iter().any(|(date, _)| *date == start))
        });
        for copy in self.parts_mut(mailbox, id) {
            dates.retain(|(start, _)| Some(*start) != copy.original_start());
            if copy.kind == EventType::Occurrence {
                copy.details = master.details.occurrence(copy.details.start, copy.details.end);
            }
        }
        for (start, end) in dates {
            let details = master.details.occurrence(start, end);
            let mut copy = self.new_copy(details, master.response, EventType::Occurrence);
            copy.master = Some(id.to_owned());
            if let Some(row) = self.state.mailboxes.get_mut(mailbox) {
                row.copies.insert(copy.id.clone(), copy);
            }
        }
    }

    /// The master in this mailbox of the series that `part` belongs to; a mailbox that was invited to
    /// one date alone has none.
    pub(super) fn master_id(&self, mailbox: &str, part: &SeriesPart) -> Option<String> {
        self.state.mailboxes.get(mailbox)?.copy_of(&part.master).map(|copy| copy.id.clone())
    }

    /// The occurrences and exceptions of the master `id`.
    pub(super) fn parts_mut(
        &mut self,
        mailbox: &str,
        id: &str,
    ) -> impl Iterator<Item = &mut EventCopy> {
        let row = self.state.mailboxes.get_mut(mailbox);
        let all = row.into_iter().flat_map(|row| row.copies.values_mut());
        all.filter(move |c| c.master.as_deref() == Some(id))
    }

    /// Those of them that are no exceptions.
    pub(super) fn occurrences_mut(
        &mut self,
        mailbox: &str,
        id: &str,
    ) -> impl Iterator<Item = &mut EventCopy> {
        self.parts_mut(mailbox, id).filter(|c| c.kind == EventType::Occurrence)
    }

    /// What follows an update of the series `details`: one for each coming exception; who was not invited
    /// to it, and everybody on a deleted date, gets a cancellation of it ([MS-OXOCAL] 3.1.4.7.3.5).
    pub(super) fn send_exceptions(&mut self, details: &Details) {
        let organizer = self.mailbox_at(&details.organizer.address);
        let Some(row) = organizer.and_then(|id| self.state.mailboxes.get(&id)) else { return };
        let Some(master) = row.copy_of(&details.ical) else { return };
        let exceptions: Vec<Details> = row
            .copies
            .values()
            .filter(|c| c.master.as_deref() == Some(&master.id) && c.kind == EventType::Exception)
            .filter(|c| !c.is_cancelled && c.details.end > self.now)
            .map(|c| c.details.clone())
            .collect();
        let deleted =
            master.deleted_dates.iter().map(|at| ids::occurrence_ical(&details.ical, *at));
        for ical in deleted.collect::<Vec<_>>() {
            self.send_cancellations(&ical, &details.attendees);
        }
        for exception in exceptions {
            let is_invited = |who: &Attendee| exception.attendees.iter().any(|a| a.who == who.who);
            let (_, left): (Vec<_>, Vec<_>) =
                details.attendees.iter().cloned().partition(is_invited);
            self.send_cancellations(&exception.ical, &left);
            self.invite(&exception, |a| a.response != Response::Declined);
        }
    }

    /// Marks `copy` as an exception of its series.
    pub(super) fn become_exception(copy: &mut EventCopy) {
        if copy.kind == EventType::Occurrence {
            copy.kind = EventType::Exception;
        }
    }
}

impl Meeting {
    /// The occurrence that begins at `original_start` by the rule, as a meeting: whatever is done to it
    /// makes it an exception.
    #[must_use]
    pub fn occurrence(&self, original_start: Timestamp) -> Self {
        Self { ical: ids::occurrence_ical(&self.ical, original_start), ..self.clone() }
    }

    /// Repeats it by another rule, or a single meeting by one; every attendee is asked again.
    ///
    /// # Errors
    /// [`ExchangeError::NoCopy`] when the organizer no longer has it.
    pub fn repeat(&self, rule: Recurrence) -> Result<(), ExchangeError> {
        self.resend(|details| details.recurrence = Some(rule))
    }

    /// Takes the repetition back: it takes place once, where it first did.
    ///
    /// # Errors
    /// [`ExchangeError::NoCopy`] when the organizer no longer has it.
    pub fn repeat_no_more(&self) -> Result<(), ExchangeError> {
        self.resend(|details| details.recurrence = None)
    }

    /// Refuses to move an occurrence to or past the day of its neighbour, deleted or not, as Exchange
    /// does (`ErrorOccurrenceCrossingBoundary`).
    pub(super) fn check_neighbours(&self, start: Timestamp) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let (mailbox, id) = self.own_copy(w)?;
            let copy = w.copy(&mailbox, &id).ok_or(ExchangeError::NoCopy)?;
            let master = copy.master.as_ref().and_then(|id| w.copy(&mailbox, id));
            let Some((master, original)) = master.zip(copy.original_start()) else { return Ok(()) };
            let Some(rule) = &master.details.recurrence else { return Ok(()) };
            let dates = master.details.dates(w.now);
            let day = rule.local_date(start);
            let crosses = dates.iter().any(|(other, _)| {
                let theirs = rule.local_date(*other);
                (*other < original && day <= theirs) || (*other > original && day >= theirs)
            });
            if crosses { Err(ExchangeError::CrossesNeighbour) } else { Ok(()) }
        })
    }
}
