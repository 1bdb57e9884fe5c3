//! What a notification POST says: change and lifecycle notifications of any number of tenants and
//! subscriptions, mixed.

use std::fmt;

use crate::domain::{
    encrypted_content::EncryptedContent,
    ids::{EventId, SubscriptionId, TenantId},
    keys::Digest,
};

/// The most items of one POST. Our own bound; Graph publishes none.
pub const MAX_NOTIFICATIONS: usize = 5_000;
/// The most validation tokens of one POST that are looked at: one a tenant is documented, and a
/// POST of more tenants than this has its others' items read from Graph. Our own bound.
pub const MAX_VALIDATION_TOKENS: usize = 64;

/// A POST's body.
#[derive(PartialEq, Eq)]
pub struct NotificationCollection {
    /// The notifications, in the order they came; no order is promised.
    pub notifications: Vec<Notification>,
    /// What is to prove that Graph sealed the content; empty when nothing is sealed. Unchecked.
    pub validation_tokens: Vec<String>,
}

impl fmt::Debug for NotificationCollection {
    /// The tokens are somebody's proof: how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationCollection")
            .field("notifications", &self.notifications)
            .field("validation_tokens", &self.validation_tokens.len())
            .finish()
    }
}

/// One notification.
#[derive(Clone, PartialEq, Eq)]
pub struct Notification {
    /// The subscription it claims to come from; only good for removing a stray one.
    pub subscription: Option<SubscriptionId>,
    /// The tenant it claims to come from; to be compared with the proof.
    pub tenant: Option<TenantId>,
    /// The client state, a secret: it proves tenant and mailbox.
    pub client_state: Option<String>,
    pub kind: NotificationKind,
}

impl fmt::Debug for Notification {
    /// Everything but the client state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification")
            .field("subscription", &self.subscription)
            .field("tenant", &self.tenant)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What a notification tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationKind {
    Change(ChangeNotification),
    Lifecycle(LifecycleEvent),
    Unknown,
}

/// What a change notification tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNotification {
    pub change_type: ChangeType,
    pub event: EventId,
    /// Its version: the digest of its `@odata.etag`, where that was named.
    pub version: Option<Digest>,
    /// The event as it was then, sealed, where the subscription asked for it.
    pub encrypted_content: Option<EncryptedContent>,
}

/// What became of an event. Not to be relied on: Graph tells one change several times and variously.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    Created,
    Updated,
    Deleted,
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleEvent {
    /// It wants to be authorised again, which a renewal does.
    ReauthorizationRequired,
    SubscriptionRemoved,
    /// Some notifications could not be delivered.
    Missed,
}

/// The body is no notification POST at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotificationBody {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// Not an object with an array `value`.
    #[error("no notifications")]
    NoNotifications,
    /// More than [`MAX_NOTIFICATIONS`].
    #[error("too many notifications")]
    TooMany,
}
