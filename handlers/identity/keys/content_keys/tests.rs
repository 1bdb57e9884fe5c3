//! Keys that open, keys that are looked for, and what is not opened.

use aws_lc_rs::{
    cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    hmac,
    iv::FixedLength,
    rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PrivateDecryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;

use super::*;
use crate::{
    base::{
        rng::Rng,
        test_support::{ManualClock, SeededRng},
    },
    domain::encrypted_content::EncryptedContent,
};

const CONTENT: &str = r#"{"id":"AAMk=","start":{"dateTime":"2026-11-24T09:00:00"}}"#;

struct ContentKeysFixture {
    clock: ManualClock,
    source: MemoryContentKeys,
    keys: ContentKeys,
    rng: Box<dyn Rng>,
}

fn fixture() -> ContentKeysFixture {
    let clock = ManualClock::new("2026-11-22T09:00:00.5Z".parse().unwrap());
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let source = MemoryContentKeys::new(Arc::clone(&shared));
    let keys = ContentKeys::new(Box::new(source.clone()), shared);
    ContentKeysFixture { clock, source, keys, rng: Box::new(SeededRng::new(7)) }
}

impl ContentKeysFixture {
    async fn add(&self) -> ContentKeyId {
        let fresh = NewContentKey::generate(self.clock.now(), self.rng.as_ref()).await.unwrap();
        self.source.add(&fresh).await.unwrap();
        fresh.id().clone()
    }

    async fn current(&self) -> Option<ContentKeyId> {
        self.keys.current().await.unwrap().map(|key| key.id().clone())
    }

    fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
    }
}

/// Seals as Graph does, for the certificate of `key`, with this symmetric key.
fn encrypt_with(fresh: &NewContentKey, symmetric: &[u8], content: &str) -> EncryptedContent {
    let secret: serde_json::Value = serde_json::from_str(fresh.secret()).unwrap();
    let private = STANDARD.decode(secret["private_key"].as_str().unwrap()).unwrap();
    let public = PrivateDecryptingKey::from_pkcs8(&private).unwrap().public_key();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut data_key = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA1_MGF1SHA1, symmetric, &mut data_key, None).unwrap();
    let mut data = content.as_bytes().to_vec();
    if let Ok(aes) = UnboundCipherKey::new(&AES_256, symmetric) {
        let vector: [u8; 16] = *symmetric.first_chunk().unwrap();
        let context = EncryptionContext::Iv128(FixedLength::from(vector));
        let aes = PaddedBlockEncryptingKey::cbc_pkcs7(aes).unwrap();
        aes.less_safe_encrypt(&mut data, context).unwrap();
    } else {
        data.resize(64, 0);
    }
    sign(fresh.id().clone(), symmetric, &data, &data_key)
}

fn sign(
    certificate: ContentKeyId,
    symmetric: &[u8],
    data: &[u8],
    data_key: &[u8],
) -> EncryptedContent {
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, symmetric), data);
    EncryptedContent {
        data: STANDARD.encode(data),
        data_key: STANDARD.encode(data_key),
        data_signature: STANDARD.encode(signature),
        certificate_id: certificate,
    }
}

async fn new_content_key() -> NewContentKey {
    let now = "2026-11-22T09:00:00Z".parse().unwrap();
    NewContentKey::generate(now, &SeededRng::new(3)).await.unwrap()
}

#[tokio::test]
async fn what_was_sealed_for_a_key_is_opened_with_it() {
    let fresh = new_content_key().await;
    let key = fresh.to_content_key("2026-11-22T09:00:00Z".parse().unwrap()).unwrap();
    let opened = key.decrypt(&encrypt_with(&fresh, &[9; 32], CONTENT)).unwrap();
    assert_eq!(opened.json(), CONTENT.as_bytes());
    assert!(!format!("{opened:?} {key:?} {fresh:?}").contains("AAMk"));
    assert!(!format!("{opened:?}").contains("2026-11-24"));
}

