//! Booking systems: each adapter over a simulation of its system.

mod acceptance;
mod connected;
mod librebooking;
mod likeness;
pub(crate) mod own_system;
mod real;
mod topdesk;
