//! What must hold: always, once everything has come to rest, and when everything is over.

use std::collections::BTreeSet;

use roombridge::domain::appointment::{DesiredState, EndReason, RoomCopy};
use roombridge::domain::booking::{Booking, MeetingResponse, ObservedState, RefusalReason};
use roombridge::domain::ids::{RoomId, TenantId};
use roombridge::domain::interval::Interval;
use roombridge::domain::keys::Digest;
use roombridge::graph::PropertyId;
use roombridge::queue::Queue;
use roombridge::store::bookings::Bookings;
use roombridge::store::tables::{Table, TableRow, Tables};
use roombridge::store::test_support::MemoryTables;
use serde::Deserialize;
use world::exchange::{CopyView, Mailbox, Response};
use world::memory::QueueKind;
use world::test_world::digest_key;

use super::run::{ANSWERING, KnownMeeting, SimulationRun, Violations};
use super::{own_system, series};
use crate::TestError;

/// A taken stretch of a room's time, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LedgerEntry {
    pub(super) room: String,
    pub(super) appointment: String,
    pub(super) start: jiff::Timestamp,
    pub(super) end: jiff::Timestamp,
}

#[derive(Deserialize)]
struct SlotJson {
    appointment: String,
    interval: FromTo,
}

#[derive(Deserialize)]
struct FromTo {
    from: jiff::Timestamp,
    to: jiff::Timestamp,
}

/// Everything that was ever taken.
#[derive(Default)]
pub(super) struct LedgerHistory(BTreeSet<LedgerEntry>);

impl LedgerHistory {
    /// Checks the ledger as it is now: no two appointments may have a room at once.
    pub(super) fn record(&mut self, memory: &MemoryTables) -> Violations {
        let now = ledger_entries(memory);
        let mut wrong = Violations::new();
        for (place, one) in now.iter().enumerate() {
            let others = now.iter().skip(place + 1);
            let rivals = others.filter(|o| o.room == one.room && o.appointment != one.appointment);
            for other in rivals.filter(|o| o.start < one.end && one.start < o.end) {
                wrong.push(format!("two have the room: {one:?} and {other:?}"));
            }
        }
        self.0.extend(now);
        wrong
    }

    fn had_rival(&self, room: &Mailbox, appointment: Digest, interval: Interval) -> bool {
        self.0.iter().any(|taken| {
            taken.room.ends_with(room.id())
                && taken.appointment != appointment.to_string()
                && taken.start < interval.end()
                && interval.start() < taken.end
        })
    }
}

/// All taken stretches, each once however many days it touches.
pub(super) fn ledger_entries(memory: &MemoryTables) -> BTreeSet<LedgerEntry> {
    let mut all = BTreeSet::new();
    for row in memory.rows(Table::Rooms).into_iter().filter(|row| row.key.row.starts_with("20")) {
        let text = row.properties.get("Taken").and_then(|v| v.as_str()).unwrap_or("unreadable");
        let slots: Vec<SlotJson> = serde_json::from_str(text).unwrap_or_default();
        for slot in slots {
            all.insert(LedgerEntry {
                room: row.key.partition.clone(),
                appointment: slot.appointment,
                start: slot.interval.from,
                end: slot.interval.to,
            });
        }
    }
    all
}

impl SimulationRun {
    pub(super) fn bookings(&self) -> Bookings {
        Bookings::new(std::sync::Arc::clone(&self.world.memory_tables) as std::sync::Arc<dyn Tables>)
    }

    async fn rows_of(&self, known: &KnownMeeting) -> Result<Vec<Booking>, TestError> {
        let tenant: TenantId = known.meeting.tenant_id().parse().map_err(|_| "no tenant id")?;
        let digest = digest_key().appointment(known.meeting.ical());
        let rows = self.bookings().list_by_appointment(tenant, digest).await?;
        Ok(rows.into_iter().map(|(booking, _)| booking).collect())
    }
}

