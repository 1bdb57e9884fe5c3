//! Made-up input for everything that strangers can send: the handler must never panic.
//!
//! Each property is checked 256 times, which takes a second or two. For a long run:
//! `PROPTEST_CASES=1000000 cargo test --test it fuzz`. A case that fails is printed with its input,
//! shrunk to the smallest that fails too.

use std::sync::{Arc, LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use roombridge::base::http::{Http, HttpError};
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::booking_system::SystemRoomIds;
use roombridge::domain::encrypted_content::EncryptedContent;
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::tenant::policy::{ResponseMode, Room};
use roombridge::graph::Event;
use roombridge::graph::notifications::parse;
use roombridge::graph::{CalendarOwner, CopySnapshot};
use roombridge::identity::keys::ValidationTokenVerifier;
use roombridge::identity::keys::client_state::{KeySet, SecretKey, issue, verify};
use roombridge::identity::keys::content_keys::ContentKey;
use serde_json::{Value, json};
use world::test_world::digest_key;

use crate::conformance;

/// Names that the parsers know, so that made-up objects get somewhere.
const NAMES: &[&str] = &[
    "value",
    "validationTokens",
    "subscriptionId",
    "tenantId",
    "clientState",
    "changeType",
    "lifecycleEvent",
    "resource",
    "resourceData",
    "@odata.id",
    "@odata.etag",
    "@odata.type",
    "id",
    "encryptedContent",
    "data",
    "dataKey",
    "dataSignature",
    "encryptionCertificateId",
    "missed",
    "created",
    "84bd8158-6d4d-4958-8b9f-9d6445542f95",
    "Users('x')/events('AAMkAGUw_-=')",
];

/// Cases are not kept in files: a failure becomes a test of its own.
fn proptest_config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(NAMES).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// JSON of any shape, often with the names of a notification.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        name().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((name(), inner), 0..12).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// The fixtures' key, read once.
static KEY: LazyLock<Option<ContentKey>> = LazyLock::new(|| conformance::content_key().ok());

fn key() -> Result<&'static ContentKey, TestCaseError> {
    KEY.as_ref().ok_or_else(|| TestCaseError::fail("the fixtures hold no key"))
}

/// Entra, with the fixtures' keys.
struct FixtureKeys;

#[async_trait::async_trait]
impl Http for FixtureKeys {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        Ok(http::Response::new(Bytes::from_static(conformance::JWKS.as_bytes())))
    }
}

fn client_state_keys() -> Result<KeySet, TestCaseError> {
    let id = "k1".parse().map_err(|_| TestCaseError::fail("k1 is a name"))?;
    Ok(KeySet::new(SecretKey::new(id, &[7; 32]), []))
}

/// An event as Graph would seal it.
fn content() -> Value {
    json!({
        "@odata.etag": "W/\"1\"",
        "id": "AAMkAGUw_-=",
        "iCalUId": "040000008200E00074C5B7101A82E008",
        "type": "singleInstance",
        "start": { "dateTime": "2026-11-24T09:00:00.0000000", "timeZone": "UTC" },
        "end": { "dateTime": "2026-11-24T10:00:00.0000000", "timeZone": "UTC" },
        "isAllDay": false,
        "isCancelled": false,
        "isOrganizer": true,
        "sensitivity": "normal",
        "attendees": [{ "type": "resource", "emailAddress": { "address": "aurora@contoso.com" } }],
        "organizer": { "emailAddress": { "address": "anna@contoso.com" } },
        "originalStart": null,
        "seriesMasterId": null,
        "lastModifiedDateTime": "2026-11-23T09:00:00Z",
    })
}

/// The members of [`content`].
fn member() -> impl Strategy<Value = String> {
    let names: Vec<String> =
        content().as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    proptest::sample::select(names)
}

/// A time of day or year, or nearly one.
fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{0,9})?",
        "[-+0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9:.]{0,20}",
        any::<String>(),
    ]
}

