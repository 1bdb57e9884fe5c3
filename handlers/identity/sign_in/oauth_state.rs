//! What ties the browser that comes back from Entra to the one that was sent there.

use aws_lc_rs::{constant_time, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};

use crate::base::rng::Rng;

/// How long somebody may take at Entra.
pub(in crate::identity) const FLOW_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// 256 random bits as 43 letters, digits, hyphens and underscores: fit to be a PKCE verifier
/// (RFC 7636, 4.1), a state and a nonce.
pub(in crate::identity) fn random_token(rng: &dyn Rng) -> String {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 of `text`, in 43 letters, digits, hyphens and underscores.
pub(in crate::identity) fn sha256_base64url(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Whether the texts are equal; how long that takes does not tell where they differ.
pub(in crate::identity) fn constant_time_eq(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// Whether the time is over for somebody who was sent away at `started`.
pub(in crate::identity) fn is_expired(started: Timestamp, now: Timestamp) -> bool {
    now.duration_since(started) >= FLOW_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_support::SeededRng;

    #[test]
    fn the_challenge_is_that_of_the_specification() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(sha256_base64url(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn secrets_are_long_enough_for_a_verifier_and_never_the_same() {
        let rng = SeededRng::new(1);
        let (one, other) = (random_token(&rng), random_token(&rng));
        assert_eq!(one.len(), 43);
        assert!(
            !constant_time_eq(&one, &other)
                && constant_time_eq(&one, &one.clone())
                && !constant_time_eq(&one, &one[1..])
        );
    }
}
