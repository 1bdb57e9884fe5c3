//! Items that no invitation made: a copy with another's `iCalUId`, and a meeting that was not sent.

use world::exchange::Invitation;

use super::operations::{MeetingLength, Op};
use super::run::{SimulationRun, meeting_times};
use crate::TestError;

impl SimulationRun {
    /// Writes an item into a calendar as it is. Nobody is invited, so no room has it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) fn import_item(&mut self, op: Op) -> Result<(), TestError> {
        match op {
            Op::Forge { nth, who, room, day, slot, own } => {
                let Some(known) = self.nth_meeting(nth) else { return Ok(()) };
                // The organizer's own calendar has the meeting itself.
                let others = self.people.iter().cycle().skip(usize::from(who));
                let organizer = &self.people[known.organizer];
                let Some(forger) = others.take(3).find(|other| other.id() != organizer.id()) else {
                    return Ok(());
                };
                let (ical, invitation) = (known.meeting.ical(), self.invitation(room, day, slot));
                if own {
                    forger.import(ical, invitation)?;
                } else {
                    forger.import_invitation(organizer, ical, invitation)?;
                }
            }
            Op::Draft { who, room, day, slot } => {
                let person = &self.people[usize::from(who)];
                let ical = person.save_draft(self.invitation(room, day, slot))?;
                self.drafts.push(ical);
            }
            _ => {}
        }
        Ok(())
    }

    fn invitation(&self, room: u8, day: u8, slot: u8) -> Invitation {
        let (start, end) = meeting_times(self.is_week_ahead, day, slot, MeetingLength::Hour);
        Invitation::new("Numbers", start, end).room(&self.rooms[usize::from(room)])
    }
}
