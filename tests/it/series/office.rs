//! What the people of the stories do with their series, and what their rooms have.

use std::sync::Arc;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use roombridge::domain::ledger::LedgerSlot;
use roombridge::store::ledger::Ledger;
use roombridge::store::tables::Table;
use world::exchange::{ExchangeError, Invitation, Mailbox, Meeting, Recurrence, Response};

use super::play::Mode;
use crate::TestError;
use crate::booking_systems::own_system::ContosoSystem;
use crate::contoso::{Contoso, Who, at, hours, room_id};

/// How many lines in a row a calendar shows before it says how many more there are.
const LINES: usize = 12;

/// Contoso, and the meetings of the story in their order.
pub(super) struct Office {
    pub(super) contoso: Contoso,
    pub(super) mode: Mode,
    pub(super) system: Option<ContosoSystem>,
    pub(super) meetings: Vec<Meeting>,
}

/// What was done, or why Outlook did not do it.
pub(super) type Done = Result<(), ExchangeError>;

/// `1 Dec 09:00`, or a whole date: November and December are of 2026, the rest of the year after.
#[expect(clippy::expect_used, reason = "a story with an invalid time cannot be played")]
pub(super) fn time(text: &str) -> Timestamp {
    if text.contains('T') {
        return at(text);
    }
    let year = if text.contains("Nov") || text.contains("Dec") { 2026 } else { 2027 };
    let time = DateTime::strptime("%Y %d %b %H:%M", format!("{year} {text}"));
    let zoned = time.and_then(|time| time.to_zoned(TimeZone::UTC));
    zoned.expect("a time like 1 Dec 09:00").timestamp()
}

/// Every Tuesday, so many times.
pub(super) fn tuesdays(count: u16) -> Recurrence {
    Recurrence::weekly(&[Weekday::Tuesday]).times(count)
}

/// The wall-clock time of that meeting is Amsterdam's.
pub(super) fn amsterdam(rule: Recurrence) -> Recurrence {
    rule.in_zone(TimeZone::get("Europe/Amsterdam").unwrap_or(TimeZone::UTC))
}

impl Office {
    /// `who` invites these rooms for an hour from `start`.
    pub(super) fn meet(
        &mut self,
        who: Who,
        start: &str,
        rule: Option<Recurrence>,
        rooms: &[Who],
    ) -> Done {
        let start = time(start);
        let mut invitation = Invitation::new("Standup", start, start + hours(1));
        for room in rooms {
            invitation = invitation.room(self.contoso.calendar(*room));
        }
        if let Some(rule) = rule {
            invitation = invitation.series(rule);
        }
        self.send(who, invitation)
    }

    pub(super) fn send(&mut self, who: Who, invitation: Invitation) -> Done {
        let meeting = self.contoso.tenant.meet(self.contoso.calendar(who), invitation)?;
        self.meetings.push(meeting);
        Ok(())
    }

    /// Anna has Aurora for an hour from `start`, again and again.
    pub(super) fn anna(&mut self, start: &str, rule: Recurrence) -> Done {
        self.meet(Who::Anna, start, Some(rule), &[Who::Aurora])
    }

    /// Cleo has Aurora for an hour, once.
    pub(super) fn cleo_once(&mut self, start: &str) -> Done {
        self.meet(Who::Cleo, start, None, &[Who::Aurora])
    }

    /// The newest meeting.
    #[expect(clippy::expect_used, reason = "a story begins with a meeting")]
    pub(super) fn meeting(&self) -> &Meeting {
        self.meetings.last().expect("somebody has met")
    }

    /// The date of the newest series that begins at `start` by its rule.
    pub(super) fn date(&self, start: &str) -> Meeting {
        self.meeting().occurrence(time(start))
    }

    /// Moves a meeting, or one date of it, to an hour from `start`.
    pub(super) fn put(&self, meeting: &Meeting, start: &str) -> Done {
        meeting.move_to(time(start), time(start) + hours(1))
    }

    /// Has a meeting, or one date of it, in exactly these rooms.
    pub(super) fn seat(&self, meeting: &Meeting, rooms: &[Who]) -> Done {
        let rooms: Vec<&Mailbox> = rooms.iter().map(|room| self.contoso.calendar(*room)).collect();
        meeting.change_rooms(&rooms)
    }

    /// From `start` on the newest series is another one, at `to`.
    pub(super) fn split(&mut self, start: &str, to: &str, rule: Recurrence) -> Done {
        let to = time(to);
        let rest = self.meeting().split(time(start), |rest| {
            (rest.start, rest.end, rest.rule) = (to, to + hours(1), rule);
        })?;
        self.meetings.push(rest);
        Ok(())
    }
}

// === What there is ===

impl Office {
    /// All that the ledger has of a room, each once however many days it touches.
    pub(super) async fn slots(&self, room: &Mailbox) -> Result<Vec<LedgerSlot>, TestError> {
        let rows = self.contoso.rows(Table::Rooms).await?;
        let days: Vec<_> = rows.iter().filter_map(|row| row.key.row.parse().ok()).collect();
        let ledger = Ledger::new(Arc::clone(&self.contoso.world.raw_tables));
        let days = ledger.read(self.contoso.tenant_id()?, room_id(room)?, &days).await?;
        let mut all: Vec<LedgerSlot> = Vec::new();
        for slot in days.iter().flat_map(|day| day.day.slots()) {
            let is_known = |known: &LedgerSlot| {
                (known.interval, known.booking) == (slot.interval, slot.booking)
            };
            if !all.iter().any(is_known) {
                all.push(*slot);
            }
        }
        all.sort_by_key(|slot| slot.interval.start());
        Ok(all)
    }

    /// Of a room what is taken and not over, and by whom: `1 Dec 09:00 Anna`; of many lines the first,
    /// how many more, and the last.
    pub(super) async fn taken(&self, room: &Mailbox) -> Result<Vec<String>, TestError> {
        let now = self.contoso.now();
        let mut lines: Vec<String> = Vec::new();
        for slot in self.slots(room).await? {
            let (start, end) = (slot.interval.start(), slot.interval.end());
            if end > now {
                let who = self.holder(room, start, end);
                lines.push(format!("{} {who}", start.strftime("%-d %b %H:%M")));
            }
        }
        if lines.len() > LINES {
            let more = format!("{} more", lines.len() - 2);
            lines.splice(1..lines.len() - 1, [more]);
        }
        Ok(lines)
    }

    /// Who has the room then, as its own calendar says, or else the organizer's.
    fn holder(&self, room: &Mailbox, start: Timestamp, end: Timestamp) -> String {
        let Contoso { anna, ben, cleo, .. } = &self.contoso;
        for calendar in [room, anna, ben, cleo] {
            let agenda = self.contoso.world.microsoft.exchange.agenda(calendar);
            let entry = agenda.iter().find(|entry| {
                let is_there = !entry.is_cancelled && entry.response != Response::Declined;
                is_there && (entry.start, entry.end) == (start, end)
            });
            if let Some(entry) = entry {
                return entry.organizer.clone();
            }
        }
        "nobody".to_owned()
    }
}

/// The time in which a series without end is compared.
pub(super) const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 365);