/// What is done with content that could be read.
fn exercise_event(event: &Event) {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let room = Room {
        id: RoomId(uuid::Uuid::nil()),
        addresses: vec!["aurora@contoso.com".to_owned()],
        response_mode: ResponseMode::RoombridgeDecides,
        time_zone: "Europe/Amsterdam".to_owned(),
        system_rooms: SystemRoomIds::new(),
        previous_system_room: None,
    };
    for calendar in [CalendarOwner::Person, CalendarOwner::Room(room.id)] {
        let snapshot = CopySnapshot::from_event(event, calendar, std::slice::from_ref(&room), now);
        std::hint::black_box(snapshot.map(|snapshot| snapshot.change_digest(&digest_key())).ok());
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn any_content_is_an_event_or_none(bytes in vec(any::<u8>(), 0..1_000), whole in tree()) {
        prop_assert!(Event::from_resource_data(&bytes, None).is_err());
        drop(Event::from_resource_data(whole.to_string().as_bytes(), None));
    }

    #[test]
    fn content_that_is_nearly_right_is_an_event_or_none(
        member in member(), odd in tree(), start in time(), end in time(), zone in any::<String>(),
    ) {
        let mut event = content();
        let right = Event::from_resource_data(event.to_string().as_bytes(), None);
        prop_assert!(right.is_ok());
        event["start"]["dateTime"] = json!(start);
        event["end"]["dateTime"] = json!(end);
        for event in [event.clone(), { event["start"]["timeZone"] = json!(zone); event.clone() }, {
            event[member] = odd;
            event
        }] {
            if let Ok(read) = Event::from_resource_data(event.to_string().as_bytes(), None) {
                exercise_event(&read);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_notification_or_none(body in vec(any::<u8>(), 0..2_000)) {
        drop(parse(&body));
    }

    #[test]
    fn any_json_is_a_notification_or_none(items in vec(tree(), 0..8), tokens in tree()) {
        let count = items.len();
        let body = json!({ "value": items, "validationTokens": tokens }).to_string();
        let post = parse(body.as_bytes());
        prop_assert_eq!(post.map(|post| post.notifications.len()).ok(), Some(count), "none is lost");
    }

    #[test]
    fn a_cut_notification_is_one_or_none(at in 0_usize..8_000, flipped in any::<u8>()) {
        let mut body = include_bytes!("../fixtures/rich/post.json").to_vec();
        let at = at.min(body.len() - 1);
        body[at] ^= flipped;
        drop(parse(&body));
        drop(parse(&body[..at]));
    }

    #[test]
    fn no_made_up_client_state_proves_anything(text in any::<String>(), bytes in vec(any::<u8>(), 0..100)) {
        let keys = client_state_keys()?;
        prop_assert!(verify(&keys, &text).is_err());
        prop_assert!(verify(&keys, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn every_client_state_of_ours_proves_what_it_says(
        tenant in any::<u128>(), mailbox in any::<u128>(), nonce in any::<u64>(),
        at in 0_usize..88, changed in 1_u8..,
    ) {
        let keys = client_state_keys()?;
        let (tenant, mailbox) = (TenantId(uuid::Uuid::from_u128(tenant)), MailboxId(uuid::Uuid::from_u128(mailbox)));
        let text = issue(keys.current(), tenant, mailbox, nonce);
        let proof = verify(&keys, &text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!((proof.tenant, proof.mailbox, proof.nonce), (tenant, mailbox, nonce));
        let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let at = at % bytes.len();
        bytes[at] ^= changed;
        prop_assert!(verify(&keys, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn no_made_up_content_is_opened(
        data in vec(any::<u8>(), 0..300), data_key in vec(any::<u8>(), 0..300),
        signature in vec(any::<u8>(), 0..40), texts in any::<[String; 3]>(),
    ) {
        let key = key()?;
        let certificate = key.id().clone();
        let whole = |mut bytes: Vec<u8>, length: usize| {
            bytes.resize(length, 0);
            STANDARD.encode(bytes)
        };
        let blocks = data.len().next_multiple_of(16);
        for sealed in [
            EncryptedContent {
                data: whole(data.clone(), blocks),
                data_key: whole(data_key.clone(), 256),
                data_signature: whole(signature.clone(), 32),
                certificate_id: certificate.clone(),
            },
            EncryptedContent {
                data: STANDARD.encode(data),
                data_key: STANDARD.encode(data_key),
                data_signature: STANDARD.encode(signature),
                certificate_id: certificate.clone(),
            },
            EncryptedContent {
                data: texts[0].clone(),
                data_key: texts[1].clone(),
                data_signature: texts[2].clone(),
                certificate_id: certificate,
            },
        ] {
            prop_assert!(key.decrypt(&sealed).is_err());
        }
    }

    #[test]
    fn no_made_up_token_vouches(
        header in tree(), claims in tree(), text in any::<String>(), signature in vec(any::<u8>(), 0..300),
    ) {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(jiff::Timestamp::UNIX_EPOCH));
        let made = conformance::validation_tokens_over(Arc::new(FixtureKeys), clock);
        let checker: ValidationTokenVerifier = made.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let usual = json!({ "alg": "RS256", "kid": "fixture-key-1" });
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let tokens = [
            format!("{}.{}.{signature}", part(&header), part(&claims)),
            format!("{}.{}.{signature}", part(&usual), part(&claims)),
            text,
        ];
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let verified = runtime.block_on(checker.verified_tenants(&tokens));
        prop_assert!(verified.tenants.is_empty());
    }
}
