//! The certificate that a rich subscription's content is sealed for (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).

use aws_lc_rs::digest;
use aws_lc_rs::rsa::PublicEncryptingKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// The sizes of RSA keys that are taken, in bits.
const KEY_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// The longest id of a certificate, in characters.
const ID_MAX: usize = 128;

/// A certificate that passed.
#[derive(Clone)]
pub(in crate::graph) struct Certificate {
    /// The id that its owner gave it.
    pub(in crate::graph) id: String,
    /// SHA-1 of the certificate in capital hexadecimal digits.
    pub(in crate::graph) thumbprint: String,
    pub(in crate::graph) key: PublicEncryptingKey,
}

impl Certificate {
    /// Reads base64 of a DER X.509 certificate (version 3) with an RSA key; who signed it and how
    /// long it is good for do not matter. Returns the refusal's text.
    pub(super) fn parse(text: &str, id: &str) -> Result<Self, &'static str> {
        if !(1..=ID_MAX).contains(&id.chars().count()) {
            return Err("encryptionCertificateId must be 1 to 128 characters.");
        }
        let der = BASE64.decode(text);
        let der = der.map_err(|_| "encryptionCertificate is not a base64-encoded certificate.")?;
        let der = CertificateDer::from(der);
        let parsed = ParsedCertificate::try_from(&der);
        let parsed = parsed.map_err(|_| "encryptionCertificate is not an X.509 certificate.")?;
        let key = PublicEncryptingKey::from_der(parsed.subject_public_key_info().as_ref());
        let key = key.ok().filter(|key| KEY_BITS.contains(&key.key_size_bits()));
        let key = key.ok_or("The certificate must have an RSA key of 2,048 to 4,096 bits.")?;
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        let thumbprint = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self { id: id.to_owned(), thumbprint, key })
    }
}
