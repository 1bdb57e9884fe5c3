//! What may be asked of Graph: the one list of fields, and the check that every request passes.

pub(super) mod directory_rules;
pub mod fields;
pub mod permissions;
pub(super) mod property_id;
pub(super) mod query_options;
pub(super) mod requests;
pub(super) mod subscription_rules;
pub(super) mod violation;
