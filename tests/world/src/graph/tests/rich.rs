//! Rich subscriptions: what they want, and what their notifications carry.

use std::sync::LazyLock;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};

use super::*;
use crate::entra::{CHANGE_TRACKING, Signing};
use crate::graph::ValidationTokenForm;
use crate::microsoft::{DAEMON_APP, SCOPED_APP};

/// A certificate with an RSA key of 1,024 bits (`openssl req -x509 -newkey rsa:1024`).
const SMALL: &str = "MIIB/DCCAWWgAwIBAgIUWvBY902ofv4IaBaawR9iGtiyaEkwDQYJKoZIhvcNAQELBQAwEDEOMAwGA1UEAwwFc21hbGwwHhcNMjYxMTIyMDc1ODAyWhcNMzYxMTE5MDc1ODAyWjAQMQ4wDAYDVQQDDAVzbWFsbDCBnzANBgkqhkiG9w0BAQEFAAOBjQAwgYkCgYEAr5KwdiPYomSuRv6uB364X8Nb051k8M4Y31WJCiL3B/LrOlNO0I7CO/7rSAFCxn8Z9aPGoNtqfrCmbNOkpyEV+Q1EybSaQgvXhjvhUS4zwKwHz5zRPRowIOPd2xD+jFkrk4uPTybK9dS2sdsmbHISFQ3SC7ru6UTc3w4cXErTOrUCAwEAAaNTMFEwHQYDVR0OBBYEFPajok+27x+rTsbspaaKkQdI6omgMB8GA1UdIwQYMBaAFPajok+27x+rTsbspaaKkQdI6omgMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADgYEAK8YBnFtYps0VSaDjEUqVCGEMeNVtIOMi5mcGUPqofUauqLbBvXZjmOHd+pb1jsahQVIKNM61OzPGIHCQWDidvzCZhLvmmGipqNSb7Wrg+V+zsqWP9N8A1r1OKRS/VFzf5n22g373EhPW4phEavJhei0nIbclgybXdGGsbgIm+9I=";
const SELECT: &str = "?$select=start,end,isCancelled,type";

/// A certificate with its key: making one takes long, so two serve the whole process.
struct CertificatePair {
    der: Vec<u8>,
    private: Vec<u8>,
}

static FIRST: LazyLock<CertificatePair> = LazyLock::new(CertificatePair::make);
static SECOND: LazyLock<CertificatePair> = LazyLock::new(CertificatePair::make);

impl CertificatePair {
    fn make() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        Self { der: certificate.der().to_vec(), private: key.serialize_der() }
    }

    fn text(&self) -> String {
        BASE64.encode(&self.der)
    }

    /// Opens the content of an item as the documentation says: signature first.
    fn open(&self, item: &Value) -> Value {
        let sealed = &item["encryptedContent"];
        let bytes = |name: &str| BASE64.decode(sealed[name].as_str().unwrap()).unwrap();
        let private = PrivateDecryptingKey::from_pkcs8(&self.private).unwrap();
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut room = vec![0; private.min_output_size()];
        let key = private.decrypt(&OAEP_SHA1_MGF1SHA1, &bytes("dataKey"), &mut room, None).unwrap();
        assert_eq!(key.len(), 32);
        let mut data = bytes("data");
        let check = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&check, &data, &bytes("dataSignature")).unwrap();
        let vector: [u8; 16] = key[..16].try_into().unwrap();
        let cipher = UnboundCipherKey::new(&AES_256, key).unwrap();
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).unwrap();
        let context = DecryptionContext::Iv128(vector.into());
        serde_json::from_slice(cipher.decrypt(&mut data, context).unwrap()).unwrap()
    }
}

impl GraphFixture {
    fn rich_subscription_body(&self, mailbox: &Mailbox, query: &str) -> Value {
        let mut new_subscription = self.subscription_body(mailbox);
        new_subscription["includeResourceData"] = json!(true);
        new_subscription["encryptionCertificate"] = json!(FIRST.text());
        new_subscription["encryptionCertificateId"] = json!("first");
        new_subscription["resource"] = json!(format!("{}{query}", mailbox.events_resource()));
        new_subscription["expirationDateTime"] = json!(at(24).to_string());
        new_subscription
    }

