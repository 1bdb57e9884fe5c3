//! What is written to Outlook: the room's answer to the organizer, and our property on the
//! organizer's copy.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Deps, Publisher};
use crate::{
    domain::{
        appointment::CopyLocation,
        booking::{Booking, BookingOutcome, MeetingResponse, RefusalReason, RoomResponse},
        ids::{MailboxId, TenantId},
    },
    graph::{GraphError, PropertyId},
    jobs::runner::job::{Enqueue, JobError},
    messages::{EventChanges, JobMeta, Origin},
};

/// When to look again for a room's copy that has not arrived yet.
const COPY_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// How often a job does so.
const MAX_COPY_DEFERRALS: u32 = 4;
/// How often a chain of jobs may have led back to an earlier step when a copy that is not found is read
/// again: a chain that began with reading the holder of a room has done so once.
const MAX_RETURNS: u32 = 1;

/// Whether our property is written to the copy in an organizer's mailbox.
pub(super) enum MailboxStatus {
    Active,
    /// Nothing is written for a person who has withdrawn; the fetch forgets their copy.
    Inactive,
    /// Nothing is known of the mailbox any more, so there is nobody to tell.
    Unknown,
}

/// What a worker's calls to Outlook leave to do.
#[derive(Default)]
pub(super) struct CallResults {
    /// Whether Graph refused a write.
    pub(super) refused: bool,
    /// The copies that must be read again.
    pub(super) refetch: Vec<CopyLocation>,
    /// The copies that a write did not find.
    not_found: Vec<CopyLocation>,
}

impl CallResults {
    /// The write found no such copy: the fetch finds out what became of it, and the calendar decides,
    /// because a deleted event may still be served. Where it leads here again and again, the calendar
    /// has the copy and Graph refuses to write it.
    pub(super) fn reread_missing(
        &mut self,
        copy: CopyLocation,
        meta: &JobMeta,
    ) -> Result<(), JobError> {
        if meta.returns <= MAX_RETURNS && meta.attempts == 0 {
            self.not_found.push(copy);
            return Ok(());
        }
        self.refused = true;
        Err(JobError::fail("Graph returns the event but does not find it for a write"))
    }

    /// The reads that follow.
    pub(super) fn into_jobs(
        self,
        tenant: TenantId,
        meta: JobMeta,
    ) -> impl Iterator<Item = Enqueue> {
        let read = move |at: CopyLocation| EventChanges::refetch(tenant, [&at], meta);
        let not_found = self.not_found.into_iter();
        let not_found = not_found.map(move |at| read(at).because(Origin::NotFound));
        self.refetch.into_iter().map(read).chain(not_found).map(Enqueue::now)
    }
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
                self.results.refetch.push(at);
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
        self.results.refused |= written.is_err();
        if written? {
            (self.organizer_outcome, self.unconfirmed) = (Some(published), None);
            return Ok(());
        }
        self.results.reread_missing(at, &self.job.meta)
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
                    return Err(copy_pending(self.job.due, &self.job.meta));
                };
                let row = self.deps.mailboxes.get(booking.key.tenant, room).await?;
                if row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
                    // The copy is read first: it may still be for a time that is no longer wanted.
                    self.results.refetch.push(CopyLocation { mailbox: room, event });
                    return Ok(());
                }
                event
            }
        };
        let answered = self.graph.respond_to_invitation(room, &event, response.response).await;
        self.results.refused |= answered.is_err();
        if answered? {
            self.room_response = Some(response);
            return Ok(());
        }
        self.results.reread_missing(CopyLocation { mailbox: room, event }, &self.job.meta)
    }
}

/// The job waits for a while and then leaves it to the due entry: the entry's own job would only wait
/// beside it.
pub(super) fn copy_pending(due: Option<Timestamp>, meta: &JobMeta) -> JobError {
    if due.is_none() && meta.deferrals < MAX_COPY_DEFERRALS {
        return JobError::retry_after(COPY_DELAY, "the room's copy has not arrived yet");
    }
    JobError::Discard("the room's copy has not arrived yet; the due entry will retry")
}

/// What the property says. Other programs read these words, so they are never renamed.
pub(super) fn outcome_text(outcome: BookingOutcome) -> &'static str {
    match outcome {
        BookingOutcome::Booked => "booked",
        BookingOutcome::Refused(RefusalReason::Conflict) => "refused: conflict",
        BookingOutcome::Refused(RefusalReason::TooLong) => "refused: too long",
        BookingOutcome::Refused(RefusalReason::SeriesConflicts) => "refused: series",
        BookingOutcome::Refused(RefusalReason::Rejected) => "refused: rejected",
        BookingOutcome::Released => "released",
    }
}
