//! A tenant's row: scalars as properties of their own, what has structure as JSON text.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::wire::{AsText, JsonText, ReasonWire, RegistrationWire, as_text},
    Tenant, TenantConnection,
};
use crate::domain::{
    ids::{GroupId, MailboxId, TenantId},
    policy::{ContentPolicy, PeoplePolicy, PrivatePolicy, Registration, SubjectPolicy},
    tenancy::{ConsentMode, Suspension, SuspensionReason, TenantPolicy, TenantState},
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
    connection: Option<JsonText<TenantConnection>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_checked_at: Option<Timestamp>,
    policy: JsonText<PolicyWire>,
    /// Apart from the policy, because it may be long.
    excluded_mailboxes: JsonText<Vec<AsText<MailboxId>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct State(#[serde(with = "StateWire")] TenantState);

#[derive(Serialize, Deserialize)]
#[serde(remote = "TenantState")]
enum StateWire {
    Active,
    Suspended(#[serde(with = "SuspensionWire")] Suspension),
    Disconnecting,
    Deleted(Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Suspension")]
struct SuspensionWire {
    since: Timestamp,
    #[serde(with = "ReasonWire")]
    reason: SuspensionReason,
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
    delegate_consent: bool,
    mail_sender: Option<AsText<MailboxId>>,
    audit_days: u16,
    add_in_property: Option<String>,
    #[serde(default)]
    rich_notifications: bool,
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
        let Tenant {
            id,
            state,
            registration,
            connection: connected,
            access_checked_at: checked_at,
            policy,
        } = tenant;
        let TenantPolicy { consent, scope_group, excluded_mailboxes: excluded, content, .. } =
            policy;
        let TenantPolicy {
            rooms_subscribed,
            delegate_consent: delegates,
            mail_sender: mail,
            audit_days,
            ..
        } = policy;
        let TenantPolicy { add_in_property, rich_notifications: rich, rehearsal, .. } = policy;
        let ContentPolicy { subject, people, private } = content;
        Self {
            tenant: id,
            state: JsonText(State(state)),
            registration,
            connection: connected.map(JsonText),
            access_checked_at: checked_at,
            policy: JsonText(PolicyWire {
                consent,
                scope_group: scope_group.map(AsText),
                subject,
                people,
                private,
                rooms_subscribed,
                delegate_consent: delegates,
                mail_sender: mail.map(AsText),
                audit_days,
                add_in_property,
                rich_notifications: rich,
                rehearsal,
            }),
            excluded_mailboxes: JsonText(excluded.into_iter().map(AsText).collect()),
        }
    }
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let JsonText(State(state)) = row.state;
        let JsonText(policy) = row.policy;
        let JsonText(excluded) = row.excluded_mailboxes;
        let excluded: BTreeSet<MailboxId> = excluded.into_iter().map(|AsText(id)| id).collect();
        Self {
            id: row.tenant,
            state,
            registration: row.registration,
            connection: row.connection.map(|JsonText(connected)| connected),
            access_checked_at: row.access_checked_at,
            policy: TenantPolicy {
                consent: policy.consent,
                scope_group: policy.scope_group.map(|AsText(group)| group),
                excluded_mailboxes: excluded,
                content: ContentPolicy {
                    subject: policy.subject,
                    people: policy.people,
                    private: policy.private,
                },
                rooms_subscribed: policy.rooms_subscribed,
                delegate_consent: policy.delegate_consent,
                mail_sender: policy.mail_sender.map(|AsText(sender)| sender),
                audit_days: policy.audit_days,
                add_in_property: policy.add_in_property,
                rich_notifications: policy.rich_notifications,
                rehearsal: policy.rehearsal,
            },
        }
    }
}
