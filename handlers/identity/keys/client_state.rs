//! The self-proving client state: a change notification that carries it comes from a subscription
//! that we made, for that tenant and that mailbox, and nothing has to be looked up to know it.
//!
//! Layout, base64url without padding: version (1 byte), length of the key id (1), key id (1 to 16),
//! tenant (16), mailbox (16), nonce (8, big-endian), the first 16 bytes of HMAC-SHA-256 over all
//! before. At most 99 characters; Graph takes 128 (learn.microsoft.com/graph/api/resources/subscription).

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{constant_time, hmac};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use crate::domain::ids::KeyId;
use crate::domain::ids::{MailboxId, TenantId};

/// The longest client state that Graph takes, in characters.
pub const MAX_CHARS: usize = 128;

const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Tenant, mailbox and nonce.
const CLAIMS_BYTES: usize = 16 + 16 + 8;

/// One key. Its bytes are never shown.
#[derive(Clone)]
pub struct SecretKey {
    id: KeyId,
    bytes: [u8; KEY_BYTES],
    hmac: hmac::Key,
}

impl SecretKey {
    /// The key `id` with these bytes.
    pub fn new(id: KeyId, bytes: &[u8; 32]) -> Self {
        Self { id, bytes: *bytes, hmac: hmac::Key::new(hmac::HMAC_SHA256, bytes) }
    }

    /// Its name.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key itself, for what is sealed with it.
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn tag(&self, claims: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac::sign(&self.hmac, claims);
        let mut tag = [0; TAG_BYTES];
        // Half of it, as little as RFC 2104 (section 5) allows, so that the text stays short.
        tag.copy_from_slice(&whole.as_ref()[..TAG_BYTES]);
        tag
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The keys we prove with, and the one that new client states are made with.
#[derive(Debug, Clone)]
pub struct KeySet {
    current: SecretKey,
    others: BTreeMap<KeyId, SecretKey>,
    /// When each was made, as far as that is known.
    created_at: BTreeMap<KeyId, Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct KeySetWire {
    current: KeyId,
    keys: BTreeMap<KeyId, Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    made: BTreeMap<KeyId, Timestamp>,
}

impl KeySet {
    /// `current` for new client states; `others` still prove old ones.
    pub fn new(current: SecretKey, others: impl IntoIterator<Item = SecretKey>) -> Self {
        let others = others.into_iter().map(|key| (key.id.clone(), key)).collect();
        Self { current, others, created_at: BTreeMap::new() }
    }

    /// Reads `{"current":"k1","keys":{"k1":"<base64 of 32 bytes>"},"made":{"k1":"<instant>"}}`; `made`
    /// may lack keys, or be absent. `None` for anything else; nothing of it is repeated.
    pub fn from_json(text: &str) -> Option<Self> {
        let wire: KeySetWire = serde_json::from_str(text).ok()?;
        let key = |(id, bytes): (KeyId, Zeroizing<String>)| {
            let bytes: [u8; KEY_BYTES] = STANDARD.decode(bytes.as_bytes()).ok()?.try_into().ok()?;
            Some((id.clone(), SecretKey::new(id, &bytes)))
        };
        let keys: Option<_> = wire.keys.into_iter().map(key).collect();
        let mut others: BTreeMap<KeyId, SecretKey> = keys?;
        let current = others.remove(&wire.current)?;
        Some(Self { current, others, created_at: wire.made })
    }

    /// What [`KeySet::from_json`] reads.
    pub(in crate::identity) fn to_json(&self) -> serde_json::Result<Zeroizing<String>> {
        let text = |key: &SecretKey| Zeroizing::new(STANDARD.encode(key.bytes));
        let wire = KeySetWire {
            current: self.current.id.clone(),
            keys: self.iter().map(|key| (key.id.clone(), text(key))).collect(),
            made: self.created_at.clone(),
        };
        serde_json::to_string(&wire).map(Zeroizing::new)
    }

    fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(self.others.values())
    }

    /// The key for new client states.
    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    /// The other keys, which still prove what was made with them.
    pub fn others(&self) -> impl Iterator<Item = &SecretKey> {
        self.others.values()
    }

    /// When the key of this name was made, if that is known.
    pub fn created_at(&self, id: &KeyId) -> Option<Timestamp> {
        self.created_at.get(id).copied()
    }

    /// The same keys; those of unknown age count as made at `at`.
    pub fn with_default_created_at(mut self, at: Timestamp) -> Self {
        for id in self.iter().map(|key| key.id.clone()).collect::<Vec<_>>() {
            self.created_at.entry(id).or_insert(at);
        }
        self
    }

    /// The same keys and `key`, made at `at`: not current yet, so that everybody can learn of it
    /// before anything is made with it.
    pub fn with_key(mut self, key: SecretKey, at: Timestamp) -> Self {
        self.created_at.insert(key.id.clone(), at);
        self.others.insert(key.id.clone(), key);
        self
    }

    /// The same keys, with `id` as the current one, which counts as made `at` then; a name that is
    /// not among them changes nothing.
    pub fn promote(mut self, id: &KeyId, at: Timestamp) -> Self {
        // The others stay: what was made with them is still out there.
        if let Some(key) = self.others.remove(id) {
            self.created_at.insert(key.id.clone(), at);
            let before = std::mem::replace(&mut self.current, key);
            self.others.insert(before.id.clone(), before);
        }
        self
    }

    /// The same keys but those that are called so; the current one stays in any case.
    pub fn without(mut self, ids: &[KeyId]) -> Self {
        self.others.retain(|id, _| !ids.contains(id));
        let (current, others) = (&self.current, &self.others);
        self.created_at.retain(|id, _| *id == current.id || others.contains_key(id));
        self
    }

    /// The key of this name.
    pub fn get(&self, id: &KeyId) -> Option<&SecretKey> {
        if self.current.id == *id { Some(&self.current) } else { self.others.get(id) }
    }
}

/// What a client state proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientStateClaims {
    pub tenant: TenantId,
    pub mailbox: MailboxId,
    /// Which of the mailbox's subscriptions; the worker compares it with the stored ones.
    pub nonce: u64,
}

/// A client state that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientStateError {
    /// It has not our form.
    #[error("not a client state of ours")]
    Malformed,
    /// It names a key we do not have (yet): ask [`crate::identity::keys::KeyRing::keys_including`].
    #[error("made with an unknown key")]
    UnknownKey(KeyId),
    /// It names a key of ours and was not made with it.
    #[error("forged")]
    Forged,
}

