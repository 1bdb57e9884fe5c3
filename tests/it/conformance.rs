//! Compatibility with what others make: sealed content and validation tokens of an independent
//! implementation (`tests/fixtures/rich/make.mjs`), and the payloads of Microsoft's documentation.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use roombridge::base::http::{Http, HttpError};
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::encrypted_content::EncryptedContent;
use roombridge::graph::notifications::{ChangeType, LifecycleEvent, NotificationKind, parse};
use roombridge::identity::app_tokens::Cloud;
use roombridge::identity::app_tokens::Registrations;
use roombridge::identity::keys::content_keys::{ContentKey, DecryptError};
use roombridge::identity::keys::{ValidationTokenVerifier, VerifiedTenants};
use serde::Deserialize;
use serde_json::Value;

use crate::{TestError, TestResult};

const KEY: &str = include_str!("../fixtures/rich/content-key.json");
const SEALED: &str = include_str!("../fixtures/rich/sealed.json");
const TOKENS: &str = include_str!("../fixtures/rich/tokens.json");
pub(crate) const JWKS: &str = include_str!("../fixtures/rich/jwks.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SealedFile {
    data: String,
    data_key: String,
    data_signature: String,
    encryption_certificate_id: String,
}

impl SealedFile {
    fn sealed(&self) -> Result<EncryptedContent, TestError> {
        Ok(EncryptedContent {
            data: self.data.clone(),
            data_key: self.data_key.clone(),
            data_signature: self.data_signature.clone(),
            certificate_id: self.encryption_certificate_id.parse()?,
        })
    }
}

#[derive(Deserialize)]
struct Good {
    sealed: SealedFile,
    clear: String,
}

#[derive(Deserialize)]
struct SealedFiles {
    good: BTreeMap<String, Good>,
    refused: BTreeMap<String, SealedFile>,
    garbled: BTreeMap<String, SealedFile>,
}

/// The fixtures' key; its private part opens nothing but them.
pub(crate) fn content_key() -> Result<ContentKey, TestError> {
    let file: BTreeMap<String, String> = serde_json::from_str(KEY)?;
    let part = |name: &str| file.get(name).ok_or(format!("no {name}"));
    let (certificate, private_key) =
        (STANDARD.decode(part("certificate")?)?, STANDARD.decode(part("private_key")?)?);
    let made_at: Timestamp = "2026-11-22T08:00:00Z".parse()?;
    let key = ContentKey::new(part("id")?.parse()?, made_at, &certificate, &private_key);
    Ok(key.ok_or("the fixtures have a key")?)
}

#[test]
fn content_sealed_by_another_implementation_is_opened() -> TestResult {
    let (key, files) = (content_key()?, serde_json::from_str::<SealedFiles>(SEALED)?);
    assert_eq!(files.good.len(), 4);
    for (name, good) in files.good {
        let opened =
            key.decrypt(&good.sealed.sealed()?).map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(opened.json(), good.clear.as_bytes(), "{name}");
    }
    Ok(())
}

#[test]
fn sealed_content_that_was_tampered_with_is_rejected() -> TestResult {
    let (key, files) = (content_key()?, serde_json::from_str::<SealedFiles>(SEALED)?);
    let mut why: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, file) in &files.refused {
        let Err(refusal) = key.decrypt(&file.sealed()?) else { return Err(name.clone().into()) };
        why.entry(format!("{refusal:?}")).or_default().push(name.clone());
    }
    let named = |why: &BTreeMap<String, Vec<String>>, kind: DecryptError| {
        why.get(&format!("{kind:?}")).cloned().unwrap_or_default()
    };
    assert_eq!(named(&why, DecryptError::WrongKey), ["another name"]);
    let forged = [
        "changed data",
        "changed last block",
        "changed signature",
        "data cut by a block",
        "data of another",
        "key of another",
        "signed before encryption",
        "signed with another key",
    ];
    assert_eq!(named(&why, DecryptError::InvalidSignature), forged);
    let keys = [
        "changed key",
        "for another certificate",
        "key cut",
        "key of 16 bytes",
        "key of 24 bytes",
        "key of 64 bytes",
        "no key",
        "wrapped by OAEP with SHA-256",
        "wrapped without OAEP",
    ];
    assert_eq!(named(&why, DecryptError::InvalidDataKey), keys);
    assert_eq!(named(&why, DecryptError::InvalidCiphertext), ["not padded"]);
    let malformed = [
        "data cut by a byte",
        "no data",
        "no signature",
        "not base64",
        "signature cut",
        "signed by SHA-1",
    ];
    assert_eq!(named(&why, DecryptError::Malformed), malformed);
    assert_eq!(files.refused.len(), 25);
    // No signature covers the initialisation vector: with another one the first block is noise.
    for (name, file) in &files.garbled {
        let opened = key.decrypt(&file.sealed()?)?;
        assert!(serde_json::from_slice::<Value>(opened.json()).is_err(), "{name}");
    }
    Ok(())
}

