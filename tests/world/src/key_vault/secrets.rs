//! What the vault holds: versions of secrets, deleted secrets, and the rules for both.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// How long a deleted secret can be recovered: the default of a vault
/// (learn.microsoft.com/azure/key-vault/general/soft-delete-overview).
const RECOVERABLE_DAYS: i64 = 90;
/// For how long a vault deletes: until then a purge is refused with 409 `ObjectIsBeingDeleted`. No
/// document gives a figure; people wait some seconds
/// (github.com/hashicorp/terraform-provider-azurerm/issues/10454, github.com/Azure/azure-cli/issues/12722).
const DELETION_TIME: SignedDuration = SignedDuration::from_secs(20);
/// The longest name, and what it may hold
/// (learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates, "Object identifiers").
const NAME_MAX: usize = 127;
/// The largest value in bytes (learn.microsoft.com/azure/key-vault/secrets/about-secrets).
const VALUE_MAX: usize = 25_000;
/// The most tags, and the longest name or value of one (same page).
const TAGS_MAX: usize = 15;
const TAG_MAX: usize = 256;
/// The longest content type (same page).
const CONTENT_TYPE_MAX: usize = 255;

/// Everything the vault holds and counts.
pub(super) struct VaultState {
    /// Versions of each secret, oldest first.
    pub(super) live: BTreeMap<String, Vec<SecretVersion>>,
    pub(super) deleted: BTreeMap<String, DeletedSecret>,
    pub(super) outage: bool,
    pub(super) read_only: bool,
    pub(super) reads: u64,
    pub(super) lists: u64,
    pub(super) writes: u64,
    pub(super) deletion_time: SignedDuration,
}

impl Default for VaultState {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            deleted: BTreeMap::new(),
            outage: false,
            read_only: false,
            reads: 0,
            lists: 0,
            writes: 0,
            deletion_time: DELETION_TIME,
        }
    }
}

/// A secret that was deleted and can be recovered.
pub(super) struct DeletedSecret {
    pub(super) versions: Vec<SecretVersion>,
    pub(super) at: Timestamp,
}

/// One version of a secret.
pub(super) struct SecretVersion {
    pub(super) id: String,
    pub(super) value: String,
    pub(super) created: Timestamp,
    updated: Timestamp,
    pub(super) enabled: bool,
    not_before: Option<i64>,
    expires: Option<i64>,
    content_type: Option<String>,
    tags: Option<Map<String, Value>>,
}

impl VaultState {
    pub(super) fn add(&mut self, name: &str, version: SecretVersion) {
        let earlier = self.deleted.remove(name).map(|d| d.versions);
        let versions = self.live.entry(name.to_owned()).or_default();
        versions.extend(earlier.into_iter().flatten());
        versions.push(version);
    }

    /// Drops the deleted secrets whose time to be recovered is over.
    pub(super) fn purge_due(&mut self, now: Timestamp) {
        self.deleted.retain(|_, deleted| now < deleted.purged_at());
    }
}

impl DeletedSecret {
    pub(super) fn purged_at(&self) -> Timestamp {
        self.at + SignedDuration::from_hours(24 * RECOVERABLE_DAYS)
    }
}

impl SecretVersion {
    pub(super) fn new(id: String, value: &str, now: Timestamp) -> Self {
        Self {
            id,
            value: value.to_owned(),
            created: now,
            updated: now,
            enabled: true,
            not_before: None,
            expires: None,
            content_type: None,
            tags: None,
        }
    }

    /// A version from the body of a PUT; the refusal's text where it breaks a rule.
    pub(super) fn read(id: String, body: &Value, now: Timestamp) -> Result<Self, &'static str> {
        let value = body["value"].as_str().ok_or("Property value is missing.")?;
        if value.len() > VALUE_MAX {
            return Err("The value is longer than 25,000 bytes.");
        }
        let mut version = Self::new(id, value, now);
        version.change(body, now)?;
        Ok(version)
    }

    /// Changes everything but the value, as far as the body names it (learn.microsoft.com/rest/api/
    /// keyvault/secrets/update-secret: "attributes that are not specified are left unchanged").
    pub(super) fn change(&mut self, body: &Value, now: Timestamp) -> Result<(), &'static str> {
        if let Some(kind) = body["contentType"].as_str() {
            if kind.chars().count() > CONTENT_TYPE_MAX {
                return Err("The content type is longer than 255 characters.");
            }
            self.content_type = Some(kind.to_owned());
        }
        if let Some(tags) = body["tags"].as_object() {
            let fits = |text: &str| text.chars().count() <= TAG_MAX;
            let good =
                |(name, value): (&String, &Value)| fits(name) && value.as_str().is_some_and(fits);
            if tags.len() > TAGS_MAX || !tags.iter().all(good) {
                return Err("At most 15 tags, with names and values of up to 256 characters.");
            }
            self.tags = Some(tags.clone());
        }
        let attributes = &body["attributes"];
        self.enabled = attributes["enabled"].as_bool().unwrap_or(self.enabled);
        self.not_before = attributes["nbf"].as_i64().or(self.not_before);
        self.expires = attributes["exp"].as_i64().or(self.expires);
        self.updated = now;
        Ok(())
    }

    /// As every answer shows it: `id` and what is known of it, never the value.
    pub(super) fn to_json(&self, id: &str) -> Value {
        let mut attributes = json!({
            "enabled": self.enabled,
            "created": self.created.as_second(),
            "updated": self.updated.as_second(),
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        });
        for (name, value) in [("nbf", self.not_before), ("exp", self.expires)] {
            if let Some(value) = value {
                attributes[name] = json!(value);
            }
        }
        let mut shown = json!({ "id": id, "attributes": attributes });
        if let Some(kind) = &self.content_type {
            shown["contentType"] = json!(kind);
        }
        if let Some(tags) = &self.tags {
            shown["tags"] = json!(tags);
        }
        shown
    }
}

/// Whether a secret can be called so.
pub(super) fn is_valid_name(name: &str) -> bool {
    let fits = (1..=NAME_MAX).contains(&name.len());
    fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
