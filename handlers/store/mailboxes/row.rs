//! A mailbox's row: scalars as properties of their own, what has structure as JSON text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::wire::{AsText, HowWire, JsonText, Nonce, RegistrationWire, as_text, count, maybe_text},
    BookingDisposition, Consent, Health, Mailbox, MailboxKind, MailboxState, MailboxSubscription,
    PollingState,
};
use crate::domain::{
    decision::ConsentCapacity,
    drift::Drift,
    ids::{ContentKeyId, InvalidId, KeyId, MailboxId, TenantId},
    keys::Digest,
    policy::Registration,
};

/// Both halves of something in two properties, or neither; one alone is not understood.
fn both<A, B>(one: Option<A>, other: Option<B>) -> Result<Option<(A, B)>, InvalidId> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(InvalidId),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MailboxRow {
    #[serde(with = "as_text")]
    tenant: TenantId,
    #[serde(with = "as_text")]
    mailbox: MailboxId,
    #[serde(with = "KindWire")]
    kind: MailboxKind,
    state: JsonText<State>,
    #[serde(with = "count")]
    consent_epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription: Option<JsonText<SubscriptionWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polling: Option<JsonText<PolledWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent: Option<JsonText<ConsentWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health: Option<JsonText<HealthWire>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailboxKind")]
enum KindWire {
    Person,
    Room,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct State(#[serde(with = "StateWire")] MailboxState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailboxState")]
enum StateWire {
    Active,
    Paused,
    Withdrawn(#[serde(with = "FarewellWire")] BookingDisposition),
    Erased(#[serde(with = "FarewellWire")] BookingDisposition, Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "BookingDisposition")]
enum FarewellWire {
    KeepAnonymous,
    Release,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct SubscriptionWire(#[serde(with = "SubscriptionParts")] MailboxSubscription);

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailboxSubscription")]
struct SubscriptionParts {
    id: String,
    expires_at: Timestamp,
    next_due_at: Timestamp,
    renewed_at: Timestamp,
    #[serde(with = "RegistrationWire")]
    registration: Registration,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    client_state_key: Option<KeyId>,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    content_key: Option<ContentKeyId>,
}

#[derive(Serialize, Deserialize)]
struct HealthWire {
    last_notification_at: Option<Timestamp>,
    drift: Option<DriftWire>,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    drift_basis: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced_as_dead_at: Option<Timestamp>,
    over_quota_since: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct DriftWire(#[serde(with = "DriftParts")] Drift);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Drift")]
struct DriftParts {
    at: Timestamp,
    missing: u32,
    orphaned: u32,
    different: u32,
}

impl From<Health> for HealthWire {
    fn from(health: Health) -> Self {
        let Health {
            last_notification_at: heard,
            drift,
            drift_basis: basis,
            replaced_as_dead_at: silent,
            over_quota_since: over_quota,
        } = health;
        Self {
            last_notification_at: heard,
            drift: drift.map(DriftWire),
            drift_basis: basis,
            replaced_as_dead_at: silent,
            over_quota_since: over_quota,
        }
    }
}

impl From<HealthWire> for Health {
    fn from(wire: HealthWire) -> Self {
        let HealthWire {
            last_notification_at: heard,
            drift,
            drift_basis: basis,
            replaced_as_dead_at: silent,
            over_quota_since: over_quota,
        } = wire;
        Self {
            last_notification_at: heard,
            drift: drift.map(|DriftWire(drift)| drift),
            drift_basis: basis,
            replaced_as_dead_at: silent,
            over_quota_since: over_quota,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PolledWire(#[serde(with = "PolledParts")] PollingState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "PollingState")]
struct PolledParts {
    since: Timestamp,
    next_due_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ConsentWire(#[serde(with = "ConsentParts")] Consent);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Consent")]
struct ConsentParts {
    #[serde(with = "as_text")]
    given_by: MailboxId,
    #[serde(with = "HowWire")]
    capacity: ConsentCapacity,
    given_at: Timestamp,
    text_version: String,
}

impl From<Mailbox> for MailboxRow {
    fn from(mailbox: Mailbox) -> Self {
        let Mailbox { tenant, id, kind, state, consent_epoch: epoch, .. } = mailbox;
        let Mailbox {
            nonce, previous_nonce, subscription, polling: polled, consent, health, ..
        } = mailbox;
        Self {
            tenant,
            mailbox: id,
            kind,
            state: JsonText(State(state)),
            consent_epoch: epoch,
            nonce: nonce.map(|nonce| AsText(Nonce(nonce))),
            previous_nonce: previous_nonce.map(|(nonce, _)| AsText(Nonce(nonce))),
            previous_nonce_until: previous_nonce.map(|(_, until)| until),
            subscription: subscription.map(|s| JsonText(SubscriptionWire(s))),
            polling: polled.map(|p| JsonText(PolledWire(p))),
            consent: consent.map(|c| JsonText(ConsentWire(c))),
            health: (health != Health::default()).then(|| JsonText(health.into())),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "MailboxRow")]
pub(super) struct StoredMailbox(pub(super) Mailbox);

impl TryFrom<MailboxRow> for StoredMailbox {
    type Error = InvalidId;

    fn try_from(row: MailboxRow) -> Result<Self, InvalidId> {
        let previous_nonce = both(row.previous_nonce, row.previous_nonce_until)?
            .map(|(AsText(Nonce(nonce)), until)| (nonce, until));
        let JsonText(State(state)) = row.state;
        Ok(Self(Mailbox {
            tenant: row.tenant,
            id: row.mailbox,
            kind: row.kind,
            state,
            consent_epoch: row.consent_epoch,
            nonce: row.nonce.map(|AsText(Nonce(nonce))| nonce),
            previous_nonce,
            subscription: row.subscription.map(|JsonText(SubscriptionWire(s))| s),
            polling: row.polling.map(|JsonText(PolledWire(p))| p),
            consent: row.consent.map(|JsonText(ConsentWire(c))| c),
            health: row.health.map(|JsonText(health)| health.into()).unwrap_or_default(),
        }))
    }
}
