//! Booking systems: one contract, one adapter each.
//!
//! An adapter translates and decides nothing. What a booking takes — a look for what an earlier try has
//! made, the look afterwards, the undoing of a lost race — is [`BookingWriter`]'s, the same for all.

mod account;
mod budget;
mod built_in;
mod claims;
mod client;
mod connector;
mod error;
mod librebooking;
mod systems;
mod topdesk;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;

use self::budget::BookingBudget;
use crate::{
    base::{clock::Clock, invocation::Invocation},
    domain::{
        booking_system::{
            BookingQuery, BookingRequest, Capabilities, ConnectionCheck, SystemBooking,
            SystemRoomId,
        },
        interval::Interval,
    },
};

pub use built_in::BuiltInSystem;
pub use claims::{FreeInterval, LedgerClaims, SlotChange};
pub use client::MAX_ANSWER;
pub use connector::SystemConnector;
pub use error::BookingSystemError;
pub use systems::BookingSystems;
pub use writer::BookingWriter;

/// A booking system that calls can be made to.
#[derive(Clone)]
pub struct OpenSystem {
    pub api: Arc<dyn BookingSystem>,
    /// What its adapter says that it can do.
    pub capabilities: Capabilities,
    budget: BookingBudget,
}

impl OpenSystem {
    /// A system that grants us `calls_per_minute`, or what its adapter knows of it.
    pub fn new(
        api: Arc<dyn BookingSystem>,
        capabilities: Capabilities,
        clock: Arc<dyn Clock>,
        calls_per_minute: Option<u32>,
    ) -> Self {
        let calls = calls_per_minute.unwrap_or(capabilities.calls_per_minute);
        Self { api, capabilities, budget: BookingBudget::new(clock, &capabilities, calls) }
    }
}

/// A system that holds bookings, as one tenant's account there sees it.
///
/// Before a booking is made or changed its time was claimed on the ledger, so no other writer of ours is at
/// the same room and time. Anybody else may be: people book there, too.
///
/// Each call may fail before it took effect, or after: an error other than those that say "refused" leaves
/// that open, and the caller looks before it tries again.
#[async_trait]
pub trait BookingSystem: Send + Sync {
    /// The live bookings under a match key, in whatever status: none, or one. More than one only where a
    /// call took effect whose answer was lost.
    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError>;

    /// Makes a booking, and answers it as the system has it then.
    ///
    /// # Errors
    /// [`BookingSystemError::Conflict`] where the room is taken, [`BookingSystemError::Rejected`] by
    /// another rule of the system; nothing was made then.
    async fn create(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError>;

    /// Changes the booking `held` in place, and answers it as the system has it then. Its own name for it
    /// may change; the match key does not.
    ///
    /// # Errors
    /// As [`BookingSystem::create`]; after those the booking is as it was.
    /// [`BookingSystemError::NotFound`] where it has ended.
    async fn change(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError>;

    /// Ends a booking; one that has ended is fine.
    async fn cancel(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
    ) -> Result<(), BookingSystemError>;

    /// Every live booking of `room` that holds some of `within`, ours or not, awaiting approval or not.
    async fn list(
        &self,
        invocation: &Invocation,
        room: &SystemRoomId,
        within: Interval,
    ) -> Result<Vec<SystemBooking>, BookingSystemError>;

    /// Who we are there, which rights are missing, and which rooms there are. It changes nothing.
    async fn check_connection(
        &self,
        invocation: &Invocation,
    ) -> Result<ConnectionCheck, BookingSystemError>;
}
