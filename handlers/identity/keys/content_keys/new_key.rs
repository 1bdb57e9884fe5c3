//! A new key: RSA with 2,048 bits and a certificate of its own making.
//!
//! 4,096 bits would cost five times as much for every notification, and Graph takes 2,048
//! (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17: RSA, 2,048 to 4,096
//! bits, self-signed allowed).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::key::{ContentKey, ContentKeyError};
use crate::{base::rng::Rng, domain::ids::ContentKeyId};

/// What the certificate names: the service, and nobody's tenant.
const SUBJECT: &str = "Roombridge content";

/// How long the certificate is valid, in years: far beyond its use, since a key is destroyed on
/// schedule, and not because its certificate ran out.
const VALID_YEARS: i64 = 3;

/// The longest secret that is read, in bytes; a vault takes 25 KB
/// (learn.microsoft.com/azure/key-vault/secrets/about-secrets).
const SECRET_MAX: usize = 25_000;

/// A key that is not kept anywhere yet. It is wiped when dropped.
pub struct NewContentKey {
    id: ContentKeyId,
    certificate: Vec<u8>,
    private_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for NewContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewContentKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The secret in the vault.
#[derive(Serialize, Deserialize)]
struct SecretWire {
    certificate: String,
    private_key: Zeroizing<String>,
}

impl NewContentKey {
    /// Makes a key, named after the day and by chance. Takes some tenths of a second of computing.
    pub async fn generate(
        now: Timestamp,
        rng: &(dyn Rng + 'static),
    ) -> Result<Self, ContentKeyError> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let id = format!("c{}-{:08x}", today.strftime("%Y%m%d"), rng.next_u64() as u32);
        let id: ContentKeyId = id.parse().map_err(|_| ContentKeyError::Generation)?;
        // On a thread where it holds nobody up.
        let made = tokio::task::spawn_blocking(move || Self::with_certificate(id, today)).await;
        made.ok().flatten().ok_or(ContentKeyError::Generation)
    }

    fn with_certificate(id: ContentKeyId, today: Date) -> Option<Self> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).ok()?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, SUBJECT);
        // From yesterday on: Graph's clock may be behind ours.
        let from = today.saturating_sub(1.day());
        let until = today.saturating_add(VALID_YEARS.years());
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (offset_midnight(from), offset_midnight(until));
        params.distinguished_name = subject;
        let certificate = params.self_signed(&pair).ok()?.der().to_vec();
        Some(Self { id, certificate, private_key: Zeroizing::new(pair.serialize_der()) })
    }

    /// Its name.
    pub fn id(&self) -> &ContentKeyId {
        &self.id
    }

    /// The same key, as of `created_at`.
    pub fn to_content_key(&self, created_at: Timestamp) -> Result<ContentKey, ContentKeyError> {
        ContentKey::new(self.id.clone(), created_at, &self.certificate, &self.private_key)
    }

    /// The text that is kept.
    pub(in crate::identity) fn to_secret(&self) -> serde_json::Result<Zeroizing<String>> {
        let wire = SecretWire {
            certificate: STANDARD.encode(&self.certificate),
            private_key: Zeroizing::new(STANDARD.encode(&*self.private_key)),
        };
        serde_json::to_string(&wire).map(Zeroizing::new)
    }
}

/// Reads what [`NewContentKey::to_secret`] wrote, or an operator put there in the same form:
/// `{"certificate":"<DER in base64>","private_key":"<PKCS #8, DER in base64>"}`.
pub(in crate::identity) fn parse_secret(
    id: ContentKeyId,
    made_at: Timestamp,
    secret: &str,
) -> Result<ContentKey, ContentKeyError> {
    if secret.len() > SECRET_MAX {
        return Err(ContentKeyError::Invalid);
    }
    let wire: SecretWire = serde_json::from_str(secret).map_err(|_| ContentKeyError::Invalid)?;
    let certificate = STANDARD.decode(&wire.certificate).map_err(|_| ContentKeyError::Invalid)?;
    let private_key =
        STANDARD.decode(wire.private_key.as_bytes()).map_err(|_| ContentKeyError::Invalid)?;
    ContentKey::new(id, made_at, &certificate, &Zeroizing::new(private_key))
}

fn offset_midnight(day: Date) -> azure_core::time::OffsetDateTime {
    date_time_ymd(i32::from(day.year()), day.month() as u8, day.day() as u8)
}
