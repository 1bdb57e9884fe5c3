//! The body of a notification POST: change and lifecycle notifications of any number of tenants and
//! subscriptions, mixed. Tolerant: what one item lacks never spoils another.
//!
//! Field names: learn.microsoft.com/graph/api/resources/changenotification, 2024-12-20, and
//! learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24; of what is sealed,
//! learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17.

use std::{borrow::Cow, fmt};

use super::{lenient_json::MaybeObject, wire::NotificationCollectionWire};
use crate::{
    domain::{
        encrypted_content::EncryptedContent,
        ids::{EventId, TenantId},
        keys::Digest,
    },
    graph::subscriptions::subscription_id::SubscriptionId,
};

/// The most items of one POST. Our own bound; Graph publishes none.
pub const MAX_NOTIFICATIONS: usize = 5_000;
/// The most validation tokens of one POST that are looked at: one a tenant is documented, and a
/// POST of more tenants than this has its others' items read from Graph. Our own bound.
pub const MAX_VALIDATION_TOKENS: usize = 64;
/// The longest validation token that is looked at, in bytes; they are below 2,000. Our own bound.
const VALIDATION_TOKEN_MAX_BYTES: usize = 8_192;
/// A POST's body.
#[derive(Debug, PartialEq, Eq)]
pub struct NotificationCollection {
    /// The notifications, in the order they came; no order is promised.
    pub notifications: Vec<Notification>,
    /// What is to prove that Graph sealed the content; empty when nothing is sealed.
    pub validation_tokens: RawValidationTokens,
}

/// Validation tokens as they came, unchecked. They are not shown: they are somebody's proof.
#[derive(Default, PartialEq, Eq)]
pub struct RawValidationTokens(pub Vec<String>);

impl fmt::Debug for RawValidationTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
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
    /// What it tells.
    pub kind: NotificationKind,
}

