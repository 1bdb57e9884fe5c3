//! How well a mailbox is followed, as its row says.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{drift::Drift, keys::Digest};

/// How often at most a row says anew that a notification came.
pub const LAST_NOTIFICATION_RESOLUTION: SignedDuration = SignedDuration::from_hours(1);

/// How well a mailbox is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// When a notification of it came last, to the hour.
    pub last_notification_at: Option<Timestamp>,
    /// What the last resync found; `None` until one has run under the present subscription. One
    /// that found the same as before does not write it anew within 20 hours.
    pub drift: Option<Drift>,
    /// What that resync went by: rooms and rehearsal, as a digest.
    pub drift_basis: Option<Digest>,
    /// When the subscription was made anew last because it brought nothing.
    pub replaced_as_dead_at: Option<Timestamp>,
    /// Since when Graph refuses to subscribe it, because it has as many subscriptions as it may.
    pub over_quota_since: Option<Timestamp>,
}
