//! LibreBooking 2.8 as it was observed running (PHP 8.2, MariaDB 10.11): a room booking system with session tokens,
//! errors as text, and no atomic check. Two writes that overlap in flight are both kept.

mod answers;
mod reservations;
mod routes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;

use crate::graph::RequestFault;

/// The host under which the world's LibreBooking answers.
pub const LIBREBOOKING_HOST: &str = "rooms.contoso.example";
/// Where its API begins, as its `script.url` and web server have it by default.
pub const API_PATH: &str = "/Web/Services/index.php";
/// How long a session lasts after its last call (`inactivity.timeout` of its configuration).
const SESSION_TIME: SignedDuration = SignedDuration::from_mins(30);

/// The system. Clones share it.
///
/// ```
/// use std::sync::Arc;
///
/// use roombridge::base::test_support::{ManualClock, SeededRng};
/// use world::librebooking::{Layout, LibreBooking};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
/// let system = LibreBooking::new(Arc::new(clock), Arc::new(SeededRng::new(1)));
/// system.add_user("roombridge@contoso.example", "secret", true);
/// let aurora = system.add_room("Aurora", Some(8), Layout::ALWAYS);
/// assert!(system.reservations(aurora).is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LibreBooking(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<State>,
}

/// When a schedule's rooms can be booked, by the clock on the wall of its time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The first minute of the day.
    pub opens: i64,
    /// The minute of the day when it ends; 1,440 is midnight.
    pub closes: i64,
    /// Bookings begin and end on a multiple of so many minutes.
    pub slot: i64,
}

impl Layout {
    /// All day, in slots of five minutes.
    pub const ALWAYS: Self = Self { opens: 0, closes: 24 * 60, slot: 5 };
    /// 08:00 to 18:00, in slots of half an hour: what an installation begins with.
    pub const OFFICE_HOURS: Self = Self { opens: 8 * 60, closes: 18 * 60, slot: 30 };
}

/// What is wrong with all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breakdown {
    /// Nothing.
    #[default]
    Working,
    /// Its web server answers 503 and asks for so many seconds.
    Overloaded(u32),
    /// Its database is gone: every answer is 200 with an empty page.
    NoDatabase,
    /// Its API was switched off: every answer is 200 with a sentence.
    ApiSwitchedOff,
}

/// The language of its errors: the server's, not the account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerLanguage {
    /// `en_us`.
    #[default]
    English,
    /// `du_nl`.
    Dutch,
}

/// Somebody with an account.
#[derive(Debug, Clone)]
pub struct User {
    /// Its number, which JSON shows as a text.
    pub id: u32,
    /// Its name to sign in with, here always its mail address.
    pub email: String,
    password: String,
    is_administrator: bool,
    zone: TimeZone,
}

struct Room {
    name: String,
    capacity: Option<u32>,
    layout: Layout,
    needs_approval: bool,
    /// Whether plain users have no permission for it.
    is_restricted: bool,
}

/// A reservation of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its name: 22 hexadecimal digits.
    pub reference: String,
    /// The room's number.
    pub room: u32,
    /// The owner's number.
    pub owner: u32,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Whether somebody has to approve it.
    pub is_pending: bool,
    /// What else is ordered with it.
    pub extras: Extras,
}

/// What people order with a reservation on its own pages. A change that does not send it back removes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    /// Users by their numbers.
    pub participants: Vec<u32>,
    /// Accessories by their numbers, and how many of each.
    pub accessories: BTreeMap<u32, u32>,
    /// Values of custom attributes by the attributes' numbers.
    pub attributes: BTreeMap<u32, String>,
}

impl Reservation {
    fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        self.start < end && start < self.end
    }
}

struct Session {
    user: u32,
    expires: Timestamp,
}

#[derive(Default)]
struct State {
    users: Vec<User>,
    rooms: BTreeMap<u32, Room>,
    /// Those that are not deleted.
    reservations: Vec<Reservation>,
    sessions: BTreeMap<String, Session>,
    breakdown: Breakdown,
    language: ServerLanguage,
    hides_details: bool,
    faults: Vec<RequestFault>,
    requests: Vec<String>,
}

// === Setting it up ===

