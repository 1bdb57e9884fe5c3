//! Parses the body of a notification POST. It is tolerant: what one notification lacks does not
//! affect another.
//!
//! Field names: learn.microsoft.com/graph/api/resources/changenotification, 2024-12-20, and
//! learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24; of encrypted content,
//! learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17.

use std::{borrow::Cow, cell::Cell};

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::{
    lenient::{Lenient, Members, OneOf, Seed, text},
    types::{
        ChangeNotification, ChangeType, InvalidNotificationBody, LifecycleEvent, MAX_NOTIFICATIONS,
        MAX_VALIDATION_TOKENS, Notification, NotificationCollection, NotificationKind,
    },
};
use crate::{
    domain::{encrypted_content::EncryptedContent, ids::EventId, keys::Digest},
    identity::keys::client_state::MAX_CHARS as MAX_CLIENT_STATE,
};

/// The most sealed content of one item, in characters of base64: what cannot fit a message is not
/// worth keeping. Our own bound, below the 64 KiB of a message.
const MAX_DATA: usize = 60_000;
/// The longest encrypted key: an RSA key of 8,192 bits makes 1,368 characters.
const MAX_DATA_KEY: usize = 1_400;
/// The longest signature: an HMAC-SHA256 makes 44 characters.
const MAX_SIGNATURE: usize = 64;

/// The longest validation token that is looked at, in bytes; they are below 2,000. Our own bound.
const VALIDATION_TOKEN_MAX_BYTES: usize = 8_192;

/// The members that are read of a notification, of its resource data and of its encrypted content.
const OF_ITEM: [&str; 8] = [
    "changeType",
    "clientState",
    "encryptedContent",
    "lifecycleEvent",
    "resource",
    "resourceData",
    "subscriptionId",
    "tenantId",
];
const OF_RESOURCE_DATA: [&str; 3] = ["@odata.etag", "@odata.id", "id"];
const OF_ENCRYPTED_CONTENT: [&str; 4] =
    ["data", "dataKey", "dataSignature", "encryptionCertificateId"];

/// Reads the body of a POST. An item that makes no sense is [`NotificationKind::Unknown`].
///
/// # Errors
/// [`InvalidNotificationBody`] when the body as a whole is none.
pub fn parse(body: &[u8]) -> Result<NotificationCollection, InvalidNotificationBody> {
    let too_many = Cell::new(false);
    let mut json = serde_json::Deserializer::from_slice(body);
    let post = Seed(Post { too_many: &too_many }).deserialize(&mut json);
    let post = post.and_then(|post| json.end().map(|()| post)).map_err(|_| {
        if too_many.get() {
            InvalidNotificationBody::TooMany
        } else {
            InvalidNotificationBody::NotJson
        }
    })?;
    post.ok_or(InvalidNotificationBody::NoNotifications)
}

/// The whole body, which is read no further than its bound.
struct Post<'a> {
    too_many: &'a Cell<bool>,
}

impl<'de> Lenient<'de> for Post<'_> {
    type Taken = Option<NotificationCollection>;

    fn object<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Taken, A::Error> {
        let (mut items, mut validation_tokens) = (None, Vec::new());
        while let Some(name) = members.next_key_seed(OneOf(&["value", "validationTokens"]))? {
            match name {
                Some(0) => items = members.next_value_seed(Seed(Items(self.too_many)))?,
                Some(_) => validation_tokens = members.next_value_seed(Seed(Tokens))?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(items.map(|notifications| NotificationCollection { notifications, validation_tokens }))
    }
}

struct Items<'a>(&'a Cell<bool>);

impl<'de> Lenient<'de> for Items<'_> {
    type Taken = Option<Vec<Notification>>;

    fn array<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Taken, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Seed(Members::named(OF_ITEM)))? {
            if read.len() == MAX_NOTIFICATIONS {
                self.0.set(true);
                return Err(A::Error::custom("too many notifications"));
            }
            read.push(item.unwrap_or_else(|| Members::named(OF_ITEM)).notification());
        }
        Ok(Some(read))
    }
}

struct Tokens;

impl<'de> Lenient<'de> for Tokens {
    type Taken = Vec<String>;

