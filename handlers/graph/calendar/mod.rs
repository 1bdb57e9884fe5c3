//! The events of one mailbox's calendar, and who may act in it.

pub(super) mod calendar_view;
pub(super) mod copy_snapshot;
pub(super) mod delegates;
pub(super) mod event_reads;
pub(super) mod events;
pub(super) mod series;
pub(super) mod writes;
