//! What is said in Outlook: the room's answer to the organizer, and our property on the organizer's
//! copy.

use jiff::SignedDuration;
use serde_json::json;

use super::{PublishResult, Publisher};
use crate::{
    domain::{
        appointment::CopyLocation,
        booking::{Booking, BookingOutcome, MeetingResponse, RefusalReason, RoomResponse},
    },
    graph::{PropertyId, WriteResult},
    jobs::runner::job::JobError,
};

/// When to look for a room's copy that is still to come.
const COPY_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// How often a nudge waits for it.
const MAX_COPY_DEFERRALS: u32 = 4;

impl Publisher<'_> {
    /// The room's answer, and our property on the organizer's copy.
    pub(super) async fn publish_outcome(
        &self,
        booking: &Booking,
        done: &mut PublishResult,
    ) -> Result<(), JobError> {
        if let Some(told) = self.answering.and_then(|answering| booking.pending_response(answering))
        {
            let answered = self.respond_for_room(booking, told, done).await;
            // The organizer reads the outcome though the room cannot answer yet.
            return self.publish_to_organizer(booking, done).await.and(answered);
        }
        self.publish_to_organizer(booking, done).await
    }

    async fn publish_to_organizer(
        &self,
        booking: &Booking,
        done: &mut PublishResult,
    ) -> Result<(), JobError> {
        let Some((told, at)) = booking.pending_outcome().zip(booking.copies.organizer_location())
        else {
            return Ok(());
        };
        let mailbox = self.deps.mailboxes.get(booking.key.tenant, at.mailbox).await?;
        match mailbox.map(|(mailbox, _)| mailbox.state) {
            Some(state) if state.is_active() => {}
            // Who has withdrawn is left alone, and their copy is to be forgotten.
            Some(_) => {
                done.refetch.push(at.clone());
                return Ok(());
            }
            None => {
                done.organizer = Some(told);
                return Ok(());
            }
        }
        let property = PropertyId::outcome(booking.key.room);
        let value =
            json!({ "outcome": outcome_text(told.outcome), "match": booking.id.to_string() })
                .to_string();
        match self.graph.set_property(at.mailbox, &at.event, &property, &value).await? {
            WriteResult::Applied => done.organizer = Some(told),
            WriteResult::NotFound => done.refetch.push(at.clone()),
        }
        Ok(())
    }

    async fn respond_for_room(
        &self,
        booking: &Booking,
        told: RoomResponse,
        done: &mut PublishResult,
    ) -> Result<(), JobError> {
        let room = booking.key.room.mailbox();
        let event = match booking.copies.room_location() {
            Some(at) => at.event.clone(),
            None => {
                let found = self.graph.find_by_ical_uid(room, &booking.ical_uid).await?;
                let Some(event) = found else {
                    if told.response == MeetingResponse::Decline && self.job.due.is_some() {
                        // There is nothing to decline: a worker before us did, or none ever came.
                        done.room = Some(told);
                        return Ok(());
                    }
                    return Err(self.copy_pending());
                };
                let row = self.deps.mailboxes.get(booking.key.tenant, room).await?;
                if row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
                    // Read first: it may still ask for a time that is not wished any more.
                    done.refetch.push(CopyLocation { mailbox: room, event });
                    return Ok(());
                }
                event
            }
        };
        match self.graph.respond_to_invitation(room, &event, told.response).await? {
            WriteResult::Applied => done.room = Some(told),
            // The fetch finds out what became of it.
            WriteResult::NotFound => done.refetch.push(CopyLocation { mailbox: room, event }),
        }
        Ok(())
    }

    /// For a while this nudge waits; then it is left to the due entry, whose nudges would wait beside it.
    fn copy_pending(&self) -> JobError {
        if self.job.due.is_none() && self.job.meta.deferrals < MAX_COPY_DEFERRALS {
            return JobError::retry_after(COPY_DELAY, "the room's copy is still to come");
        }
        JobError::Discard { reason: "the room's copy is still to come; the due entry asks again" }
    }
}

/// What the property says; a contract with whatever reads it, so never renamed.
fn outcome_text(outcome: BookingOutcome) -> &'static str {
    match outcome {
        BookingOutcome::Booked => "booked",
        BookingOutcome::Refused(RefusalReason::Conflict) => "refused: conflict",
        BookingOutcome::Refused(RefusalReason::TooLong) => "refused: too long",
        BookingOutcome::Released => "released",
    }
}
