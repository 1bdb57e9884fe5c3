//! What is written to Outlook: the room's answer to the organizer, and our property on the
//! organizer's copy.

use jiff::SignedDuration;
use serde_json::json;

use super::{Deps, Publisher};
use crate::{
    domain::{
        appointment::CopyLocation,
        booking::{Booking, BookingOutcome, MeetingResponse, RefusalReason, RoomResponse},
        ids::{MailboxId, TenantId},
    },
    graph::{GraphError, PropertyId},
    jobs::runner::job::JobError,
};

/// When to look again for a room's copy that has not arrived yet.
pub(super) const COPY_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// How often a job does so.
pub(super) const MAX_COPY_DEFERRALS: u32 = 4;
/// How often a chain of jobs may have led back to an earlier step when a copy that is not found is read
/// again: a chain that began with reading the holder of a room has done so once.
pub(super) const MAX_RETURNS: u32 = 1;

/// Whether our property is written to the copy in an organizer's mailbox.
pub(super) enum MailboxStatus {
    Active,
    /// Nothing is written for a person who has withdrawn; the fetch forgets their copy.
    Inactive,
    /// Nothing is known of the mailbox any more, so there is nobody to tell.
    Unknown,
}

impl Deps {
    pub(super) async fn mailbox_status(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
    ) -> Result<MailboxStatus, JobError> {
        let mailbox = self.mailboxes.get(tenant, mailbox).await?;
        Ok(match mailbox.map(|(mailbox, _)| mailbox.state) {
            Some(state) if state.is_active() => MailboxStatus::Active,
            Some(_) => MailboxStatus::Inactive,
            None => MailboxStatus::Unknown,
        })
    }
}

impl Publisher<'_> {
    /// Publishes the room's answer, and our property on the organizer's copy.
    pub(super) async fn publish_outcome(&mut self, booking: &Booking) -> Result<(), JobError> {
        let response = self.response_mode.and_then(|mode| booking.pending_response(mode));
        let answered = match response {
            Some(response) => self.respond_for_room(booking, response).await,
            None => Ok(()),
        };
        // The organizer reads the outcome even when the room cannot answer yet.
        self.publish_to_organizer(booking).await.and(answered)
    }

    async fn publish_to_organizer(&mut self, booking: &Booking) -> Result<(), JobError> {
        let copy = booking.copies.organizer_copy();
        let Some((published, at)) = booking.pending_outcome().zip(copy) else { return Ok(()) };
        // A refusal keeps no id of the copy; when the room is taken off later, the pointer has it.
        let tenant = booking.key.tenant;
        let Some(at) = self.deps.appointments.locate(tenant, at).await? else { return Ok(()) };
        match self.deps.mailbox_status(tenant, at.mailbox).await? {
            MailboxStatus::Active => {}
            MailboxStatus::Inactive => {
                self.refetch.push(at);
                return Ok(());
            }
            MailboxStatus::Unknown => {
                (self.organizer_outcome, self.unconfirmed) = (Some(published), None);
                return Ok(());
            }
        }
        let property = PropertyId::outcome(booking.key.room);
        let value = json!({
            "outcome": outcome_text(published.outcome),
            "match": booking.id.to_string(),
        });
        let value = value.to_string();
        // Also when the call is cut off.
        let before = self.unconfirmed.replace(published);
        let written = self.graph.set_property(at.mailbox, &at.event, &property, &value).await;
        if !written.as_ref().is_err_and(GraphError::may_have_taken_effect) {
            self.unconfirmed = before;
        }
        self.refused |= written.is_err();
        if written? {
            (self.organizer_outcome, self.unconfirmed) = (Some(published), None);
            return Ok(());
        }
        self.reread_missing(at)
    }

    async fn respond_for_room(
        &mut self,
        booking: &Booking,
        response: RoomResponse,
    ) -> Result<(), JobError> {
        let room = booking.key.room.mailbox();
        let known = booking.copies.room_copy().and_then(|at| at.event.clone());
        let event = match (known, &booking.ical_uid) {
            (Some(event), _) => event,
            // The booking has ended, and the room has answered.
            (None, None) => return Ok(()),
            (None, Some(ical_uid)) => {
                let found = self.graph.list_by_ical_uid(room, ical_uid).await?;
                let Some(event) = found.into_iter().next() else {
                    if response.response == MeetingResponse::Decline && self.job.due.is_some() {
                        // There is nothing to decline: a worker before us did it, or no copy ever
                        // came.
                        self.room_response = Some(response);
                        return Ok(());
                    }
                    return Err(self.copy_pending());
                };
                let row = self.deps.mailboxes.get(booking.key.tenant, room).await?;
                if row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
                    // The copy is read first: it may still be for a time that is no longer wanted.
                    self.refetch.push(CopyLocation { mailbox: room, event });
                    return Ok(());
                }
                event
            }
        };
        let answered = self.graph.respond_to_invitation(room, &event, response.response).await;
        self.refused |= answered.is_err();
        if answered? {
            self.room_response = Some(response);
            return Ok(());
        }
        self.reread_missing(CopyLocation { mailbox: room, event })
    }

    /// The write found no such copy: the fetch finds out what became of it, and the calendar decides,
    /// because a deleted event may still be served. Where it leads here again and again, the calendar
    /// has the copy and Graph refuses to write it.
    fn reread_missing(&mut self, copy: CopyLocation) -> Result<(), JobError> {
        if self.job.meta.returns <= MAX_RETURNS && self.job.meta.attempts == 0 {
            self.not_found.push(copy);
            return Ok(());
        }
        self.refused = true;
        Err(JobError::fail("Graph returns the event but does not find it for a write"))
    }

    /// The job waits for a while and then leaves it to the due entry: the entry's own job would
    /// only wait beside it.
    fn copy_pending(&self) -> JobError {
        if self.job.due.is_none() && self.job.meta.deferrals < MAX_COPY_DEFERRALS {
            return JobError::retry_after(COPY_DELAY, "the room's copy has not arrived yet");
        }
        JobError::Discard("the room's copy has not arrived yet; the due entry will retry")
    }
}

/// What the property says. Other programs read these words, so they are never renamed.
pub(super) fn outcome_text(outcome: BookingOutcome) -> &'static str {
    match outcome {
        BookingOutcome::Booked => "booked",
        BookingOutcome::Refused(RefusalReason::Conflict) => "refused: conflict",
        BookingOutcome::Refused(RefusalReason::TooLong) => "refused: too long",
        BookingOutcome::Refused(RefusalReason::SeriesConflicts) => "refused: series",
        BookingOutcome::Released => "released",
    }
}
