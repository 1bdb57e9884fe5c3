//! Somebody who wants a room, a name, or our bill to grow.

mod people;
mod sign_in;
mod table;
mod webhook;
