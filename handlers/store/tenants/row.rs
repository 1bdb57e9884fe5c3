//! A tenant's row: scalars as properties of their own, what has structure as JSON text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::wire::{AsText, JsonText, ReasonWire, RegistrationWire, as_text},
    Connected, Tenant,
};
use crate::domain::{
    ids::{GroupId, MailboxId, TenantId},
    policy::{ContentPolicy, PeoplePolicy, PrivatePolicy, Registration, SubjectPolicy},
    tenancy::{ConsentMode, SuspendedBecause, Suspension, TenantPolicy, TenantState},
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TenantRow {
    #[serde(with = "as_text")]
    pub(super) tenant: TenantId,
    state: JsonText<State>,
    #[serde(with = "RegistrationWire")]
    registration: Registration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connected: Option<JsonText<Connected>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
    policy: JsonText<PolicyWire>,
    /// Apart from the policy, because it may be long.
    excluded: JsonText<Vec<AsText<MailboxId>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct State(#[serde(with = "StateWire")] TenantState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "TenantState")]
enum StateWire {
    Active,
    Suspended(#[serde(with = "SuspensionWire")] Suspension),
    Leaving,
    Left(Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Suspension")]
struct SuspensionWire {
    since: Timestamp,
    #[serde(with = "ReasonWire")]
    reason: SuspendedBecause,
}

#[derive(Serialize, Deserialize)]
struct PolicyWire {
    #[serde(with = "ConsentWire")]
    consent: ConsentMode,
    scope_group: Option<AsText<GroupId>>,
    #[serde(with = "SubjectWire")]
    subject: SubjectPolicy,
    #[serde(with = "PeopleWire")]
    people: PeoplePolicy,
    #[serde(with = "PrivateWire")]
    private: PrivatePolicy,
    rooms_subscribed: bool,
    delegates: bool,
    mail: Option<AsText<MailboxId>>,
    audit_days: u16,
    add_in_property: Option<String>,
    #[serde(default)]
    rich: bool,
    #[serde(default)]
    rehearsal: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ConsentMode")]
enum ConsentWire {
    OptIn,
    Organisation,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SubjectPolicy")]
enum SubjectWire {
    Drop,
    Keep,
    Replace(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PeoplePolicy")]
enum PeopleWire {
    Count,
    Organizer,
    Addresses,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PrivatePolicy")]
enum PrivateWire {
    WithoutSubject,
    Anonymous,
}

impl From<Tenant> for TenantRow {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, state, registration, connected, checked_at, policy } = tenant;
        let TenantPolicy { consent, scope_group, excluded, content, .. } = policy;
        let TenantPolicy { rooms_subscribed, delegates, mail, audit_days, .. } = policy;
        let TenantPolicy { add_in_property, rich, rehearsal, .. } = policy;
        let ContentPolicy { subject, people, private } = content;
        Self {
            tenant: id,
            state: JsonText(State(state)),
            registration,
            connected: connected.map(JsonText),
            checked_at,
            policy: JsonText(PolicyWire {
                consent,
                scope_group: scope_group.map(AsText),
                subject,
                people,
                private,
                rooms_subscribed,
                delegates,
                mail: mail.map(AsText),
                audit_days,
                add_in_property,
                rich,
                rehearsal,
            }),
            excluded: JsonText(excluded.into_iter().map(AsText).collect()),
        }
    }
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let JsonText(State(state)) = row.state;
        let JsonText(policy) = row.policy;
        let JsonText(excluded) = row.excluded;
        let excluded: BTreeSet<MailboxId> = excluded.into_iter().map(|AsText(id)| id).collect();
        Self {
            id: row.tenant,
            state,
            registration: row.registration,
            connected: row.connected.map(|JsonText(connected)| connected),
            checked_at: row.checked_at,
            policy: TenantPolicy {
                consent: policy.consent,
                scope_group: policy.scope_group.map(|AsText(group)| group),
                excluded,
                content: ContentPolicy {
                    subject: policy.subject,
                    people: policy.people,
                    private: policy.private,
                },
                rooms_subscribed: policy.rooms_subscribed,
                delegates: policy.delegates,
                mail: policy.mail.map(|AsText(sender)| sender),
                audit_days: policy.audit_days,
                add_in_property: policy.add_in_property,
                rich: policy.rich,
                rehearsal: policy.rehearsal,
            },
        }
    }
}
