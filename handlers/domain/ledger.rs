//! The ledger of one room and one UTC day: who has it when. A claim is an atomic conflict check.

use serde::{Deserialize, Serialize};

use super::{ids::BookingId, interval::Interval, keys::BookingKey};

/// A taken stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSlot {
    /// What the booking was found under when it took the time. A series that is moved changes that.
    #[serde(flatten)]
    pub holder: BookingKey,
    /// The booking that has the time.
    pub booking: BookingId,
    /// When, whole: also the part before or after this day.
    pub interval: Interval,
}

/// All that is taken of one room on one UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoomDay {
    #[serde(rename = "taken")]
    slots: Vec<LedgerSlot>,
}

impl LedgerSlot {
    /// Whether it is the same booking's, at the same time.
    fn is_same(&self, other: &Self) -> bool {
        (self.booking, self.interval) == (other.booking, other.interval)
    }
}

/// Another booking has the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub slot: Box<LedgerSlot>,
}

impl RoomDay {
    /// The day with these slots.
    pub fn new(slots: Vec<LedgerSlot>) -> Self {
        Self { slots }
    }

    /// The slots.
    pub fn slots(&self) -> &[LedgerSlot] {
        &self.slots
    }

    /// Whether nothing is taken.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the booking has exactly this time.
    pub fn contains(&self, slot: &LedgerSlot) -> bool {
        self.slots.iter().any(|taken| taken.is_same(slot))
    }

    /// The day with `slot` taken too. The booking's own other slots are no conflict: a move has both
    /// until the old one is released.
    ///
    /// # Errors
    /// [`Conflict`] names the first other booking in the way.
    pub fn claim(mut self, slot: LedgerSlot) -> Result<Self, Conflict> {
        let rival =
            |s: &&LedgerSlot| s.booking != slot.booking && s.interval.overlaps(&slot.interval);
        if let Some(rival) = self.slots.iter().find(rival) {
            return Err(Conflict { slot: Box::new(*rival) });
        }
        if !self.contains(&slot) {
            self.slots.push(slot);
        }
        Ok(self)
    }

    /// The day without the booking's slots, but for the one it keeps.
    pub fn release(mut self, booking: BookingId, keep: Option<Interval>) -> Self {
        self.slots.retain(|s| s.booking != booking || Some(s.interval) == keep);
        self
    }
}

/// Everything that is taken on these days, each once, by time: one over midnight is in the ledger of both days.
pub fn distinct_slots<'a>(days: impl Iterator<Item = &'a RoomDay>) -> Vec<LedgerSlot> {
    let mut slots: Vec<LedgerSlot> = days.flat_map(RoomDay::slots).copied().collect();
    slots.sort_unstable_by_key(|slot| (slot.interval, slot.booking));
    slots.dedup_by_key(|slot| (slot.interval, slot.booking));
    slots
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{
        ids::{RoomId, TenantId},
        keys::Digest,
    };

    fn key(appointment: u128) -> BookingKey {
        BookingKey {
            tenant: TenantId(uuid::Uuid::nil()),
            appointment: Digest(appointment),
            original_start: None,
            room: RoomId(uuid::Uuid::nil()),
        }
    }

    fn slot(holder: u128, from: i64, to: i64) -> LedgerSlot {
        let hour = |h: i64| Timestamp::from_second(h * 3600).unwrap();
        let interval = Interval::new(hour(from), hour(to)).unwrap();
        LedgerSlot { holder: key(holder), booking: id(holder), interval }
    }

    fn id(booking: u128) -> BookingId {
        BookingId(uuid::Uuid::from_u128(booking))
    }

    #[test]
    fn a_second_appointment_is_a_conflict_and_the_same_one_is_not() {
        let day = RoomDay::default().claim(slot(1, 9, 10)).unwrap();
        assert_eq!(
            day.clone().claim(slot(2, 9, 11)),
            Err(Conflict { slot: Box::new(slot(1, 9, 10)) })
        );
        assert_eq!(day.clone().claim(slot(1, 9, 10)).unwrap(), day);
        assert_eq!(day.claim(slot(1, 9, 11)).unwrap().slots().len(), 2);
    }

    #[test]
    fn a_booking_that_is_found_under_another_key_is_still_the_same() {
        let day = RoomDay::default().claim(slot(1, 9, 10)).unwrap();
        let moved = LedgerSlot { holder: key(7), ..slot(1, 9, 10) };
        assert!(day.contains(&moved));
        assert_eq!(day.clone().claim(moved), Ok(day));
    }

    #[test]
    fn a_release_keeps_what_is_used_and_leaves_others_alone() {
        let day = RoomDay::new(vec![slot(1, 9, 10), slot(1, 11, 12), slot(2, 14, 15)]);
        let kept = day.release(id(1), Some(slot(1, 11, 12).interval));
        assert_eq!(kept.slots(), [slot(1, 11, 12), slot(2, 14, 15)]);
    }
}