impl LibreBooking {
    /// An installation without users and rooms.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self(Arc::new(Inner { clock, rng, state: Mutex::default() }))
    }

    /// Answers below [`API_PATH`].
    pub fn router(&self) -> Router {
        Router::new().fallback(routes::receive).with_state(self.clone())
    }

    /// Adds an account whose zone is UTC; returns its number.
    pub fn add_user(&self, email: &str, password: &str, is_administrator: bool) -> u32 {
        let mut state = self.lock();
        let id = u32::try_from(state.users.len()).unwrap_or_default() + 1;
        let (email, password) = (email.to_owned(), password.to_owned());
        state.users.push(User { id, email, password, is_administrator, zone: TimeZone::UTC });
        id
    }

    /// Adds a room; returns its number.
    pub fn add_room(&self, name: &str, capacity: Option<u32>, layout: Layout) -> u32 {
        let mut state = self.lock();
        let id = state.rooms.keys().next_back().map_or(1, |last| last + 1);
        let (needs_approval, is_restricted) = (false, false);
        let room = Room { name: name.to_owned(), capacity, layout, needs_approval, is_restricted };
        state.rooms.insert(id, room);
        id
    }

    /// Gives the account of `email` another zone.
    pub fn set_zone(&self, email: &str, zone: &TimeZone) {
        self.change_user(email, |user| user.zone = zone.clone());
    }

    /// Gives the account of `email` another password; its sessions go on.
    pub fn set_password(&self, email: &str, password: &str) {
        self.change_user(email, |user| password.clone_into(&mut user.password));
    }

    /// Makes the account of `email` an administrator, or a plain user; its sessions end.
    pub fn set_administrator(&self, email: &str, is_administrator: bool) {
        self.change_user(email, |user| user.is_administrator = is_administrator);
        self.end_sessions();
    }

    /// Whether what plain users book in the room has to be approved.
    pub fn set_needs_approval(&self, room: u32, on: bool) {
        self.change_room(room, |room| room.needs_approval = on);
    }

    /// Whether plain users have no permission for the room.
    pub fn set_restricted(&self, room: u32, on: bool) {
        self.change_room(room, |room| room.is_restricted = on);
    }

    /// The language of errors from now on.
    pub fn set_language(&self, language: ServerLanguage) {
        self.lock().language = language;
    }

    /// Whether plain users see nobody's titles and descriptions but their own.
    pub fn set_hides_details(&self, on: bool) {
        self.lock().hides_details = on;
    }

    fn change_user(&self, email: &str, change: impl FnOnce(&mut User)) {
        if let Some(user) = self.lock().users.iter_mut().find(|user| user.email == email) {
            change(user);
        }
    }

    fn change_room(&self, room: u32, change: impl FnOnce(&mut Room)) {
        if let Some(room) = self.lock().rooms.get_mut(&room) {
            change(room);
        }
    }
}

// === What somebody does on its own pages ===

impl LibreBooking {
    /// Reserves a room by hand, over whatever is there; returns the reference.
    pub fn reserve(
        &self,
        room: u32,
        owner: u32,
        (start, end): (Timestamp, Timestamp),
        title: &str,
    ) -> String {
        let (reference, title) = (self.new_reference(), title.to_owned());
        let (description, is_pending, extras) = (String::new(), false, Extras::default());
        self.lock().reservations.push(Reservation {
            reference: reference.clone(),
            room,
            owner,
            start,
            end,
            title,
            description,
            is_pending,
            extras,
        });
        reference
    }

    /// Changes a reservation by hand. Whether it was there.
    pub fn edit(&self, reference: &str, change: impl FnOnce(&mut Reservation)) -> bool {
        let mut state = self.lock();
        let found = state.reservations.iter_mut().find(|found| found.reference == reference);
        found.map(change).is_some()
    }

    /// Deletes a reservation by hand. Whether it was there.
    pub fn delete(&self, reference: &str) -> bool {
        let mut state = self.lock();
        let before = state.reservations.len();
        state.reservations.retain(|found| found.reference != reference);
        state.reservations.len() < before
    }
}

// === What a test breaks ===

impl LibreBooking {
    /// Breaks all of it, or mends it.
    pub fn set_breakdown(&self, breakdown: Breakdown) {
        self.lock().breakdown = breakdown;
    }

    /// Ends every session, as a restart with another database does.
    pub fn end_sessions(&self) {
        self.lock().sessions.clear();
    }

    /// Plans a failure. The template is below [`API_PATH`], such as `/Reservations/{reference}`.
    pub fn plan_fault(&self, fault: RequestFault) {
        self.lock().faults.push(fault);
    }

    /// How many planned failures have not happened yet.
    pub fn faults_planned(&self) -> usize {
        self.lock().faults.len()
    }

    /// The fault that hits this request, if any.
    fn take_fault(&self, method: &str, template: &str) -> Option<RequestFault> {
        let faults = &mut self.lock().faults;
        let is_hit = |fault: &RequestFault| fault.method == method && fault.template == template;
        let mut hit = None;
        for (at, fault) in faults.iter_mut().enumerate().filter(|(_, fault)| is_hit(fault)) {
            fault.nth = fault.nth.saturating_sub(1);
            if fault.nth == 0 && hit.is_none() {
                hit = Some(at);
            }
        }
        hit.map(|at| faults.remove(at))
    }
}

// === Looking in ===

impl LibreBooking {
    /// The reservations of a room that are not deleted, by time.
    pub fn reservations(&self, room: u32) -> Vec<Reservation> {
        let mut found: Vec<_> = self.all_reservations();
        found.retain(|reservation| reservation.room == room);
        found
    }

    /// The reservations of all rooms that are not deleted, by time.
    pub fn all_reservations(&self) -> Vec<Reservation> {
        let mut found = self.lock().reservations.clone();
        found.sort_by(|a, b| (a.start, &a.reference).cmp(&(b.start, &b.reference)));
        found
    }

    /// Pairs of reservations that have the same room at the same time.
    pub fn double_bookings(&self) -> Vec<(Reservation, Reservation)> {
        let all = self.all_reservations();
        let pairs = all.iter().enumerate().flat_map(|(at, first)| {
            let others = all.iter().skip(at + 1).filter(|other| other.room == first.room);
            let clashes = others.filter(|other| first.overlaps(other.start, other.end));
            clashes.map(|other| (first.clone(), other.clone()))
        });
        pairs.collect()
    }

    /// The requests so far, such as `POST /Reservations/`.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn new_reference(&self) -> String {
        self.0.rng.uuid().simple().to_string().chars().take(22).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