    async fn subscribe_rich(&self, mailbox: &Mailbox, query: &str) -> String {
        let new_subscription = self.rich_subscription_body(mailbox, query);
        let (status, made) = self.call("POST", "/subscriptions", new_subscription).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// The claims of a POST's validation tokens, each checked with the published keys for its app.
    fn claims(&self, post: &Value, apps: &[&str]) -> Vec<Value> {
        let tokens = post["validationTokens"].as_array().unwrap().iter();
        let claims = tokens.map(|token| {
            let token = token.as_str().unwrap();
            apps.iter().find_map(|app| self.ms.entra.verify_audience(token, app)).unwrap()
        });
        claims.collect()
    }
}

#[tokio::test]
async fn it_wants_a_certificate_with_an_id_a_selection_and_a_short_life() {
    let story = graph_fixture();
    let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let elliptic = CertificateParams::new(vec![]).unwrap().self_signed(&elliptic).unwrap();
    let (events, late) = (story.anna.events_resource(), at(24) + SignedDuration::from_mins(1));
    for (name, value, words) in [
        ("encryptionCertificate", Value::Null, "X.509"),
        ("encryptionCertificate", json!("-----BEGIN CERTIFICATE-----"), "base64"),
        ("encryptionCertificate", json!(BASE64.encode(elliptic.der())), "RSA key of 2,048"),
        ("encryptionCertificate", json!(SMALL), "RSA key of 2,048"),
        ("encryptionCertificateId", Value::Null, "128"),
        ("encryptionCertificateId", json!("x".repeat(129)), "128"),
        ("expirationDateTime", json!(late.to_string()), "1440 minutes"),
        ("resource", json!(events), "$select"),
        ("resource", json!(format!("{events}{SELECT}&$top=5")), "$top"),
        ("resource", json!(format!("{events}{SELECT}&$skip=5")), "$skip"),
        ("resource", json!(format!("{events}{SELECT}&$orderby=start")), "$orderby"),
        ("resource", json!(format!("{events}?$select=id,color")), "color"),
        ("includeResourceData", json!(false), "without resource data"),
    ] {
        let mut new_subscription = story.rich_subscription_body(&story.anna, SELECT);
        new_subscription[name] = value;
        let (status, error) = story.call("POST", "/subscriptions", new_subscription).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name} {words}");
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
    }
    assert!(story.broken_rules().is_empty());
    for select in ["start,body", "uniqueBody", "bodyPreview", "subject", "webLink"] {
        let new_subscription =
            story.rich_subscription_body(&story.anna, &format!("?$select={select}"));
        assert_eq!(story.call("POST", "/subscriptions", new_subscription).await.0, 400, "{select}");
    }
    let new_subscription =
        story.rich_subscription_body(&story.anna, &format!("{SELECT}&$expand=attachments"));
    assert_eq!(story.call("POST", "/subscriptions", new_subscription).await.0, 400);
    assert_eq!(story.broken_rules().len(), 6);
    assert_eq!(story.ms.network.requests("hook.example"), 0);
    story.subscribe_rich(&story.anna, SELECT).await;
}

#[tokio::test]
async fn the_query_is_part_of_the_resource_when_duplicates_are_searched() {
    let story = graph_fixture();
    let id = story.subscribe_rich(&story.anna, SELECT).await;
    let new_subscription = story.rich_subscription_body(&story.anna, SELECT);
    assert_eq!(
        story.call("POST", "/subscriptions", new_subscription).await.0,
        StatusCode::CONFLICT
    );
    story.subscribe_rich(&story.anna, "?$select=start").await;
    assert_eq!(story.subscribe(&story.anna).await.0, StatusCode::CREATED);
    let all = story.ms.graph.subscriptions();
    let shown = all.iter().find(|s| s.id == id).unwrap();
    assert!(shown.rich && shown.resource.ends_with(SELECT));
    assert_eq!((shown.certificate.as_deref(), shown.app.as_str()), (Some("first"), DAEMON_APP));
    assert_eq!(all.iter().filter(|s| s.rich).count(), 2);
    let (_, read) = story.get(&format!("/subscriptions/{id}")).await;
    assert_eq!(read["includeResourceData"], true);
    assert_eq!(read["encryptionCertificateId"], "first");
    assert_eq!(read["encryptionCertificate"], Value::Null);
}