/// What must hold after every operation.
pub(super) async fn check_always(run: &mut SimulationRun) -> Result<Violations, TestError> {
    let mut wrong = run.history.record(&run.world.memory_tables);
    let taken = ledger_entries(&run.world.memory_tables);
    let now = run.world.now();
    let mut rows = Vec::new();
    for (nth, known) in run.meetings.iter().enumerate() {
        rows.extend(
            run.rows_of(known).await?.into_iter().map(|row| (format!("meeting {nth}"), row)),
        );
    }
    for (nth, known) in run.series.iter().enumerate() {
        let of_series = run.rows_of_series(known).await?;
        rows.extend(of_series.into_iter().map(|row| (format!("series {nth}"), row)));
    }
    for (what, booking) in rows {
        let ObservedState::Booked(held) = &booking.observed else { continue };
        let slot = taken.iter().any(|t| {
            t.appointment == booking.key.appointment.to_string()
                && t.room.ends_with(&booking.key.room.to_string())
                && (t.start, t.end) == (held.interval.start(), held.interval.end())
        });
        if !slot && booking.purge_due > now {
            wrong.push(format!("{what} is booked, but the ledger does not have it"));
        }
    }
    for violation in run.world.microsoft.graph.violations() {
        wrong.push(format!("Graph was asked wrongly: {violation:?}"));
    }
    Ok(wrong)
}

/// What must hold once nothing is left to do.
pub(super) async fn check_at_rest(
    run: &SimulationRun,
    faults: bool,
) -> Result<Violations, TestError> {
    let mut wrong = Violations::new();
    for (nth, known) in run.meetings.iter().enumerate() {
        let rows = run.rows_of(known).await?;
        for (index, room) in run.rooms.iter().enumerate() {
            let row = rows.iter().find(|row| row.key.room.to_string() == room.id());
            let found = Case { run, known, room, index, row }.check()?;
            wrong.extend(found.into_iter().map(|w| format!("meeting {nth} in room {index}: {w}")));
        }
    }
    wrong.extend(series::check_series(run).await?);
    wrong.extend(own_system::check_system(run));
    let taken = ledger_entries(&run.world.memory_tables);
    for draft in &run.drafts {
        let appointment = digest_key().appointment(draft).to_string();
        if let Some(held) = taken.iter().find(|taken| taken.appointment == appointment) {
            wrong.push(format!("nobody was invited, and the room is held: {held:?}"));
        }
    }
    if !faults {
        for row in run.world.memory_tables.rows(Table::Failures) {
            wrong.push(format!("a failure without a fault: {:?}", row.properties.get("Cause")));
        }
    }
    wrong.extend(leftover_messages(run));
    Ok(wrong)
}

/// Messages that nobody needs any more.
fn leftover_messages(run: &SimulationRun) -> Violations {
    let kinds = Queue::ALL.into_iter().flat_map(|q| [QueueKind::Main(q), QueueKind::Poison(q)]);
    // The nightly reconciliation of every tenant is spread over an hour, whatever else happens.
    let kinds = kinds.filter(|kind| *kind != QueueKind::Main(Queue::MaintainTenant));
    let left = kinds.flat_map(|kind| {
        let messages = run.world.memory_outbox.messages(kind);
        messages.into_iter().map(move |m| format!("a message is left on {kind:?}: {}", m.text))
    });
    left.collect()
}

/// One meeting and one room, at rest.
struct Case<'a> {
    run: &'a SimulationRun,
    known: &'a KnownMeeting,
    room: &'a Mailbox,
    index: usize,
    row: Option<&'a Booking>,
}

