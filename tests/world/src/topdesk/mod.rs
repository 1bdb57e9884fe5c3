//! TOPdesk's reservations and persons, as its own description has them: every request is held against TOPdesk's
//! schemas, a conflict is stored and shown as a status only, and nothing keeps two writes apart.

mod answers;
mod description;
mod fiql;
mod persons;
mod reservations;
mod routes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;
use uuid::Uuid;

/// The host under which the world's TOPdesk answers.
pub const TOPDESK_HOST: &str = "contoso.topdesk.net";
/// Where its API begins.
pub const TOPDESK_API_PATH: &str = "/tas/api";

/// The system. Clones share it.
///
/// ```
/// use std::sync::Arc;
///
/// use roombridge::base::test_support::{ManualClock, SeededRng};
/// use world::topdesk::{Rights, TopDesk};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
/// let system = TopDesk::new(Arc::new(clock), Arc::new(SeededRng::new(1)));
/// system.add_operator("roombridge", "application-password", Rights::ALL);
/// let aurora = system.add_room("Aurora", Some(8));
/// assert!(system.live(aurora).is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TopDesk(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<State>,
}

/// What an operator's permission groups allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a tick in TOPdesk's permission group")]
pub struct Rights {
    /// API access > REST API.
    pub rest_api: bool,
    /// Reservations, and what can be reserved: read.
    pub reads_reservations: bool,
    /// Reservations: create.
    pub creates_reservations: bool,
    /// Reservations: edit.
    pub edits_reservations: bool,
    /// Persons: read.
    pub reads_persons: bool,
}

impl Rights {
    /// All that an adapter can need.
    pub const ALL: Self = Self {
        rest_api: true,
        reads_reservations: true,
        creates_reservations: true,
        edits_reservations: true,
        reads_persons: true,
    };
    /// Looking without touching.
    pub const READ_ONLY: Self =
        Self { creates_reservations: false, edits_reservations: false, ..Self::ALL };
    /// The API, and no module.
    pub const NO_MODULE: Self =
        Self { reads_reservations: false, reads_persons: false, ..Self::READ_ONLY };
}

struct Operator {
    login: String,
    password: String,
    rights: Rights,
}

/// Somebody whom a room can be reserved for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// TOPdesk's own id.
    pub id: Uuid,
    /// First and last name.
    pub name: String,
    /// Several may have the same.
    pub email: String,
    /// Whether the card is archived.
    pub archived: bool,
}

struct Room {
    id: Uuid,
    name: String,
    capacity: Option<u32>,
    /// Minutes of the day, UTC, from and to which it can be reserved.
    window: (i64, i64),
    /// How long before its start a reservation has to be made, because of the services that come with it.
    lead_time: SignedDuration,
}

/// What it says of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationStatus {
    /// Somebody has to approve it.
    Request,
    /// Nobody did.
    RejectedRequest,
    /// It has the room.
    Planned,
    /// It has ended.
    Cancelled,
    /// Another one had the room when it was made or changed.
    ConflictingPlanned,
    /// The same of a request.
    ConflictingRequest,
}

impl ReservationStatus {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::RejectedRequest => "rejectedRequest",
            Self::Planned => "planned",
            Self::Cancelled => "cancelled",
            Self::ConflictingPlanned => "conflictingPlanned",
            Self::ConflictingRequest => "conflictingRequest",
        }
    }

    fn has_ended(self) -> bool {
        matches!(self, Self::RejectedRequest | Self::Cancelled)
    }

    fn holds_the_room(self) -> bool {
        matches!(self, Self::Request | Self::Planned)
    }

    fn is_request(self) -> bool {
        matches!(self, Self::Request | Self::ConflictingRequest)
    }
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub id: Uuid,
    /// Its number, which its people use.
    pub number: String,
    /// Its status.
    pub status: ReservationStatus,
    /// Whether it was put away.
    pub archived: bool,
    /// What it is about.
    pub brief_description: Option<String>,
    /// Whom it is for.
    pub requester: Uuid,
    /// Who takes part.
    pub participants: Vec<Uuid>,
    /// How many people come.
    pub number_of_persons: Option<u64>,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The rooms that it is for.
    pub rooms: Vec<Uuid>,
    /// Id and type of the record of another system that it belongs to. Set once.
    pub external_link: Option<(String, String)>,
    /// The series that it is an occurrence of.
    pub series: Option<Uuid>,
    /// Whether its room was handed out, which no API changes any more.
    pub issued: bool,
    /// Why it was cancelled.
    pub cancellation_reason: Option<String>,
}

/// What is wrong with all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outage {
    /// Nothing.
    #[default]
    None,
    /// 429, with a `Retry-After` of so many seconds.
    Throttled(u32),
    /// 503, with a `Retry-After` of so many seconds.
    Unavailable(u32),
    /// 200 with a page for people, as a proxy in front of it answers.
    MaintenancePage,
}

#[derive(Default)]
struct State {
    operators: Vec<Operator>,
    persons: Vec<Person>,
    rooms: Vec<Room>,
    reasons: Vec<(Uuid, String)>,
    /// Whether a cancellation needs no reason.
    has_default_reason: bool,
    reservations: Vec<Reservation>,
    outage: Outage,
    /// The most that one page has, whatever was asked for.
    page_limit: Option<usize>,
    requests: Vec<String>,
    violations: Vec<String>,
}

// === Setting it up ===