#[tokio::test]
async fn an_item_carries_what_was_selected_and_expanded_and_its_etag_and_no_more() {
    let story = graph_fixture();
    let expand = format!("&$expand=singleValueExtendedProperties($filter=id eq '{PROPERTY}')");
    story.subscribe_rich(&story.anna, &format!("{SELECT}{expand}")).await;
    let invitation = Invitation::new("New", at(12), at(13)).body("SECRET").property(PROPERTY, "x");
    let meeting = story.tenant.meet(&story.anna, invitation).unwrap();
    story.ms.graph.deliver_due().await;
    let items = story.receiver.take();
    assert_eq!(items.len(), 4);
    let event = meeting.copy_in(&story.anna).unwrap();
    let resource = format!("Users('{}')/events('{}')", story.anna.id(), event.event);
    let mut keys = std::collections::BTreeSet::new();
    for item in &items {
        assert_eq!(item["resource"], resource);
        assert_eq!(item["resourceData"]["@odata.id"], resource);
        assert_eq!(item["resourceData"]["id"], event.event);
        assert_eq!(item["clientState"], "proof");
        assert_eq!(item["encryptedContent"]["encryptionCertificateId"], "first");
        let content = FIRST.open(item);
        let expected = json!({
            "@odata.etag": event.etag,
            "start": { "dateTime": "2026-11-24T21:00:00.0000000", "timeZone": "UTC" },
            "end": { "dateTime": "2026-11-24T22:00:00.0000000", "timeZone": "UTC" },
            "isCancelled": false,
            "type": "singleInstance",
            "singleValueExtendedProperties": [{ "id": PROPERTY, "value": "x" }],
        });
        assert_eq!(content, expected);
        keys.insert(item["encryptedContent"]["dataKey"].to_string());
    }
    assert_eq!(keys.len(), 4, "each has a key of its own");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &FIRST.der);
    let thumbprint: String = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let named = &items[0]["encryptedContent"]["encryptionCertificateThumbprint"];
    assert_eq!(*named, json!(thumbprint));

    meeting.cancel().unwrap();
    story.ms.graph.deliver_due().await;
    let items = story.receiver.take();
    assert_eq!(items[0]["changeType"], "deleted");
    assert!(items[0].get("encryptedContent").is_none());
}

#[tokio::test]
async fn the_content_is_the_copy_as_it_was_then() {
    let story = graph_fixture();
    story.subscribe_rich(&story.anna, SELECT).await;
    story.ms.graph.set_on_hold(true);
    for hour in [11, 14] {
        story.meeting.move_to(at(hour), at(hour + 1)).unwrap();
    }
    story.ms.graph.set_on_hold(false);
    story.ms.graph.set_max_items_per_post(1);
    story.ms.graph.duplicate_next(1);
    story.ms.graph.set_shuffled(true);
    let done = story.ms.graph.deliver_due().await;
    let posts = story.receiver.take_posts();
    assert!(done.posts.len() >= 7 && posts.iter().all(|p| p["validationTokens"][0].is_string()));
    let starts = posts.iter().map(|post| {
        let item = &post["value"][0];
        let content = FIRST.open(item);
        assert_eq!(content["@odata.etag"], item["resourceData"]["@odata.etag"]);
        content["start"]["dateTime"].to_string()
    });
    let starts: Vec<String> = starts.collect();
    let mut sorted = starts.clone();
    sorted.sort();
    assert_ne!(starts, sorted, "in no order");
    assert!(sorted[0].contains("T20:00") && sorted.last().unwrap().contains("T23:00"));
}