/// Makes the client state of a subscription.
pub fn issue(key: &SecretKey, tenant: TenantId, mailbox: MailboxId, nonce: u64) -> String {
    let id = key.id.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(2 + id.len() + CLAIMS_BYTES + TAG_BYTES);
    bytes.push(VERSION);
    bytes.push(id.len() as u8);
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(tenant.0.as_bytes());
    bytes.extend_from_slice(mailbox.0.as_bytes());
    bytes.extend_from_slice(&nonce.to_be_bytes());
    let tag = key.tag(&bytes);
    bytes.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Proves a client state. The tag is compared in constant time.
pub fn verify(keys: &KeySet, text: &str) -> Result<ClientStateClaims, ClientStateError> {
    // Before it is decoded: anybody can send one.
    if text.len() > MAX_CHARS {
        return Err(ClientStateError::Malformed);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ClientStateError::Malformed)?;
    let (signed, tag) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(ClientStateError::Malformed)?;
    let [VERSION, length, rest @ ..] = signed else { return Err(ClientStateError::Malformed) };
    let (id, claims) =
        rest.split_at_checked(usize::from(*length)).ok_or(ClientStateError::Malformed)?;
    let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    let id: KeyId = id.ok_or(ClientStateError::Malformed)?;
    let (tenant, claims) = claims.split_first_chunk::<16>().ok_or(ClientStateError::Malformed)?;
    let (mailbox, nonce) = claims.split_first_chunk::<16>().ok_or(ClientStateError::Malformed)?;
    let nonce: [u8; 8] = nonce.try_into().map_err(|_| ClientStateError::Malformed)?;
    // Only one of our form may cost a look into the vault.
    let Some(key) = keys.get(&id) else { return Err(ClientStateError::UnknownKey(id)) };
    constant_time::verify_slices_are_equal(&key.tag(signed), tag)
        .map_err(|_| ClientStateError::Forged)?;
    Ok(ClientStateClaims {
        tenant: TenantId(Uuid::from_bytes(*tenant)),
        mailbox: MailboxId(Uuid::from_bytes(*mailbox)),
        nonce: u64::from_be_bytes(nonce),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{rng::Rng, test_support::SeededRng};

    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. ";

    fn key(id: &str, byte: u8) -> SecretKey {
        SecretKey::new(id.parse().unwrap(), &[byte; 32])
    }

    fn keys() -> KeySet {
        KeySet::new(key("k2", 2), [key("k1", 1)])
    }

    fn ids(rng: &(dyn Rng + 'static)) -> (TenantId, MailboxId, u64) {
        (TenantId(rng.uuid()), MailboxId(rng.uuid()), rng.next_u64())
    }

    #[test]
    fn what_was_issued_is_proved_and_fits_graphs_limit() {
        let rng = SeededRng::new(1);
        let keys = KeySet::new(key("a-key-id-16-long", 3), [key("k", 1)]);
        for id in ["a-key-id-16-long", "k"] {
            for _ in 0..100 {
                let (tenant, mailbox, nonce) = ids(&rng);
                let text = issue(keys.get(&id.parse().unwrap()).unwrap(), tenant, mailbox, nonce);
                assert!(text.len() <= 99, "{}", text.len());
                assert_eq!(verify(&keys, &text), Ok(ClientStateClaims { tenant, mailbox, nonce }));
            }
        }
    }

    #[test]
    fn every_change_of_a_single_character_is_refused() {
        let (tenant, mailbox, nonce) = ids(&SeededRng::new(2));
        let text = issue(keys().current(), tenant, mailbox, nonce);
        for place in 0..text.len() {
            for letter in LETTERS.iter().filter(|letter| **letter != text.as_bytes()[place]) {
                let mut changed = text.clone().into_bytes();
                changed[place] = *letter;
                let changed = String::from_utf8(changed).unwrap();
                assert!(verify(&keys(), &changed).is_err(), "{place} {changed}");
            }
        }
    }

    #[test]
    fn every_cut_and_every_longer_text_is_refused() {
        let (tenant, mailbox, nonce) = ids(&SeededRng::new(3));
        let text = issue(keys().current(), tenant, mailbox, nonce);
        for end in 0..text.len() {
            assert!(verify(&keys(), &text[..end]).is_err(), "{end}");
        }
        for more in ["A", "AA", "AAAA", "=", "\n", &"A".repeat(5_000_000)] {
            assert!(verify(&keys(), &format!("{text}{more}")).is_err());
        }
    }

    #[test]
    fn random_texts_are_refused() {
        let rng = SeededRng::new(4);
        let rng: &dyn Rng = &rng;
        for _ in 0..10_000 {
            let mut bytes = vec![0; rng.below(97) as usize];
            rng.fill(&mut bytes);
            // The first bytes right, so that the rest is looked at.
            for (byte, right) in bytes.iter_mut().zip([VERSION, 2, b'k', b'2']) {
                *byte = right;
            }
            assert!(verify(&keys(), &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }

    #[test]
    fn a_key_that_is_not_there_is_named_and_a_wrong_one_is_a_forgery() {
        let (tenant, mailbox, nonce) = ids(&SeededRng::new(5));
        let unknown = issue(&key("k9", 9), tenant, mailbox, nonce);
        assert_eq!(
            verify(&keys(), &unknown),
            Err(ClientStateError::UnknownKey("k9".parse().unwrap()))
        );
        let forged = issue(&key("k2", 9), tenant, mailbox, nonce);
        assert_eq!(verify(&keys(), &forged), Err(ClientStateError::Forged));
        let older = issue(&key("k1", 1), tenant, mailbox, nonce);
        assert!(verify(&keys(), &older).is_ok(), "the key before still proves");
    }

    #[test]
    fn stored_keys_are_read_or_refused_whole_and_never_shown() {
        let k1 = STANDARD.encode([1; 32]);
        let good = format!(r#"{{"current":"k1","keys":{{"k1":"{k1}","k0":"{k1}"}}}}"#);
        let keys = KeySet::from_json(&good).unwrap();
        assert_eq!(keys.current().id(), &"k1".parse().unwrap());
        assert!(keys.get(&"k0".parse().unwrap()).is_some());
        assert!(!format!("{keys:?}").contains(&k1));
        for bad in [
            "",
            "{}",
            r#"{"current":"k1","keys":{}}"#,
            r#"{"current":"k1","keys":{"k1":"c2hvcnQ="}}"#,
            &good.replace("\"k0\"", "\"not an id\""),
            &good.replace("\"current\":\"k1\"", "\"current\":\"k7\""),
        ] {
            assert!(KeySet::from_json(bad).is_none(), "{bad}");
        }
    }
}
