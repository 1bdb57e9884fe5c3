//! A signing key as Entra has them: RS256, published as a key set, named by `kid`.

use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde::Serialize;
use serde_json::{Value, json};

/// A key could not be made, or a token was not signed by it.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key could not be made.
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// The token could not be signed, or is not one of this key's.
    #[error("token: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
}

/// An RSA key of 2048 bits that signs tokens with RS256.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    public_pem: String,
    private: EncodingKey,
    public: DecodingKey,
    jwk: Jwk,
}

impl SigningKey {
    /// A new key, named by the thumbprint of its public half (RFC 7638).
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn generate() -> Result<Self, SigningError> {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let private = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())?;
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::RS256)?;
        let kid = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_algorithm = Some(KeyAlgorithm::RS256);
        let public = DecodingKey::from_jwk(&jwk)?;
        Ok(Self { kid, public_pem: pair.public_key_pem(), private, public, jwk })
    }

    /// The key's name, as tokens and the key set give it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A signed token with these claims, in compact form.
    ///
    /// # Errors
    /// [`SigningError::Token`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        self.sign_as(&self.kid, claims)
    }

    /// A token signed by this key that names another: a forgery, unless `kid` is its own.
    ///
    /// # Errors
    /// [`SigningError::Token`].
    pub fn sign_as(&self, kid: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }

    /// A token "signed" with HS256 and the public key as the shared secret: what an attacker makes
    /// for readers that let the token choose its algorithm.
    ///
    /// # Errors
    /// [`SigningError::Token`].
    pub fn sign_with_public_half(&self, claims: &impl Serialize) -> Result<String, SigningError> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.kid.clone());
        let secret = EncodingKey::from_secret(self.public_pem.as_bytes());
        Ok(jsonwebtoken::encode(&header, claims, &secret)?)
    }

    /// The public half as a key set with this one key. Entra's own sets give no `alg`, so neither
    /// does this: a reader must bring its own list of algorithms.
    pub fn jwks(&self) -> Value {
        jwks([self], None)
    }

    /// The claims of a token that this key signed. The signature is all that is checked: times,
    /// issuer and audience are the caller's, who has the clock.
    ///
    /// # Errors
    /// [`SigningError::Token`] when another key signed it, or nobody.
    pub fn verify(&self, token: &str) -> Result<Value, SigningError> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        Ok(jsonwebtoken::decode::<Value>(token, &self.public, &rules)?.claims)
    }
}

/// The `kid` that a token names, if it is one and names one.
pub fn kid_of(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

/// A token that nobody signed (`alg: none`, RFC 7519 section 6).
pub fn unsigned(claims: &Value) -> String {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    let header = json!({ "typ": "JWT", "alg": "none" }).to_string();
    format!("{}.{}.", BASE64.encode(header), BASE64.encode(claims.to_string()))
}

/// A key set with the public halves of several keys, as during a rollover; each names `issuer`, as the
/// keys of Entra's v2 endpoints do.
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a SigningKey>, issuer: Option<&str>) -> Value {
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|key| {
            let mut jwk = json!(key.jwk);
            if let Some(members) = jwk.as_object_mut() {
                members.remove("alg");
                if let Some(issuer) = issuer {
                    members.insert("issuer".to_owned(), json!(issuer));
                }
            }
            jwk
        })
        .collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_own_key_only() {
        let (ours, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let token = ours.sign(&json!({ "aud": "a", "exp": 1 })).unwrap();
        assert_eq!(ours.verify(&token).unwrap()["aud"], "a");
        assert!(other.verify(&token).is_err());
    }

    #[test]
    fn the_key_set_names_the_key() {
        let key = SigningKey::generate().unwrap();
        let set = key.jwks();
        assert_eq!(set["keys"][0]["kid"], key.kid());
        assert_eq!(set["keys"][0]["kty"], "RSA");
        assert!(set["keys"][0]["n"].is_string() && set["keys"][0].get("d").is_none());
    }
}
