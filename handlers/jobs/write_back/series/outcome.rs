//! Our property on the organizer's copy of a series: one for all its dates in a room.

use std::collections::BTreeMap;

use serde_json::json;

use super::SeriesPublisher;
use crate::{
    domain::{
        appointment::{CopyKey, CopyLocation, CopyRef},
        booking::{Booking, BookingOutcome, PublishedOutcome, RefusalReason},
        ids::BookingId,
    },
    graph::{GraphError, PropertyId},
    jobs::{
        runner::job::JobError,
        write_back::publish::{MailboxStatus, outcome_text},
    },
    store::{StoreError, bookings::VersionedBooking},
};

impl SeriesPublisher<'_> {
    pub(super) async fn publish_to_organizer(
        &mut self,
        rows: &[VersionedBooking],
    ) -> Result<(), JobError> {
        let pending: Vec<(BookingId, PublishedOutcome)> = rows
            .iter()
            .filter(|(row, _)| row.publish_lease.is_some_and(|lease| lease.worker == self.id))
            .filter_map(|(row, _)| Some((row.id, row.pending_outcome()?)))
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        let Some(at) = self.locate_organizer_copy(rows).await? else {
            // All of the series was called off, or is forgotten, and what it says with it.
            self.confirm(pending);
            return Ok(());
        };
        match self.deps.mailbox_status(self.job.key.tenant, at.mailbox).await? {
            MailboxStatus::Active => {}
            MailboxStatus::Inactive => {
                self.results.refetch.push(at);
                return Ok(());
            }
            MailboxStatus::Unknown => {
                self.confirm(pending);
                return Ok(());
            }
        }
        let property = PropertyId::outcome(self.room);
        let value = series_outcome(rows.iter().map(|(row, _)| row)).to_string();
        let unconfirmed = pending.iter().map(|(id, outcome)| (*id, Some(*outcome))).collect();
        // Also when the call is cut off.
        let before = std::mem::replace(&mut self.unconfirmed, unconfirmed);
        let written = self.graph.set_property(at.mailbox, &at.event, &property, &value).await;
        if !written.as_ref().is_err_and(GraphError::may_have_taken_effect) {
            self.unconfirmed = before;
        }
        self.results.refused |= written.is_err();
        if written? {
            self.confirm(pending);
            return Ok(());
        }
        self.results.reread_missing(at, &self.job.meta)
    }

    /// The master in the organizer's calendar; `None` where no date leads to it any more.
    async fn locate_organizer_copy(
        &self,
        rows: &[VersionedBooking],
    ) -> Result<Option<CopyLocation>, StoreError> {
        let copies = || rows.iter().filter_map(|(row, _)| row.copies.organizer_copy());
        if let Some(at) = copies().rev().find_map(CopyRef::location) {
            return Ok(Some(at));
        }
        // What has ended keeps no id of its copy; the pointer has it as long as the copy is there.
        let by_key: BTreeMap<CopyKey, &CopyRef> = copies().map(|copy| (copy.key, copy)).collect();
        for copy in by_key.into_values() {
            let at = self.deps.appointments.locate(self.job.key.tenant, copy).await?;
            if at.is_some() {
                return Ok(at);
            }
        }
        Ok(None)
    }

    fn confirm(&mut self, published: Vec<(BookingId, PublishedOutcome)>) {
        self.unconfirmed.clear();
        self.outcomes.extend(published);
    }
}

/// What the property says of a series: of how many dates, and what became of them. Other programs read
/// these words, so they are never renamed.
fn series_outcome<'a>(rows: impl Iterator<Item = &'a Booking>) -> serde_json::Value {
    let outcomes: Vec<BookingOutcome> = rows.filter_map(Booking::outcome).collect();
    let count = |is: fn(&BookingOutcome) -> bool| outcomes.iter().filter(|o| is(o)).count();
    let booked = count(|outcome| *outcome == BookingOutcome::Booked);
    let refused = count(|outcome| matches!(outcome, BookingOutcome::Refused(_)));
    // That the whole series was declined says more than which of its dates were taken.
    let whole = BookingOutcome::Refused(RefusalReason::SeriesConflicts);
    let is_refusal = |outcome: &&BookingOutcome| matches!(outcome, BookingOutcome::Refused(_));
    let refusal = outcomes.iter().filter(is_refusal).max_by_key(|outcome| **outcome == whole);
    let outcome = match (booked, refusal) {
        (0, None) => outcome_text(BookingOutcome::Released),
        (0, Some(refusal)) => outcome_text(*refusal),
        (_, None) => outcome_text(BookingOutcome::Booked),
        (_, Some(_)) => "partly booked",
    };
    json!({ "outcome": outcome, "dates": booked + refused, "refused": refused })
}
