//! The content of an event as Graph encrypted it: nobody can read it without the private key, and it
//! travels as it came.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::ContentKeyId;

/// Encrypted content, all three parts in base64 as Graph wrote them
/// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedContent {
    /// The content, encrypted with a key of its own.
    pub data: String,
    /// That key, encrypted with the public key of the certificate.
    pub data_key: String,
    /// The HMAC of the encrypted content, made with that key.
    pub data_signature: String,
    pub certificate_id: ContentKeyId,
}

impl fmt::Debug for EncryptedContent {
    /// Which key opens it, and how large it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (certificate, bytes) = (&self.certificate_id, self.data.len());
        f.debug_struct("EncryptedContent")
            .field("certificate", certificate)
            .field("bytes", &bytes)
            .finish()
    }
}
