//! What becomes of an item once its event was read, or is known not to be there.

use jiff::SignedDuration;

use super::{Context, Look, desire::Desire};
use crate::{
    domain::{appointment::Role, personal::Personal},
    graph::{
        EventRead, GraphError,
        sighting::{Passed, Sighting},
    },
    jobs::runner::job::{Next, StepError},
    messages::EventChange,
    store::mailboxes::MailboxState,
};

/// How long a reading that is older than what is known is given to catch up.
const LATE: SignedDuration = SignedDuration::from_secs(10);

impl Context<'_> {
    pub(super) async fn decide(
        &self,
        item: &EventChange,
        look: Look,
        answer: Result<Option<EventRead>, GraphError>,
    ) -> Result<Vec<Next>, StepError> {
        match answer? {
            Some(read) => self.present(item, look, read).await,
            None => self.absent(item, look).await,
        }
    }

    pub(super) async fn present(
        &self,
        item: &EventChange,
        look: Look,
        read: EventRead,
    ) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        if item.passage.waits == 0 && look.is_behind(&read) {
            // An answer from a place that is behind. Told twice it is believed: a mailbox can be
            // set back.
            return Err(StepError::wait(LATE, "an older version was read than the one known"));
        }
        let sighting = match Sighting::of(&read, look.calendar, self.rooms, now) {
            Ok(sighting) => sighting,
            Err(Passed::AttendeesCopy) => {
                return Err(StepError::Drop { reason: "an attendee's copy" });
            }
            Err(Passed::Unreadable) => {
                return Err(StepError::fault("the event's times cannot be understood"));
            }
        };
        if sighting.rooms.is_empty() && look.found.is_empty() {
            return Err(StepError::Drop { reason: "no managed room" });
        }
        let subject = self.subject(item, &sighting).await?;
        self.desire(item, look).of_present(&sighting, read, subject).await
    }

    pub(super) fn desire<'a>(&'a self, item: &'a EventChange, look: Look) -> Desire<'a> {
        let Look { pointer, etag, found, state, .. } = look;
        let Self { deps, tenant, rooms, .. } = *self;
        // While access is lost the way to the copy is kept: our property is still to leave it.
        let erased = matches!(state, MailboxState::Erased(..)) && tenant.state.is_active();
        Desire { deps, tenant, rooms, item, pointer, etag, found, erased }
    }

    /// The second read, for the subject alone, made only when it will be kept.
    async fn subject(
        &self,
        item: &EventChange,
        sighting: &Sighting,
    ) -> Result<Option<Personal>, StepError> {
        let kept = self.tenant.policy.content.reads_subject(sighting.private);
        match sighting.role {
            Role::Organizer if kept && !sighting.rooms.is_empty() => {
                Ok(self.graph.subject(item.mailbox, &item.event).await?)
            }
            Role::Organizer | Role::Room => Ok(None),
        }
    }
}
