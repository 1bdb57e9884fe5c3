//! Whether the room was ever invited, asked of its own calendar.

use jiff::SignedDuration;

use super::Reconciler;
use crate::{
    domain::{
        appointment::{CopyLocation, CopyReading, Observation},
        ids::{EventId, MailboxId},
        keys::BookingKey,
        personal::Personal,
    },
    graph::{CalendarOwner, CopySnapshot, EventKind, EventRef, GraphError, RetryCause},
    jobs::runner::job::JobError,
};

/// How long a room is held for a meeting of which its own calendar shows nothing: the meeting may have
/// been saved and not sent.
pub(super) const UNSENT_HOLD: SignedDuration = SignedDuration::from_mins(15);

impl Reconciler<'_> {
    /// Whether the room has been held long enough for an invitation that its calendar does not show.
    pub(super) async fn was_never_sent(
        &mut self,
        key: &BookingKey,
        reading: &CopyReading,
        ical_uid: &Personal,
    ) -> Result<bool, JobError> {
        let row = self.stored.bookings.get(key);
        let (Some(Some((booking, _))), Observation::WithRoom(_)) = (row, &reading.observation)
        else {
            return Ok(false);
        };
        let context = self.context(booking.key.room);
        let Some(since) = booking.uninvited_since() else { return Ok(false) };
        let is_early = self.deps().clock.now() < since + UNSENT_HOLD;
        if is_early || !context.room_followed || context.requires_room_copy {
            return Ok(false);
        }
        let ical_uid = reading.ical_uid.as_ref().unwrap_or(ical_uid);
        self.shows_no_invitation(key, ical_uid).await
    }

    /// Asks the room's calendar, if it is followed.
    async fn shows_no_invitation(
        &mut self,
        key: &BookingKey,
        ical_uid: &Personal,
    ) -> Result<bool, JobError> {
        let mailbox = key.room.mailbox();
        let row = self.deps().mailboxes.get(key.tenant, mailbox).await?;
        if !row.is_some_and(|(room, _)| room.state.is_active()) {
            // No notification would say that the invitation has come after all.
            return Ok(false);
        }
        match self.batch.item_graph(self.item).list_by_ical_uid(mailbox, ical_uid).await {
            Ok(found) => {
                let invitations = self.copies_that_hold(key, found).await?;
                let never_sent = invitations.is_empty();
                self.missed_copies.extend(invitations);
                Ok(never_sent)
            }
            Err(error @ GraphError::Retry { .. }) => Err(error.into()),
            // A room whose calendar cannot be read shows nothing, and so releases nothing.
            Err(_) => Ok(false),
        }
    }

    /// Leaves out what the room keeps of an invitation that is over or was called off: a client may
    /// have imported an item under that UID, and what it says was never sent to the room.
    async fn copies_that_hold(
        &self,
        key: &BookingKey,
        found: Vec<EventId>,
    ) -> Result<Vec<CopyLocation>, JobError> {
        let room = key.room;
        let (mailbox, correlation) = (room.mailbox(), self.item.meta.correlation);
        let refs: Vec<EventRef> =
            found.into_iter().map(|event| EventRef { mailbox, event, correlation }).collect();
        let events = self.batch.item_graph(self.item).events(&refs, None).await;
        let (calendar, now) = (CalendarOwner::Room(room), self.deps().clock.now());
        let mut holding = Vec::new();
        for (EventRef { mailbox, event, .. }, read) in refs.into_iter().zip(events) {
            let holds = match read {
                Ok(Some(read)) => {
                    let copy = CopySnapshot::from_event(&read, calendar, &self.batch.rooms(), now);
                    match read.kind {
                        EventKind::SeriesMaster => {
                            !read.cancelled && self.lists_date(mailbox, &read.id, key).await?
                        }
                        EventKind::SingleInstance
                        | EventKind::Occurrence
                        | EventKind::Exception
                        | EventKind::Unknown => copy.map_or(true, |copy| !copy.rooms.is_empty()),
                    }
                }
                // It was listed a moment ago: whether it holds the room is unknown.
                Ok(None)
                | Err(GraphError::Retry {
                    cause: RetryCause::EventNotServed | RetryCause::Nonsense(404),
                    ..
                }) => true,
                Err(error @ GraphError::Retry { .. }) => return Err(error.into()),
                Err(_) => true,
            };
            if holds {
                holding.push(CopyLocation { mailbox, event });
            }
        }
        Ok(holding)
    }

    /// Whether the room's copy of a series has the date that is asked for.
    async fn lists_date(
        &self,
        mailbox: MailboxId,
        master: &EventId,
        key: &BookingKey,
    ) -> Result<bool, JobError> {
        let Some(start) = key.original_start else { return Ok(true) };
        let (now, until) = (self.deps().clock.now(), self.deps().resync_horizon);
        let graph = self.batch.item_graph(self.item);
        let listed = graph.instances(mailbox, master, (now, now + until)).await?;
        Ok(listed.date(start).is_some() || !listed.is_complete)
    }
}
