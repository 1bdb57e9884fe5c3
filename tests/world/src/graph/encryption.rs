//! Sealing the content of a rich notification (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use roombridge::base::rng::Rng;
use serde_json::{Value, json};

use super::subscriptions::Certificate;

/// The length of the symmetric key, in bytes.
const KEY_BYTES: usize = 32;
/// The initialisation vector is that many first bytes of the symmetric key.
const IV_BYTES: usize = 16;

/// `encryptedContent` of one item, with a symmetric key of its own: that key under RSA-OAEP (SHA-1),
/// the content under AES-256-CBC with PKCS7 padding, and HMAC-SHA-256 over what was encrypted.
pub(super) fn encrypt_content(
    content: &Value,
    certificate: &Certificate,
    rng: &dyn Rng,
) -> Result<Value, Unspecified> {
    let mut key = [0; KEY_BYTES];
    rng.fill(&mut key);
    let mut vector = [0; IV_BYTES];
    vector.copy_from_slice(&key[..IV_BYTES]);
    let mut data = content.to_string().into_bytes();
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key)?)?;
    cipher.less_safe_encrypt(&mut data, EncryptionContext::Iv128(FixedLength::from(vector)))?;
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
    let public = OaepPublicEncryptingKey::new(certificate.key.clone())?;
    let mut room = vec![0; public.ciphertext_size()];
    let data_key = public.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut room, None)?;
    Ok(json!({
        "data": BASE64.encode(&data),
        "dataSignature": BASE64.encode(signature.as_ref()),
        "dataKey": BASE64.encode(&*data_key),
        "encryptionCertificateId": certificate.id,
        "encryptionCertificateThumbprint": certificate.thumbprint,
    }))
}
