//! The tenant's people, rooms and grants, and the one mail that is sent.

pub(super) mod grants;
pub(super) mod mail;
pub(super) mod places;
pub(super) mod users;
