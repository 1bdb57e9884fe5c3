//! What is said in Outlook: the room's answer to the organizer, and our property on the organizer's
//! copy.

use jiff::SignedDuration;
use serde_json::json;

use super::{Done, Writer};
use crate::{
    domain::{
        appointment::CopyAt,
        booking::{Answer, Booking, Outcome, RefusalReason, RoomTold},
    },
    graph::{PropertyId, Reached},
    jobs::runner::job::StepError,
};

/// When to look for a room's copy that is still to come.
const COPY_TIME: SignedDuration = SignedDuration::from_secs(30);
/// How often a nudge waits for it.
const COPY_WAITS: u32 = 4;

impl Writer<'_> {
    /// The room's answer, and our property on the organizer's copy.
    pub(super) async fn tell(&self, booking: &Booking, done: &mut Done) -> Result<(), StepError> {
        if let Some(told) = self.answering.and_then(|answering| booking.to_answer(answering)) {
            let answered = self.answer(booking, told, done).await;
            // The organizer reads the outcome though the room cannot answer yet.
            return self.tell_organizer(booking, done).await.and(answered);
        }
        self.tell_organizer(booking, done).await
    }

    async fn tell_organizer(&self, booking: &Booking, done: &mut Done) -> Result<(), StepError> {
        let Some((told, at)) = booking.to_tell_organizer().zip(booking.copies.organizer_at())
        else {
            return Ok(());
        };
        let mailbox = self.deps.mailboxes.get(booking.key.tenant, at.mailbox).await?;
        match mailbox.map(|(mailbox, _)| mailbox.state) {
            Some(state) if state.is_active() => {}
            // Who has withdrawn is left alone, and their copy is to be forgotten.
            Some(_) => {
                done.look.push(at.clone());
                return Ok(());
            }
            None => {
                done.organizer = Some(told);
                return Ok(());
            }
        }
        let property = PropertyId::outcome(booking.key.room);
        let value =
            json!({ "outcome": word(told.outcome), "match": booking.id.to_string() }).to_string();
        match self.graph.set_property(at.mailbox, &at.event, &property, &value).await? {
            Reached::Done => done.organizer = Some(told),
            Reached::Gone => done.look.push(at.clone()),
        }
        Ok(())
    }

    async fn answer(
        &self,
        booking: &Booking,
        told: RoomTold,
        done: &mut Done,
    ) -> Result<(), StepError> {
        let room = booking.key.room.mailbox();
        let event = match booking.copies.room_at() {
            Some(at) => at.event.clone(),
            None => {
                let found = self.graph.find(room, &booking.ical_uid).await?;
                let Some(event) = found else {
                    if told.answer == Answer::Decline && self.nudge.due.is_some() {
                        // There is nothing to decline: a worker before us did, or none ever came.
                        done.room = Some(told);
                        return Ok(());
                    }
                    return Err(self.wait_for_copy());
                };
                let row = self.deps.mailboxes.get(booking.key.tenant, room).await?;
                if row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
                    // Read first: it may still ask for a time that is not wished any more.
                    done.look.push(CopyAt { mailbox: room, event });
                    return Ok(());
                }
                event
            }
        };
        match self.graph.answer(room, &event, told.answer).await? {
            Reached::Done => done.room = Some(told),
            // The fetch finds out what became of it.
            Reached::Gone => done.look.push(CopyAt { mailbox: room, event }),
        }
        Ok(())
    }

    /// For a while this nudge waits; then it is left to the due entry, whose nudges would wait beside it.
    fn wait_for_copy(&self) -> StepError {
        if self.nudge.due.is_none() && self.nudge.passage.waits < COPY_WAITS {
            return StepError::wait(COPY_TIME, "the room's copy is still to come");
        }
        StepError::Drop { reason: "the room's copy is still to come; the due entry asks again" }
    }
}

/// What the property says; a contract with whatever reads it, so never renamed.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Booked => "booked",
        Outcome::Refused(RefusalReason::Conflict) => "refused: conflict",
        Outcome::Refused(RefusalReason::TooLong) => "refused: too long",
        Outcome::Released => "released",
    }
}
