//! Copies that are not read: those that are gone, and those of a mailbox that has withdrawn; and
//! those that were read too late.

use jiff::SignedDuration;

use super::{Context, Look};
use crate::{
    domain::appointment::Seen,
    graph::{EventRead, sighting::Calendar},
    jobs::runner::job::{Next, StepError},
    messages::{EventChange, Origin},
    store::mailboxes::Farewell,
};

/// How long an event that cannot be found is given before it counts as deleted, when nothing said
/// that it was. A GET right after a change may miss (learn.microsoft.com/graph, 2026-04).
const SECOND_LOOK: SignedDuration = SignedDuration::from_secs(10);

impl Look {
    /// Whether `read` is older than what this copy is known to have said.
    pub(super) fn is_behind(&self, read: &EventRead) -> bool {
        let known = self.pointer.as_ref().and_then(|pointer| pointer.modified);
        known.zip(read.modified).is_some_and(|(known, read)| read < known)
    }
}

impl Context<'_> {
    pub(super) async fn absent(
        &self,
        item: &EventChange,
        look: Look,
    ) -> Result<Vec<Next>, StepError> {
        if look.pointer.is_none() {
            return Err(StepError::Drop { reason: "gone, and nothing was booked for it" });
        }
        let told = match item.origin {
            Origin::Notification { deleted, .. } => deleted,
            Origin::Look => false,
        };
        if !told && item.passage.waits == 0 {
            return Err(StepError::wait(SECOND_LOOK, "the event cannot be found; one more look"));
        }
        // A mailbox that cannot be read says nothing about its events: never taken for a deletion.
        if !self.graph.mailbox_is_readable(item.mailbox).await? {
            return Err(StepError::fault(
                "the mailbox cannot be read, so the event is not known to be gone",
            ));
        }
        self.without_a_read(item, look, Seen::Gone).await
    }

    /// Nothing is asked of Graph: what the copy said is forgotten, and the room's copy speaks alone;
    /// or the rooms are given up, as the person wished.
    pub(super) async fn withheld(
        &self,
        item: &EventChange,
        look: Look,
    ) -> Result<Vec<Next>, StepError> {
        let seen = match (look.calendar, look.state.farewell()) {
            (Calendar::Person, Farewell::Released) => Seen::GivenUp,
            (Calendar::Person, Farewell::Anonymous) | (Calendar::Room(_), _) => Seen::Withheld,
        };
        self.without_a_read(item, look, seen).await
    }

    async fn without_a_read(
        &self,
        item: &EventChange,
        look: Look,
        seen: Seen,
    ) -> Result<Vec<Next>, StepError> {
        let Some(role) = look.pointer.as_ref().map(|pointer| pointer.role) else {
            return Err(StepError::Drop { reason: "nothing was booked for it" });
        };
        self.desire(item, look).of_missing(role, seen).await
    }
}
