//! The booking systems of the tenants: which ones a booking may be in, and what is asked of each.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::{
    BookingSystemError, BookingWriter, BuiltInSystem, OpenSystem, SystemConnector,
    built_in::CAPABILITIES as BUILT_IN,
};
use crate::{
    base::{clock::Clock, invocation::Invocation},
    domain::{
        booking::{Booking, BookingOrder, ConfirmedBooking},
        booking_system::{
            BookingQuery, BookingRequest, MatchKey, SystemBooking, SystemId, SystemRoomId,
        },
        ids::RoomId,
        interval::Interval,
        tenant::policy::Room,
    },
    store::{ledger::Ledger, rooms::RoomMap, tenants::Tenant},
};

/// The booking systems of all tenants.
#[derive(Clone)]
pub struct BookingSystems {
    built_in: OpenSystem,
    connector: SystemConnector,
    rooms: RoomMap,
}

impl BookingSystems {
    /// The built-in system on `ledger`, and those that `connector` opens.
    pub fn new(
        ledger: Ledger,
        connector: SystemConnector,
        rooms: RoomMap,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let api = Arc::new(BuiltInSystem::new(ledger));
        Self { built_in: OpenSystem::new(api, BUILT_IN, clock, None), connector, rooms }
    }

    /// From one booking to the next while a tenant's bookings follow it to another system: every second place
    /// of the slowest of its systems. One that the operator does not allow any more is not called.
    pub fn moving_pause(&self, tenant: &Tenant) -> Duration {
        let open = |connection| self.connector.open_connection(tenant.id, connection).ok();
        let systems = tenant.systems.all.iter().filter_map(open);
        systems.map(|system| system.budget.idle_pause()).max().unwrap_or_default()
    }

    /// Makes the booking where the tenant's bookings are made, or changes the one that is there, and ends
    /// what is of it elsewhere. `booking` has the intent to do so; where that has `taken_over` an earlier
    /// one, whatever that one may have done is found.
    ///
    /// # Errors
    /// See [`BookingWriter::put`].
    pub async fn put(
        &self,
        invocation: &Invocation,
        tenant: &Tenant,
        booking: &Booking,
        order: &BookingOrder,
        taken_over: bool,
    ) -> Result<ConfirmedBooking, BookingSystemError> {
        let current = tenant.systems.current;
        let room = self.room(tenant, current, order.key.room).await?;
        let details = &order.spec.facts.details;
        let request = BookingRequest {
            key: order.match_key(),
            room: room.clone(),
            interval: order.spec.facts.interval,
            subject: details.subject.clone(),
            organizer: details.organizer.clone(),
            attendees: details.attendees.clone(),
            attendee_count: order.spec.facts.attendee_count,
        };
        let query = query(booking, current, room.clone());
        let reference = self.writer(tenant, current)?.put(invocation, &request, &query).await?;
        let mut elsewhere = holders(tenant, booking, taken_over);
        elsewhere.remove(&current);
        let ended = self.cancel_in(invocation, tenant, booking, elsewhere).await;
        ended.map_err(BookingSystemError::of_another_booking)?;
        Ok(order.confirmed(current, room, reference))
    }

    /// Ends the booking wherever it may be; none is fine.
    ///
    /// # Errors
    /// [`BookingSystemError`]; a repeat ends what is left.
    pub async fn cancel(
        &self,
        invocation: &Invocation,
        tenant: &Tenant,
        booking: &Booking,
        taken_over: bool,
    ) -> Result<(), BookingSystemError> {
        let systems = holders(tenant, booking, taken_over);
        self.cancel_in(invocation, tenant, booking, systems).await
    }

    /// Every live booking of a room within that time, at the tenant's own booking system.
    ///
    /// # Errors
    /// [`BookingSystemError`].
    pub async fn list(
        &self,
        invocation: &Invocation,
        tenant: &Tenant,
        room: RoomId,
        within: Interval,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let current = tenant.systems.current;
        let room = self.room(tenant, current, room).await?;
        let system = self.system(tenant, current)?;
        system.budget.take().await?;
        system.api.list(invocation, &room, within).await
    }