impl Case<'_> {
    fn check(&self) -> Result<Violations, TestError> {
        let mut wrong = Violations::new();
        let now = self.run.world.now();
        if self.row.is_some_and(|row| row.purge_due <= now) {
            return Ok(wrong);
        }
        // Deleted before anybody read it: nothing shows that it was ever there, and the booking
        // rests on the organizer's copy until the meeting is over.
        let unseen = |row: &&Booking| row.copies.room == RoomCopy::Unknown;
        if self.known.deleted_from_room && self.row.filter(unseen).is_some() {
            return Ok(wrong);
        }
        // Declined by ourselves while it was being moved, and the move was not notified: the copy
        // that would have shown it is gone with the answer.
        let declined = |row: &Booking| {
            let response = row.published.room.as_ref().map(|published| published.response);
            response == Some(MeetingResponse::Decline)
                && matches!(row.observed, ObservedState::Booked(_))
        };
        let gone = self.known.meeting.copy_in(self.room).is_none();
        if gone && self.row.filter(unseen).is_some_and(declined) {
            return Ok(wrong);
        }
        if let Some(row) = self.row
            && (!row.is_settled(ANSWERING[self.index]) || row.unsettled_due.is_some())
        {
            let Booking {
                desired,
                observed,
                published: shown,
                intent,
                copies,
                unsettled_due: due,
                ..
            } = row;
            wrong.push(format!(
                "unsettled: {copies:?} {desired:?} {observed:?} {shown:?} {intent:?} {due:?}"
            ));
        }
        let copy = self.known.meeting.copy_in(self.room).filter(|copy| !copy.is_cancelled);
        match copy.filter(|copy| self.end_of(copy) > now) {
            Some(copy) => self.check_booked(&copy, &mut wrong),
            None => self.check_not_booked(&mut wrong),
        }
        self.check_organizer_outcome(&mut wrong)?;
        self.check_refusal_reason(&mut wrong);
        Ok(wrong)
    }

    fn end_of(&self, copy: &CopyView) -> jiff::Timestamp {
        self.known.interval(copy.start, copy.end).1
    }

    /// The organizer's copy, while it takes place.
    fn organizer_copy(&self) -> Option<CopyView> {
        let organizer = &self.run.people[self.known.organizer];
        let copy = self.known.meeting.copy_in(organizer).filter(|copy| !copy.is_cancelled)?;
        (self.end_of(&copy) > self.run.world.now()).then_some(copy)
    }

    /// Whether the organizer's copy does not say which room it asks for: only the room's own copy does.
    fn names_no_room(&self) -> bool {
        let organizer = &self.run.people[self.known.organizer];
        self.organizer_copy().is_some_and(|copy| organizer.names_no_room(&copy.event))
    }

    /// The room's calendar has it: it is booked for the same time, and the room has accepted.
    fn check_booked(&self, copy: &CopyView, wrong: &mut Violations) {
        let wanted = self.known.interval(copy.start, copy.end);
        match self.row.map(|row| &row.observed) {
            Some(ObservedState::Booked(held)) => {
                let has = (held.interval.start(), held.interval.end());
                if has != wanted {
                    wrong.push(format!("booked for {has:?}, in the calendar for {wanted:?}"));
                }
            }
            other => wrong.push(format!("in the room's calendar, but {other:?}")),
        }
        let shown = self.known.meeting.response_of(self.room);
        let organizer_sees_it =
            self.organizer_copy().is_none() || shown.is_none() || shown == Some(Response::Accepted);
        let answered = copy.response == Response::Accepted && organizer_sees_it;
        if !answered {
            wrong.push(format!("the room says {:?}, its organizer sees {shown:?}", copy.response));
        }
    }

    /// The room's calendar does not have it: it is not booked, and if it was asked for, the
    /// organizer sees a refusal.
    fn check_not_booked(&self, wrong: &mut Violations) {
        if let Some(ObservedState::Booked(held)) = self.row.map(|row| &row.observed) {
            wrong.push(format!("booked for {:?}, but not in the calendar", held.interval));
        }
        let asked = self.organizer_copy().and_then(|_| self.known.meeting.response_of(self.room));
        let Some(answer) = asked.filter(|_| !self.known.deleted_from_room) else { return };
        if answer != Response::Declined {
            wrong.push(format!("not in the room's calendar, and the organizer sees {answer:?}"));
        }
        if self.names_no_room() {
            return;
        }
        match self.row.map(|row| (&row.desired, &row.observed)) {
            None if self.run.agreed[self.known.organizer] => {
                wrong.push("nothing processed it".to_owned())
            }
            Some((DesiredState::Unwanted(why), _)) if self.run.agreed[self.known.organizer] => {
                // A meeting that is moved while its room declines has been declined for both times.
                let answers = &self.run.world.microsoft.exchange;
                let answers = answers.responses_from(self.known.meeting.ical(), self.room);
                let declined = answers.iter().any(|a| a.response == Response::Declined);
                let left = *why == EndReason::RoomLeft && declined;
                if !left && (self.index == 0 || *why != EndReason::NotAccepted) {
                    wrong.push(format!("the organizer asks for it, but {why:?}: {:?}", self.row));
                }
            }
            _ => {}
        }
    }

    /// Whether the row is about what somebody else wrote under the meeting's `iCalUId`, for a room that the
    /// organizer does not ask for.
    fn is_for_another(&self, row: &Booking) -> bool {
        let organizer = self.run.people[self.known.organizer].id();
        let copy = row.copies.organizer_copy();
        copy.is_some_and(|at| at.key.mailbox.to_string() != organizer)
            && self.known.meeting.response_of(self.room).is_none()
    }

    /// An organizer who has agreed reads the outcome in their own copy.
    fn check_organizer_outcome(&self, wrong: &mut Violations) -> Result<(), TestError> {
        let (Some(row), Some(_)) = (self.row, self.organizer_copy()) else { return Ok(()) };
        if !self.run.agreed[self.known.organizer] || self.is_for_another(row) {
            return Ok(());
        }
        let room: RoomId = self.room.id().parse().map_err(|_| "no room id")?;
        let property = PropertyId::outcome(room).to_string();
        let organizer = &self.run.people[self.known.organizer];
        let shown = self.known.meeting.property_in(organizer, &property);
        let expected = match (&row.desired, &row.observed) {
            (DesiredState::Wanted(_), ObservedState::Booked(_)) => Some("\"booked\""),
            (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Refused(_)) => {
                Some("\"refused: ")
            }
            (DesiredState::Unwanted(_), ObservedState::Nothing | ObservedState::Refused(_)) => {
                shown.as_ref().map(|_| "\"released\"")
            }
            (DesiredState::Wanted(_) | DesiredState::Redacted, ObservedState::Nothing)
            | (DesiredState::Unwanted(_) | DesiredState::Redacted, ObservedState::Booked(_)) => {
                Some("nothing, it is unsettled")
            }
        };
        let right = match (expected, &shown) {
            (Some(expected), Some(shown)) => shown.contains(expected),
            (None, None) => true,
            // Where the copy never named the room, nothing leads from the room to it.
            (Some(_), None) => self.names_no_room(),
            _ => false,
        };
        if !right {
            wrong.push(format!("the organizer reads {shown:?} instead of {expected:?}"));
        }
        Ok(())
    }

    /// A refusal has a reason: somebody had the room, or it was asked for too long.
    fn check_refusal_reason(&self, wrong: &mut Violations) {
        let Some(row) = self.row else { return };
        let ObservedState::Refused(no) = &row.observed else { return };
        let interval = match &row.desired {
            DesiredState::Wanted(spec) => Some(spec.facts.interval),
            // What was refused is not kept; the organizer's calendar has it.
            DesiredState::Redacted
                if self.run.agreed[self.known.organizer] && !self.is_for_another(row) =>
            {
                let copy = self.organizer_copy();
                let time = copy.map(|copy| self.known.interval(copy.start, copy.end));
                time.and_then(|(start, end)| Interval::new(start, end))
            }
            DesiredState::Redacted | DesiredState::Unwanted(_) => None,
        };
        let Some(interval) = interval else { return };
        let just = match no.reason {
            RefusalReason::TooLong => interval.is_too_long(),
            // It is no series.
            RefusalReason::SeriesConflicts => false,
            // The ledger rejects nothing.
            RefusalReason::Rejected => false,
            RefusalReason::Conflict => {
                self.run.history.had_rival(self.room, row.key.appointment, interval)
            }
        };
        if !just {
            wrong.push(format!("refused without a cause: {:?}", no.reason));
        }
    }
}