impl fmt::Debug for Notification {
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
pub enum NotificationKind {
    /// Something became of an event.
    Change(ChangeNotification),
    /// Something became of the subscription.
    Lifecycle(LifecycleEvent),
    /// Nothing we know.
    Unknown,
}

/// What a change notification tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNotification {
    /// What became of the event.
    pub change_type: ChangeType,
    /// Which event of the mailbox.
    pub event: EventId,
    /// Its version: the digest of its `@odata.etag`, where that was named.
    pub version: Option<Digest>,
    /// The event as it was then, sealed, where the subscription asked for it.
    pub encrypted_content: Option<EncryptedContent>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
pub enum InvalidNotificationBody {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// Not an object with an array `value`.
    #[error("no items")]
    NoNotifications,
    /// More than [`MAX_NOTIFICATIONS`].
    #[error("too many items")]
    TooMany,
}

/// Reads the body of a POST. An item that makes no sense is [`NotificationKind::KeyUnknown`].
///
/// # Errors
/// [`InvalidNotificationBody`] when the body as a whole is none.
pub fn parse(body: &[u8]) -> Result<NotificationCollection, InvalidNotificationBody> {
    let read = serde_json::from_slice::<MaybeObject<NotificationCollectionWire<'_>>>(body);
    let wire = read.map_err(|_| InvalidNotificationBody::NotJson)?.0.unwrap_or_default();
    let items = wire.value.ok_or(InvalidNotificationBody::NoNotifications)?;
    if items.len() > MAX_NOTIFICATIONS {
        return Err(InvalidNotificationBody::TooMany);
    }
    let tokens = wire.tokens.into_iter().flatten().filter_map(|text| text.0);
    let fits = |text: &Cow<'_, str>| (1..=VALIDATION_TOKEN_MAX_BYTES).contains(&text.len());
    let tokens = tokens.filter(fits).take(MAX_VALIDATION_TOKENS).map(Cow::into_owned);
    Ok(NotificationCollection {
        notifications: items
            .into_iter()
            .map(|item| item.0.unwrap_or_default().into_notification())
            .collect(),
        validation_tokens: RawValidationTokens(tokens.collect()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::encrypted_content::EncryptedContent;

    fn of(items: Value) -> Vec<Notification> {
        parse(json!({ "value": items }).to_string().as_bytes()).unwrap().notifications
    }

    fn updated(event: &str) -> NotificationKind {
        told(event, None)
    }

    fn told(event: &str, etag: Option<&str>) -> NotificationKind {
        let (event, version) = (event.parse().unwrap(), etag.map(Digest::of_etag));
        NotificationKind::Change(ChangeNotification {
            change_type: ChangeType::Updated,
            event,
            version,
            encrypted_content: None,
        })
    }

    #[test]
    fn the_documented_change_notification_is_understood() {
        let body = include_bytes!("../../../tests/fixtures/graph/change-notification.json");
        let items = parse(body).unwrap().notifications;
        assert_eq!(items.len(), 1);
        assert_eq!(
            items[0].subscription.as_ref().unwrap().as_str(),
            "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
        );
        assert_eq!(items[0].tenant, "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().ok());
        assert_eq!(items[0].client_state.as_deref(), Some("secretClientValue"));
        let etag = "W/\"CQAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf\"";
        let event = "AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=";
        assert_eq!(items[0].kind, told(event, Some(etag)));
    }

    #[test]
    fn all_lifecycle_notifications_are_understood_and_mixed_with_changes() {
        let body = include_bytes!("../../../tests/fixtures/graph/lifecycle-notifications.json");
        let kinds: Vec<_> =
            parse(body).unwrap().notifications.into_iter().map(|item| item.kind).collect();
        assert_eq!(
            kinds,
            [
                NotificationKind::Lifecycle(LifecycleEvent::ReauthorizationRequired),
                NotificationKind::Lifecycle(LifecycleEvent::SubscriptionRemoved),
                NotificationKind::Lifecycle(LifecycleEvent::Missed),
                updated("AAMkAGUw_-="),
            ]
        );
    }

    #[test]
    fn the_event_is_found_in_every_spelling_and_its_capitals_are_kept() {
        let body = include_bytes!("../../../tests/fixtures/graph/resource-spellings.json");
        let items = parse(body).unwrap().notifications;
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
        assert!(others.iter().all(|item| item.kind == NotificationKind::Unknown), "{others:?}");
        assert!(
            matches!(&last.kind, NotificationKind::Change(told) if told.change_type == ChangeType::Deleted)
        );
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        let not = |body: &str| parse(body.as_bytes()).unwrap_err();
        for body in ["", "hello", "{\"value\":[", "\u{0}"] {
            assert_eq!(not(body), InvalidNotificationBody::NotJson, "{body}");
        }
        for body in ["[]", "[[]]", "7", "{}", r#"{"value":null}"#, r#"{"value":{}}"#] {
            assert_eq!(not(body), InvalidNotificationBody::NoNotifications, "{body}");
        }
        assert_eq!(not(&"[".repeat(100_000)), InvalidNotificationBody::NotJson);
        let many = |count: usize| json!({ "value": vec![json!({}); count] }).to_string();
        assert_eq!(
            parse(many(MAX_NOTIFICATIONS).as_bytes()).unwrap().notifications.len(),
            MAX_NOTIFICATIONS
        );
        assert_eq!(not(&many(MAX_NOTIFICATIONS + 1)), InvalidNotificationBody::TooMany);
        assert_eq!(of(json!([])), []);
    }

    fn rich(change: impl Fn(&mut Value)) -> Notification {
        let mut item = json!({
            "changeType": "updated",
            "resourceData": { "id": "AAMk=", "@odata.etag": "W/\"1\"" },
            "encryptedContent": {
                "data": "ZGF0YQ==", "dataSignature": "bWFj", "dataKey": "a2V5",
                "encryptionCertificateId": "c-20261124",
                "encryptionCertificateThumbprint": "unused",
            },
        });
        change(&mut item);
        of(json!([item])).remove(0)
    }

    fn content(item: &Notification) -> Option<&EncryptedContent> {
        match &item.kind {
            NotificationKind::Change(told) => told.encrypted_content.as_ref(),
            NotificationKind::Lifecycle(_) | NotificationKind::Unknown => panic!("a change"),
        }
    }

    #[test]
    fn sealed_content_is_taken_as_it_came() {
        let item = rich(|_| {});
        let sealed = content(&item).unwrap();
        assert_eq!((sealed.data.as_str(), sealed.data_key.as_str()), ("ZGF0YQ==", "a2V5"));
        assert_eq!(
            (sealed.data_signature.as_str(), sealed.certificate_id.as_str()),
            ("bWFj", "c-20261124")
        );
        assert!(!format!("{item:?}").contains("ZGF0YQ"));
    }

    #[test]
    fn odd_content_is_none_and_its_item_goes_on() {
        let odd: [(&str, Value); 8] = [
            ("data", json!("x".repeat(60_001))),
            ("data", json!("not base64!")),
            ("data", json!("")),
            ("data", json!(["ZGF0YQ=="])),
            ("dataKey", json!("x".repeat(1_401))),
            ("dataSignature", Value::Null),
            ("encryptionCertificateId", json!("../../secrets")),
            ("encryptionCertificateId", json!(7)),
        ];
        for (name, value) in odd {
            let item = rich(|item| item["encryptedContent"][name] = value.clone());
            assert_eq!(content(&item), None, "{name}: {value}");
        }
        for odd in [json!(null), json!("text"), json!([]), json!({}), json!(1.5), json!(true)] {
            assert_eq!(content(&rich(|item| item["encryptedContent"] = odd.clone())), None);
        }
    }

    #[test]
    fn validation_tokens_are_taken_if_they_are_texts_and_not_too_many() {
        let tokens = |tokens: Value| {
            let body = json!({ "value": [], "validationTokens": tokens }).to_string();
            parse(body.as_bytes()).unwrap().validation_tokens.0
        };
        assert_eq!(tokens(json!(["a.b.c", 7, null, "", ["d"], "e.f.g"])), ["a.b.c", "e.f.g"]);
        for none in [json!(null), json!("a.b.c"), json!({}), json!(1), json!([])] {
            assert!(tokens(none).is_empty());
        }
        assert_eq!(
            tokens(json!(vec!["t"; MAX_VALIDATION_TOKENS + 1])).len(),
            MAX_VALIDATION_TOKENS
        );
        assert!(tokens(json!(["t".repeat(VALIDATION_TOKEN_MAX_BYTES + 1)])).is_empty());
        let post = parse(br#"{"value":[],"validationTokens":["proof"]}"#).unwrap();
        assert!(!format!("{post:?}").contains("proof"));
    }

    #[test]
    fn escapes_are_read_and_of_two_members_of_one_name_the_last_counts() {
        let body = br#"{"value":[{"changeType":"upd\u0061ted","resourceData":{"id":"AA","id":"AAMk\u003d"}}]}"#;
        assert_eq!(parse(body).unwrap().notifications[0].kind, updated("AAMk="));
    }

    #[test]
    fn the_client_state_is_not_shown() {
        let items = of(json!([{ "clientState": "proof" }]));
        assert_eq!(items[0].client_state.as_deref(), Some("proof"));
        assert!(!format!("{items:?}").contains("proof"));
    }
}
