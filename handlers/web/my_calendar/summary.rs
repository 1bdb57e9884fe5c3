//! A standing in words that do not change, for programs and for the page's template.

use serde::Serialize;

use super::{
    agree::TEXT_VERSION,
    eligibility::{Eligibility, ScopeStatus},
    stored_data::{consent_kind_str, state_str},
};
use crate::{
    domain::{
        policy::{PeoplePolicy, PrivatePolicy, SubjectPolicy},
        tenancy::{ConsentMode, TenantState},
    },
    web::layout::texts::ENGLISH,
};

/// What applies to somebody, in words.
#[derive(Serialize)]
pub(super) struct EligibilitySummary {
    /// `require_active`, `suspended` or `leaving`.
    pub(super) organisation: &'static str,
    /// `opt_in` or `load_tenant`.
    pub(super) consent_mode: &'static str,
    /// `dropped`, `kept` or `replaced`.
    pub(super) subjects: &'static str,
    /// `count`, `organizer` or `addresses`.
    pub(super) people: &'static str,
    /// `without_subject` or `anonymous`.
    pub(super) private: &'static str,
    /// Whether a delegate may agree for an owner.
    pub(super) delegates: bool,
    /// `with_sections`, `out_of_scope`, `excluded_mailboxes`, `room` or `unknown_route`.
    pub(super) scope: &'static str,
    /// `none`, `require_active`, `paused`, `reconcile_withdrawn` or `erased_state`.
    pub(super) state: &'static str,
    /// `own`, `delegate` or `load_tenant`, while the calendar is followed.
    pub(super) consent: Option<&'static str>,
    /// The version of the text that people agree to now.
    pub(super) text_version: &'static str,
    /// That text.
    pub(super) text: &'static str,
}

impl EligibilitySummary {
    /// `standing` in words.
    pub(super) fn of(eligibility: &Eligibility) -> Self {
        let policy = &eligibility.tenant.policy;
        Self {
            organisation: match eligibility.tenant.state {
                TenantState::Active => "active",
                TenantState::Suspended(_) => "suspended",
                TenantState::Disconnecting | TenantState::Deleted(_) => "leaving",
            },
            consent_mode: match policy.consent {
                ConsentMode::OptIn => "opt_in",
                ConsentMode::Organisation => "organisation",
            },
            subjects: match policy.content.subject {
                SubjectPolicy::Drop => "dropped",
                SubjectPolicy::Keep => "kept",
                SubjectPolicy::Replace(_) => "replaced",
            },
            people: match policy.content.people {
                PeoplePolicy::Count => "count",
                PeoplePolicy::Organizer => "organizer",
                PeoplePolicy::Addresses => "addresses",
            },
            private: match policy.content.private {
                PrivatePolicy::WithoutSubject => "without_subject",
                PrivatePolicy::Anonymous => "anonymous",
            },
            delegates: policy.delegate_consent && policy.mail_sender.is_some(),
            scope: match &eligibility.scope {
                ScopeStatus::InScope => "within",
                ScopeStatus::OutOfScope => "out_of_scope",
                ScopeStatus::Excluded => "excluded",
                ScopeStatus::RoomMailbox => "room",
                ScopeStatus::Unknown(_) => "unknown",
            },
            state: eligibility.state().map_or("none", state_str),
            consent: eligibility.consent_kind().map(consent_kind_str),
            text_version: TEXT_VERSION,
            text: ENGLISH.my_calendar.agreement,
        }
    }
}