#[derive(Deserialize)]
struct TokenFiles {
    now: i64,
    tenant: String,
    audiences: BTreeMap<String, String>,
    good: BTreeMap<String, String>,
    refused: BTreeMap<String, String>,
    unjudged: BTreeMap<String, String>,
}

/// An Entra that only publishes keys.
struct EntraKeys;

#[async_trait::async_trait]
impl Http for EntraKeys {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        Ok(http::Response::new(Bytes::from_static(JWKS.as_bytes())))
    }
}

/// An Entra that does not answer.
struct UnreachableEntra;

#[async_trait::async_trait]
impl Http for UnreachableEntra {
    async fn send(&self, _: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        Err(HttpError { kind: "timed out" })
    }
}

fn validation_tokens_for(
    http: Arc<dyn Http>,
    files: &TokenFiles,
) -> Result<ValidationTokenVerifier, TestError> {
    validation_tokens_over(http, Arc::new(ManualClock::new(Timestamp::from_second(files.now)?)))
}

/// Checks tokens for the fixtures' registrations.
pub(crate) fn validation_tokens_over(
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
) -> Result<ValidationTokenVerifier, TestError> {
    let files: TokenFiles = serde_json::from_str(TOKENS)?;
    let audience = |name: &str| files.audiences.get(name).cloned().ok_or(format!("no {name}"));
    let registrations = Registrations {
        organisation_wide: audience("organisation_wide")?,
        scoped: audience("scoped")?,
    };
    let cloud = Cloud {
        authority: "https://login.microsoftonline.com".parse()?,
        issuer: "https://login.microsoftonline.com".parse()?,
        token_exchange_audience: "api://AzureADTokenExchange".to_owned(),
        graph_scope: "https://graph.microsoft.com/.default".to_owned(),
    };
    Ok(ValidationTokenVerifier::new(http, clock, cloud, &registrations))
}

