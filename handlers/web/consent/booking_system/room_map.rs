//! Which room of a booking system each managed room is: what is saved, what is proposed, and how a new
//! map is checked and written.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChosenSystem, MAX_SYSTEM_ROOMS, check, excerpt, held::HeldBookings};
use jiff::Timestamp;

use crate::{
    booking::BookingSystemError,
    domain::{
        booking_system::{SystemId, SystemRoom, SystemRoomId},
        ids::RoomId,
        keys::Digest,
        tenant::policy::{PreviousSystemRoom, Room},
    },
    store::tenants::Tenant,
    web::{
        consent::deps::Deps,
        layout::{
            CurrentUser, PageError,
            texts::{BookingSystemTexts, fill},
        },
    },
};

/// A managed room, called as Exchange calls it.
#[derive(Debug, Clone)]
pub(super) struct ManagedRoom {
    pub(super) room: Room,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) capacity: Option<u32>,
}

/// The managed rooms, by name.
pub(super) async fn managed_rooms(
    deps: &Deps,
    user: &CurrentUser,
    tenant: &Tenant,
) -> Result<Vec<ManagedRoom>, PageError> {
    let graph = deps.graph.for_tenant(tenant.registration, &user.invocation);
    // Without Exchange's list a room is called by its address.
    let places = graph.list_rooms().await.unwrap_or_default();
    let rooms = deps.rooms.list_uncached(tenant.id).await?;
    let mut managed: Vec<ManagedRoom> = rooms
        .iter()
        .map(|room| {
            let place = places.iter().find(|place| room.has_address(&place.address));
            let address = room.addresses.first().cloned().unwrap_or_default();
            let address = place.map_or(address, |place| place.address.clone());
            ManagedRoom {
                name: place.map_or_else(|| address.clone(), |place| place.name.clone()),
                capacity: place.and_then(|place| place.capacity),
                room: room.clone(),
                address,
            }
        })
        .collect();
    managed.sort_by(|a, b| (&a.name, a.room.id).cmp(&(&b.name, b.room.id)));
    Ok(managed)
}

/// The rooms of both sides, and the map between them as it is saved.
pub(super) struct RoomMapping {
    pub(super) system: SystemId,
    pub(super) managed: Vec<ManagedRoom>,
    /// Those of the system, by name.
    pub(super) rooms: Vec<SystemRoom>,
}

/// What a new map says of the rooms that it changes: `None` leaves one without a room.
pub(super) type WantedRooms = BTreeMap<RoomId, Option<SystemRoomId>>;

impl RoomMapping {
    /// Reads both sides.
    ///
    /// # Errors
    /// The inner one where the system does not list its rooms.
    pub(super) async fn load(
        deps: &Deps,
        user: &CurrentUser,
        chosen: &ChosenSystem,
    ) -> Result<Result<Self, BookingSystemError>, PageError> {
        let mut rooms = match check::ask(deps, user, &chosen.connection).await {
            Ok(check) => check.rooms,
            Err(error) => return Ok(Err(error)),
        };
        for room in &mut rooms {
            room.name = excerpt(&room.name);
        }
        // An id that is too long for a form could not be chosen.
        rooms.retain(|room| room.id.0.len() <= MAX_ROOM_ID);
        rooms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        rooms.truncate(MAX_SYSTEM_ROOMS);
        let managed = managed_rooms(deps, user, &chosen.tenant).await?;
        Ok(Ok(Self { system: chosen.connection.id, managed, rooms }))
    }

