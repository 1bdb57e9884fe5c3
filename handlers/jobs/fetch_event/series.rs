//! A series: Graph tells of its master alone, whatever has changed, so its dates are listed and compared
//! with what is stored.
//!
//! Exchange lists them; nothing is computed from the pattern here. An occurrence that is not listed any
//! more is looked for in the calendar before its booking ends, because lists without exceptions were
//! reported (microsoftgraph/microsoft-graph-docs issues 4294 and 15611).

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    Batch, StoredState,
    reconcile::Reconciler,
    report::{CopyReport, ReadSeries},
};
use crate::{
    domain::{
        appointment::{CopyLocation, CopyRole, Observation},
        booking::Booking,
        ids::EventId,
        personal::Personal,
    },
    graph::{CopySnapshot, Event, EventKind, EventRef, GraphError, RetryCause, SeriesInstances},
    jobs::runner::job::{JobError, JobResult},
    messages::{EventChange, Origin},
};

/// How far apart dates may be that are looked for in one read of the calendar.
const SEARCH_SPAN: SignedDuration = SignedDuration::from_hours(24 * 8);

impl Batch<'_> {
    /// What becomes of a series whose master was read.
    pub(super) async fn handle_series(
        &self,
        item: &EventChange,
        stored: StoredState,
        master: Event,
    ) -> JobResult {
        let known = stored.pointer.as_ref().and_then(|pointer| pointer.last_modified_at);
        if item.origin == Origin::Recheck && known.is_some() && known == master.last_modified_at {
            return Err(JobError::Discard("the series is still there and was not changed"));
        }
        let now = self.deps.clock.now();
        let role = match CopySnapshot::from_event(&master, stored.calendar, &self.rooms(), now) {
            Ok(snapshot) => snapshot.role,
            Err(reason) => return Err(stored.why_skipped(reason)),
        };
        // Before the dates are read: they are compared with the map that has them.
        self.finds_new_rooms(stored.calendar, &master).await?;
        let until = now + self.deps.resync_horizon;
        let listed = self.list_dates(item, &stored, &master, until).await?;
        let (mut occurrences, mut unreadable) = (Vec::new(), None);
        if !listed.is_complete {
            unreadable = Some(JobError::fail("a date of the series cannot be parsed"));
        }
        for event in listed.events {
            let event = event.completed_by(&master);
            match CopySnapshot::from_event(&event, stored.calendar, &self.rooms(), now) {
                Ok(snapshot) => occurrences.push((event, snapshot)),
                Err(_) => unreadable = Some(JobError::fail("a date of the series cannot be read")),
            }
        }
        let holds_room = occurrences.iter().any(|(_, copy)| !copy.rooms.is_empty());
        if !holds_room && stored.bookings.is_empty() {
            return Err(JobError::Discard("no managed room"));
        }
        if holds_room && master.ical_uid.is_none() {
            // Without it two series of one room would be one.
            return Err(JobError::fail("the series has no iCalUId"));
        }
        let subjects = match role {
            CopyRole::Room => BTreeMap::new(),
            CopyRole::Organizer => {
                let window = unreadable.is_none().then_some((now, until));
                self.subjects(item, &master, &occurrences, window).await?
            }
        };
        let at = CopyLocation { mailbox: item.mailbox, event: item.event.clone() };
        let is_complete = unreadable.is_none();
        let read = ReadSeries { master, at, role, occurrences, subjects, until, is_complete };
        let report = CopyReport::of_series(self, read);
        let done = Reconciler::new(self, item, stored).apply_copy(report).await?;
        // The other dates are written, and their due entries dispatch them: the failure names the rest.
        unreadable.map_or(Ok(done), Err)
    }

    /// The subjects of the dates that hold a room, where the policy keeps them: all at once where the
    /// series holds one and no date is private or unknown, otherwise date by date.
    async fn subjects(
        &self,
        item: &EventChange,
        master: &Event,
        occurrences: &[(Event, CopySnapshot)],
        window: Option<(Timestamp, Timestamp)>,
    ) -> Result<BTreeMap<EventId, Personal>, JobError> {
        let policy = &self.tenant.policy.content;
        let holding = occurrences.iter().filter(|(_, copy)| !copy.rooms.is_empty());
        let wanted: Vec<&EventId> = holding
            .filter(|(_, copy)| policy.reads_subject(copy.private))
            .map(|(event, _)| &event.id)
            .collect();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let graph = self.item_graph(item);
        let all_may_be_read =
            occurrences.iter().all(|(_, copy)| policy.reads_subject(copy.private));
        let is_invited = !master.match_rooms(&self.rooms()).rooms.is_empty();
        if let Some(window) = window.filter(|_| all_may_be_read && is_invited) {
            return Ok(graph.instance_subjects(item.mailbox, &item.event, window).await?);
        }
        let mut subjects = BTreeMap::new();
        for event in wanted {
            let subject = graph.subject(item.mailbox, event).await?;
            subjects.extend(subject.map(|subject| (event.clone(), subject)));
        }
        Ok(subjects)
    }

    /// The dates that Exchange lists, and those that it only has in the calendar.
    async fn list_dates(
        &self,
        item: &EventChange,
        stored: &StoredState,
        master: &Event,
        until: Timestamp,
    ) -> Result<SeriesInstances, JobError> {
        let now = self.deps.clock.now();
        let window = (now, until);
        let mut listed = self.item_graph(item).instances(item.mailbox, &item.event, window).await?;
        if master.cancelled {
            // What is not listed has ended with the series; an exception may have stayed.
            return Ok(listed);
        }
        let own = self.copy_key(item);
        let is_here = |booking: &Booking| booking.copies.both().any(|copy| copy.key == own);
        let mut missing: Vec<(Timestamp, Timestamp)> = stored
            .bookings
            .values()
            .flatten()
            .filter(|(booking, _)| is_here(booking))
            .filter(|(booking, _)| {
                booking.key.original_start.is_some_and(|at| listed.date(at).is_none())
            })
            .filter_map(|(booking, _)| booking.wanted_interval())
            .filter(|interval| !interval.is_over(now) && interval.start() < until)
            .map(|interval| (interval.start(), interval.end()))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        for span in together(missing) {
            let graph = self.item_graph(item);
            let found = graph.search_instances(item.mailbox, &item.event, span).await?;
            listed.is_complete &= found.is_complete;
            for event in found.events {
                if !listed.events.iter().any(|known| known.id == event.id) {
                    listed.events.push(event);
                }
            }
        }
        Ok(listed)
    }

    /// The master of the series that `item` is a date of; `None` where this calendar has none: its owner
    /// was invited to that date alone.
    pub(super) async fn read_master(
        &self,
        item: &EventChange,
        master: &EventId,
    ) -> Result<Option<Event>, JobError> {
        let (mailbox, event) = (item.mailbox, master.clone());
        let event_ref = EventRef { mailbox, event, correlation: item.meta.correlation };
        let read = self.item_graph(item).events(&[event_ref], None).await.into_iter().next();
        match read {
            Some(Ok(Some(event))) if event.kind == EventKind::SeriesMaster => Ok(Some(event)),
            // Whether the id of a master leads anywhere in such a calendar is not documented.
            None
            | Some(Ok(_))
            | Some(Err(GraphError::Retry {
                cause: RetryCause::EventNotServed | RetryCause::Nonsense(404),
                ..
            })) => Ok(None),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// What becomes of one date of a series: the whole series is compared. What the date was as an
    /// appointment of its own has ended with that.
    pub(super) async fn follow_master(
        &self,
        item: &EventChange,
        stored: StoredState,
        master: Event,
    ) -> JobResult {
        let mut next = Vec::new();
        if stored.pointer.is_some() {
            let reconciler = Reconciler::new(self, item, stored);
            next.extend(reconciler.apply_absence(Observation::Gone).await?);
        }
        let item = EventChange {
            event: master.id.clone(),
            encrypted_content: None,
            origin: Origin::Refetch,
            ..item.clone()
        };
        let stored = self.load_stored_state(&mut HashMap::new(), &item).await?;
        next.extend(Box::pin(self.handle_series(&item, stored, master)).await?);
        Ok(next)
    }
}

/// Dates that are close to each other, in one span.
fn together(dates: Vec<(Timestamp, Timestamp)>) -> Vec<(Timestamp, Timestamp)> {
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (from, until) in dates {
        match spans.last_mut() {
            Some(last) if from.duration_since(last.1) <= SEARCH_SPAN => last.1 = last.1.max(until),
            Some(_) | None => spans.push((from, until)),
        }
    }
    spans
}