#[tokio::test]
async fn validation_tokens_come_in_both_forms_or_not_at_all() {
    let story = graph_fixture();
    story.subscribe_rich(&story.anna, SELECT).await;
    let deliver = async |form| {
        story.ms.graph.set_validation_tokens(form);
        story.meeting.rename("Other").unwrap();
        story.ms.graph.deliver_due().await;
        story.receiver.take_posts().remove(0)
    };
    let tenant = story.tenant.id();
    let claims = story.claims(&deliver(ValidationTokenForm::V2).await, &[DAEMON_APP]).remove(0);
    assert_eq!(claims["iss"], format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    assert_eq!((&claims["azp"], &claims["ver"]), (&json!(CHANGE_TRACKING), &json!("2.0")));
    assert!(claims.get("appid").is_none() && claims["tid"] == tenant);
    let claims = story.claims(&deliver(ValidationTokenForm::V1).await, &[DAEMON_APP]).remove(0);
    assert_eq!(claims["iss"], format!("https://sts.windows.net/{tenant}/"));
    assert_eq!((&claims["appid"], &claims["ver"]), (&json!(CHANGE_TRACKING), &json!("1.0")));
    assert!(claims.get("azp").is_none() && claims["aud"] == DAEMON_APP);
    let post = deliver(ValidationTokenForm::Null).await;
    assert!(post["validationTokens"].is_null() && post["value"][0]["encryptedContent"].is_object());
    story.ms.graph.set_validation_tokens(ValidationTokenForm::V2);
    story.ms.entra.require_assignment(tenant, DAEMON_APP, true);
    assert!(deliver(ValidationTokenForm::V2).await["validationTokens"].is_null());
    story.ms.entra.require_assignment(tenant, DAEMON_APP, false);

    story.ms.entra.rotate_keys().unwrap();
    story.ms.entra.retire_old_keys();
    let post = deliver(ValidationTokenForm::V2).await;
    assert_eq!(story.claims(&post, &[DAEMON_APP]).len(), 1, "by the key that signs now");
}

#[tokio::test]
async fn one_post_mixes_apps_tenants_rich_and_basic_with_one_token_for_each_pair() {
    let mut story = graph_fixture();
    story.subscribe_rich(&story.anna, SELECT).await;
    story.subscribe_rich(&story.aurora, SELECT).await;
    let tenant = story.tenant.id().to_owned();
    story.ms.entra.consent(&tenant, SCOPED_APP, &["Calendars.Read"]);
    let token = story.ms.entra.graph_token(&tenant, SCOPED_APP).unwrap();
    let new_subscription = story.rich_subscription_body(&story.anna, SELECT);
    let (status, _) =
        story.call_by(&token, "POST", "/subscriptions", new_subscription, PREFER).await;
    assert_eq!(status, StatusCode::CREATED, "another app is no twin");
    let ben = story.tenant.person("Ben");
    story.subscribe(&ben).await;
    let first = std::mem::replace(&mut story.tenant, story.ms.tenant("Fabrikam"));
    let eve = story.tenant.person("Eve");
    story.subscribe_rich(&eve, SELECT).await;

    story.ms.graph.set_validation_tokens(ValidationTokenForm::Mixed);
    story.meeting.move_to(at(15), at(16)).unwrap();
    first.meet(&ben, Invitation::new("A", at(12), at(13))).unwrap();
    story.tenant.meet(&eve, Invitation::new("B", at(12), at(13))).unwrap();
    assert_eq!(story.ms.graph.deliver_due().await.posts.len(), 1);
    let post = story.receiver.take_posts().remove(0);
    let claims = story.claims(&post, &[DAEMON_APP, SCOPED_APP]);
    let pairs: std::collections::BTreeSet<_> =
        claims.iter().map(|c| (c["aud"].to_string(), c["tid"].to_string())).collect();
    assert_eq!((claims.len(), pairs.len()), (3, 3));
    assert!(claims.iter().any(|c| c["ver"] == "1.0") && claims.iter().any(|c| c["ver"] == "2.0"));

    let basic = story.ms.graph.subscriptions().into_iter().find(|s| !s.rich).unwrap();
    first.meet(&ben, Invitation::new("C", at(14), at(15))).unwrap();
    story.ms.graph.deliver_due().await;
    let post = story.receiver.take_posts().remove(0);
    assert_eq!(post["value"][0]["subscriptionId"], basic.id);
    assert!(post.get("validationTokens").is_none(), "basic ones have none");
}

#[tokio::test]
async fn a_renewal_may_bring_a_new_certificate() {
    let story = graph_fixture();
    let id = story.subscribe_rich(&story.anna, SELECT).await;
    let path = format!("/subscriptions/{id}");
    let renew = async |path: &str, until: Timestamp, certificate: Value, name: Value| {
        let mut body = json!({ "expirationDateTime": until.to_string() });
        if !certificate.is_null() {
            body["encryptionCertificate"] = certificate;
        }
        if !name.is_null() {
            body["encryptionCertificateId"] = name;
        }
        story.call("PATCH", path, body).await.0
    };
    story.meeting.move_to(at(11), at(12)).unwrap();
    let second = json!(SECOND.text());
    assert_eq!(renew(&path, at(20), second.clone(), Value::Null).await, 400);
    assert_eq!(renew(&path, at(20), Value::Null, json!("second")).await, 400);
    assert_eq!(renew(&path, at(20), json!(SMALL), json!("second")).await, 400);
    assert_eq!(renew(&path, at(25), Value::Null, Value::Null).await, 400, "too long for rich ones");
    assert_eq!(renew(&path, at(20), second.clone(), json!("second")).await, 200);
    let shown = story.ms.graph.subscriptions().remove(0);
    assert_eq!((shown.certificate.as_deref(), shown.expires), (Some("second"), at(20)));
    story.meeting.move_to(at(12), at(13)).unwrap();
    story.ms.graph.deliver_due().await;
    let items = story.receiver.take();
    let start = |item: &Value, by: &CertificatePair| by.open(item)["start"]["dateTime"].to_string();
    assert_eq!(items[0]["encryptedContent"]["encryptionCertificateId"], "first");
    assert!(start(&items[0], &FIRST).contains("T20:00"), "what changed before names the old one");
    assert_eq!(items[3]["encryptedContent"]["encryptionCertificateId"], "second");
    assert!(start(&items[3], &SECOND).contains("T21:00"));

    let (_, basic) = story.subscribe(&story.aurora).await;
    let path = format!("/subscriptions/{}", basic["id"].as_str().unwrap());
    assert_eq!(renew(&path, at(20), second, json!("second")).await, 400);
}

#[tokio::test]
async fn a_test_can_tamper_with_a_post() {
    let story = graph_fixture();
    story.subscribe_rich(&story.anna, SELECT).await;
    story.receiver.answer(503);
    story.meeting.move_to(at(11), at(12)).unwrap();
    story.ms.graph.tamper_next_post(|body| body["validationTokens"] = json!(["forged"]));
    story.ms.graph.deliver_due().await;
    story.receiver.answer(202);
    story.clock.set(story.ms.graph.next_delivery().unwrap());
    story.ms.graph.deliver_due().await;
    let posts = story.receiver.take_posts();
    assert_eq!(posts[0]["validationTokens"], json!(["forged"]));
    assert_eq!(story.claims(&posts[1], &[DAEMON_APP]).len(), 1, "the retry is as it was");
    assert_eq!(posts[0]["value"], posts[1]["value"]);
    let foreign = story.ms.entra.change_tracking_token_with(
        (story.tenant.id(), DAEMON_APP),
        crate::entra::TokenVersion::V2,
        &serde_json::Map::new(),
        Signing::Foreign,
    );
    assert!(story.ms.entra.verify_audience(&foreign, DAEMON_APP).is_none());
}
