//! The ledger of one room and one UTC day: who has it when. A claim is an atomic conflict check.

use serde::{Deserialize, Serialize};

use super::{interval::Interval, keys::BookingKey};

/// A taken stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSlot {
    #[serde(flatten)]
    pub holder: BookingKey,
    /// When, whole: also the part before or after this day.
    pub interval: Interval,
}

/// All that is taken of one room on one UTC day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoomDay {
    #[serde(rename = "taken")]
    slots: Vec<LedgerSlot>,
}

/// Another appointment has the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    pub holder: BookingKey,
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

    /// Whether exactly this slot is taken.
    pub fn contains(&self, slot: &LedgerSlot) -> bool {
        self.slots.contains(slot)
    }

    /// The day with `slot` taken too. The holder's own other slots are no conflict: a move has both
    /// until the old one is released.
    ///
    /// # Errors
    /// [`Conflict`] names the first other holder in the way.
    pub fn claim(mut self, slot: LedgerSlot) -> Result<Self, Conflict> {
        let rival =
            |s: &&LedgerSlot| s.holder != slot.holder && s.interval.overlaps(&slot.interval);
        if let Some(rival) = self.slots.iter().find(rival) {
            return Err(Conflict { holder: rival.holder });
        }
        if !self.contains(&slot) {
            self.slots.push(slot);
        }
        Ok(self)
    }

    /// The day without the holder's slots, but for the one it keeps.
    pub fn release(mut self, holder: BookingKey, keep: Option<Interval>) -> Self {
        self.slots.retain(|s| s.holder != holder || Some(s.interval) == keep);
        self
    }
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
        LedgerSlot { holder: key(holder), interval: Interval::new(hour(from), hour(to)).unwrap() }
    }

    #[test]
    fn a_second_appointment_is_a_conflict_and_the_same_one_is_not() {
        let day = RoomDay::default().claim(slot(1, 9, 10)).unwrap();
        assert_eq!(day.clone().claim(slot(2, 9, 11)), Err(Conflict { holder: key(1) }));
        assert_eq!(day.clone().claim(slot(1, 9, 10)).unwrap(), day);
        assert_eq!(day.claim(slot(1, 9, 11)).unwrap().slots().len(), 2);
    }

    #[test]
    fn a_release_keeps_what_is_used_and_leaves_others_alone() {
        let day = RoomDay::new(vec![slot(1, 9, 10), slot(1, 11, 12), slot(2, 14, 15)]);
        let kept = day.release(key(1), Some(slot(1, 11, 12).interval));
        assert_eq!(kept.slots(), [slot(1, 11, 12), slot(2, 14, 15)]);
    }
}
