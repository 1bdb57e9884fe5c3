//! A mailbox's row: scalars as properties of their own, what has structure as JSON text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::wire::{AsText, HowWire, JsonText, Nonce, RegistrationWire, as_text, count, maybe_text},
    Consent, Farewell, Health, Mailbox, MailboxKind, MailboxState, Polled, SubscriptionRow,
};
use crate::domain::{
    decision::How,
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
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription: Option<JsonText<SubscriptionWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polled: Option<JsonText<PolledWire>>,
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
    Withdrawn(#[serde(with = "FarewellWire")] Farewell),
    Erased(#[serde(with = "FarewellWire")] Farewell, Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Farewell")]
enum FarewellWire {
    Anonymous,
    Released,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct SubscriptionWire(#[serde(with = "SubscriptionParts")] SubscriptionRow);

#[derive(Serialize, Deserialize)]
#[serde(remote = "SubscriptionRow")]
struct SubscriptionParts {
    id: String,
    expires: Timestamp,
    renew_due: Timestamp,
    renewed_at: Timestamp,
    #[serde(with = "RegistrationWire")]
    registration: Registration,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    state_key: Option<KeyId>,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    content_key: Option<ContentKeyId>,
}

#[derive(Serialize, Deserialize)]
struct HealthWire {
    heard: Option<Timestamp>,
    drift: Option<DriftWire>,
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    basis: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    silent: Option<Timestamp>,
    over_quota: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct DriftWire(#[serde(with = "DriftParts")] Drift);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Drift")]
struct DriftParts {
    at: Timestamp,
    missing: u32,
    left_over: u32,
    different: u32,
}

impl From<Health> for HealthWire {
    fn from(health: Health) -> Self {
        let Health { heard, drift, basis, silent, over_quota } = health;
        Self { heard, drift: drift.map(DriftWire), basis, silent, over_quota }
    }
}

impl From<HealthWire> for Health {
    fn from(wire: HealthWire) -> Self {
        let HealthWire { heard, drift, basis, silent, over_quota } = wire;
        Self { heard, drift: drift.map(|DriftWire(drift)| drift), basis, silent, over_quota }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PolledWire(#[serde(with = "PolledParts")] Polled);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Polled")]
struct PolledParts {
    since: Timestamp,
    due: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ConsentWire(#[serde(with = "ConsentParts")] Consent);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Consent")]
struct ConsentParts {
    #[serde(with = "as_text")]
    by: MailboxId,
    #[serde(with = "HowWire")]
    how: How,
    at: Timestamp,
    text_version: String,
}

impl From<Mailbox> for MailboxRow {
    fn from(mailbox: Mailbox) -> Self {
        let Mailbox { tenant, id, kind, state, epoch, .. } = mailbox;
        let Mailbox { nonce, previous_nonce, subscription, polled, consent, health, .. } = mailbox;
        Self {
            tenant,
            mailbox: id,
            kind,
            state: JsonText(State(state)),
            epoch,
            nonce: nonce.map(|nonce| AsText(Nonce(nonce))),
            previous_nonce: previous_nonce.map(|(nonce, _)| AsText(Nonce(nonce))),
            previous_nonce_until: previous_nonce.map(|(_, until)| until),
            subscription: subscription.map(|s| JsonText(SubscriptionWire(s))),
            polled: polled.map(|p| JsonText(PolledWire(p))),
            consent: consent.map(|c| JsonText(ConsentWire(c))),
            health: (health != Health::default()).then(|| JsonText(health.into())),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "MailboxRow")]
pub(super) struct Stored(pub(super) Mailbox);

impl TryFrom<MailboxRow> for Stored {
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
            epoch: row.epoch,
            nonce: row.nonce.map(|AsText(Nonce(nonce))| nonce),
            previous_nonce,
            subscription: row.subscription.map(|JsonText(SubscriptionWire(s))| s),
            polled: row.polled.map(|JsonText(PolledWire(p))| p),
            consent: row.consent.map(|JsonText(ConsentWire(c))| c),
            health: row.health.map(|JsonText(health)| health.into()).unwrap_or_default(),
        }))
    }
}
