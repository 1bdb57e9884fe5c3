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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(items: Value) -> Vec<Item> {
        parse(json!({ "value": items }).to_string().as_bytes()).unwrap()
    }

    fn updated(event: &str) -> ItemKind {
        ItemKind::Change { change: ChangeType::Updated, event: event.parse().unwrap() }
    }

    #[test]
    fn the_documented_change_notification_is_understood() {
        let body = include_bytes!("../../tests/fixtures/graph/change-notification.json");
        let items = parse(body).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            items[0].subscription.as_ref().unwrap().as_str(),
            "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
        );
        assert_eq!(items[0].tenant, "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().ok());
        assert_eq!(items[0].client_state.as_deref(), Some("secretClientValue"));
        assert_eq!(items[0].kind, updated("AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA="));
    }

    #[test]
    fn all_lifecycle_notifications_are_understood_and_mixed_with_changes() {
        let body = include_bytes!("../../tests/fixtures/graph/lifecycle-notifications.json");
        let kinds: Vec<_> = parse(body).unwrap().into_iter().map(|item| item.kind).collect();
        assert_eq!(
            kinds,
            [
                ItemKind::Lifecycle(LifecycleEvent::ReauthorizationRequired),
                ItemKind::Lifecycle(LifecycleEvent::SubscriptionRemoved),
                ItemKind::Lifecycle(LifecycleEvent::Missed),
                updated("AAMkAGUw_-="),
            ]
        );
    }

    #[test]
    fn the_event_is_found_in_every_spelling_and_its_capitals_are_kept() {
        let body = include_bytes!("../../tests/fixtures/graph/resource-spellings.json");
        let items = parse(body).unwrap();
        assert_eq!(items.len(), 7);
        for item in items {
            assert_eq!(item.kind, updated("AAMkAGUw_-="), "{item:?}");
        }
    }

    #[test]
    fn a_bad_item_spoils_no_other() {
        let good = json!({
            "subscriptionId": "s", "changeType": "deleted", "resourceData": { "id": "AAMk=" },
        });
        let bad = [
            json!(null),
            json!("text"),
            json!([[[]]]),
            json!({}),
            json!({ "changeType": 7, "resourceData": { "id": "AAMk=" } }),
            json!({ "changeType": "exploded", "resourceData": { "id": "AAMk=" } }),
            json!({ "changeType": "updated" }),
            json!({ "changeType": "updated", "resourceData": "text", "resource": ["a"] }),
            json!({ "changeType": "updated", "resourceData": { "id": "../../me" } }),
            json!({ "changeType": "updated", "resource": "Users/x/Messages/AAMk=" }),
            json!({ "changeType": "updated", "resource": "Users('x')/messages('AAMk=')" }),
            json!({ "lifecycleEvent": "retired" }),
        ];
        let mut items: Vec<Value> = bad.to_vec();
        items.push(good);
        let read = of(Value::Array(items));
        let (last, others) = read.split_last().unwrap();
        assert!(others.iter().all(|item| item.kind == ItemKind::Unknown), "{others:?}");
        assert!(matches!(last.kind, ItemKind::Change { change: ChangeType::Deleted, .. }));
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        let not = |body: &str| parse(body.as_bytes()).unwrap_err();
        for body in ["", "hello", "{\"value\":[", "\u{0}"] {
            assert_eq!(not(body), NotANotification::NotJson, "{body}");
        }
        for body in ["[]", "[[]]", "7", "{}", r#"{"value":null}"#, r#"{"value":{}}"#] {
            assert_eq!(not(body), NotANotification::NoItems, "{body}");
        }
        assert_eq!(not(&"[".repeat(100_000)), NotANotification::NotJson);
        let many = |count: usize| json!({ "value": vec![json!({}); count] }).to_string();
        assert_eq!(parse(many(MAX_ITEMS).as_bytes()).unwrap().len(), MAX_ITEMS);
        assert_eq!(not(&many(MAX_ITEMS + 1)), NotANotification::TooMany);
        assert_eq!(of(json!([])), []);
    }

    #[test]
    fn the_client_state_is_not_shown() {
        let items = of(json!([{ "clientState": "proof" }]));
        assert_eq!(items[0].client_state.as_deref(), Some("proof"));
        assert!(!format!("{items:?}").contains("proof"));
    }
}
