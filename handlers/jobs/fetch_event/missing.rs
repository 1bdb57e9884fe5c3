//! Copies that are not read: those that are gone, and those of a mailbox that has withdrawn; and
//! those that were read too late.

use jiff::SignedDuration;

use super::{Context, StoredState};
use crate::{
    domain::appointment::Observation,
    graph::{CalendarOwner, Event},
    jobs::runner::job::{Enqueue, JobError},
    messages::{EventChange, Origin},
    store::mailboxes::BookingDisposition,
};

/// How long an event that cannot be found is given before it counts as deleted, when nothing said
/// that it was. A GET right after a change may miss (learn.microsoft.com/graph, 2026-04).
const RECHECK_DELAY: SignedDuration = SignedDuration::from_secs(10);

impl StoredState {
    /// Whether `read` is older than what this copy is known to have said.
    pub(super) fn is_newer_than(&self, read: &Event) -> bool {
        let known = self.pointer.as_ref().and_then(|pointer| pointer.last_modified_at);
        known.zip(read.last_modified_at).is_some_and(|(known, read)| read < known)
    }
}

impl Context<'_> {
    pub(super) async fn handle_missing(
        &self,
        item: &EventChange,
        look: StoredState,
    ) -> Result<Vec<Enqueue>, JobError> {
        if look.pointer.is_none() {
            return Err(JobError::Discard { reason: "gone, and nothing was booked for it" });
        }
        let told = match item.origin {
            Origin::Notification { deleted, .. } => deleted,
            Origin::Refetch => false,
        };
        if !told && item.meta.deferrals == 0 {
            return Err(JobError::retry_after(
                RECHECK_DELAY,
                "the event cannot be found; one more look",
            ));
        }
        // A mailbox that cannot be read says nothing about its events: never taken for a deletion.
        if !self.graph.mailbox_is_readable(item.mailbox).await? {
            return Err(JobError::fail(
                "the mailbox cannot be read, so the event is not known to be gone",
            ));
        }
        self.apply_without_read(item, look, Observation::Gone).await
    }

    /// Nothing is asked of Graph: what the copy said is forgotten, and the room's copy speaks alone;
    /// or the rooms are given up, as the person wished.
    pub(super) async fn handle_inactive_mailbox(
        &self,
        item: &EventChange,
        look: StoredState,
    ) -> Result<Vec<Enqueue>, JobError> {
        let seen = match (look.calendar, look.mailbox_state.booking_disposition()) {
            (CalendarOwner::Person, BookingDisposition::Release) => Observation::Released,
            (CalendarOwner::Person, BookingDisposition::KeepAnonymous)
            | (CalendarOwner::Room(_), _) => Observation::Withdrawn,
        };
        self.apply_without_read(item, look, seen).await
    }

    async fn apply_without_read(
        &self,
        item: &EventChange,
        look: StoredState,
        seen: Observation,
    ) -> Result<Vec<Enqueue>, JobError> {
        let Some(role) = look.pointer.as_ref().map(|pointer| pointer.role) else {
            return Err(JobError::Discard { reason: "nothing was booked for it" });
        };
        self.reconciler(item, look).apply_absence(role, seen).await
    }
}