    pub(super) fn mapped<'a>(&self, managed: &'a ManagedRoom) -> Option<&'a SystemRoomId> {
        managed.room.system_rooms.get(&self.system)
    }

    pub(super) fn find(&self, id: &SystemRoomId) -> Option<&SystemRoom> {
        self.rooms.iter().find(|room| room.id == *id)
    }

    /// What a page calls a room of the system; its id where it is not listed.
    pub(super) fn name_of<'a>(&'a self, id: &'a SystemRoomId) -> &'a str {
        self.find(id).map_or(&id.0, |room| &room.name)
    }

    /// Identifies the map as it is saved: a form carries it.
    pub(super) fn version(&self) -> String {
        let mut pairs: Vec<_> = self
            .managed
            .iter()
            .map(|managed| (managed.room.id, self.mapped(managed).cloned()))
            .collect();
        pairs.sort();
        Digest::of(&[format!("{pairs:?}").as_bytes()]).to_string()
    }

    /// Those of `wanted` that differ from what is saved.
    fn changes(&self, wanted: &WantedRooms) -> WantedRooms {
        let changed = |managed: &&ManagedRoom| {
            let wanted = wanted.get(&managed.room.id)?;
            (wanted.as_ref() != self.mapped(managed)).then(|| (managed.room.id, wanted.clone()))
        };
        self.managed.iter().filter_map(|managed| changed(&managed)).collect()
    }

    /// The changes for a page: the room, what it is mapped to, and what it would be.
    pub(super) fn describe(&self, wanted: &WantedRooms) -> Vec<(String, String, String)> {
        let name = |id: Option<&SystemRoomId>| id.map_or("", |id| self.name_of(id)).to_owned();
        let changes = self.changes(wanted);
        let changed = self.managed.iter().filter_map(|managed| {
            let wanted = changes.get(&managed.room.id)?;
            let (old, new) = (name(self.mapped(managed)), name(wanted.as_ref()));
            Some((managed.name.clone(), old, new))
        });
        changed.collect()
    }

    /// What speaks against the map with `wanted` in it, room by room.
    pub(super) async fn find_mistakes(
        &self,
        deps: &Deps,
        tenant: &Tenant,
        wanted: &WantedRooms,
    ) -> Result<Vec<(RoomId, String)>, PageError> {
        let t = &deps.pages.texts().booking_system;
        let changes = self.changes(wanted);
        let mut mistakes = self.find_clashes(t, &changes);
        let moves_bookings = |room: &&ManagedRoom| {
            changes.contains_key(&room.room.id) && self.mapped(room).is_some()
        };
        if !self.managed.iter().any(|room| moves_bookings(&room)) {
            return Ok(mistakes);
        }
        // A booking is found by its room: under another one it could be neither changed nor cancelled.
        let held = HeldBookings::count(deps, tenant, self.system).await?;
        for managed in self.managed.iter().filter(moves_bookings) {
            let count = held.in_room(managed.room.id);
            if count > 0 || !held.is_complete {
                let counts = [("room", managed.name.as_str()), ("count", &count.to_string())];
                mistakes.push((managed.room.id, fill(t.room_holds_bookings, &counts)));
            }
        }
        Ok(mistakes)
    }

    /// Rooms of the system that are not there, and those that two managed rooms would share.
    fn find_clashes(&self, t: &BookingSystemTexts, changes: &WantedRooms) -> Vec<(RoomId, String)> {
        let mut mistakes = Vec::new();
        let mut takers: BTreeMap<&SystemRoomId, Vec<&ManagedRoom>> = BTreeMap::new();
        for managed in &self.managed {
            let room = match changes.get(&managed.room.id) {
                Some(wanted) => wanted.as_ref(),
                None => self.mapped(managed),
            };
            let Some(room) = room else { continue };
            takers.entry(room).or_default().push(managed);
            if changes.contains_key(&managed.room.id) && self.find(room).is_none() {
                let names = [("room", managed.name.as_str()), ("id", &excerpt(&room.0))];
                mistakes.push((managed.room.id, fill(t.no_such_room, &names)));
            }
        }
        for takers in takers.values().filter(|takers| takers.len() > 1) {
            for taker in takers {
                let other = takers.iter().find(|other| other.room.id != taker.room.id);
                let Some(other) = other else { continue };
                let names = [("room", taker.name.as_str()), ("other", &other.name)];
                mistakes.push((taker.room.id, fill(t.room_taken_twice, &names)));
            }
        }
        mistakes
    }

    /// Writes the changes, and beside each what it was before. A failure leaves whole rooms done, and
    /// saving again does the rest.
    pub(super) async fn save(
        &self,
        deps: &Deps,
        tenant: &Tenant,
        wanted: &WantedRooms,
    ) -> Result<(), PageError> {
        let (now, changes) = (deps.clock.now(), self.changes(wanted));
        for managed in &self.managed {
            let Some(wanted) = changes.get(&managed.room.id) else { continue };
            let mut room = managed.room.clone();
            let before = match wanted {
                Some(wanted) => room.system_rooms.insert(self.system, wanted.clone()),
                None => room.system_rooms.remove(&self.system),
            };
            room.previous_system_room =
                Some(PreviousSystemRoom { system: self.system, room: before, changed_at: now });
            deps.rooms.upsert(tenant.id, &room).await?;
        }
        Ok(())
    }

    /// When it was saved last.
    pub(super) fn saved_at(&self) -> Option<Timestamp> {
        let all =
            self.managed.iter().filter_map(|managed| managed.room.previous_system_room.as_ref());
        let of_system = all.filter(|previous| previous.system == self.system);
        of_system.map(|previous| previous.changed_at).max()
    }

    /// The map before the last save, as far as that changed it; empty where nothing was saved yet.
    pub(super) fn previous(&self) -> WantedRooms {
        let last = self.saved_at();
        let saved_last = self.managed.iter().filter_map(|managed| {
            let previous = managed.room.previous_system_room.as_ref()?;
            let is_last = previous.system == self.system && Some(previous.changed_at) == last;
            is_last.then(|| (managed.room.id, previous.room.clone()))
        });
        saved_last.collect()
    }

    /// For rooms without one: the room of the system that has the same name, or whose name says it among
    /// other words, as long as it is the only one, nobody else has it, and the seats do not differ.
    pub(super) fn propose(&self) -> BTreeMap<RoomId, SystemRoomId> {
        let taken: BTreeSet<_> =
            self.managed.iter().filter_map(|managed| self.mapped(managed)).collect();
        let free: Vec<_> = self.rooms.iter().filter(|room| !taken.contains(&room.id)).collect();
        let open = self.managed.iter().filter(|managed| self.mapped(managed).is_none());
        let found = open
            .filter_map(|managed| Some((managed.room.id, best_match(managed, &free)?.id.clone())));
        let mut proposals: BTreeMap<RoomId, SystemRoomId> = found.collect();
        // What two rooms would get is a proposal for neither.
        let all: Vec<_> = proposals.values().cloned().collect();
        proposals.retain(|_, room| all.iter().filter(|other| *other == room).count() == 1);
        proposals
    }
}

/// The longest id of a room that a system may have, in bytes; TOPdesk's have 36.
pub(super) const MAX_ROOM_ID: usize = 200;

fn best_match<'a>(managed: &ManagedRoom, free: &[&'a SystemRoom]) -> Option<&'a SystemRoom> {
    let wanted = words(&managed.name);
    let has_as_many_seats = |room: &&&SystemRoom| match (room.capacity, managed.capacity) {
        (Some(theirs), Some(ours)) => theirs == ours,
        (None, _) | (_, None) => true,
    };
    let same: Vec<_> = free.iter().filter(|room| words(&room.name) == wanted).collect();
    if let [only] = same.as_slice() {
        return Some(only);
    }
    let within = |room: &&&SystemRoom| {
        let theirs = words(&room.name);
        contains(&theirs, &wanted) || contains(&wanted, &theirs)
    };
    let alike = if same.is_empty() { free.iter().filter(within).collect() } else { same };
    let mut fitting = alike.into_iter().filter(has_as_many_seats);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(*first)
}

fn words(name: &str) -> Vec<String> {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

fn contains(all: &[String], some: &[String]) -> bool {
    !some.is_empty() && all.windows(some.len()).any(|window| window == some)
}