#[tokio::test]
async fn tokens_of_both_versions_prove_their_tenant() -> TestResult {
    let files: TokenFiles = serde_json::from_str(TOKENS)?;
    let checker = validation_tokens_for(Arc::new(EntraKeys), &files)?;
    assert_eq!(files.good.len(), 5);
    for (name, token) in &files.good {
        let tenant = checker.verify(token).await.map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(tenant, files.tenant.parse()?, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_tampered_with_proves_no_tenant() -> TestResult {
    let files: TokenFiles = serde_json::from_str(TOKENS)?;
    let checker = validation_tokens_for(Arc::new(EntraKeys), &files)?;
    assert_eq!(files.refused.len(), 36);
    for (name, token) in &files.refused {
        let verified = checker.verified_tenants(std::slice::from_ref(token)).await;
        assert_eq!(
            verified,
            VerifiedTenants { rejected: 1, ..VerifiedTenants::default() },
            "{name}"
        );
    }
    // A good one beside them is still accepted.
    let all: Vec<String> = files.refused.values().chain(files.good.values()).cloned().collect();
    let verified = checker.verified_tenants(&all).await;
    assert!(verified.contains(files.tenant.parse()?) && verified.tenants.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_token_that_cannot_be_checked_now_counts_as_undetermined() -> TestResult {
    let files: TokenFiles = serde_json::from_str(TOKENS)?;
    let unjudged = VerifiedTenants { undetermined: 1, ..VerifiedTenants::default() };
    let published = validation_tokens_for(Arc::new(EntraKeys), &files)?;
    for (name, token) in &files.unjudged {
        let verified = published.verified_tenants(std::slice::from_ref(token)).await;
        assert_eq!(verified, unjudged, "{name}: the key may be newer than those we have");
    }
    let away = validation_tokens_for(Arc::new(UnreachableEntra), &files)?;
    let good: Vec<String> = files.good.values().take(1).cloned().collect();
    let verified = away.verified_tenants(&good).await;
    assert_eq!(verified, unjudged);
    assert!(verified.may_contain(files.tenant.parse()?));
    let many = vec![good.first().cloned().unwrap_or_default(); 100];
    assert_eq!(
        published.verified_tenants(&many).await.undetermined,
        36,
        "a POST has one for each tenant"
    );
    Ok(())
}

#[test]
fn the_documented_payloads_are_understood() -> TestResult {
    let basic = parse(include_bytes!("../fixtures/graph/change-notification.json"))?.notifications;
    assert!(matches!(basic[0].kind, NotificationKind::Change(_)));
    let lifecycle =
        parse(include_bytes!("../fixtures/graph/lifecycle-notifications.json"))?.notifications;
    assert!(matches!(lifecycle[0].kind, NotificationKind::Lifecycle(_)));
    let rich = parse(include_bytes!("../fixtures/rich/documented-rich.json"))?;
    assert_eq!((rich.notifications.len(), rich.validation_tokens.len()), (1, 2));
    assert_eq!(rich.notifications[0].tenant, "84bd8158-6d4d-4958-8b9f-9d6445542f95".parse().ok());
    let mixed = parse(include_bytes!("../fixtures/rich/documented-mixed.json"))?.notifications;
    assert_eq!(mixed[0].kind, NotificationKind::Lifecycle(LifecycleEvent::ReauthorizationRequired));
    let event_of = |item: &roombridge::graph::notifications::Notification| match &item.kind {
        NotificationKind::Change(change) => {
            Some((change.change_type, change.event.as_str().to_owned()))
        }
        NotificationKind::Lifecycle(_) | NotificationKind::Unknown => None,
    };
    assert_eq!(event_of(&mixed[1]), Some((ChangeType::Updated, "AAMkAGUw_-=".to_owned())));
    assert_eq!(event_of(&mixed[2]), Some((ChangeType::Created, "AAMkAGUw_+=".to_owned())));
    Ok(())
}

#[tokio::test]
async fn a_whole_post_of_another_implementation_is_verified_and_opened() -> TestResult {
    let post = parse(include_bytes!("../fixtures/rich/post.json"))?;
    let files: TokenFiles = serde_json::from_str(TOKENS)?;
    let verified = validation_tokens_for(Arc::new(EntraKeys), &files)?
        .verified_tenants(&post.validation_tokens)
        .await;
    let key = content_key()?;
    assert_eq!(post.notifications.len(), 2);
    for item in post.notifications {
        assert!(verified.contains(item.tenant.ok_or("a tenant")?));
        let NotificationKind::Change(change) = item.kind else { return Err("a change".into()) };
        assert_eq!(change.event.as_str(), "AAkALgAAAAAAHYQDEapmEc2byACqAC_EWg-0AbCd==");
        let opened = key.decrypt(&change.encrypted_content.ok_or("content")?)?;
        let content: Value = serde_json::from_slice(opened.json())?;
        assert_eq!(content["id"], change.event.as_str());
    }
    Ok(())
}

#[test]
fn only_the_fixtures_contain_a_private_key() -> TestResult {
    let file: BTreeMap<String, String> = serde_json::from_str(KEY)?;
    let key = file.get("private_key").ok_or("no key")?;
    let certificate = file.get("certificate").ok_or("no certificate")?;
    let others = [SEALED, TOKENS, JWKS, include_str!("../fixtures/rich/post.json")];
    assert!(others.iter().all(|text| !text.contains(&key[..64])));
    assert!(!certificate.contains(&key[..64]));
    assert!(!JWKS.contains("\"d\""), "only public parts are published");
    Ok(())
}