    /// Ends a booking that was found there and belongs to nothing.
    ///
    /// # Errors
    /// [`BookingSystemError`].
    pub async fn end_orphan(
        &self,
        invocation: &Invocation,
        tenant: &Tenant,
        orphan: &SystemBooking,
    ) -> Result<(), BookingSystemError> {
        let system = self.system(tenant, tenant.systems.current)?;
        system.budget.take().await?;
        system.api.cancel(invocation, orphan).await
    }

    /// What the times at the tenant's own booking system are cut to.
    ///
    /// # Errors
    /// [`BookingSystemError::NotConnected`].
    pub fn time_unit(&self, tenant: &Tenant) -> Result<SignedDuration, BookingSystemError> {
        Ok(self.system(tenant, tenant.systems.current)?.capabilities.time_unit)
    }

    async fn cancel_in(
        &self,
        invocation: &Invocation,
        tenant: &Tenant,
        booking: &Booking,
        systems: BTreeSet<SystemId>,
    ) -> Result<(), BookingSystemError> {
        // The built-in system has what the ledger has, which is released when all is done.
        let is_asked = |system: &SystemId| {
            // One that an administrator has disconnected keeps what is there: that was said and confirmed.
            !system.is_built_in() && tenant.systems.get(*system).is_some()
        };
        for system in systems.into_iter().filter(is_asked) {
            let held = booking.confirmed().filter(|held| held.system == system);
            let room = match held.and_then(|held| held.system_room.clone()) {
                Some(room) => room,
                None => match self.room(tenant, system, booking.key.room).await {
                    // It was never booked there.
                    Err(BookingSystemError::RoomNotMapped) => continue,
                    room => room?,
                },
            };
            let query = query(booking, system, room);
            self.writer(tenant, system)?.cancel(invocation, &query).await?;
        }
        Ok(())
    }

    fn system(&self, tenant: &Tenant, id: SystemId) -> Result<OpenSystem, BookingSystemError> {
        if id.is_built_in() { Ok(self.built_in.clone()) } else { self.connector.open(tenant, id) }
    }

    fn writer(&self, tenant: &Tenant, id: SystemId) -> Result<BookingWriter, BookingSystemError> {
        Ok(BookingWriter::new(self.system(tenant, id)?))
    }

    /// What the system calls the room.
    async fn room(
        &self,
        tenant: &Tenant,
        system: SystemId,
        room: RoomId,
    ) -> Result<SystemRoomId, BookingSystemError> {
        if system.is_built_in() {
            return Ok(BuiltInSystem::room(room));
        }
        let mapped = |rooms: &[Room]| {
            let managed = rooms.iter().find(|managed| managed.id == room)?;
            managed.system_rooms.get(&system).cloned()
        };
        let found = self.rooms.find(tenant.id, mapped).await?;
        found.ok_or(BookingSystemError::RoomNotMapped)
    }
}

/// The systems that may have something of the booking: the one that confirmed it, the current one, and, after a
/// try whose outcome nobody knows, any of the tenant's.
fn holders(tenant: &Tenant, booking: &Booking, taken_over: bool) -> BTreeSet<SystemId> {
    let confirmed = booking.confirmed().map(|held| held.system);
    let connected = tenant.systems.all.iter().map(|connection| connection.id);
    let possible = connected.filter(|_| taken_over);
    possible.chain(confirmed).chain([tenant.systems.current]).collect()
}

/// What leads to the booking at a system.
fn query(booking: &Booking, system: SystemId, room: SystemRoomId) -> BookingQuery {
    let here = booking.confirmed().filter(|held| held.system == system);
    let intent = booking.intent.iter();
    let tried = intent.flat_map(|intent| intent.claim.iter().chain(&intent.stale).copied());
    let mut intervals: Vec<_> = here.map(|held| held.interval).into_iter().chain(tried).collect();
    intervals.sort_unstable();
    intervals.dedup();
    BookingQuery {
        key: MatchKey { booking: booking.id, generation: booking.generation },
        reference: here.map(|held| held.reference.clone()),
        room,
        intervals,
    }
}
