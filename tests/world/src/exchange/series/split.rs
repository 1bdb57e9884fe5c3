//! "This and all following": Outlook ends the old series and makes a new one.

use jiff::{Span, Timestamp};

use super::super::graph_names::{EventType, Response};
use super::super::state::{Attendee, Details};
use super::super::{ExchangeError, Meeting, ids};
use super::Recurrence;

impl Meeting {
    /// Changes the occurrence at `original_start` and all that follow. The answer is the new series,
    /// which has an `iCalUId` of its own; the old one ends before it. No notification says so where a
    /// room has it (microsoftgraph/msgraph-sdk-java issue 1899).
    ///
    /// # Errors
    /// [`ExchangeError::NoCopy`] when the organizer no longer has it, or it is no series.
    pub fn split(
        &self,
        original_start: Timestamp,
        change: impl FnOnce(&mut FollowingSeries),
    ) -> Result<Self, ExchangeError> {
        let old = self.exchange.transact(|w| {
            let (mailbox, id) = self.own_copy(w)?;
            let copy = w.copy(&mailbox, &id).filter(|c| c.kind == EventType::SeriesMaster);
            copy.map(|copy| copy.details.clone()).ok_or(ExchangeError::NoCopy)
        })?;
        let rule = old.recurrence.clone().ok_or(ExchangeError::NoCopy)?;
        let length = old.end.duration_since(old.start);
        let (start, end) = (original_start, original_start + length);
        let mut following = FollowingSeries { start, end, rule: rule.clone() };
        change(&mut following);
        let last = rule.local_date(original_start).checked_sub(Span::new().days(1));
        let last = last.map_err(|_| ExchangeError::NoCopy)?;
        self.shorten_silently(|details| {
            details.recurrence = details.recurrence.take().map(|rule| rule.until(last));
        })?;
        self.exchange.transact(|w| {
            let (mailbox, _) = self.own_copy(w)?;
            let unanswered = |line: &Attendee| Attendee {
                response: Response::None,
                answered: None,
                ..line.clone()
            };
            let details = Details {
                ical: ids::ical(w.rng.as_ref()),
                start: following.start,
                end: following.end,
                recurrence: Some(following.rule),
                attendees: old.attendees.iter().map(unanswered).collect(),
                sequence: 0,
                ..old
            };
            w.add_copy(&mailbox, details.clone(), Response::Organizer);
            w.invite(&details, |_| true);
            w.deliver_pending();
            Ok(Self { ical: details.ical, ..self.clone() })
        })
    }

    fn shorten_silently(&self, change: impl FnOnce(&mut Details)) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let details = self.edit(w, change)?;
            w.invite_silently(&details);
            w.deliver_pending();
            Ok(())
        })
    }
}

/// What the organizer makes of the rest of a series.
pub struct FollowingSeries {
    /// Of its first occurrence.
    pub start: Timestamp,
    /// Of its first occurrence.
    pub end: Timestamp,
    /// The rule, the old one's at first.
    pub rule: Recurrence,
}
