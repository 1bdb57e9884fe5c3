//! A booking system of an organisation's own, whichever it is: what a story has to know of it.

use std::sync::Arc;

use axum::Router;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;
use roombridge::domain::booking_system::{SystemId, SystemKind, SystemRoomId};

use crate::librebooking::{API_PATH, Layout, LibreBooking};
use crate::topdesk::{Rights, TOPDESK_API_PATH, TopDesk};

/// What the system is called in the rows of its organisation.
pub const OWN_SYSTEM: SystemId = SystemId(1);
/// The account that Roombridge has been given there.
pub const OWN_SYSTEM_LOGIN: &str = "roombridge@northwind.example";
/// Its password.
pub const OWN_SYSTEM_PASSWORD: &str = "a booking system's password";

/// Who books at TOPdesk for those who have no card there.
const FALLBACK_REQUESTER: &str = "desk@northwind.example";

/// The booking system. Clones share it.
#[derive(Clone)]
pub enum OwnSystem {
    /// LibreBooking.
    LibreBooking(LibreBooking),
    /// TOPdesk.
    Topdesk(TopDesk),
}

/// A booking there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnBooking {
    /// When it is.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
    /// Its number there.
    pub number: String,
    /// What it is called there.
    pub title: String,
}

impl OwnSystem {
    /// One of that kind, with Roombridge's account and nothing else.
    pub fn new(kind: SystemKind, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let system = match kind {
            SystemKind::Topdesk => Self::Topdesk(TopDesk::new(clock, rng)),
            SystemKind::LibreBooking => Self::LibreBooking(LibreBooking::new(clock, rng)),
        };
        system.add_account();
        system
    }

    /// Gives Roombridge an account that may do everything it has to.
    pub fn add_account(&self) {
        let (login, password) = (OWN_SYSTEM_LOGIN, OWN_SYSTEM_PASSWORD);
        match self {
            Self::LibreBooking(libre) => {
                libre.add_user(login, password, true);
            }
            Self::Topdesk(topdesk) => {
                topdesk.add_operator(login, password, Rights::ALL);
                topdesk.add_person("Front desk", FALLBACK_REQUESTER);
            }
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> SystemKind {
        match self {
            Self::LibreBooking(_) => SystemKind::LibreBooking,
            Self::Topdesk(_) => SystemKind::Topdesk,
        }
    }

    /// Answers its API.
    pub fn router(&self) -> Router {
        match self {
            Self::LibreBooking(libre) => libre.router(),
            Self::Topdesk(topdesk) => topdesk.router(),
        }
    }

    /// The path that its API is below.
    pub fn api_path(&self) -> &'static str {
        match self {
            Self::LibreBooking(_) => API_PATH,
            Self::Topdesk(_) => TOPDESK_API_PATH,
        }
    }

    /// Whom bookings are made for whose organizer is not known there.
    pub fn fallback_requester(&self) -> &'static str {
        match self {
            Self::LibreBooking(_) => "",
            Self::Topdesk(_) => FALLBACK_REQUESTER,
        }
    }

    /// Adds a room that can be booked at any time.
    pub fn add_room(&self, name: &str) -> SystemRoomId {
        match self {
            Self::LibreBooking(libre) => {
                SystemRoomId(libre.add_room(name, None, Layout::ALWAYS).to_string())
            }
            Self::Topdesk(topdesk) => SystemRoomId(topdesk.add_room(name, None).to_string()),
        }
    }

    /// What a room has there, in order.
    pub fn bookings(&self, room: &SystemRoomId) -> Vec<OwnBooking> {
        let mut all: Vec<OwnBooking> = match self {
            Self::LibreBooking(libre) => {
                let there = libre.reservations(room.0.parse().unwrap_or_default());
                let booking = |there: crate::librebooking::Reservation| OwnBooking {
                    start: there.start,
                    end: there.end,
                    number: there.reference,
                    title: there.title,
                };
                there.into_iter().map(booking).collect()
            }
            Self::Topdesk(topdesk) => {
                let there = topdesk.live(room.0.parse().unwrap_or_default());
                let booking = |there: crate::topdesk::Reservation| OwnBooking {
                    start: there.start,
                    end: there.end,
                    number: there.number,
                    title: there.brief_description.unwrap_or_default(),
                };
                there.into_iter().map(booking).collect()
            }
        };
        all.sort_unstable();
        all
    }

    /// Somebody deletes or cancels a booking there by hand.
    pub fn forget(&self, booking: &OwnBooking) {
        match self {
            Self::LibreBooking(libre) => {
                libre.delete(&booking.number);
            }
            Self::Topdesk(topdesk) => {
                let all = topdesk.reservations();
                if let Some(found) = all.iter().find(|found| found.number == booking.number) {
                    topdesk.cancel(found.id);
                }
            }
        }
    }
}
