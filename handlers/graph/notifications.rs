//! The body of a notification POST: change and lifecycle notifications of any number of tenants and
//! subscriptions, mixed. Tolerant: what one item lacks never spoils another.
//!
//! Field names: learn.microsoft.com/graph/api/resources/changenotification, 2024-12-20, and
//! learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24.

use std::fmt;

use serde_json::Value;

use super::subscriptions::SubscriptionId;
use crate::domain::ids::{EventId, TenantId};

/// The most items of one POST. Our own bound; Graph publishes none.
pub const MAX_ITEMS: usize = 5_000;

/// One notification.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// The subscription it claims to come from; only good for removing a stray one.
    pub subscription: Option<SubscriptionId>,
    /// The tenant it claims to come from; to be compared with the proof.
    pub tenant: Option<TenantId>,
    /// The client state, a secret: it proves tenant and mailbox.
    pub client_state: Option<String>,
    /// What it tells.
    pub kind: ItemKind,
}

impl fmt::Debug for Item {
    /// Everything but the client state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("subscription", &self.subscription)
            .field("tenant", &self.tenant)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// What a notification tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// Something became of an event.
    Change {
        /// What.
        change: ChangeType,
        /// Of which event of the mailbox.
        event: EventId,
    },
    /// Something became of the subscription.
    Lifecycle(LifecycleEvent),
    /// Nothing we know.
    Unknown,
}

/// What became of an event. Not to be relied on: Graph tells one change several times and variously.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// It is new.
    Created,
    /// It is different.
    Updated,
    /// It is gone.
    Deleted,
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// It wants to be authorised again, which a renewal does.
    ReauthorizationRequired,
    /// Graph removed it.
    SubscriptionRemoved,
    /// Some notifications could not be delivered.
    Missed,
}

/// The body is no notification POST at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANotification {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// Not an object with an array `value`.
    #[error("no items")]
    NoItems,
    /// More than [`MAX_ITEMS`].
    #[error("too many items")]
    TooMany,
}

/// Reads the body of a POST. An item that makes no sense is [`ItemKind::Unknown`].
///
/// # Errors
/// [`NotANotification`] when the body as a whole is none.
pub fn parse(body: &[u8]) -> Result<Vec<Item>, NotANotification> {
    let body: Value = serde_json::from_slice(body).map_err(|_| NotANotification::NotJson)?;
    let items = body.get("value").and_then(Value::as_array).ok_or(NotANotification::NoItems)?;
    if items.len() > MAX_ITEMS {
        return Err(NotANotification::TooMany);
    }
    Ok(items.iter().map(item).collect())
}

fn item(wire: &Value) -> Item {
    let text = |name| wire.get(name).and_then(Value::as_str);
    Item {
        subscription: text("subscriptionId").and_then(|id| id.parse().ok()),
        tenant: text("tenantId").and_then(|id| id.parse().ok()),
        client_state: text("clientState").map(ToOwned::to_owned),
        kind: match text("lifecycleEvent") {
            Some(event) => lifecycle(event),
            None => change(wire).unwrap_or(ItemKind::Unknown),
        },
    }
}

fn lifecycle(text: &str) -> ItemKind {
    ItemKind::Lifecycle(match text.to_ascii_lowercase().as_str() {
        "reauthorizationrequired" => LifecycleEvent::ReauthorizationRequired,
        "subscriptionremoved" => LifecycleEvent::SubscriptionRemoved,
        "missed" => LifecycleEvent::Missed,
        _ => return ItemKind::Unknown,
    })
}

fn change(wire: &Value) -> Option<ItemKind> {
    let change = match wire.get("changeType")?.as_str()?.to_ascii_lowercase().as_str() {
        "created" => ChangeType::Created,
        "updated" => ChangeType::Updated,
        "deleted" => ChangeType::Deleted,
        _ => return None,
    };
    let data = wire.get("resourceData");
    let named = |name| data.and_then(|data| data.get(name)).and_then(Value::as_str);
    let event = named("id")
        .and_then(|id| id.parse().ok())
        .or_else(|| named("@odata.id").and_then(event_within))
        .or_else(|| wire.get("resource").and_then(Value::as_str).and_then(event_within))?;
    Some(ItemKind::Change { change, event })
}

/// The event's id at the end of a path: `Users/{id}/Events/{id}`, `Users('id')/events('id')`,
/// `users/{user}@{tenant}/events/{id}`, in any capitalisation of the words (never of the ids).
fn event_within(path: &str) -> Option<EventId> {
    let (before, last) = path.rsplit_once('/')?;
    let keyed = last.split_once("('").and_then(|(word, rest)| {
        let id = rest.strip_suffix("')")?;
        word.eq_ignore_ascii_case("events").then_some(id)
    });
    let plain = || {
        let word = before.rsplit('/').next()?;
        word.eq_ignore_ascii_case("events").then_some(last)
    };
    keyed.or_else(plain)?.parse().ok()
}
