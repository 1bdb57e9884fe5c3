//! One key, and how it opens what Graph sealed for it.
//!
//! learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17, "Decrypting resource
//! data from change notifications": RSA-OAEP with SHA-1 gives a symmetric key; HMAC-SHA-256 with it over
//! the encrypted content is compared before anything is decrypted; AES-256-CBC with PKCS #7 padding,
//! whose initialisation vector is the first 16 bytes of the key.

use std::fmt;

use aws_lc_rs::{
    cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    iv::FixedLength,
    rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::domain::{encrypted_content::EncryptedContent, ids::ContentKeyId};

/// The most content that is opened, in characters of base64. An event's is a few thousand; 500
/// attendees, the most an event has (learn.microsoft.com/graph/api/resources/event), make 150,000.
const DATA_MAX: usize = 512 * 1024;
/// The longest sealed key, in characters of base64: that of RSA with 4,096 bits.
const DATA_KEY_MAX: usize = 684;
/// An HMAC-SHA-256 in base64 has this many characters.
const SIGNATURE_CHARS: usize = 44;
/// The symmetric key's bytes.
const KEY_BYTES: usize = 32;
/// A block of AES, in bytes; the initialisation vector is one.
const BLOCK: usize = 16;
/// What Graph takes, in bits (the same page).
const KEY_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// One key. The private part is parsed once and never shown.
pub struct ContentKey {
    id: ContentKeyId,
    created_at: Timestamp,
    certificate: String,
    private_key: OaepPrivateDecryptingKey,
}

impl fmt::Debug for ContentKey {
    /// Its name and age.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ContentKey");
        shown.field("id", &self.id).field("created_at", &self.created_at).finish_non_exhaustive()
    }
}

/// Sealed content that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It was sealed for another key.
    #[error("encrypted for another key")]
    WrongKey,
    /// It has not the form of sealed content, or is too large.
    #[error("not encrypted content")]
    Malformed,
    /// The key within cannot be had with ours, or is not one.
    #[error("the data key cannot be decrypted")]
    InvalidDataKey,
    /// It is not as it was when it was sealed.
    #[error("the data signature does not match")]
    InvalidSignature,
    /// It was signed, but makes no sense.
    #[error("the content cannot be decrypted")]
    InvalidCiphertext,
}

/// Content in the clear, for as long as it is held; it is wiped when dropped.
pub struct DecryptedContent(Zeroizing<Vec<u8>>);

impl DecryptedContent {
    /// The JSON, as Graph wrote it.
    pub fn json(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DecryptedContent {
    /// How large it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptedContent").field("bytes", &self.0.len()).finish()
    }
}

impl ContentKey {
    /// The key `id`: certificate (X.509) and private key (PKCS #8), both DER.
    /// `None` when they are no key, or do not belong together: everything sealed would be lost. The
    /// cryptography library says no more.
    pub fn new(
        id: ContentKeyId,
        created_at: Timestamp,
        certificate: &[u8],
        private_key: &[u8],
    ) -> Option<Self> {
        let private = PrivateDecryptingKey::from_pkcs8(private_key).ok()?;
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().ok()?;
        // A certificate holds its public key in the very same form (RFC 5280, 4.1).
        let public = public.as_ref();
        let belongs = certificate.windows(public.len()).any(|part| part == public);
        if !belongs || !KEY_BITS.contains(&private.key_size_bits()) {
            return None;
        }
        let private_key = OaepPrivateDecryptingKey::new(private).ok()?;
        Some(Self { id, created_at, certificate: STANDARD.encode(certificate), private_key })
    }

    /// Its name, as Graph repeats it.
    pub fn id(&self) -> &ContentKeyId {
        &self.id
    }

    /// When it came into the vault.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The certificate, which has the public key alone: DER in base64, as Graph wants it.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Opens what was sealed for this key. The signature is compared, in constant time, before
    /// anything is decrypted.
    pub fn decrypt(&self, sealed: &EncryptedContent) -> Result<DecryptedContent, DecryptError> {
        if sealed.certificate_id != self.id {
            return Err(DecryptError::WrongKey);
        }
        // Before anything is decoded: what is larger is not from Graph.
        let fits = sealed.data.len() <= DATA_MAX
            && sealed.data_key.len() <= DATA_KEY_MAX
            && sealed.data_signature.len() == SIGNATURE_CHARS;
        if !fits {
            return Err(DecryptError::Malformed);
        }
        let decoded = |text: &str| STANDARD.decode(text).map_err(|_| DecryptError::Malformed);
        let (data_key, signature) = (decoded(&sealed.data_key)?, decoded(&sealed.data_signature)?);
        let mut bytes = Zeroizing::new(decoded(&sealed.data)?);
        if bytes.is_empty() || bytes.len() % BLOCK != 0 {
            return Err(DecryptError::Malformed);
        }
        let key = self.unwrap_data_key(&data_key)?;
        let mac = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        hmac::verify(&mac, &bytes, &signature).map_err(|_| DecryptError::InvalidSignature)?;
        let length = decrypt_in_place(&key, &mut bytes)?;
        // What is cut off stays within the allocation, all of which is wiped.
        bytes.truncate(length);
        Ok(DecryptedContent(bytes))
    }

    fn unwrap_data_key(&self, data_key: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, DecryptError> {
        if data_key.len() != self.private_key.key_size_bytes() {
            return Err(DecryptError::InvalidDataKey);
        }
        let mut clear = Zeroizing::new(vec![0; self.private_key.min_output_size()]);
        let key = self.private_key.decrypt(&OAEP_SHA1_MGF1SHA1, data_key, &mut clear, None);
        let key: &[u8] = key.map_err(|_| DecryptError::InvalidDataKey)?;
        key.try_into().map(Zeroizing::new).map_err(|_| DecryptError::InvalidDataKey)
    }
}

/// Decrypts in place, and tells how long the content is.
fn decrypt_in_place(key: &[u8; KEY_BYTES], bytes: &mut [u8]) -> Result<usize, DecryptError> {
    let Some(vector) = key.first_chunk::<BLOCK>() else { return Err(DecryptError::InvalidDataKey) };
    let context = DecryptionContext::Iv128(FixedLength::from(vector));
    let aes = UnboundCipherKey::new(&AES_256, key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7);
    let aes = aes.map_err(|_| DecryptError::InvalidCiphertext)?;
    aes.decrypt(bytes, context)
        .map(|clear| clear.len())
        .map_err(|_| DecryptError::InvalidCiphertext)
}
