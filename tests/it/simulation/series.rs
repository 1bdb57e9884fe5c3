//! Series in the simulated world: what is done to them, and what must hold of each of their dates.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use roombridge::domain::appointment::RoomCopy;
use roombridge::domain::booking::Booking;
use roombridge::domain::ids::TenantId;
use roombridge::domain::interval::end_of_day;
use world::exchange::{
    CopyView, ExchangeError, Invitation, Mailbox, Meeting, Recurrence, Response,
};
use world::test_world::digest_key;

use super::invariants::ledger_entries;
use super::operations::{MeetingLength, Op};
use super::run::{ANSWERING, SimulationRun, Violations, meeting_times};
use crate::TestError;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What an organizer does to a series, or to one of its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeriesEdit {
    /// All of it, to another time of the day.
    Move,
    MoveDate,
    CancelDate,
    /// One date takes another room, or none.
    ChangeRoomOfDate,
    ChangeRoom,
    /// It has another number of dates.
    Repeat,
    /// This date and all that follow take place at another time.
    Split,
    Cancel,
    DeleteSilently,
    /// The room loses one date.
    DeleteDateFromRoom,
}

/// A daily series, and what was done to it that its copies do not show.
pub(super) struct KnownSeries {
    meeting: Meeting,
    organizer: usize,
    /// When its first date starts now.
    start: Timestamp,
    /// When its first date has started at any time: a room that was invited to one date alone may keep that
    /// as it was.
    starts: BTreeSet<Timestamp>,
    /// How many days it may have touched.
    days: u8,
    /// The days whose date somebody deleted from a room's calendar.
    deleted_from_room: BTreeSet<u8>,
}

impl KnownSeries {
    /// One of its dates, by its day. An exception keeps the identity of its day.
    fn date(&self, day: u8) -> Meeting {
        self.meeting.occurrence(self.start + DAY * i32::from(day))
    }

    pub(super) fn latest_end(&self) -> Timestamp {
        self.start + DAY * (i32::from(self.days) + 1)
    }
}

impl SimulationRun {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) fn change_series(&mut self, op: Op) {
        match op {
            Op::CreateSeries { who, room, slot, dates } => {
                self.create_series(who, room, slot, dates)
            }
            Op::EditSeries { nth, edit, date, slot, room } => {
                self.edit_series(nth, edit, date, (slot, room));
            }
            _ => {}
        }
    }

    fn create_series(&mut self, who: u8, room: u8, slot: u8, dates: u8) {
        let organizer = usize::from(who);
        let (start, end) = meeting_times(self.is_week_ahead, 0, slot, MeetingLength::Hour);
        let rule = Recurrence::daily().times(u16::from(dates));
        let mut invitation = Invitation::new("Standup", start, end).series(rule);
        if let Some(room) = self.rooms.get(usize::from(room)) {
            invitation = invitation.room(room);
        }
        if let Ok(meeting) = self.tenant.meet(&self.people[organizer], invitation) {
            let (deleted_from_room, starts) = (BTreeSet::new(), BTreeSet::from([start]));
            self.series.push(KnownSeries {
                starts,
                meeting,
                organizer,
                start,
                days: dates,
                deleted_from_room,
            });
        }
    }

    /// What is not possible any more changes nothing.
    fn edit_series(&mut self, nth: u8, edit: SeriesEdit, date: u8, (slot, room): (u8, u8)) {
        let Some(place) = usize::from(nth).checked_rem(self.series.len()) else { return };
        let rooms: Vec<&Mailbox> = self.rooms.get(usize::from(room)).into_iter().collect();
        let known = &mut self.series[place];
        let day = date % known.days;
        let at = |day: u8| meeting_times(self.is_week_ahead, day, slot, MeetingLength::Hour);
        let mut split = None;
        let done = match edit {
            SeriesEdit::Move => known.move_to(at(0)),
            SeriesEdit::MoveDate => known.date(day).move_to(at(day).0, at(day).1),
            SeriesEdit::CancelDate => known.date(day).cancel(),
            SeriesEdit::ChangeRoomOfDate => known.date(day).change_rooms(&rooms),
            SeriesEdit::ChangeRoom => known.meeting.change_rooms(&rooms),
            SeriesEdit::Repeat => known.repeat(1 + slot),
            SeriesEdit::Split => known.split(day, at(day)).map(|rest| split = rest),
            SeriesEdit::Cancel => known.meeting.cancel(),
            SeriesEdit::DeleteSilently => known.meeting.delete_silently(),
            SeriesEdit::DeleteDateFromRoom => match rooms.first() {
                Some(room) => known.delete_date(day, room),
                None => Ok(()),
            },
        };
        self.series.extend(split);
        if done.is_err() {
            tracing::debug!("it was gone already");
        }
    }
}

impl KnownSeries {
    fn move_to(&mut self, (start, end): (Timestamp, Timestamp)) -> Result<(), ExchangeError> {
        self.meeting.move_to(start, end)?;
        self.start = start;
        self.starts.insert(start);
        Ok(())
    }

    fn repeat(&mut self, dates: u8) -> Result<(), ExchangeError> {
        self.meeting.repeat(Recurrence::daily().times(u16::from(dates)))?;
        self.days = self.days.max(dates);
        Ok(())
    }

