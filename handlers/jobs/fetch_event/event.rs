//! What becomes of one event: from what was read of it, or from its absence, to its bookings.

use jiff::SignedDuration;

use super::{Batch, CATCH_UP_DELAY, StoredState, reconcile::Reconciler, report::CopyReport};
use crate::{
    domain::{
        appointment::{CopyRole, Observation},
        keys::Digest,
        personal::Personal,
    },
    graph::{CalendarOwner, CopySnapshot, Event, EventKind, GraphError, RetryCause, SkipReason},
    jobs::runner::job::{JobError, JobResult},
    messages::{EventChange, Origin},
    store::mailboxes::BookingDisposition,
};

/// How long a missing event is given before it counts as deleted, when nothing said that it was. A
/// GET right after a change may miss it (learn.microsoft.com/graph, 2026-04).
const RECHECK_DELAY: SignedDuration = SignedDuration::from_secs(10);
/// How long an event is asked for that Graph does not find and does not say why, where nothing is held
/// for it. If it is there, the daily comparison reads it.
const UNEXPLAINED_WAIT: SignedDuration = SignedDuration::from_hours(1);

impl Batch<'_> {
    pub(super) async fn handle_event(
        &self,
        item: &EventChange,
        stored: StoredState,
        event: Event,
    ) -> JobResult {
        let known = stored.pointer.as_ref().and_then(|pointer| pointer.last_modified_at);
        let is_older = known.zip(event.last_modified_at).is_some_and(|(known, read)| read < known);
        // One of Graph's replicas may lag behind. An older version that comes twice is believed: a
        // mailbox can be restored from a backup.
        if is_older && item.meta.deferrals == 0 {
            return Err(JobError::retry_after(
                CATCH_UP_DELAY,
                "Graph returned an older version than the stored one",
            ));
        }
        if let Some(master) = event.master()
            && let Some(master) = self.read_master(item, master).await?
        {
            return self.follow_master(item, stored, master).await;
        }
        if item.is_reported_gone() || item.origin == Origin::NotFound || stored.is_known_gone() {
            // A deleted event can still be read by its immutable id; the calendar decides.
            let ical_uid = event.ical_uid.as_ref().or(stored.ical_uid());
            if let Some(ical_uid) = ical_uid
                && !self.is_listed(item, self.copy_key(item).digest, ical_uid).await?
            {
                return Reconciler::new(self, item, stored).apply_absence(Observation::Gone).await;
            }
        }
        if event.kind == EventKind::SeriesMaster {
            return self.handle_series(item, stored, event).await;
        }
        let now = self.deps.clock.now();
        let read = || {
            CopySnapshot::from_event(&event, stored.calendar, &self.rooms(), now)
                .map_err(|reason| stored.why_skipped(reason))
        };
        let mut snapshot = read()?;
        if self.finds_new_rooms(stored.calendar, &event).await? {
            snapshot = read()?;
        }
        if snapshot.rooms.is_empty() && stored.bookings.is_empty() {
            return Err(JobError::Discard("no managed room"));
        }
        if !snapshot.rooms.is_empty() && event.ical_uid.is_none() {
            // Without it two appointments of one room would be one booking.
            return Err(JobError::fail("the event has no iCalUId"));
        }
        // The subject takes a read of its own, which is made only where the subject is kept.
        let subject = match snapshot.role {
            CopyRole::Organizer
                if !snapshot.rooms.is_empty()
                    && self.tenant.policy.content.reads_subject(snapshot.private) =>
            {
                self.item_graph(item).subject(item.mailbox, &item.event).await?
            }
            CopyRole::Organizer | CopyRole::Room => None,
        };
        let report = CopyReport::of_single(self, event, snapshot, subject.as_ref());
        Reconciler::new(self, item, stored).apply_copy(report).await
    }

    /// Whether its organizer invites a room that our map did not have, because another process has just
    /// added it. From now on it has it.
    pub(super) async fn finds_new_rooms(
        &self,
        calendar: CalendarOwner,
        event: &Event,
    ) -> Result<bool, JobError> {
        let known = self.rooms();
        if calendar != CalendarOwner::Person || !event.invites_other_resource(&known) {
            return Ok(false);
        }
        let rooms = self.deps.rooms.list_newer(self.tenant.id).await?;
        let is_new = event.match_rooms(&rooms).rooms != event.match_rooms(&known).rooms;
        if is_new {
            self.replace_rooms(rooms);
        }
        Ok(is_new)
    }

    pub(super) async fn handle_missing(
        &self,
        item: &EventChange,
        stored: StoredState,
    ) -> JobResult {
        if stored.pointer.is_none() {
            return Err(JobError::Discard("the event is gone and nothing was booked for it"));
        }
        if !item.is_reported_gone() && item.meta.deferrals == 0 {
            return Err(JobError::retry_after(
                RECHECK_DELAY,
                "the event was not found; checking once more",
            ));
        }
        // A mailbox that cannot be read says nothing about its events.
        if !self.item_graph(item).mailbox_is_readable(item.mailbox).await? {
            return Err(JobError::fail("the mailbox cannot be read, so the event may still exist"));
        }
        Reconciler::new(self, item, stored).apply_absence(Observation::Gone).await
    }

    /// Graph answered in a way that may mean that the event is gone, or nothing at all.
    pub(super) async fn handle_not_served(
        &self,
        item: &EventChange,
        stored: StoredState,
        error: GraphError,
    ) -> JobResult {
        let is_gone = item.is_reported_gone()
            || stored.is_known_gone()
            || match stored.ical_uid() {
                Some(ical_uid) => {
                    !self.is_listed(item, self.copy_key(item).digest, ical_uid).await?
                }
                None => false,
            };
        if is_gone {
            return self.handle_missing(item, stored).await;
        }
        let is_explained =
            matches!(error, GraphError::Retry { cause: RetryCause::EventNotServed, .. });
        let has_waited = if is_explained {
            item.meta.deferrals > 0
        } else {
            item.meta.first_seen + UNEXPLAINED_WAIT < self.deps.clock.now()
        };
        // Of a new event nothing is known, so it is waited for like an outage.
        let is_known = is_explained || stored.pointer.is_some();
        if has_waited && is_known && stored.has_ended() {
            return Err(JobError::Discard("the event is not served and nothing is held for it"));
        }
        Err(error.into())
    }

    /// Whether the calendar of the item's mailbox has `event`, which has this `iCalUId`.
    pub(super) async fn is_listed(
        &self,
        item: &EventChange,
        event: Digest,
        ical_uid: &Personal,
    ) -> Result<bool, JobError> {
        let listed = self.item_graph(item).list_by_ical_uid(item.mailbox, ical_uid).await?;
        Ok(listed.iter().any(|listed| self.digest_key.event(listed) == event))
    }

    /// Forgets what the copy said without asking Graph, and the room's copy counts alone; or
    /// releases the rooms, if the person chose that.
    pub(super) async fn handle_inactive_mailbox(
        &self,
        item: &EventChange,
        stored: StoredState,
    ) -> JobResult {
        let observation = match (stored.calendar, stored.mailbox_state.booking_disposition()) {
            (CalendarOwner::Person, BookingDisposition::Release) => Observation::Released,
            (CalendarOwner::Person, BookingDisposition::KeepAnonymous)
            | (CalendarOwner::Room(_), _) => Observation::Withdrawn,
        };
        Reconciler::new(self, item, stored).apply_absence(observation).await
    }
}

impl StoredState {
    /// Why nothing can be done with an event that says nothing that may be acted on.
    pub(super) fn why_skipped(&self, reason: SkipReason) -> JobError {
        match reason {
            SkipReason::AttendeeCopy => JobError::Discard("the copy is an attendee's"),
            SkipReason::Ambiguous if self.bookings.is_empty() => {
                JobError::Discard("the event cannot be read, and nothing is booked for it")
            }
            SkipReason::Ambiguous => {
                JobError::fail("what the event is or who is invited cannot be read")
            }
            SkipReason::UnreadableTime => JobError::fail("the event's times cannot be parsed"),
        }
    }
}
