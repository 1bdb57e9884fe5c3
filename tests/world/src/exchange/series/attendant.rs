//! How a room that accepts by itself answers a series (`Set-CalendarProcessing`,
//! learn.microsoft.com/powershell/module/exchange/set-calendarprocessing, 2026-08).

use jiff::{SignedDuration, Timestamp};

use super::super::Transaction;
use super::super::graph_names::{EventType, Response};
use super::super::state::{Details, EventCopy, RoomRules};

/// What the attendant makes of the dates of a series.
enum SeriesAnswer {
    Decline,
    /// Accept it, and decline these dates one by one.
    Accept {
        conflicts: Vec<String>,
    },
}

impl Transaction<'_> {
    /// Answers the series whose master is `id`. By default one conflict, or one date beyond the booking
    /// window, declines all of it.
    pub(in crate::exchange) fn answer_series(&mut self, mailbox: &str, id: &str) {
        let Some(rules) = self.state.mailboxes.get(mailbox).map(|row| row.rules) else { return };
        if !rules.whole_series {
            self.cut_beyond_window(mailbox, id, rules);
        }
        let answer = self.judge_series(mailbox, id, rules);
        let (response, conflicts) = match answer {
            SeriesAnswer::Decline => (Response::Declined, Vec::new()),
            SeriesAnswer::Accept { conflicts } => (Response::Accepted, conflicts),
        };
        let declined = conflicts.into_iter().map(|id| (id, Response::Declined));
        for (id, response) in std::iter::once((id.to_owned(), response)).chain(declined) {
            // The copies were put there a moment ago, so answering cannot fail.
            if self.respond(mailbox, &id, response, "", true).is_err() {
                tracing::debug!("a room's copy was gone before it was answered");
            }
        }
    }

    fn judge_series(&self, mailbox: &str, id: &str, rules: RoomRules) -> SeriesAnswer {
        let (Some(master), Some(row)) = (self.copy(mailbox, id), self.state.mailboxes.get(mailbox))
        else {
            return SeriesAnswer::Decline;
        };
        let parts = row.copies.values().filter(|c| c.master.as_deref() == Some(id));
        let coming: Vec<&EventCopy> = parts.filter(|c| c.details.end > self.now).collect();
        let is_allowed = |c: &&EventCopy| rules.allow(self.now, c.details.start, c.details.end);
        if !rules.takes_series || coming.is_empty() || !coming.iter().all(is_allowed) {
            return SeriesAnswer::Decline;
        }
        let conflicts: Vec<String> = coming
            .iter()
            .filter(|c| self.has_conflict(mailbox, &master.id, &c.details))
            .map(|c| c.id.clone())
            .collect();
        let share = conflicts.len() * 100;
        let exceeds = conflicts.len() > usize::from(rules.conflicts_allowed)
            || share > coming.len() * usize::from(rules.conflict_percentage);
        if exceeds { SeriesAnswer::Decline } else { SeriesAnswer::Accept { conflicts } }
    }

    /// What lies beyond the booking window does not come into the calendar.
    fn cut_beyond_window(&mut self, mailbox: &str, id: &str, rules: RoomRules) {
        let ahead = SignedDuration::from_hours(24 * i64::from(rules.booking_window_days));
        let last = self.now + ahead;
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let is_beyond = |c: &EventCopy| c.master.as_deref() == Some(id) && c.details.start > last;
        let cut: Vec<Timestamp> = row
            .copies
            .values()
            .filter(|c| is_beyond(c))
            .filter_map(EventCopy::original_start)
            .collect();
        row.copies.retain(|_, copy| !is_beyond(copy));
        if let Some(master) = row.copies.get_mut(id) {
            master.deleted_dates.extend(cut);
        }
    }

    /// Whether another live copy already takes that time (`AllowConflicts` is false by default).
    pub(in crate::exchange) fn has_conflict(
        &self,
        mailbox: &str,
        id: &str,
        details: &Details,
    ) -> bool {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return false };
        row.copies
            .values()
            .filter(|c| c.id != id && c.master.as_deref() != Some(id))
            .filter(|c| c.kind != EventType::SeriesMaster)
            .any(|c| c.overlaps(details.start, details.end))
    }
}