#[tokio::test]
async fn nothing_is_decrypted_that_was_changed() {
    let fresh = new_content_key().await;
    let key = fresh.to_content_key("2026-11-22T09:00:00Z".parse().unwrap()).unwrap();
    let good = encrypt_with(&fresh, &[9; 32], CONTENT);
    let flipped = |text: &str| {
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[0] ^= 1;
        STANDARD.encode(bytes)
    };
    let shorter = |text: &str| {
        let bytes = STANDARD.decode(text).unwrap();
        STANDARD.encode(&bytes[..bytes.len() - 16])
    };
    let cases = [
        (
            EncryptedContent { data: flipped(&good.data), ..good.clone() },
            DecryptError::InvalidSignature,
        ),
        (
            EncryptedContent { data: shorter(&good.data), ..good.clone() },
            DecryptError::InvalidSignature,
        ),
        (
            EncryptedContent { data_signature: flipped(&good.data_signature), ..good.clone() },
            DecryptError::InvalidSignature,
        ),
        (
            EncryptedContent { data_key: flipped(&good.data_key), ..good.clone() },
            DecryptError::InvalidDataKey,
        ),
        (
            EncryptedContent { data_key: shorter(&good.data_key), ..good.clone() },
            DecryptError::InvalidDataKey,
        ),
        (
            EncryptedContent { certificate_id: "c0".parse().unwrap(), ..good.clone() },
            DecryptError::WrongKey,
        ),
        (EncryptedContent { data: String::new(), ..good.clone() }, DecryptError::Malformed),
        (EncryptedContent { data: "AAAA".into(), ..good.clone() }, DecryptError::Malformed),
        (
            EncryptedContent { data: "A".repeat(512 * 1024 + 4), ..good.clone() },
            DecryptError::Malformed,
        ),
        (EncryptedContent { data_key: "A".repeat(700), ..good.clone() }, DecryptError::Malformed),
        (EncryptedContent { data: "no base64".into(), ..good.clone() }, DecryptError::Malformed),
        (EncryptedContent { data_signature: "short".into(), ..good }, DecryptError::Malformed),
        (encrypt_with(&fresh, &[9; 16], CONTENT), DecryptError::InvalidDataKey),
        (encrypt_with(&fresh, &[9; 31], CONTENT), DecryptError::InvalidDataKey),
        (encrypt_with(&fresh, &[9; 48], CONTENT), DecryptError::InvalidDataKey),
    ];
    for (n, (sealed, expected)) in cases.into_iter().enumerate() {
        assert_eq!(key.decrypt(&sealed).unwrap_err(), expected, "case {n}");
    }
    let other = encrypt_with(&self::new_content_key().await, &[9; 32], CONTENT);
    let renamed = EncryptedContent { certificate_id: key.id().clone(), ..other };
    assert_eq!(key.decrypt(&renamed).unwrap_err(), DecryptError::InvalidDataKey);
}

#[tokio::test]
async fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
    let (one, other) = (new_content_key().await, new_content_key().await);
    let at = "2026-11-22T09:00:00Z".parse().unwrap();
    let parts = |fresh: &NewContentKey| -> (String, String) {
        let secret: serde_json::Value = serde_json::from_str(fresh.secret()).unwrap();
        let part = |name: &str| secret[name].as_str().unwrap().to_owned();
        (part("certificate"), part("private_key"))
    };
    let ((certificate, private_key), (_, another)) = (parts(&one), parts(&other));
    let read = |certificate: &str, private_key: &str| {
        let secret = serde_json::json!({ "certificate": certificate, "private_key": private_key });
        new_key::parse_secret("c1".parse().unwrap(), at, &secret.to_string()).map(drop)
    };
    assert_eq!(read(&certificate, &private_key), Some(()));
    assert_eq!(read(&certificate, &another), None);
    assert_eq!(read(&private_key, &certificate), None);
    assert_eq!(read(&certificate, ""), None);
    assert!(new_key::parse_secret("c1".parse().unwrap(), at, "{}").is_none());
}

#[tokio::test]
async fn the_certificate_names_the_service_alone_and_no_private_key() {
    let fresh = new_content_key().await;
    assert!(fresh.id().as_str().starts_with("c20261122-") && fresh.id().as_str().len() == 18);
    let key = fresh.to_content_key("2026-11-22T09:00:00Z".parse().unwrap()).unwrap();
    let der = STANDARD.decode(key.certificate()).unwrap();
    let holds = |text: &str| der.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("Roombridge content"));
    assert!(holds("261121000000Z") && holds("291122000000Z"), "valid from yesterday, for 3 years");
    assert!((700..1_000).contains(&der.len()), "{}", der.len());
}

