//! The store: one file a table, over the port in [`tables`].
//!
//! | table | files | rows |
//! |---|---|---|
//! | `Tenants` | [`tenants`] | one a tenant: state and policy |
//! | `Mailboxes` | [`mailboxes`] | one a mailbox: consent, subscription, nonces |
//! | `Appointments` | [`appointments`] | one a copy of an appointment: where its bookings are |
//! | `Bookings` | [`bookings`] | one an appointment and room: the only one with meeting content |
//! | `Rooms` | [`rooms`], [`ledger`] | one a managed room, and one a room and UTC day |
//! | `Due` | [`due`] | one for each thing that must be processed at some instant |
//! | `Failures` | [`failures`] | one for each thing that failed and stopped |
//! | `Audit` | [`audit`] | one for each call to Graph or a booking system |
//! | `Register` | [`register`] | one for each decision: consent, withdrawal, changed policy; a copy for the person who decides about others |
//!
//! [`tenant_data`] finds a tenant's rows in all of them by their keys, to delete them.
//!
//! A row is a domain or store type that derives serde; `tables/properties.rs` says how its fields become
//! properties. A row that cannot be parsed is an error, never skipped; [`due`] alone skips it, because
//! everything else that is due would wait behind it.

pub mod appointments;
pub mod audit;
pub mod bookings;
pub mod due;
pub mod failures;
pub mod ledger;
pub mod mailboxes;
pub mod register;
pub mod rooms;
pub mod table_service;
pub mod tables;
pub mod tenant_data;
pub mod tenants;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;

pub use tables::StoreError;
