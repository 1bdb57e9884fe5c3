//! Booking systems: each adapter over a simulation of its system.

mod acceptance;
mod connected;
mod librebooking;
mod likeness;
mod real;
mod topdesk;