/// Nothing of a meeting is kept once it is over and a purge has run.
pub(super) fn check_purged(run: &SimulationRun) -> Violations {
    let memory = &run.world.memory_tables;
    let mut wrong = Violations::new();
    for table in [Table::Bookings, Table::Appointments] {
        wrong.extend(memory.rows(table).iter().map(|row| format!("kept in {table:?}: {row:?}")));
    }
    wrong.extend(
        ledger_entries(memory).iter().map(|taken| format!("kept in the ledger: {taken:?}")),
    );
    wrong
}

/// And nothing is waiting for it either; each subscribed mailbox has the one entry that renews it.
pub(super) fn check_nothing_left(run: &SimulationRun) -> Violations {
    let memory = &run.world.memory_tables;
    let mut wrong = leftover_messages(run);
    let entries = memory.rows(Table::Due);
    for row in entries.iter().filter(|row| !row.key.partition.starts_with("renew_")) {
        wrong.push(format!("a due entry without a cause: {:?}", row.key));
    }
    let subscribed = run.world.microsoft.graph.subscriptions().len();
    let expected = 2 + run.agreed.iter().filter(|agreed| **agreed).count();
    // The tombstone of somebody who is erased has an entry that ends it.
    let erased = |row: &TableRow| {
        row.properties.get("State").is_some_and(|state| state.to_string().contains("Erased"))
    };
    let tombs: Vec<TableRow> = memory.rows(Table::Mailboxes).into_iter().filter(erased).collect();
    let renewals = entries.iter().filter(|row| row.key.partition.starts_with("renew_"));
    let renewals = renewals.filter(|due| !tombs.iter().any(|t| due.key.row.ends_with(&t.key.row)));
    let renewals = renewals.count();
    if (subscribed, renewals) != (expected, expected) {
        wrong.push(format!("{subscribed} subscriptions and {renewals} renewals for {expected}"));
    }
    wrong
}
