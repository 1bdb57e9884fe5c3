//! `my-calendar`: an employee agrees, sees what is stored, withdraws, erases.
//!
//! The rules are in [`standing`], [`agree`], [`leave`], [`delegate`] and [`stored`], and know
//! nothing of pages.

pub mod agree;
pub mod delegate;
pub mod leave;
pub mod standing;
pub mod stored;
pub mod visit;

use std::sync::Arc;

use axum::Router;

use crate::{
    clock::Clock,
    graph::Graph,
    queue::Outbox,
    rng::Rng,
    store::{
        appointments::Appointments, bookings::Bookings, due::Due, failures::Failures,
        mailboxes::Mailboxes, register::Register, rooms::RoomMap, tenants::Tenants,
    },
};

/// What the rules work with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Whose calendars are followed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What is known of a calendar.
    pub appointments: Appointments,
    /// What is booked.
    pub bookings: Bookings,
    /// What was decided.
    pub register: Register,
    /// What failed.
    pub failures: Failures,
    /// What is looked at again.
    pub due: Due,
    /// The directory.
    pub graph: Graph,
    /// The way to the workers.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// The function's routes, relative to `api/my-calendar`.
pub fn router() -> Router {
    Router::new()
}
