//! How long everything is kept, in one place. What the documents say of it, table by table, is in
//! `tests/it/infra/retention.rs`, which is held against these numbers.

use jiff::SignedDuration;

/// How long a row in `Failures` stays.
pub const FAILURE_RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long the tombstone of somebody who is to be forgotten stays, and so when everything is
/// removed a second time: the longest that something about them may still be on its way. An item
/// lives for [`super::retry::MAX_DEFERRAL_TIME`] (24 h), Graph repeats a notification for 4 h before that
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2025-08), and the last wait of
/// an item may be an hour long.
pub const TOMBSTONE_RETENTION: SignedDuration =
    SignedDuration::from_hours(super::retry::MAX_DEFERRAL_TIME.as_hours() + 4 + 1);

/// How old a key that proves notifications or seals cookies may be before a new one follows it.
pub const SECRET_KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);

/// How long such a key stays after a newer one came: twice the longest life of what was made with it.
pub const SECRET_KEY_OVERLAP: SignedDuration = SignedDuration::from_hours(24 * 14);

/// How long a content key stays after a newer one came.
pub const CONTENT_KEY_OVERLAP: SignedDuration = SignedDuration::from_hours(48);
