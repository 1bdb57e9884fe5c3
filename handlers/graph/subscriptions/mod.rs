//! Subscriptions to the changes of one mailbox's calendar.

pub(super) mod manage;
pub(super) mod renewals;
pub(super) mod types;
