//! The bookings that a booking system holds, counted in our own rows.

use std::collections::BTreeMap;

use crate::{
    domain::{booking::Booking, booking_system::SystemId, ids::RoomId},
    store::tenants::Tenant,
    web::{consent::deps::Deps, layout::PageError},
};

/// The most pages of 1,000 rows that are counted, which takes about half a minute.
const MAX_PAGES: usize = 100;

/// How many bookings that are not over a system has in each room.
pub(super) struct HeldBookings {
    rooms: BTreeMap<RoomId, usize>,
    /// Whether every row was read.
    pub(super) is_complete: bool,
}

impl HeldBookings {
    pub(super) async fn count(
        deps: &Deps,
        tenant: &Tenant,
        system: SystemId,
    ) -> Result<Self, PageError> {
        let now = deps.clock.now();
        let (mut rooms, mut next) = (BTreeMap::new(), None);
        for _ in 0..MAX_PAGES {
            let (bookings, more) = deps.bookings.list_page(tenant.id, next).await?;
            for booking in bookings.iter().filter(|booking| booking.purge_due > now) {
                if may_be_in(booking, tenant, system) {
                    *rooms.entry(booking.key.room).or_default() += 1;
                }
            }
            next = more;
            if next.is_none() {
                return Ok(Self { rooms, is_complete: true });
            }
        }
        Ok(Self { rooms, is_complete: false })
    }

    pub(super) fn in_room(&self, room: RoomId) -> usize {
        self.rooms.get(&room).copied().unwrap_or_default()
    }

    pub(super) fn may_be_left(&self) -> bool {
        self.total() > 0 || !self.is_complete
    }

    pub(super) fn total(&self) -> usize {
        self.rooms.values().sum()
    }
}

/// Also what somebody is at work on: it may be there already.
fn may_be_in(booking: &Booking, tenant: &Tenant, system: SystemId) -> bool {
    let confirmed = booking.confirmed().is_some_and(|held| held.system == system);
    confirmed || booking.intent.is_some() && tenant.systems.current == system
}
