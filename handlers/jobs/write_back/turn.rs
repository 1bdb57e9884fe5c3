//! Whose turn it is to tell: one worker at a time, or the organizer would be answered twice for one
//! booking, once for each copy that was read.

use std::time::Duration;

use jiff::SignedDuration;

use super::{RACE_TIME, Writer};
use crate::{
    domain::booking::{Booking, Telling},
    jobs::runner::job::StepError,
    store::tables::ETag,
};

/// How long a worker may be telling. Whoever was killed is followed by the due entry's nudge.
const TURN: SignedDuration = SignedDuration::from_mins(2);
/// When a worker is cut off, so that it is surely gone when its turn ends.
pub(super) const TELL_TIME: Duration = Duration::from_secs(100);

impl Writer<'_> {
    /// Takes the turn to tell, if there is anything to tell; `None` when somebody else has it or
    /// changed the row first.
    pub(super) async fn take_turn(
        &self,
        booking: Booking,
        etag: ETag,
    ) -> Result<Option<(Booking, ETag)>, StepError> {
        let now = self.deps.clock.now();
        if !booking.is_to_tell(self.answering) {
            return Ok(Some((booking, etag)));
        }
        if booking.is_being_told(now) {
            return Ok(None);
        }
        let telling = Some(Telling { worker: self.id, until: now + TURN });
        let ours = Booking { telling, ..booking };
        match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => return Ok(Some((ours, etag))),
            Err(error) if error.is_changed() => {}
            Err(error) => {
                self.give_up_turn().await;
                return Err(error.into());
            }
        }
        // Perhaps it was ours whose answer was lost, and a repeat below us met it.
        let fresh = self.deps.bookings.get(&ours.key).await?;
        match fresh {
            Some((row, etag)) if row.telling == ours.telling => Ok(Some((row, etag))),
            Some((row, _)) if row.is_being_told(now) => Ok(None),
            Some(_) => Err(StepError::wait(RACE_TIME, "the booking was changed meanwhile")),
            None => Ok(None),
        }
    }

    /// After an error nobody should have to wait for our turn to end. If this fails too, they wait.
    pub(super) async fn give_up_turn(&self) {
        let Ok(Some((row, etag))) = self.deps.bookings.get(&self.nudge.key).await else { return };
        if row.telling.is_some_and(|telling| telling.worker == self.id) {
            let freed = Booking { telling: None, ..row };
            if let Err(error) = self.deps.bookings.replace(&freed, &etag).await {
                tracing::warn!(%error, "the turn to tell stays taken until it ends");
            }
        }
    }
}