    fn array<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Vec<String>, A::Error> {
        let mut read = Vec::new();
        while let Some(token) = tokens.next_element::<&RawValue>()? {
            // A token that is too long is dropped here, before anything is computed for it.
            let fits = |text: &Cow<'_, str>| (1..=VALIDATION_TOKEN_MAX_BYTES).contains(&text.len());
            if read.len() < MAX_VALIDATION_TOKENS {
                read.extend(text(token).filter(fits).map(Cow::into_owned));
            }
        }
        Ok(read)
    }
}

type Item<'a> = Members<'a, { OF_ITEM.len() }>;

impl Item<'_> {
    fn notification(&self) -> Notification {
        let kind = match self.text("lifecycleEvent") {
            Some(event) => lifecycle_kind(&event),
            None => self
                .change_notification()
                .map_or(NotificationKind::Unknown, NotificationKind::Change),
        };
        Notification {
            subscription: self.text("subscriptionId").and_then(|id| id.parse().ok()),
            tenant: self.text("tenantId").and_then(|id| id.parse().ok()),
            // A longer one proves nothing, and is not kept.
            client_state: self
                .text("clientState")
                .filter(|state| state.len() <= MAX_CLIENT_STATE)
                .map(Cow::into_owned),
            kind,
        }
    }

    fn change_notification(&self) -> Option<ChangeNotification> {
        let change_type = match self.text("changeType")?.to_ascii_lowercase().as_str() {
            "created" => ChangeType::Created,
            "updated" => ChangeType::Updated,
            "deleted" => ChangeType::Deleted,
            _ => return None,
        };
        // The id comes first: paths are spelt in several ways.
        let data = self.object("resourceData", OF_RESOURCE_DATA);
        let of_data = |name| data.as_ref()?.text(name);
        let event = of_data("id")
            .and_then(|id| id.parse().ok())
            .or_else(|| event_id_in_path(&of_data("@odata.id")?))
            .or_else(|| event_id_in_path(&self.text("resource")?))?;
        let version = of_data("@odata.etag").as_deref().map(Digest::of_etag);
        let encrypted_content = self.encrypted_content();
        Some(ChangeNotification { change_type, event, version, encrypted_content })
    }

    fn encrypted_content(&self) -> Option<EncryptedContent> {
        let content = self.object("encryptedContent", OF_ENCRYPTED_CONTENT)?;
        Some(EncryptedContent {
            data: bounded_base64(content.text("data")?, MAX_DATA)?,
            data_key: bounded_base64(content.text("dataKey")?, MAX_DATA_KEY)?,
            data_signature: bounded_base64(content.text("dataSignature")?, MAX_SIGNATURE)?,
            certificate_id: content.text("encryptionCertificateId")?.parse().ok()?,
        })
    }
}

/// A text in the standard alphabet; whether it decodes is seen where it is opened.
fn bounded_base64(text: Cow<'_, str>, most: usize) -> Option<String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.into_owned())
}

fn lifecycle_kind(text: &str) -> NotificationKind {
    NotificationKind::Lifecycle(match text.to_ascii_lowercase().as_str() {
        "reauthorizationrequired" => LifecycleEvent::ReauthorizationRequired,
        "subscriptionremoved" => LifecycleEvent::SubscriptionRemoved,
        "missed" => LifecycleEvent::Missed,
        _ => return NotificationKind::Unknown,
    })
}

/// The event's id at the end of a path: `Users/{id}/Events/{id}`, `Users('id')/events('id')`,
/// `users/{user}@{tenant}/events/{id}`, in any capitalisation of the words (never of the ids).
fn event_id_in_path(path: &str) -> Option<EventId> {
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
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::encrypted_content::EncryptedContent;

    fn of(items: Value) -> Vec<Notification> {
        parse(json!({ "value": items }).to_string().as_bytes()).unwrap().notifications
    }

    fn updated(event: &str) -> NotificationKind {
        change(event, None)
    }

    fn change(event: &str, etag: Option<&str>) -> NotificationKind {
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
        assert_eq!(items[0].kind, change(event, Some(etag)));
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
            matches!(&last.kind, NotificationKind::Change(change) if change.change_type == ChangeType::Deleted)
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
            NotificationKind::Change(change) => change.encrypted_content.as_ref(),
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
    fn odd_content_is_none_and_its_item_remains() {
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
            parse(body.as_bytes()).unwrap().validation_tokens
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
