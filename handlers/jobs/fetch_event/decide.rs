//! What becomes of an item once its event was read, or is known not to be there.

use jiff::SignedDuration;

use super::{Context, StoredState, reconcile::Reconciler};
use crate::{
    domain::{appointment::CopyRole, personal::Personal},
    graph::{CopySnapshot, Event, GraphError, SkipReason},
    jobs::runner::job::{Enqueue, JobError},
    messages::EventChange,
    store::mailboxes::MailboxState,
};

/// How long a reading that is older than what is known is given to catch up.
const CATCH_UP_DELAY: SignedDuration = SignedDuration::from_secs(10);

impl Context<'_> {
    pub(super) async fn decide(
        &self,
        item: &EventChange,
        look: StoredState,
        answer: Result<Option<Event>, GraphError>,
    ) -> Result<Vec<Enqueue>, JobError> {
        match answer? {
            Some(read) => self.handle_event(item, look, read).await,
            None => self.handle_missing(item, look).await,
        }
    }

    pub(super) async fn handle_event(
        &self,
        item: &EventChange,
        look: StoredState,
        read: Event,
    ) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.clock.now();
        if item.meta.deferrals == 0 && look.is_newer_than(&read) {
            // An answer from a place that is behind. Told twice it is believed: a mailbox can be
            // set back.
            return Err(JobError::retry_after(
                CATCH_UP_DELAY,
                "an older version was read than the one known",
            ));
        }
        let sighting = match CopySnapshot::from_event(&read, look.calendar, self.rooms, now) {
            Ok(sighting) => sighting,
            Err(SkipReason::AttendeeCopy) => {
                return Err(JobError::Discard { reason: "an attendee's copy" });
            }
            Err(SkipReason::UnreadableTime) => {
                return Err(JobError::fail("the event's times cannot be understood"));
            }
        };
        if sighting.rooms.is_empty() && look.bookings.is_empty() {
            return Err(JobError::Discard { reason: "no managed room" });
        }
        let subject = self.read_subject(item, &sighting).await?;
        self.reconciler(item, look).apply_copy(&sighting, read, subject).await
    }

    pub(super) fn reconciler<'a>(
        &'a self,
        item: &'a EventChange,
        look: StoredState,
    ) -> Reconciler<'a> {
        let StoredState {
            pointer, pointer_etag: etag, bookings: found, mailbox_state: state, ..
        } = look;
        let Self { deps, tenant, rooms, .. } = *self;
        // While access is lost the way to the copy is kept: our property is still to leave it.
        let erased = matches!(state, MailboxState::Erased(..)) && tenant.state.is_active();
        Reconciler {
            deps,
            tenant,
            rooms,
            item,
            pointer,
            pointer_etag: etag,
            bookings: found,
            erased,
        }
    }

    /// The second read, for the subject alone, made only when it will be kept.
    async fn read_subject(
        &self,
        item: &EventChange,
        sighting: &CopySnapshot,
    ) -> Result<Option<Personal>, JobError> {
        let kept = self.tenant.policy.content.reads_subject(sighting.private);
        match sighting.role {
            CopyRole::Organizer if kept && !sighting.rooms.is_empty() => {
                Ok(self.graph.subject(item.mailbox, &item.event).await?)
            }
            CopyRole::Organizer | CopyRole::Room => Ok(None),
        }
    }
}
