//! How a booking system and the ledger differ for one room.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{SystemBooking, SystemBookingStatus};
use crate::domain::{ids::BookingId, ledger::LedgerSlot};

/// The numbers of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemDrift {
    pub at: Timestamp,
    /// Booked by us, and not there (any more). They are booked again.
    pub missing: u32,
    /// There at another time than in Outlook, or in conflict. They are moved back, or give way.
    pub different: u32,
    /// There under a match key that we do not know: left behind by us, or another Roombridge's.
    pub orphaned: u32,
    /// Made there by somebody else.
    pub foreign: u32,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemDifferences {
    pub missing: Vec<LedgerSlot>,
    pub different: Vec<LedgerSlot>,
    pub orphaned: Vec<SystemBooking>,
    pub foreign: u32,
}

impl SystemDifferences {
    /// Compares what a room has in the ledger (each booking once) with what the system lists for it, whose
    /// times are cut to `unit`.
    pub fn between(slots: &[LedgerSlot], listed: &[SystemBooking], unit: SignedDuration) -> Self {
        let mut there: BTreeMap<BookingId, Vec<&SystemBooking>> = BTreeMap::new();
        let mut found = Self::default();
        for booking in listed {
            match booking.key {
                Some(key) => there.entry(key.booking).or_default().push(booking),
                None => found.foreign += 1,
            }
        }
        for slot in slots {
            let Some(bookings) = there.remove(&slot.booking) else {
                found.missing.push(*slot);
                continue;
            };
            let is_right = |booking: &&SystemBooking| {
                booking.interval == slot.interval.truncated_to(unit)
                    && booking.status != SystemBookingStatus::Conflicting
            };
            // Somebody's call that the system had checked before ours may have been stored after we looked.
            let is_alone = |booking: &&SystemBooking| {
                listed.iter().all(|other| {
                    other.reference == booking.reference
                        || other.status == SystemBookingStatus::Conflicting
                        || !other.interval.overlaps(&booking.interval)
                })
            };
            // Twice is once too often.
            if bookings.len() != 1 || !bookings.iter().all(|it| is_right(it) && is_alone(it)) {
                found.different.push(*slot);
            }
        }
        found.orphaned = there.into_values().flatten().cloned().collect();
        found
    }

    /// The numbers, as they were at `at`.
    pub fn count(&self, at: Timestamp) -> SystemDrift {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        SystemDrift {
            at,
            missing: count(self.missing.len()),
            different: count(self.different.len()),
            orphaned: count(self.orphaned.len()),
            foreign: self.foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        booking_system::{MatchKey, SystemRoomId},
        ids::{RoomId, TenantId},
        interval::Interval,
        keys::{BookingKey, Digest},
    };

    fn hour(hour: i64) -> Interval {
        let start: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
        let start = start + SignedDuration::from_hours(hour);
        Interval::new(start, start + SignedDuration::from_hours(1)).unwrap()
    }

    fn slot(booking: u128, at: i64) -> LedgerSlot {
        let holder = BookingKey {
            tenant: TenantId(Uuid::nil()),
            appointment: Digest(booking),
            original_start: None,
            room: RoomId(Uuid::nil()),
        };
        LedgerSlot { holder, booking: BookingId(Uuid::from_u128(booking)), interval: hour(at) }
    }

    fn listed(booking: Option<u128>, at: i64, status: SystemBookingStatus) -> SystemBooking {
        let key = |n| MatchKey { booking: BookingId(Uuid::from_u128(n)), generation: 1 };
        SystemBooking {
            reference: format!("R-{at}"),
            key: booking.map(key),
            room: SystemRoomId("7".into()),
            interval: hour(at),
            status,
        }
    }

    #[test]
    fn each_kind_of_difference_is_counted_apart() {
        use SystemBookingStatus::{AwaitsApproval, Confirmed, Conflicting};
        let slots = [slot(1, 9), slot(2, 10), slot(3, 11), slot(4, 12), slot(5, 13)];
        let there = [
            listed(Some(1), 9, Confirmed),
            listed(Some(2), 20, Confirmed),
            listed(Some(3), 11, Conflicting),
            listed(Some(5), 13, AwaitsApproval),
            listed(Some(9), 15, Confirmed),
            listed(None, 16, Confirmed),
        ];
        let found = SystemDifferences::between(&slots, &there, SignedDuration::from_mins(1));
        assert_eq!(found.missing, [slot(4, 12)]);
        assert_eq!(found.different, [slot(2, 10), slot(3, 11)]);
        assert_eq!(found.orphaned, [listed(Some(9), 15, Confirmed)]);
        assert_eq!(found.foreign, 1);
    }

    #[test]
    fn a_booking_that_is_there_twice_is_different() {
        let there = [9, 9].map(|at| listed(Some(1), at, SystemBookingStatus::Confirmed));
        let unit = SignedDuration::from_mins(1);
        assert_eq!(SystemDifferences::between(&[slot(1, 9)], &there, unit).different.len(), 1);
    }
}