    fn split(
        &mut self,
        day: u8,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Option<Self>, ExchangeError> {
        if day == 0 {
            return Ok(None);
        }
        let meeting = self.meeting.split(self.start + DAY * i32::from(day), |rest| {
            (rest.start, rest.end) = (start, end);
        })?;
        let (organizer, days, starts) = (self.organizer, self.days, BTreeSet::from([start]));
        let deleted_from_room = BTreeSet::new();
        Ok(Some(Self { meeting, organizer, start, starts, days, deleted_from_room }))
    }

    fn delete_date(&mut self, day: u8, room: &Mailbox) -> Result<(), ExchangeError> {
        self.date(day).delete_from(room)?;
        self.deleted_from_room.insert(day);
        Ok(())
    }
}

// === What must hold ===

impl SimulationRun {
    pub(super) async fn rows_of_series(
        &self,
        known: &KnownSeries,
    ) -> Result<Vec<Booking>, TestError> {
        let tenant: TenantId = known.meeting.tenant_id().parse().map_err(|_| "no tenant id")?;
        let digest = digest_key().appointment(known.meeting.ical());
        let rows = self.bookings().list_by_appointment(tenant, digest).await?;
        Ok(rows.into_iter().map(|(booking, _)| booking).collect())
    }
}

/// What must hold of every series once nothing is left to do.
pub(super) async fn check_series(run: &SimulationRun) -> Result<Violations, TestError> {
    let mut wrong = Violations::new();
    for (nth, known) in run.series.iter().enumerate() {
        let rows = run.rows_of_series(known).await?;
        let mut found = check_settled(run, &rows);
        for (index, room) in run.rooms.iter().enumerate() {
            for day in 0..known.days {
                let case = DateInRoom { run, known, room, day, rows: &rows };
                let says = |what| format!("day {day} in room {index}: {what}");
                found.extend(case.check().into_iter().map(says));
            }
        }
        wrong.extend(found.into_iter().map(|what| format!("series {nth}: {what}")));
    }
    Ok(wrong)
}

fn check_settled(run: &SimulationRun, rows: &[Booking]) -> Violations {
    let now = run.world.now();
    let mut wrong = Violations::new();
    for row in rows.iter().filter(|row| row.purge_due > now) {
        let room = run.rooms.iter().position(|room| room.id() == row.key.room.to_string());
        let mode = ANSWERING[room.unwrap_or_default()];
        if !row.is_settled(mode) || row.unsettled_due.is_some() {
            wrong.push(format!("unsettled: {row:?}"));
        }
    }
    wrong
}

/// One date of a series and one room, at rest.
struct DateInRoom<'a> {
    run: &'a SimulationRun,
    known: &'a KnownSeries,
    room: &'a Mailbox,
    day: u8,
    rows: &'a [Booking],
}

impl DateInRoom<'_> {
    fn check(&self) -> Violations {
        let mut wrong = Violations::new();
        // Deleted before anybody read it: nothing shows that it was ever there.
        let unseen = |row: &&Booking| row.copies.room == RoomCopy::Unknown;
        if self.was_deleted() && self.row().filter(unseen).is_some() {
            return wrong;
        }
        let now = self.run.world.now();
        let date = self.known.date(self.day);
        let lives = |copy: &CopyView| !copy.is_cancelled && copy.end > now;
        let organizer = &self.run.people[self.known.organizer];
        let own = date.copy_in(organizer).filter(lives);
        let shown = own.as_ref().and_then(|_| date.response_of(self.room));
        let copy = date.copy_in(self.room).filter(lives);
        let held = self.held();
        let copy_held = copy.as_ref().map(|copy| (copy.start, copy.end));
        match (copy_held, held.as_slice()) {
            (Some(copy), [held]) if copy == *held => {}
            (None, []) => {}
            (copy, held) => wrong
                .push(format!("the calendar has {copy:?}, the ledger {held:?}: {:?}", self.row())),
        }
        match (copy, shown) {
            (Some(copy), _) if copy.response != Response::Accepted => {
                wrong.push(format!("the room says {:?}: {:?}", copy.response, self.row()));
            }
            (None, Some(answer)) if answer != Response::Declined && !self.was_deleted() => {
                wrong.push(format!("not in the calendar, and its organizer sees {answer:?}"));
            }
            (Some(_) | None, _) => {}
        }
        wrong
    }

    fn was_deleted(&self) -> bool {
        self.known.deleted_from_room.contains(&self.day)
    }

    /// What the ledger holds for this date: on its day, under the series or as an appointment of its own.
    fn held(&self) -> Vec<(Timestamp, Timestamp)> {
        let series = digest_key().appointment(self.known.meeting.ical());
        let start = self.known.start + DAY * i32::from(self.day);
        let date = self.known.date(self.day);
        let starts = self.known.starts.iter().map(|first| *first + DAY * i32::from(self.day));
        let alone = starts.map(|start| digest_key().occurrence(date.ical(), start));
        let own: Vec<String> = alone.chain([series]).map(|digest| digest.to_string()).collect();
        let midnight = end_of_day(start) - DAY;
        let now = self.run.world.now();
        let entries = ledger_entries(&self.run.world.memory_tables);
        let held = entries.into_iter().filter(|entry| {
            let is_own = own.contains(&entry.appointment);
            let on_day = midnight <= entry.start && entry.start < midnight + DAY;
            is_own && on_day && entry.room.ends_with(self.room.id()) && entry.end > now
        });
        held.map(|entry| (entry.start, entry.end)).collect()
    }

    fn row(&self) -> Option<&Booking> {
        let start = self.known.start + DAY * i32::from(self.day);
        let mut of_room = self.rows.iter().filter(|row| row.key.room.to_string() == self.room.id());
        of_room.find(|row| row.key.original_start == Some(start))
    }
}
