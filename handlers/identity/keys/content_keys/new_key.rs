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

use super::key::ContentKey;
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
    secret: Zeroizing<String>,
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
    /// Makes a key, named after the day and by chance. Takes some tenths of a second of computing. `None`
    /// when the cryptography library makes none; it says no more.
    pub async fn generate(now: Timestamp, rng: &(dyn Rng + 'static)) -> Option<Self> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let id = format!("c{}-{:08x}", today.strftime("%Y%m%d"), rng.next_u64() as u32);
        let id: ContentKeyId = id.parse().ok()?;
        // On a thread where it holds nobody up.
        tokio::task::spawn_blocking(move || Self::with_certificate(id, today)).await.ok()?
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
        let private_key = Zeroizing::new(pair.serialize_der());
        let wire = SecretWire {
            certificate: STANDARD.encode(params.self_signed(&pair).ok()?.der()),
            private_key: Zeroizing::new(STANDARD.encode(&*private_key)),
        };
        Some(Self { id, secret: Zeroizing::new(serde_json::to_string(&wire).ok()?) })
    }

    /// Its name.
    pub fn id(&self) -> &ContentKeyId {
        &self.id
    }

    /// The same key, as of `created_at`.
    pub fn to_content_key(&self, created_at: Timestamp) -> Option<ContentKey> {
        parse_secret(self.id.clone(), created_at, &self.secret)
    }

    /// The text that is kept.
    pub(in crate::identity) fn secret(&self) -> &str {
        &self.secret
    }
}

/// Reads what [`NewContentKey::generate`] wrote, or an operator put there in the same form:
/// `{"certificate":"<DER in base64>","private_key":"<PKCS #8, DER in base64>"}`.
pub(in crate::identity) fn parse_secret(
    id: ContentKeyId,
    created_at: Timestamp,
    secret: &str,
) -> Option<ContentKey> {
    if secret.len() > SECRET_MAX {
        return None;
    }
    let wire: SecretWire = serde_json::from_str(secret).ok()?;
    let certificate = STANDARD.decode(&wire.certificate).ok()?;
    let private_key = Zeroizing::new(STANDARD.decode(wire.private_key.as_bytes()).ok()?);
    ContentKey::new(id, created_at, &certificate, &private_key)
}

fn offset_midnight(day: Date) -> azure_core::time::OffsetDateTime {
    date_time_ymd(i32::from(day.year()), day.month() as u8, day.day() as u8)
}