impl TopDesk {
    /// An installation without operators, persons and rooms, in which a cancellation needs no reason.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let state = State { has_default_reason: true, ..State::default() };
        Self(Arc::new(Inner { clock, rng, state: Mutex::new(state) }))
    }

    /// Answers below [`TOPDESK_API_PATH`].
    pub fn router(&self) -> Router {
        Router::new().fallback(routes::receive).with_state(self.clone())
    }

    /// Adds an operator with an application password, or replaces the one of that login.
    pub fn add_operator(&self, login: &str, password: &str, rights: Rights) {
        let mut state = self.lock();
        state.operators.retain(|operator| operator.login != login);
        let (login, password) = (login.to_owned(), password.to_owned());
        state.operators.push(Operator { login, password, rights });
    }

    /// Adds a person card; returns its id.
    pub fn add_person(&self, name: &str, email: &str) -> Uuid {
        let id = self.0.rng.uuid();
        let (name, email) = (name.to_owned(), email.to_owned());
        self.lock().persons.push(Person { id, name, email, archived: false });
        id
    }

    /// Archives a person card.
    pub fn archive_person(&self, id: Uuid) {
        if let Some(found) = self.lock().persons.iter_mut().find(|person| person.id == id) {
            found.archived = true;
        }
    }

    /// Adds a room that can be reserved all day; returns its id.
    pub fn add_room(&self, name: &str, capacity: Option<u32>) -> Uuid {
        let (id, name) = (self.0.rng.uuid(), name.to_owned());
        let (window, lead_time) = ((0, 24 * 60), SignedDuration::ZERO);
        self.lock().rooms.push(Room { id, name, capacity, window, lead_time });
        id
    }

    /// Lets a room be reserved between these minutes of the day only, UTC.
    pub fn set_service_window(&self, room: Uuid, from: i64, to: i64) {
        self.change_room(room, |room| room.window = (from, to));
    }

    /// How long before its start a reservation of the room has to be made or changed.
    pub fn set_lead_time(&self, room: Uuid, lead_time: SignedDuration) {
        self.change_room(room, |room| room.lead_time = lead_time);
    }

    /// Adds a reason for cancellations, and demands one of each; returns its id.
    pub fn add_cancellation_reason(&self, name: &str) -> Uuid {
        let id = self.0.rng.uuid();
        let mut state = self.lock();
        state.has_default_reason = false;
        state.reasons.push((id, name.to_owned()));
        id
    }

    fn change_room(&self, room: Uuid, change: impl FnOnce(&mut Room)) {
        if let Some(room) = self.lock().rooms.iter_mut().find(|found| found.id == room) {
            change(room);
        }
    }
}

// === What somebody does on its own pages ===

impl TopDesk {
    /// Reserves a room by hand, over whatever is there; returns the id.
    pub fn reserve(&self, room: Uuid, requester: Uuid, times: (Timestamp, Timestamp)) -> Uuid {
        let id = self.0.rng.uuid();
        let mut state = self.lock();
        let (start, end) = times;
        let number = state.next_number();
        state.reservations.push(Reservation {
            id,
            number,
            status: ReservationStatus::Planned,
            archived: false,
            brief_description: None,
            requester,
            participants: Vec::new(),
            number_of_persons: None,
            start,
            end,
            rooms: vec![room],
            external_link: None,
            series: None,
            issued: false,
            cancellation_reason: None,
        });
        id
    }

    /// Changes a reservation by hand, in ways that the API does not have. Whether it was there.
    pub fn edit(&self, id: Uuid, change: impl FnOnce(&mut Reservation)) -> bool {
        let mut state = self.lock();
        let found = state.reservations.iter_mut().find(|found| found.id == id);
        found.map(change).is_some()
    }

    /// Cancels a reservation by hand. Whether it was there.
    pub fn cancel(&self, id: Uuid) -> bool {
        self.edit(id, |found| found.status = ReservationStatus::Cancelled)
    }
}

// === What a test breaks ===

impl TopDesk {
    /// Breaks all of it, or mends it.
    pub fn set_outage(&self, outage: Outage) {
        self.lock().outage = outage;
    }

    /// The most that one page has, whatever was asked for.
    pub fn set_page_limit(&self, limit: usize) {
        self.lock().page_limit = Some(limit);
    }
}

// === Looking in ===

impl TopDesk {
    /// Every reservation there has been, in the order in which they were made.
    pub fn reservations(&self) -> Vec<Reservation> {
        self.lock().reservations.clone()
    }

    /// The reservation with that id.
    pub fn reservation(&self, id: Uuid) -> Option<Reservation> {
        self.lock().reservations.iter().find(|found| found.id == id).cloned()
    }

    /// The reservations of a room that have not ended, by time.
    pub fn live(&self, room: Uuid) -> Vec<Reservation> {
        let mut found = self.reservations();
        found.retain(|one| !one.status.has_ended() && !one.archived && one.rooms.contains(&room));
        found.sort_by_key(|one| (one.start, one.id));
        found
    }

    /// The requests so far, such as `POST /reservations/{identifier}/cancel`.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// What TOPdesk's own description does not allow: of requests, and of the answers here.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_number(&self) -> String {
        format!("R2611 {:03}", self.reservations.len() + 1)
    }

    fn room(&self, id: Uuid) -> Option<&Room> {
        self.rooms.iter().find(|room| room.id == id)
    }

    fn person(&self, id: Uuid) -> Option<&Person> {
        self.persons.iter().find(|person| person.id == id && !person.archived)
    }
}

#[cfg(test)]
mod tests;
