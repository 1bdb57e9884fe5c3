//! The rules of the job, pure: no IO and no clock. Types derive how they are written (serde); none knows
//! a format.

pub mod api_call;
pub mod appointment;
pub mod booking;
pub mod booking_system;
pub mod encrypted_content;
pub mod ids;
pub mod interval;
pub mod keys;
pub mod ledger;
pub mod mailbox;
pub mod personal;
pub mod retention;
pub mod retry;
pub mod tenant;