#[tokio::test]
async fn the_newest_key_is_current_and_older_ones_still_open() {
    let trial = fixture();
    assert_eq!(trial.current().await, None);
    let first = trial.add().await;
    assert_eq!(trial.current().await, None, "asked a moment ago");
    trial.pass(SignedDuration::from_secs(30));
    assert_eq!(trial.current().await, Some(first.clone()));
    let second = trial.add().await;
    assert_eq!(trial.current().await, Some(first.clone()), "for an hour");
    trial.pass(SignedDuration::from_secs(30));
    assert!(trial.keys.find(&second).await.unwrap().is_some(), "looked for at once");
    assert_eq!(trial.current().await, Some(second.clone()));
    assert!(trial.keys.find(&first).await.unwrap().is_some());
    assert_eq!(trial.source.loads(), 2, "each is read once");
}

#[tokio::test]
async fn after_a_long_rest_nothing_is_sealed_for_a_key_that_is_gone() {
    let trial = fixture();
    let first = trial.add().await;
    assert_eq!(trial.current().await, Some(first.clone()));
    trial.pass(SignedDuration::from_secs(1));
    let second = trial.add().await;
    trial.source.destroy(&first).await.unwrap();
    trial.pass(SignedDuration::from_hours(72));
    assert_eq!(trial.current().await, Some(second.clone()));
    trial.source.set_outage(true);
    trial.pass(SignedDuration::from_hours(72));
    assert_eq!(trial.current().await, Some(second), "old keys are better than none");
}

#[tokio::test]
async fn a_key_that_nobody_has_is_distinguished_from_a_vault_that_is_away() {
    let trial = fixture();
    let known = trial.add().await;
    let unknown: ContentKeyId = "c20200101-00000000".parse().unwrap();
    assert!(trial.keys.find(&known).await.unwrap().is_some());
    trial.pass(SignedDuration::from_secs(30));
    assert!(trial.keys.find(&unknown).await.unwrap().is_none(), "it is lost");
    trial.source.set_outage(true);
    assert!(trial.keys.find(&unknown).await.unwrap().is_none(), "looked for a moment ago");
    trial.pass(SignedDuration::from_secs(30));
    assert_eq!(trial.keys.find(&unknown).await.unwrap_err(), KeysUnavailable);
    assert!(trial.keys.find(&known).await.unwrap().is_some(), "known keys serve on");
    trial.pass(SignedDuration::from_hours(1));
    assert_eq!(
        trial.keys.find(&known).await.unwrap_err(),
        KeysUnavailable,
        "it may have been destroyed"
    );
    trial.pass(SignedDuration::from_secs(30));
    trial.source.set_outage(false);
    trial.source.destroy(&known).await.unwrap();
    trial.keys.reload_all().await.unwrap();
    assert!(trial.keys.find(&known).await.unwrap().is_none(), "what is destroyed is forgotten");
}

#[tokio::test]
async fn a_key_that_was_destroyed_opens_nothing_an_hour_later() {
    let trial = fixture();
    let first = trial.add().await;
    assert!(trial.keys.find(&first).await.unwrap().is_some());
    trial.source.destroy(&first).await.unwrap();
    trial.pass(SignedDuration::from_mins(59));
    assert!(trial.keys.find(&first).await.unwrap().is_some(), "the keys are held for an hour");
    trial.pass(SignedDuration::from_mins(1));
    assert!(trial.keys.find(&first).await.unwrap().is_none());
}

#[tokio::test]
async fn at_most_eight_keys_are_held() {
    let trial = fixture();
    for _ in 0..9 {
        trial.add().await;
        trial.pass(SignedDuration::from_secs(1));
    }
    let held = trial.keys.all().await.unwrap();
    assert_eq!(held.len(), MAX_CACHED_KEYS);
    assert_eq!(held[0].id(), &trial.source.ids()[8]);
}
